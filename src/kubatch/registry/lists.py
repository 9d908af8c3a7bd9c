"""Lists: pages, continue tokens and the meanings of resourceVersion.

Rules: apiserver/pkg/storage/continue.go, apimachinery/pkg/apis/meta/internalversion/validation.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from kubatch.api import errors, fields
from kubatch.api.errors import ApiError, Cause, Details
from kubatch.registry.selection import Selection
from kubatch.registry.shelf import Shelf
from kubatch.registry.values import ListRequest, Page, Selected
from kubatch.store.protocol import Record, RevisionCompacted, Slice, Store

T = TypeVar("T")

TOKEN_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start "
    "a new list without the continue parameter, or use the continue token in this response to "
    "retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the "
    "first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Token:
    """Where the next page starts, and at which revision the list was begun (-1: now)."""

    start: str
    revision: int

    def encode(self) -> str:
        raw = msgspec.json.encode(
            {"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.start + "\0"}
        )
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_token(text: str) -> Token:
    """Raises ApiError 400 for anything that encode() did not make."""
    try:
        padded = text + "=" * (-len(text) % 4)
        raw = msgspec.json.decode(base64.urlsafe_b64decode(padded))
        start, revision = raw["start"], raw["rv"]
        if raw["v"] != "meta.k8s.io/v1" or not isinstance(start, str):
            raise ValueError
        return Token(start.rstrip("\0"), int(revision))
    except (ValueError, KeyError, TypeError, binascii.Error, msgspec.DecodeError):
        raise errors.bad_request(
            "invalid continue token: continue key is not valid: unable to decode"
        ) from None


def parse_revision(text: str) -> int | None:
    """A resourceVersion from a query: None when absent. Raises ApiError 400."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise errors.bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{text}": '
            f'strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    digits = text.lstrip("0") or "0"
    if len(digits) > 20 or int(digits) >= 2**64:
        raise errors.bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{text}": '
            f'strconv.ParseUint: parsing "{text}": value out of range'
        )
    return int(digits)


def too_large_revision(asked: int, current: int) -> ApiError:
    """504: a revision that does not exist yet."""
    cause = Cause("ResourceVersionTooLarge", "Too large resource version")
    return ApiError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        Details(causes=(cause,), retry_after_seconds=1),
    )


def check_match(request: ListRequest) -> None:
    """The rules for resourceVersionMatch on lists. Raises ApiError 422."""
    match, revision = request.resource_version_match, request.resource_version
    path = "resourceVersionMatch"
    if not match:
        return
    if match not in ("Exact", "NotOlderThan"):
        cause = fields.not_supported(path, match, ["Exact", "NotOlderThan", ""])
    elif not revision:
        cause = fields.forbidden(
            path, "resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    elif match == "Exact" and revision == "0":
        cause = fields.forbidden(
            path, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        )
    elif request.continue_token:
        cause = fields.forbidden(
            path, "resourceVersionMatch is forbidden when continue is provided"
        )
    else:
        return
    raise errors.invalid("meta.k8s.io", "ListOptions", "", [cause])


# How many records are looked at together where a selector leaves some out.
_SELECTED_FROM_MIN = 500


def page(shelf: Shelf[T], found: Selected) -> Page[T]:
    """What was selected, decoded."""
    entries = [shelf.entry(record) for record in found.records]
    return Page(entries, found.revision, found.continue_token, found.remaining)


async def select(
    store: Store, shelf: Shelf[T], namespace: str | None, request: ListRequest,
    selection: Selection[T],
) -> Selected:  # fmt: skip
    """One page of a list, as records. Raises ApiError 400, 410, 422, 504."""
    check_match(request)
    revision = parse_revision(request.resource_version)
    token = decode_token(request.continue_token) if request.continue_token else None
    if token and revision:
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    if revision is not None and revision > store.revision:
        raise too_large_revision(revision, store.revision)
    limit = 0 if revision == 0 and token is None else max(request.limit, 0)

    at = store.revision
    name = selection.only_name()
    if name is not None and token is None and (namespace or not shelf.resource.namespaced):
        record = await store.get(shelf.key(namespace, name))
        shown = record is not None and selection.matches(shelf.entry(record).obj)
        return Selected([record] if record is not None and shown else [], shelf.data, at)

    past = token.revision if token else None
    if request.resource_version_match == "Exact":
        past = revision
    if past is not None and past >= 0:
        at = past
    return await _collect(store, shelf, namespace, selection, limit, at, token)


async def _collect(
    store: Store, shelf: Shelf[T], namespace: str | None, selection: Selection[T], limit: int,
    at: int, token: Token | None,
) -> Selected:  # fmt: skip
    """The first `limit` (0: all) selected records as of a revision, from where a token says."""
    everything = selection.everything
    step = limit if everything or not limit else max(limit, _SELECTED_FROM_MIN)
    chosen: list[Record] = []
    after = token.start if token else ""
    while True:
        found = await _slice(store, shelf.prefix(namespace), after, step, at, token)
        if everything and not limit:
            return Selected(found.records, shelf.data, at)
        for position, record in enumerate(found.records, 1):
            if not everything and not selection.matches(shelf.entry(record).obj):
                continue
            chosen.append(record)
            left = len(found.records) - position + found.remaining
            if limit and len(chosen) == limit and left:
                next_ = Token(record.key, at).encode()
                return Selected(chosen, shelf.data, at, next_, left if everything else None)
        if not found.remaining or len(chosen) == limit:
            return Selected(chosen, shelf.data, at)
        after = found.records[-1].key


async def _slice(
    store: Store, prefix: str, after: str, limit: int, at: int, token: Token | None
) -> Slice:
    try:
        return await store.page(prefix, after, limit, None if at >= store.revision else at)
    except RevisionCompacted:
        if token is None:
            raise errors.expired() from None
        raise ContinueExpired(Token(token.start, -1).encode()) from None


class ContinueExpired(ApiError):
    """410 for a page whose revision is gone; carries the token that goes on without it."""

    def __init__(self, continue_token: str) -> None:
        super().__init__(410, "Expired", TOKEN_EXPIRED)
        self.continue_token = continue_token

    def to_status(self) -> dict[str, Any]:
        status = super().to_status()
        status["metadata"] = {"continue": self.continue_token}
        return status
