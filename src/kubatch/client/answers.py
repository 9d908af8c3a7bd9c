"""What an API server answers, from bytes to values: objects, lists, watch events, errors.

Pure. Each object is decoded once, straight into its model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any, Generic, TypeVar, cast

import msgspec

from kubatch.api import codec, errors
from kubatch.api.errors import ApiError, Details
from kubatch.api.models import EventsV1Event
from kubatch.api.resource import Resource
from kubatch.client.protocol import Event

T = TypeVar("T")

_TEXT_SHOWN_MAX = 300  # of an answer that is no Status: a proxy's page, mostly
# apimachinery/pkg/api/errors: NewGenericServerResponse
_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Gone",
    413: "RequestEntityTooLarge",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class _Meta(msgspec.Struct):
    resourceVersion: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    annotations: dict[str, str] | None = None


class _Head(msgspec.Struct):
    kind: str = ""
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _RawList(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    items: list[msgspec.Raw] | None = None


_heads = msgspec.json.Decoder(_Head)
_lines = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class ListPage(Generic[T]):
    """One chunk of a list."""

    items: Sequence[T]
    revision: str
    continue_token: str


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """What the complete lines of a watch say: changes, and how far the watch has come."""

    events: Sequence[Event[T]]
    revision: int
    initial_done: bool = False  # the bookmark that ends the initial events was among them


def one(resource: Resource[T], data: bytes) -> T:
    """The object of an answer. Raises ApiError when it is none."""
    try:
        return codec.from_answer(resource.model, data)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise _unreadable(resource, error) from None


def kind_of(data: bytes) -> str:
    """The kind an answer says it is, "" when it says nothing."""
    try:
        return _heads.decode(data).kind
    except (msgspec.ValidationError, msgspec.DecodeError):
        return ""


def page(resource: Resource[T], data: bytes) -> ListPage[T]:
    """A list's answer. Raises ApiError."""
    try:
        if resource.model is EventsV1Event:  # its times need a look at each item
            raw = msgspec.json.decode(data, type=_RawList)
            items = [codec.from_answer(resource.model, item) for item in raw.items or ()]
            meta = raw.metadata
        else:
            found = _list_decoder(cast(Any, resource.model)).decode(data)
            items, meta = found.items or [], found.metadata
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise _unreadable(resource, error) from None
    return ListPage(items, meta.resourceVersion, meta.continue_)


@cache
def _list_decoder(model: Any) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = [
        ("metadata", _Meta, msgspec.field(default_factory=_Meta)),
        ("items", list[model] | None, None),
    ]
    return msgspec.json.Decoder(msgspec.defstruct(f"{model.__name__}List", fields))


def batch(resource: Resource[T], lines: Sequence[bytes], revision: int) -> Batch[T]:
    """The events of a watch's lines, `revision` being where it stood before.

    Raises ApiError: the error a line tells of, or that a line cannot be read.
    """
    events: list[Event[T]] = []
    initial_done = False
    try:
        for line in lines:
            read = _lines.decode(line)
            if read.type == "BOOKMARK":
                meta = _heads.decode(read.object).metadata
                revision = max(revision, int(meta.resourceVersion or 0))
                initial_done = initial_done or "k8s.io/initial-events-end" in (
                    meta.annotations or {}
                )
            elif read.type == "ERROR":
                raise failure(0, read.object)
            else:
                obj = codec.from_answer(resource.model, read.object)
                at = int(obj.metadata.resourceVersion or 0)  # type: ignore[attr-defined]
                revision = max(revision, at)
                events.append(Event(read.type, obj, at))
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError) as error:
        raise _unreadable(resource, error) from None
    return Batch(events, revision, initial_done)


def failure(code: int, data: bytes | msgspec.Raw) -> ApiError:
    """The error an answer tells of, whatever form it has."""
    try:
        status = msgspec.json.decode(data)
        if isinstance(status, dict) and status.get("kind") == "Status" and status.get("message"):
            return ApiError.from_status({"code": code or 500, **status})
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, ValueError, AttributeError):
        pass
    shown = bytes(data[:_TEXT_SHOWN_MAX]).decode(errors="replace").strip()
    reason = _REASONS.get(code, "")
    phrase = HTTPStatus(code).phrase if code in HTTPStatus._value2member_map_ else str(code)
    return ApiError(code or 500, reason, f"{phrase}: {shown}" if shown else phrase, Details())


def _unreadable(resource: Resource[Any], error: Exception) -> ApiError:
    return errors.internal(f"the server's answer about {resource.plural} cannot be read: {error}")
