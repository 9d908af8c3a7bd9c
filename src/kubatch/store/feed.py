"""Committed changes, handed to every watcher of their prefix: bounded, in order, in batches.

Everything here runs on the event loop's thread. A watcher is held weakly unless a task waits in
it: one that was dropped without aclose() goes away by itself, and a task that nobody else holds
still gets its changes.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Sequence

from kubatch.store.protocol import Change, StoreError, WatcherTooSlow


class Watcher:
    """One reader's changes: an async iterator of batches, each all that waited for it.

    One task at a time may wait in it, as in an async generator.
    """

    __slots__ = (
        "__weakref__",
        "_after",
        "_batch",
        "_ended",
        "_error",
        "_feed",
        "_limit",
        "_limit_live",
        "_prefix",
        "_serial",
        "_waiter",
    )

    def __init__(self, feed: Feed, prefix: str, after: int, buffer_max: int) -> None:
        self._feed = feed
        self._prefix = prefix
        self._serial = 0
        self._after = after
        self._batch: list[Change] = []
        self._limit = self._limit_live = buffer_max
        self._waiter: asyncio.Future[None] | None = None
        self._error: StoreError | None = None
        self._ended = False

    def __aiter__(self) -> Watcher:
        return self

    async def __anext__(self) -> Sequence[Change]:
        """Everything that waits, at least one change.

        Raises RevisionCompacted, WatcherTooSlow.
        """
        while not self._batch:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._ended:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("another task already waits for this watch")
            self._waiter = asyncio.get_running_loop().create_future()
            self._feed._waiting[self._serial] = self
            try:
                await self._waiter
            finally:
                self._waiter = None
                self._feed._waiting.pop(self._serial, None)
        batch, self._batch = self._batch, []
        self._limit = self._limit_live
        return batch

    @property
    def caught_up(self) -> bool:
        """Whether every change committed so far has been handed out."""
        return not self._batch and not self._ended

    async def aclose(self) -> None:
        """Unregister. A reader that waits, or comes later, finds the end."""
        self._batch = []
        self._end(None)

    def _push(self, changes: Sequence[Change]) -> None:
        if changes[0].revision <= self._after:  # a watch that starts in the future
            changes = [change for change in changes if change.revision > self._after]
        if len(self._batch) + len(changes) > self._limit:
            # What waited is of no use any more: the reader has to list again.
            self._batch = []
            self._end(WatcherTooSlow(f"more than {self._limit} changes of {self._prefix} wait"))
            return
        self._batch.extend(changes)
        if self._batch:
            self._wake()

    def _end(self, error: StoreError | None) -> None:
        """No more changes after those that wait already, then the error or a clean end."""
        self._error = error
        self._ended = True
        self._feed._remove(self._prefix, self._serial)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Feed:
    """The watchers of one store, grouped by prefix: a change touches only those it concerns."""

    def __init__(self) -> None:
        # Prefix to its watchers by serial number: a dict keeps the order of registration, so that
        # the same run wakes the same watchers in the same order.
        self._groups: dict[str, dict[int, weakref.ref[Watcher]]] = {}
        self._lengths: tuple[int, ...] = ()  # of the prefixes in use, each once, sorted
        self._waiting: dict[int, Watcher] = {}
        # Watchers that were garbage collected, which happens at any point and in any thread: they
        # are only noted then, and taken out at the next call.
        self._dropped: deque[tuple[str, int]] = deque()
        self._serial = 0
        self._closed = False

    def __len__(self) -> int:
        """How many watchers are registered."""
        self._sweep()
        return sum(len(group) for group in self._groups.values())

    def watch(
        self, prefix: str, after: int, buffer_max: int, history: Sequence[Change] = ()
    ) -> Watcher:
        """Register a watcher, which first gets `history`, then what is published after `after`.

        History is what the reader asked for, not what it was too slow to take: it does not count
        against buffer_max. On a closed feed the watcher ends after it.
        """
        watcher = Watcher(self, prefix, after, buffer_max)
        watcher._batch = list(history)
        watcher._limit = buffer_max + len(history)
        if self._closed:
            watcher._ended = True
            return watcher
        self._sweep()
        self._serial += 1
        watcher._serial = serial = self._serial
        dropped = self._dropped
        reference = weakref.ref(watcher, lambda _: dropped.append((prefix, serial)))
        self._groups.setdefault(prefix, {})[serial] = reference
        self._measure()
        return watcher

    def refuse(self, prefix: str, error: StoreError) -> Watcher:
        """A watcher that raises this error when it is read, and is not registered."""
        watcher = Watcher(self, prefix, 0, 0)
        watcher._ended = True
        watcher._error = error
        return watcher

    def publish(self, changes: Sequence[Change]) -> None:
        """Hand committed changes, in order, to the watchers of their prefixes."""
        self._sweep()
        groups = self._groups
        touched: dict[str, list[Change]] = {}
        for change in changes:
            key = change.key
            for length in self._lengths:
                if length > len(key):
                    break
                prefix = key[:length]
                if prefix in groups:
                    touched.setdefault(prefix, []).append(change)
        for prefix, concerned in touched.items():
            for reference in list(groups[prefix].values()):  # a copy: too slow watchers leave
                watcher = reference()
                if watcher is not None:
                    watcher._push(concerned)

    def close(self) -> None:
        """End every watch, after what waits in it. Later watches end at once."""
        self._closed = True
        for group in list(self._groups.values()):
            for reference in list(group.values()):
                watcher = reference()
                if watcher is not None:
                    watcher._end(None)

    def _remove(self, prefix: str, serial: int) -> None:
        """Take a watcher out of its group. Does nothing the second time."""
        group = self._groups.get(prefix, {})
        if group.pop(serial, None) is not None and not group:
            del self._groups[prefix]
            self._measure()

    def _sweep(self) -> None:
        while self._dropped:
            self._remove(*self._dropped.popleft())

    def _measure(self) -> None:
        self._lengths = tuple(sorted({len(prefix) for prefix in self._groups}))
