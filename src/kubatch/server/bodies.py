"""Bodies of requests: JSON or YAML text to plain values and objects, with Kubernetes' complaints.

Pure. The texts are those of apiserver/pkg/endpoints/handlers/rest.go: transformDecodeError, of
apimachinery's serializers and of encoding/json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, TypeVar

import msgspec

from kubatch.api import codec, errors, fields, protobuf
from kubatch.api import models as m
from kubatch.api import resource as table
from kubatch.api.codec import Malformed, Unmarshalled, WrongType
from kubatch.api.errors import ApiError, Cause
from kubatch.api.json_text import TYPE_META, go_kind
from kubatch.api.resource import Resource
from kubatch.api.yaml_text import parse_yaml
from kubatch.registry.values import DeleteRequest
from kubatch.server import operations
from kubatch.server.gojson import go_json_error
from kubatch.server.request import META_GROUP, Query, dry_run_causes, first, flag, integer

T = TypeVar("T")
Media = Literal["json", "yaml", "protobuf"]

_SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"
# Go packages of the internal types, as conversion errors name them.
_INTERNAL = {"": "core", "events.k8s.io": "core"}


def decode_object(
    resource: Resource[T], data: bytes, media: Media, validation: str, warnings: list[str]
) -> T:
    """The object in a create's or update's body.

    Raises ApiError 400, 415. Unknown and duplicate fields are refused (Strict), told of in
    `warnings` (Warn) or dropped (Ignore).
    """
    body = decode_value(data, media, resource.kind)
    _check_kind(resource, body.value, data)
    try:
        obj, found = codec.from_wire(resource, body)
    except WrongType as error:
        raise _cannot_be_handled(resource, body.value, str(error)) from None
    if found and validation == "Strict":
        text = strict_text(found)
        raise _cannot_be_handled(resource, body.value, text)
    if validation == "Warn":
        warnings.extend(found)
    return obj


def decode_value(data: bytes, media: Media, kind: str) -> Unmarshalled:
    """A body as plain values. Raises ApiError 400, 415."""
    if media == "protobuf":
        try:
            return Unmarshalled(protobuf.decode(data))
        except protobuf.MalformedProtobuf as error:
            raise errors.bad_request(str(error)) from None
    try:
        return parse_yaml(data) if media == "yaml" else codec.parse_json(data)
    except Malformed as error:
        if media == "yaml":
            why = f"couldn't get version/kind; json parse error: {error}"
        else:
            why = f"couldn't get version/kind; json parse error: {go_json_error(data)}"
        raise _unrecognized(kind, why, data) from None


def strict_text(found: list[str]) -> str:
    """Strict findings as one error (apimachinery/pkg/runtime/error.go: strictDecodingError)."""
    duplicates = [f for f in found if _YAML_DUPLICATE.match(f)]
    others = [f for f in found if not _YAML_DUPLICATE.match(f)]
    if duplicates:
        others.insert(0, "yaml: unmarshal errors:\n  " + "\n  ".join(duplicates))
    return "strict decoding error: " + ", ".join(others)


_YAML_DUPLICATE = re.compile(r"line \d+: key ")


def _check_kind(resource: Resource[Any], value: dict[str, Any], data: bytes) -> None:
    """The body must be of the URL's kind, or not say what it is. Raises ApiError 400."""
    kind, api_version = value.get("kind") or "", value.get("apiVersion") or ""
    for name, found in (("kind", kind), ("apiVersion", api_version)):
        if not isinstance(found, str):
            why = (
                "couldn't get version/kind; json parse error: json: cannot unmarshal "
                f"{go_kind(found)} into Go struct field .{name} of type string"
            )
            raise _unrecognized(resource.kind, why, data)
    if kind in ("", resource.kind) and api_version in ("", resource.api_version):
        return
    sent_version = api_version or resource.api_version
    sent_kind = kind or resource.kind
    known = table.by_kind(sent_version, sent_kind)
    if known is None:
        version = sent_version.rpartition("/")[2]
        why = (
            f'no kind "{sent_kind}" is registered for version "{sent_version}" '
            f'in scheme "{_SCHEME}"'
        )
        raise errors.bad_request(
            f'{sent_kind} in version "{version}" cannot be handled as a {resource.kind}: {why}'
        )
    if known.kind == resource.kind:
        raise errors.bad_request(
            f"the API version in the data ({sent_version}) does not match the expected API "
            f"version ({resource.api_version})"
        )
    package = _INTERNAL.get(resource.group, resource.group.partition(".")[0])
    why = (
        f"converting ({known.version}.{known.kind}) to ({package}.{resource.kind}): "
        "unknown conversion"
    )
    raise _cannot_be_handled(resource, value, why)


