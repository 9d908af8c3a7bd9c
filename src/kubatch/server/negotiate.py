"""Which form the answer takes and which form a body has: Accept, Content-Type, pretty printing.

Pure. The rules are apiserver/pkg/endpoints/handlers/negotiation. Protobuf is never written: every
client takes JSON where it offers both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import msgspec

from kubatch.api.errors import ApiError, Details
from kubatch.api.yaml_text import to_yaml
from kubatch.server.request import Query, first, flag

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"

Transform = Literal["", "Table", "PartialObjectMetadata"]

_NOT_ACCEPTABLE = (
    "406: Not Acceptable\n\nAvailable representations: "
    "application/json, application/yaml, application/vnd.kubernetes.protobuf"
)
_UNKNOWN_BODY = (
    "the body of the request was in an unknown format - accepted media types include: "
    "application/json, application/yaml, application/vnd.kubernetes.protobuf"
)
_PRETTY_AGENTS = ("curl", "Wget", "Mozilla/")  # negotiate.go: isPrettyPrint


@dataclass(frozen=True, slots=True)
class Form:
    """How to write an answer."""

    media: Literal["json", "yaml"] = "json"
    transform: Transform = ""
    version: str = "v1"  # of meta.k8s.io, for a transformed answer


PLAIN = Form()


@dataclass(frozen=True, slots=True)
class Clause:
    """One media type of an Accept header."""

    media: str
    params: Mapping[str, str]
    quality: float


@lru_cache(maxsize=256)
def clauses(accept: str) -> tuple[Clause, ...]:
    """An Accept header's clauses, best first; equals keep their order."""
    return tuple(sorted(_clauses(accept), key=lambda c: -c.quality))


def _clauses(accept: str) -> Iterator[Clause]:
    for text in accept.split(","):
        media, *pairs = (p.strip() for p in text.split(";"))
        if not media:
            continue
        params = {}
        for pair in pairs:
            name, _, value = pair.partition("=")
            params[name.strip().lower()] = value.strip().strip('"')
        try:
            quality = float(params.pop("q", "1"))
        except ValueError:
            quality = 1.0
        yield Clause(media.lower(), params, quality)


@lru_cache(maxsize=256)
def form(accept: str) -> Form:
    """The form of a resource's answer. Raises ApiError 406."""
    wanted = clauses(accept)
    if not wanted:
        return PLAIN
    protobuf = False
    unknown_transform = False
    for clause in wanted:
        media = _media(clause.media)
        transform = _transform(clause.params)
        if transform is None:
            unknown_transform = unknown_transform or media is not None
        elif media is not None:
            return Form(media, transform, clause.params.get("v", "v1") if transform else "v1")
        elif clause.media == PROTOBUF:
            protobuf = True
    if protobuf:
        return PLAIN
    if unknown_transform:
        message = f"only the following media types are accepted: {JSON}, {YAML}, {PROTOBUF}"
        raise ApiError(406, "NotAcceptable", message)
    raise not_acceptable()


def check_streamable(how: Form) -> None:
    """YAML has no form in which objects follow each other (NegotiateOutputStreamSerializer).

    Raises ApiError 406.
    """
    if how.media == "yaml":
        message = f"only the following media types are accepted: {JSON}, {PROTOBUF}"
        raise ApiError(406, "NotAcceptable", message)


def not_acceptable() -> ApiError:
    """406: nothing the client takes is on offer."""
    return ApiError(406, "NotAcceptable", _NOT_ACCEPTABLE, Details())


def accepts_text(accept: str) -> bool:
    """Whether a log may be sent: text/plain, or any form of JSON, stands for it."""
    wanted = clauses(accept)
    taken = {"*/*", "text/*", "text/plain", "application/*", JSON, YAML, PROTOBUF}
    return not wanted or any(c.media in taken for c in wanted)


def _media(media: str) -> Literal["json", "yaml"] | None:
    if media in (JSON, "*/*", "application/*"):
        return "json"
    return "yaml" if media == YAML else None


def _transform(params: Mapping[str, str]) -> Transform | None:
    """What `as` asks for; None when it is nothing known."""
    kind = params.get("as", "")
    if not kind:
        return ""
    if params.get("g") != "meta.k8s.io" or params.get("v") not in ("v1", "v1beta1"):
        return None
    if kind == "Table":
        return "Table"
    return "PartialObjectMetadata" if kind.startswith("PartialObjectMetadata") else None


# ----- bodies of requests


def body_media(content_type: str) -> Literal["json", "yaml", "protobuf"]:
    """How a create's, update's or delete's body is written; nothing said is JSON.

    Raises ApiError 415.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media in ("", JSON):
        return "json"
    if media == YAML:
        return "yaml"
    if media == PROTOBUF:
        return "protobuf"
    raise unsupported_body()


def unsupported_body() -> ApiError:
    """415 for a body nobody here can read."""
    return ApiError(415, "UnsupportedMediaType", _UNKNOWN_BODY)


PATCH_TYPES: Mapping[str, Literal["json", "merge", "strategic", "apply"]] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}


def patch_type(content_type: str) -> Literal["json", "merge", "strategic", "apply"]:
    """Which patch a body is. Raises ApiError 415."""
    found = PATCH_TYPES.get(content_type.partition(";")[0].strip().lower())
    if found is None:
        raise unsupported_patch()
    return found


def unsupported_patch() -> ApiError:
    """415 for a patch of an unknown type."""
    return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", Details())


# ----- finishing touches


def wants_pretty(query: Query, user_agent: str) -> bool:
    """Whether people will read the JSON: asked for, or a browser or curl asks."""
    if "pretty" in query and first(query, "pretty"):
        return flag(query, "pretty")
    return user_agent.startswith(_PRETTY_AGENTS)


def finish(body: bytes, how: Form, pretty: bool) -> tuple[bytes, str]:
    """Compact JSON in its final form, and the Content-Type of that."""
    if how.media == "yaml":
        return to_yaml(msgspec.json.decode(body)), YAML
    if pretty:
        return msgspec.json.format(body.rstrip(b"\n"), indent=2) + b"\n", JSON
    return (body if body.endswith(b"\n") else body + b"\n"), JSON


def encode(value: Any) -> bytes:
    """A small value as the wire has it: compact JSON and a newline."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
