from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kubatch.store.memory import MemoryStore
from kubatch.store.protocol import Store, StoreUnavailable, Value
from tests.suites.store_suite import HISTORY_CHANGES_MAX, StoreSuite


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        store = MemoryStore(HISTORY_CHANGES_MAX)
        await store.open()
        yield store
        await store.close()

    async def test_a_writer_gives_others_a_turn(self, store: Store) -> None:
        other = asyncio.ensure_future(asyncio.sleep(0))
        await store.create("/a", Value(b""))
        await store.create("/b", Value(b""))
        assert other.done()


async def test_writing_needs_an_open_store() -> None:
    with pytest.raises(StoreUnavailable):
        await MemoryStore().create("/a", Value(b""))