def _cannot_be_handled(resource: Resource[Any], value: dict[str, Any], why: str) -> ApiError:
    kind = value.get("kind") or resource.kind
    version = (value.get("apiVersion") or resource.api_version).rpartition("/")[2]
    return errors.bad_request(
        f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {why}'
    )


def _unrecognized(kind: str, why: str, data: bytes) -> ApiError:
    return errors.bad_request(
        f"the object provided is unrecognized (must be of type {kind}): {why} ({_summary(data)})"
    )


def _summary(data: bytes) -> str:
    """The body's beginning, in hex unless it looks like JSON (rest.go: summarizeData)."""
    if not data:
        return "<empty>"
    end = " ..." if len(data) > 30 else ""
    head = data[:30]
    return (head.decode(errors="replace") if data[:1] == b"{" else head.hex()) + end


# ----- PATCH


def decode_patch(data: bytes, kind: Literal["json", "merge", "strategic"]) -> tuple[Any, list[str]]:
    """A patch as plain values, and its duplicate members. Raises ApiError 400."""
    if kind == "json":
        return operations.decode(data)
    try:
        body = codec.parse_json(data)
    except Malformed:
        why = go_json_error(data).replace(TYPE_META, "map[string]interface {}")
        raise errors.bad_request(f"error decoding patch: {why}") from None
    return body.value, body.strict_errors


def patch_reporter(
    patch: Any, earlier: list[str], validation: str, warnings: list[str]
) -> Callable[[list[str]], None]:
    """What to do with the strict findings of a patch (`earlier`) and of the object it made.

    (apiserver/pkg/endpoints/handlers/patch.go.) What it returns raises ApiError 422 when they are
    to be refused.
    """

    def report(of_object: list[str]) -> None:
        found = [*earlier, *of_object]
        if found and validation == "Strict":
            sent = json.dumps(patch, separators=(",", ":"), ensure_ascii=False)
            cause = fields.invalid("patch", sent, strict_text(found))
            raise errors.invalid("", "", "", [cause])
        if validation == "Warn":
            warnings.extend(w for w in found if w not in warnings)

    return report


# ----- DELETE


def delete_request(data: bytes, media: Media, query: Query) -> DeleteRequest:
    """DeleteOptions: the body when there is one, else the query, never both.

    (apiserver/pkg/endpoints/handlers/delete.go: DeleteResource.) Raises ApiError 400, 415, 422.
    """
    return _from_body(data, media) if data else _from_query(query)


def _from_body(data: bytes, media: Media) -> DeleteRequest:
    return delete_options(decode_value(data, media, "DeleteOptions").value)


def delete_options(value: dict[str, Any]) -> DeleteRequest:
    """DeleteOptions as plain values, checked. Raises ApiError 400, 422."""
    kind = value.get("kind") or "DeleteOptions"
    if kind != "DeleteOptions":
        version = str(value.get("apiVersion") or "v1").rpartition("/")[2]
        why = f"converting ({version}.{kind}) to (v1.DeleteOptions): unknown conversion"
        raise errors.bad_request(
            f'{kind} in version "{version}" cannot be handled as a DeleteOptions: {why}'
        )
    try:
        options = msgspec.convert(value, m.DeleteOptions)
    except msgspec.ValidationError as error:
        raise errors.bad_request(
            f'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: {error}'
        ) from None
    preconditions = options.preconditions or m.Preconditions()
    return _checked(
        DeleteRequest(
            options.gracePeriodSeconds,
            options.propagationPolicy,
            preconditions.uid,
            preconditions.resourceVersion,
            bool(options.dryRun),
        ),
        options.orphanDependents,
        options.dryRun or [],
    )


def _from_query(query: Query) -> DeleteRequest:
    orphan = flag(query, "orphanDependents") if "orphanDependents" in query else None
    dry_run = list(query.get("dryRun", ()))
    return _checked(
        DeleteRequest(
            integer(query, "gracePeriodSeconds"),
            first(query, "propagationPolicy") or None,
            dry_run=bool(dry_run),
        ),
        orphan,
        dry_run,
    )


def _checked(request: DeleteRequest, orphan: bool | None, dry_run: list[str]) -> DeleteRequest:
    """apimachinery/pkg/apis/meta/v1/validation: ValidateDeleteOptions."""
    causes: list[Cause] = []
    policy = request.propagation
    if policy is not None and orphan is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        causes.append(fields.invalid("propagationPolicy", policy, why))
    if policy not in (None, "Foreground", "Background", "Orphan"):
        choices = ["Foreground", "Background", "Orphan", "nil"]
        causes.append(fields.not_supported("propagationPolicy", policy, choices))
    causes += dry_run_causes(dry_run)
    if causes:
        raise errors.invalid(META_GROUP, "DeleteOptions", "", causes)
    if orphan is None:
        return request
    return replace(request, propagation="Orphan" if orphan else "Background")
