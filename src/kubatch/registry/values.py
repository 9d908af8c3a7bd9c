"""What the verbs take and answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from kubatch.store.protocol import Record

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """An object as a verb answers it: decoded, encoded, and the revision it stands at."""

    obj: T  # metadata.resourceVersion is set; shared, never changed
    data: bytes  # the stored form; codec.wire(resource, data, revision) is what a client gets
    revision: int  # 0: not stored (a dry run)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A list's answer."""

    entries: Sequence[Entry[T]]
    revision: int
    continue_token: str = ""  # "" on the last page
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class Selected:
    """A list's answer as it is stored: nothing in it is decoded unless a selector had to look."""

    records: Sequence[Record]
    data: Callable[[Record], bytes]  # the stored form of what a record shows
    revision: int
    continue_token: str = ""
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """One change as a watcher with one selector sees it."""

    type: str  # ADDED, MODIFIED, DELETED
    entry: Entry[T]


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """DeleteOptions, parsed."""

    grace_period_seconds: int | None = None
    propagation: str | None = None  # Background, Foreground, Orphan; None: the kind's default
    uid: str | None = None  # precondition
    resource_version: str | None = None  # precondition
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ListRequest:
    """The query of a list or watch, parsed."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0  # 0: no limit
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
