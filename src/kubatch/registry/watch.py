"""From committed changes to the events of one watcher with one selector.

An object that enters the selection is ADDED, one that leaves it is DELETED with its old content at
the new revision (apiserver/pkg/storage/cacher/cacher.go: convertToWatchEvent).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar

from msgspec.structs import replace

from kubatch.api import errors
from kubatch.registry.selection import Selection
from kubatch.registry.shelf import Shelf
from kubatch.registry.values import Entry, WatchEvent
from kubatch.store.protocol import Change, Record, RevisionCompacted, Store, WatcherTooSlow

T = TypeVar("T")

PRESENT_PART = 500  # objects of the present state that are looked at together


def event_of(change: Change, shelf: Shelf[T], selection: Selection[T]) -> WatchEvent[T] | None:
    """How one change looks through one selection; None when it does not show."""
    now = shelf.entry(change.record) if change.record else None
    before = shelf.entry(change.previous) if change.previous else None
    if selection.everything:
        shows, showed = now is not None, before is not None
    else:
        shows = now is not None and selection.matches(now.obj)
        showed = before is not None and selection.matches(before.obj)
    if shows and now is not None:
        return WatchEvent("MODIFIED" if showed else "ADDED", now)
    if showed and before is not None:
        return WatchEvent("DELETED", _at_revision(before, change.revision))
    return None


def _at_revision(entry: Entry[T], revision: int) -> Entry[T]:
    """The old content under the revision of its disappearance, so that a watch can go on there."""
    obj = entry.obj
    meta = replace(obj.metadata, resourceVersion=str(revision))  # type: ignore[attr-defined]
    return Entry(replace(obj, metadata=meta), entry.data, revision)  # type: ignore[type-var]


class Watch(Generic[T]):
    """An async iterator of batches of events; ends when the store closes."""

    def __init__(
        self, store: Store, shelf: Shelf[T], selection: Selection[T], namespace: str | None,
        after: int | None, current: int, buffer_max: int,
    ) -> None:  # fmt: skip
        self._store = store
        self._shelf = shelf
        self._selection = selection
        self._namespace = namespace
        self.initial_done = after is not None
        self._unsent: Iterator[Record] | None = None  # of the present state
        self._revision = current if after is None else after
        # Registered before the present state is read, so nothing falls in between.
        self._changes = store.watch(shelf.prefix(namespace), self._revision, buffer_max)

    @property
    def revision(self) -> int:
        """How far this has come; where nothing concerns it, as far as the store
        (apiserver/pkg/storage/cacher: progress notification).
        """
        if self.initial_done and self._changes.caught_up:
            self._revision = max(self._revision, self._store.revision)
        return self._revision

    def __aiter__(self) -> AsyncIterator[Sequence[WatchEvent[T]]]:
        return self

    async def __anext__(self) -> Sequence[WatchEvent[T]]:
        """The next batch; it may be empty (the watch moved on past changes it does not show).

        Raises ApiError 410 when the history asked for is gone or this watcher is too slow.
        """
        if not self.initial_done:
            return await self._present()
        try:
            changes = await anext(self._changes)
        except RevisionCompacted:
            raise errors.expired(
                f"too old resource version: {self._revision} ({self._store.revision})"
            ) from None
        except WatcherTooSlow:
            raise errors.expired("the watcher fell too far behind; list again") from None
        events = [
            event
            for change in changes
            if (event := event_of(change, self._shelf, self._selection)) is not None
        ]
        self._revision = max(self._revision, changes[-1].revision)
        return events

    async def _present(self) -> Sequence[WatchEvent[T]]:
        """A part of the present state, lest a large one be in memory as events all at once."""
        if self._unsent is None:
            records = await self._store.list(self._shelf.prefix(self._namespace), self._revision)
            self._unsent = iter(records)
        part = list(islice(self._unsent, PRESENT_PART))
        self.initial_done = len(part) < PRESENT_PART
        entries = [self._shelf.entry(r) for r in part]
        return [WatchEvent("ADDED", e) for e in entries if self._selection.matches(e.obj)]

    async def aclose(self) -> None:
        """Stop watching."""
        await self._changes.aclose()
