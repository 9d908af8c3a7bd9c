"""Everything a store holds, in memory: committed records, waiting writes, recent history.

Pure: no IO and no asyncio. A write is *staged* first, which checks it against the writes already
waiting and gives it its revision; it becomes visible once it is *committed*, in the same order.
"""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice

from sortedcontainers import SortedList

from kubatch.store.protocol import (
    Change,
    KeyExists,
    KeyMissing,
    Record,
    RevisionCompacted,
    RevisionMismatch,
    Slice,
    Value,
)

HISTORY_CHANGES_MAX = 20_000


class State:
    """Committed records by key, staged writes beside them, and the newest changes."""

    def __init__(self, history_changes_max: int = HISTORY_CHANGES_MAX) -> None:
        self.revision = 0
        """The revision of the newest committed write."""
        self._records: dict[str, Record] = {}
        # Sorted apart from the records, so that an update costs one dict assignment.
        self._keys: SortedList = SortedList()
        self._staged: dict[str, Change] = {}
        self._staged_revision = 0
        # Revisions have no gaps, so the length alone says how far back the history reaches.
        self._history: deque[Change] = deque(maxlen=history_changes_max)

    def load(self, records: Iterable[Record], revision: int) -> None:
        """Start over from these records. The history begins here: it holds nothing older."""
        self._records = {record.key: record for record in records}
        self._keys = SortedList(self._records)
        self._history.clear()
        self._staged.clear()
        self.revision = self._staged_revision = revision

    @property
    def compacted(self) -> int:
        """The oldest revision that can still be listed, or watched from."""
        return self.revision - len(self._history)

    def get(self, key: str) -> Record | None:
        """The committed record of a key."""
        return self._records.get(key)

    def records(self, prefix: str, revision: int | None = None) -> Sequence[Record]:
        """Committed records under a prefix by key, now or at a past revision.

        Raises RevisionCompacted, and ValueError for a revision that no write has reached yet.
        """
        records = self._records
        keys = self._keys.irange(prefix or None, _after_prefix(prefix), (True, False))
        if revision is None or revision == self.revision:
            return [records[key] for key in keys]
        found = {key: records[key] for key in keys}
        for change in self._newest_first(revision):
            if change.key.startswith(prefix):
                if change.previous is None:
                    del found[change.key]
                else:
                    found[change.key] = change.previous
        return [found[key] for key in sorted(found)]

    def page(self, prefix: str, after: str, limit: int, revision: int | None = None) -> Slice:
        """The first `limit` records (0: all) under a prefix with key > after, now or then.

        Raises as `records` does.
        """
        low, end = max(prefix, after), _after_prefix(prefix)
        skips = low == after  # a key of that name was on the page before
        keys: Iterator[str] = self._keys.irange(low or None, end, (not skips, False))
        first = self._keys.bisect_right(low) if skips else self._keys.bisect_left(low)
        count = (len(self._keys) if end is None else self._keys.bisect_left(end)) - first
        found: Mapping[str, Record] = self._records
        if revision is not None and revision != self.revision:
            past = {
                change.key: change.previous
                for change in self._newest_first(revision)
                if change.key.startswith(prefix) and (change.key > low or not skips)
            }
            there = {key: record for key, record in past.items() if record is not None}
            count += len(there) - sum(key in self._records for key in past)
            keys = merge((key for key in keys if key not in past), sorted(there))
            found = ChainMap(there, self._records)
        records = [found[key] for key in (islice(keys, limit) if limit else keys)]
        return Slice(records, max(count, 0) - len(records))

    def changes(self, prefix: str, after: int) -> Sequence[Change]:
        """Committed changes under a prefix with revision > after, oldest first.

        Empty when `after` is still to come. Raises RevisionCompacted.
        """
        if after >= self.revision:
            return []
        found = [c for c in self._newest_first(after) if c.key.startswith(prefix)]
        found.reverse()
        return found

    def create(self, key: str, value: Value) -> Change:
        """Stage a new key. Raises KeyExists, and ValueError for a key that is not text."""
        if self._newest(key) is not None:
            raise KeyExists(f"key {key} exists")
        if not key.isascii():
            key.encode()  # a lone surrogate would otherwise fail in the middle of a commit
        revision = self._staged_revision + 1
        return self._stage(Change(key, revision, Record(key, value, revision), None))

    def create_all(self, values: Sequence[tuple[str, Value]]) -> list[Change | None]:
        """Stage many new keys, None where one is taken. ValueError as of create: of none then."""
        for key, _ in values:
            key.encode()
        return [
            None if self._newest(key) is not None else self.create(key, value)
            for key, value in values
        ]

    def update(self, key: str, value: Value, expected: int) -> Change:
        """Stage another value. Raises KeyMissing, RevisionMismatch."""
        previous = self._expect(key, expected)
        revision = self._staged_revision + 1
        return self._stage(Change(key, revision, Record(key, value, revision), previous))

    def delete(self, key: str, expected: int) -> Change:
        """Stage a deletion. Raises KeyMissing, RevisionMismatch."""
        previous = self._expect(key, expected)
        return self._stage(Change(key, self._staged_revision + 1, None, previous))

    def is_staged(self, key: str) -> bool:
        """Whether a write to this key waits for its commit."""
        return key in self._staged

    def commit(self, changes: Sequence[Change]) -> None:
        """Make staged changes visible: the oldest ones, in the order they were staged."""
        for change in changes:
            key = change.key
            assert change.revision == self.revision + 1, "commits follow the order of staging"
            if change.record is None:
                del self._records[key]
                self._keys.remove(key)
            else:
                self._records[key] = change.record
                if change.previous is None:
                    self._keys.add(key)
            self._history.append(change)
            self.revision = change.revision
            if self._staged[key] is change:  # else a later write to the key waits as well
                del self._staged[key]

    def abandon(self) -> None:
        """Forget every staged write: they never happened."""
        self._staged.clear()
        self._staged_revision = self.revision

    def _stage(self, change: Change) -> Change:
        self._staged_revision = change.revision
        self._staged[change.key] = change
        return change

    def _newest(self, key: str) -> Record | None:
        """What the key holds once all staged writes are committed."""
        staged = self._staged.get(key)
        return self._records.get(key) if staged is None else staged.record

    def _expect(self, key: str, expected: int) -> Record:
        record = self._newest(key)
        if record is None:
            raise KeyMissing(f"key {key} does not exist")
        if record.revision != expected:
            raise RevisionMismatch(f"key {key} is at revision {record.revision}, not {expected}")
        return record

    def _newest_first(self, after: int) -> Iterator[Change]:
        """The changes committed after a revision, newest first."""
        if after > self.revision:
            raise ValueError(f"revision {after} is newer than the newest, {self.revision}")
        if after < self.compacted:
            raise RevisionCompacted(f"revision {after} is older than the oldest, {self.compacted}")
        return islice(reversed(self._history), self.revision - after)


def _after_prefix(prefix: str) -> str | None:
    """The first string after all those that start with prefix; None when there is none."""
    stem = prefix.rstrip("\U0010ffff")
    return stem[:-1] + chr(ord(stem[-1]) + 1) if stem else None
