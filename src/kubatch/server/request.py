"""What a URL asks for: paths, queries and the options in them, as values.

Pure. The rules are apiserver/pkg/endpoints/request/requestinfo.go, the conversions of
apimachinery/pkg/runtime and the option checks of apimachinery/pkg/apis/meta/v1/validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from kubatch.api import errors, fields
from kubatch.api.errors import Cause

Query = Mapping[str, Sequence[str]]

META_GROUP = "meta.k8s.io"
FIELD_MANAGER_BYTES_MAX = 128
_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
# Paths below /namespaces/NAME that belong to the namespace itself
# (requestinfo.go: namespaceSubresources).
_OF_NAMESPACES = {"status", "finalize"}
_EXPLAIN = "/kubatch.dev/v1/explain/"


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """One request, taken apart. Of a non-resource request only path, verb and query count."""

    method: str
    path: str  # decoded, without a trailing slash; "/" for the root
    verb: str  # get, list, watch, create, ...; the method in lower case outside resources
    query: Query
    is_resource: bool = False
    group: str = ""
    version: str = ""
    resource: str = ""  # the plural
    namespace: str | None = None
    name: str = ""
    subresource: str = ""
    rest: tuple[str, ...] = ()  # what follows the subresource


def parse(method: str, target: str) -> RequestInfo:
    """A request line's method and target (path and query, still encoded)."""
    return (_parsed if len(target) <= _REMEMBERED_CHARACTERS_MAX else _parse)(method, target)


# Clients ask the same again and again; what strangers write at length is not kept.
_REMEMBERED_CHARACTERS_MAX = 256


def _parse(method: str, target: str) -> RequestInfo:
    raw_path, _, raw_query = target.partition("?")
    path = unquote(raw_path) if "%" in raw_path else raw_path
    query: Query = parse_qs(raw_query, keep_blank_values=True) if raw_query else {}
    parts = [p for p in path.split("/") if p]
    path = "/" + "/".join(parts)
    prefix = parts[0] if parts else ""
    length = {"api": 2, "apis": 3}.get(prefix, 0)
    if not length or len(parts) <= length:
        return RequestInfo(method, path, method.lower(), query)
    group, version = ("", parts[1]) if prefix == "api" else (parts[1], parts[2])
    parts = parts[length:]
    verb = _VERBS.get(method, "")
    if parts[0] == "watch" and len(parts) > 1:
        # The deprecated form /api/v1/watch/...; a name in it selects one object of the collection.
        parts, verb = parts[1:], "watch"
    namespace, resource, tail = _place(parts)
    name = tail[0] if tail else ""
    if not name and verb == "get":
        verb = "watch" if flag(query, "watch") else "list"
    elif not name and verb == "delete":
        verb = "deletecollection"
    return RequestInfo(
        method, path, verb, query, True, group, version, resource, namespace,
        name, tail[1] if len(tail) > 1 else "", tuple(tail[2:]),
    )  # fmt: skip


_parsed = lru_cache(maxsize=4096)(_parse)


def _place(parts: Sequence[str]) -> tuple[str | None, str, Sequence[str]]:
    """Namespace, resource, and what is left: name, subresource, more."""
    if parts[0] != "namespaces" or len(parts) == 1:
        return None, parts[0], parts[1:]
    # For RBAC a namespace lies in itself, as in requestinfo.go.
    if len(parts) == 2 or (parts[2] in _OF_NAMESPACES and len(parts) == 3):
        return parts[1], "namespaces", parts[1:]
    return parts[1], parts[2], parts[3:]


def explained(info: RequestInfo) -> RequestInfo | None:
    """For a path below /kubatch.dev/v1/explain: as if the object itself were read; else None."""
    if info.is_resource or info.method != "GET" or not info.path.startswith(_EXPLAIN):
        return None
    group, *rest = info.path.removeprefix(_EXPLAIN).split("/")
    if len(rest) not in (2, 3) or not all(rest):
        return None
    namespace = rest[1] if len(rest) == 3 else None
    return RequestInfo(
        info.method, info.path, "get", info.query, True, "" if group == "core" else group, "",
        rest[0], namespace, rest[-1],
    )  # fmt: skip


# ----- single values


def first(query: Query, name: str, default: str = "") -> str:
    """The first value of a parameter."""
    values = query.get(name)
    return values[0] if values else default


def flag(query: Query, name: str) -> bool:
    """A boolean: absent is false, present is true unless it says `false` or `0`."""
    values = query.get(name)
    return values is not None and values[0].lower() not in ("false", "0")


def integer(query: Query, name: str) -> int | None:
    """A whole number, None when absent. Raises ApiError 400 in Go's words."""
    values = query.get(name)
    if not values:
        return None
    text = values[0]
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not digits.isascii() or not digits.isdigit():
        raise errors.bad_request(f"strconv.ParseInt: parsing {fields.show(text)}: invalid syntax")
    # Without its zeros: Python does not read a number of thousands of digits.
    value = int(digits) if len(digits := digits.lstrip("0") or "0") <= 19 else 2**64
    value = -value if text[:1] == "-" else value
    if not -(2**63) <= value < 2**63:
        raise errors.bad_request(
            f"strconv.ParseInt: parsing {fields.show(text)}: value out of range"
        )
    return value


