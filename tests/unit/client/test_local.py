from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kubatch.client.local import LocalClient
from kubatch.client.protocol import Client
from kubatch.registry.api import Registry
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.store.memory import MemoryStore
from kubatch.world import World
from tests.suites.client_suite import ClientSuite


class TestLocalClient(ClientSuite):
    @pytest.fixture
    async def client(self) -> AsyncIterator[Client]:
        store = MemoryStore()
        await store.open()
        yield LocalClient(Registry(store, World(), STRATEGIES))
        await store.close()
