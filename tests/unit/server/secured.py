"""A server with roles, reached by users with rights of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from kubatch.api.models import ObjectMeta, ServiceAccount
from kubatch.api.resource import SERVICEACCOUNTS
from kubatch.client.local import LocalClient
from kubatch.reconcile.loop import Caches
from kubatch.registry import bootstrap
from kubatch.registry.api import Registry
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.registry.rbac_policy import ensure_policy
from kubatch.server.access import policy as policies
from kubatch.server.wire import ApiServer
from kubatch.settings import Settings
from kubatch.store.memory import MemoryStore
from kubatch.world import World
from tests.unit.server.conftest import Answer, Client, Running, ScriptedLogs

MASTER = "masters-token"
USERS = f"""\
{MASTER},root,1,"system:masters"
bob-token,bob,7,"dev"
"""


@dataclass(frozen=True)
class Secured:
    """A started server, its parts, and how to speak to it."""

    running: Running
    caches: Caches
    client: LocalClient
    world: World
    session: aiohttp.ClientSession

    async def ask(
        self,
        token: str,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request of whoever has the token; nobody has ""."""
        sent = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        return await Client(self.session, self.running.server.url)(method, path, body, sent)

    async def root(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.ask(MASTER, method, path, body, headers)

    async def seen(self) -> None:
        """Wait until the authorizer knows all that has been written."""
        moved = asyncio.Event()
        self.caches.add_progress_listener(moved.set)
        for resource in policies.WATCHED:
            while await self._behind(resource):
                await moved.wait()
                moved.clear()

    async def _behind(self, resource: Any) -> bool:
        listing = await self.client.list(resource)
        known = self.caches.list(resource)
        return [_version(o) for o in listing.items] != [_version(o) for o in known]

    async def account(self, name: str, namespace: str = "default") -> ServiceAccount:
        return await self.client.create(
            SERVICEACCOUNTS, ServiceAccount(metadata=ObjectMeta(name=name, namespace=namespace))
        )

    async def token(self, account: str, **spec: Any) -> str:
        path = f"/api/v1/namespaces/default/serviceaccounts/{account}/token"
        answer = await self.root("POST", path, {"spec": spec})
        assert answer.status == 201, answer.text
        return str(answer.json["status"]["token"])


def _version(obj: Any) -> tuple[str, str, str]:
    meta = obj.metadata
    return (meta.namespace or "", meta.name, meta.resourceVersion)


@asynccontextmanager
async def secured(
    directory: Path,
    world: World | None = None,
    change: Callable[[Settings], Settings] = replace,
    *,
    history_changes_max: int = 1000,
    accounts_required: bool = False,
) -> AsyncIterator[Secured]:
    """A server on a free port whose users are those of USERS."""
    store = MemoryStore(history_changes_max=history_changes_max)
    await store.open()
    world = world or World()
    registry = Registry(store, world, STRATEGIES, accounts_required=accounts_required)
    await bootstrap.ensure_namespaces(registry)
    await ensure_policy(registry)
    client = LocalClient(registry)
    caches = Caches(client)
    roles = policies.Policy(caches)
    for index in policies.INDEXES:
        caches.of(index.resource).add_index(index.name, index.keys)
    for resource in policies.WATCHED:
        caches.of(resource).add_listener(roles.forget)
    (directory / "tokens").write_text(USERS)
    settings = change(Settings(directory, port=0, shutdown_grace=1.0))
    logs = ScriptedLogs()
    server = ApiServer(registry, logs, settings, world, ready=lambda: True, policy=roles)
    await server.start()
    running = Running(server, registry, logs, directory, [True])
    keeping = asyncio.create_task(caches.run())
    await caches.synced()
    connector = aiohttp.TCPConnector(ssl=running.tls(None))
    async with aiohttp.ClientSession(
        connector=connector, skip_auto_headers=("Content-Type",)
    ) as session:
        try:
            yield Secured(running, caches, client, world, session)
        finally:
            keeping.cancel()
            await server.stop()
            await store.close()
