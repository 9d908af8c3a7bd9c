"""The reading half of a store that holds its whole state in memory."""

from __future__ import annotations

from collections.abc import Sequence

from kubatch.store.feed import Feed, Watcher
from kubatch.store.protocol import Change, Record, RevisionCompacted, Slice
from kubatch.store.state import HISTORY_CHANGES_MAX, State


class Mirror:
    """Reads and watches, answered from memory. Writing is up to the store that derives from it."""

    def __init__(self, history_changes_max: int = HISTORY_CHANGES_MAX) -> None:
        """`history_changes_max` is how many changes past lists and watches can reach back."""
        self._state = State(history_changes_max)
        self._feed = Feed()

    @property
    def revision(self) -> int:
        """The revision of the newest committed write; 0 when nothing was ever written."""
        return self._state.revision

    async def get(self, key: str) -> Record | None:
        """The committed record of a key."""
        return self._state.get(key)

    async def list(self, prefix: str, revision: int | None = None) -> Sequence[Record]:
        """Records whose key starts with prefix, sorted by key, now or as of a past revision.

        Raises RevisionCompacted, and ValueError for a revision still to come.
        """
        return self._state.records(prefix, revision)

    async def page(self, prefix: str, after: str, limit: int, revision: int | None = None) -> Slice:
        """The first `limit` records (0: all) under a prefix with key > after; raises as list."""
        return self._state.page(prefix, after, limit, revision)

    def watch(self, prefix: str, after: int, buffer_max: int = 10_000) -> Watcher:
        """Batches of changes under a prefix with revision > after: history first, then live."""
        try:
            history = self._state.changes(prefix, after)
        except RevisionCompacted as error:
            return self._feed.refuse(prefix, error)
        return self._feed.watch(prefix, after, buffer_max, history)

    def _publish(self, changes: Sequence[Change]) -> None:
        """Make staged changes visible to readers, then to watchers."""
        self._state.commit(changes)
        self._feed.publish(changes)