# ----- lists and watches


@dataclass(frozen=True, slots=True)
class ListOptions:
    """metav1.ListOptions."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    timeout_seconds: int | None = None
    allow_bookmarks: bool = False
    send_initial_events: bool | None = None


def list_options(query: Query, *, watch: bool) -> ListOptions:
    """The query of a list or a watch. Raises ApiError 400, 422."""
    limit = integer(query, "limit") or 0
    send = flag(query, "sendInitialEvents") if "sendInitialEvents" in query else None
    options = ListOptions(
        label_selector=first(query, "labelSelector"),
        field_selector=first(query, "fieldSelector"),
        limit=max(limit, 0),
        continue_token=first(query, "continue"),
        resource_version=first(query, "resourceVersion"),
        resource_version_match=first(query, "resourceVersionMatch"),
        timeout_seconds=integer(query, "timeoutSeconds"),
        allow_bookmarks=flag(query, "allowWatchBookmarks"),
        send_initial_events=send,
    )
    causes = _watch_causes(options) if watch else _list_causes(options)
    if causes:
        raise errors.invalid(META_GROUP, "ListOptions", "", causes)
    return options


def _list_causes(options: ListOptions) -> list[Cause]:
    """What only the HTTP form of a list can get wrong; the registry checks the rest."""
    if options.send_initial_events is None:
        return []
    return [
        fields.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"),
    ]


def _watch_causes(options: ListOptions) -> list[Cause]:
    """apimachinery/pkg/apis/meta/internalversion/validation: validateWatchOptions."""
    match, path = options.resource_version_match, "resourceVersionMatch"
    causes: list[Cause] = []
    if options.send_initial_events is None:
        if match:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            causes.append(fields.forbidden(path, why))
        return causes
    if match != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes.append(fields.forbidden(path, why))
        if match:
            causes.append(fields.not_supported(path, match, ["NotOlderThan"]))
    if options.continue_token:
        why = "sendInitialEvents is forbidden when continue is provided"
        causes.append(fields.forbidden("continue", why))
    return causes


# ----- writes


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """CreateOptions, UpdateOptions and PatchOptions."""

    dry_run: bool = False
    field_validation: str = "Warn"  # Strict, Warn or Ignore
    field_manager: str = ""


_NO_WRITE_OPTIONS = WriteOptions()


def write_options(query: Query, kind: str, *, apply: bool = False) -> WriteOptions:
    """The options of a write; `kind` is CreateOptions, ... for messages. Raises ApiError 422."""
    if not query and not apply:
        return _NO_WRITE_OPTIONS
    causes: list[Cause] = []
    if not apply and "force" in query:
        causes.append(fields.forbidden("force", "may not be specified for non-apply patch"))
    manager = first(query, "fieldManager")
    if apply and not manager:
        causes.append(fields.required("fieldManager", "is required for apply patch"))
    if len(manager.encode()) > FIELD_MANAGER_BYTES_MAX:
        causes.append(fields.too_long("fieldManager", FIELD_MANAGER_BYTES_MAX))
    causes += [
        fields.invalid(
            "fieldManager", manager, f"invalid character U+{ord(c):04X} (at position {i})"
        )
        for i, c in enumerate(manager)
        if not c.isprintable()
    ]
    dry_run = query.get("dryRun", ())
    causes += dry_run_causes(dry_run)
    validation = first(query, "fieldValidation")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        choices = ["", "Ignore", "Strict", "Warn"]
        causes.append(fields.not_supported("fieldValidation", validation, choices))
    if causes:
        raise errors.invalid(META_GROUP, kind, "", causes)
    return WriteOptions(bool(dry_run), validation or "Warn", manager)


def dry_run_causes(values: Sequence[str]) -> list[Cause]:
    """What is wrong with dryRun; its only value is All."""
    if all(v == "All" for v in values):
        return []
    return [fields.not_supported("dryRun", list(values), ["All"])]


# ----- logs


def log_options(query: Query, pod: str = "") -> dict[str, Any]:
    """The query of pods/log, checked: wire names, absent ones left out.

    Raises ApiError 400, and 422 for what core/validation: ValidatePodLogOptions refuses.
    """
    options: dict[str, Any] = {}
    for name in ("follow", "previous", "timestamps"):
        if flag(query, name):
            options[name] = True
    for name in ("sinceSeconds", "tailLines", "limitBytes"):
        number = integer(query, name)
        if number is not None:
            options[name] = number
    if since := first(query, "sinceTime"):
        options["sinceTime"] = _moment(since)
    causes: list[Cause] = []
    if options.get("tailLines", 0) < 0:
        why = "must be greater than or equal to 0"
        causes.append(fields.invalid("tailLines", options["tailLines"], why))
    causes += [
        fields.invalid(name, options[name], "must be greater than 0")
        for name in ("limitBytes", "sinceSeconds")
        if options.get(name, 1) < 1
    ]
    if "sinceTime" in options and "sinceSeconds" in options:
        why = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(fields.forbidden("[]", why))
    if "stream" in query:
        causes.append(fields.forbidden("stream", "may not be specified"))
    if causes:
        raise errors.invalid("", "PodLogOptions", pod, causes)
    return options


def _moment(text: str) -> datetime:
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise errors.bad_request(
            f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
        )
    return moment
