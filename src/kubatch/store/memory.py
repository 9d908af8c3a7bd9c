"""The store that forgets: for tests, simulation and runs that leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kubatch.store.mirror import Mirror
from kubatch.store.protocol import Change, StoreUnavailable, Value
from kubatch.store.state import HISTORY_CHANGES_MAX


class MemoryStore(Mirror):
    """A Store without a disk: a write is committed at once.

    Its writer still waits one turn of the event loop, as every other store's does: nobody may
    come to rely on a write during which nothing else happens, or starve the loop with writes.
    """

    def __init__(self, history_changes_max: int = HISTORY_CHANGES_MAX) -> None:
        super().__init__(history_changes_max)
        self._open = False

    async def open(self) -> None:
        """Accept writes."""
        self._open = True

    async def close(self) -> None:
        """End all watches and refuse further writes. Reads go on."""
        self._open = False
        self._feed.close()

    async def failed(self) -> str:
        """Never returns: memory cannot fail."""
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def create(self, key: str, value: Value) -> int:
        """Write a new key; the write's revision. Raises KeyExists."""
        self._check_open()
        return await self._commit(self._state.create(key, value))

    async def create_all(self, values: Sequence[tuple[str, Value]]) -> Sequence[int | None]:
        """Write many new keys; each write's revision, None where a key is taken."""
        self._check_open()
        changes = self._state.create_all(values)
        made = [change for change in changes if change is not None]
        if made:
            self._publish(made)
        await asyncio.sleep(0)
        return [None if change is None else change.revision for change in changes]

    async def update(self, key: str, value: Value, expected: int) -> int:
        """Replace a key at revision `expected`. Raises KeyMissing, RevisionMismatch."""
        self._check_open()
        return await self._commit(self._state.update(key, value, expected))

    async def delete(self, key: str, expected: int) -> int:
        """Remove a key at revision `expected`. Raises KeyMissing, RevisionMismatch."""
        self._check_open()
        return await self._commit(self._state.delete(key, expected))

    async def _commit(self, change: Change) -> int:
        self._publish((change,))
        await asyncio.sleep(0)
        return change.revision

    def _check_open(self) -> None:
        if not self._open:
            raise StoreUnavailable("the store is not open")
