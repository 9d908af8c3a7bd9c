"""A real API server over TLS in this process, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubatch.api.errors import bad_request
from kubatch.client import kubeconfig
from kubatch.client.http import HttpClient
from kubatch.registry import bootstrap
from kubatch.registry.api import Registry
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.server.insight import Insight
from kubatch.server.wire import ApiServer
from kubatch.settings import Settings
from kubatch.store.memory import MemoryStore
from kubatch.world import World


class NoStreams:
    """Pods whose logs nobody has."""

    async def logs(
        self, namespace: str, name: str, container: str, query: Mapping[str, Any]
    ) -> AsyncIterator[bytes]:
        raise bad_request("no pod runs here")
        yield b""


@dataclass
class Served:
    """A registry, served."""

    store: MemoryStore
    registry: Registry
    server: ApiServer
    kubeconfig: Path

    def client(self, world: World | None = None) -> HttpClient:
        """A client with the administrator's credentials; to be closed."""
        return HttpClient(kubeconfig.read(self.kubeconfig), world or World(), "kubatch tests")


@asynccontextmanager
async def served(
    directory: Path,
    *,
    history_changes_max: int = 20_000,
    insight: Insight | None = None,
    **settings: Any,
) -> AsyncIterator[Served]:
    """A server on a free port of this machine."""
    store = MemoryStore(history_changes_max=history_changes_max)
    await store.open()
    world = World()
    registry = Registry(store, world, STRATEGIES)
    await bootstrap.ensure_namespaces(registry)
    chosen = Settings(directory, **{"port": 0, "shutdown_grace": 1.0, **settings})
    streams: Any = NoStreams()
    server = ApiServer(registry, streams, chosen, world, ready=lambda: True, insight=insight)
    await server.start()
    try:
        yield Served(store, registry, server, server.kubeconfig_path)
    finally:
        await server.stop()
        await store.close()
