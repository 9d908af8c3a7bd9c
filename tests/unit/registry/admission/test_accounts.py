"""A pod runs as a service account that exists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.errors import ApiError
from kubatch.api.resource import PODS, SERVICEACCOUNTS
from kubatch.registry.api import Registry
from kubatch.registry.bootstrap import ensure_namespaces
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.registry.strategy import RequestContext
from kubatch.store.memory import MemoryStore
from kubatch.world import World
from tests.suites.virtual_time import virtual_time


@asynccontextmanager
async def registry(*, accounts_required: bool = True) -> AsyncIterator[Registry]:
    store = MemoryStore()
    await store.open()
    made = Registry(store, World(), STRATEGIES, accounts_required=accounts_required)
    await ensure_namespaces(made)
    yield made
    await store.close()


async def create_pod(on: Registry, **spec: Any) -> Any:
    value = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }
    pod = codec.from_dict(PODS, value)[0]
    return (await on.create(PODS, "default", pod, RequestContext())).obj


async def create_account(on: Registry, name: str, **more: Any) -> None:
    account = codec.from_dict(SERVICEACCOUNTS, {"metadata": {"name": name}, **more})[0]
    await on.create(SERVICEACCOUNTS, "default", account, RequestContext())


@virtual_time
async def test_an_account_that_is_not_there() -> None:
    async with registry() as on:
        started = asyncio.get_running_loop().time()
        with pytest.raises(ApiError) as raised:
            await create_pod(on, serviceAccountName="robot")
        assert (raised.value.code, raised.value.message) == (
            403,
            'pods "p" is forbidden: error looking up service account default/robot: '
            'serviceaccount "robot" not found',
        )
        assert asyncio.get_running_loop().time() == started


@virtual_time
async def test_the_default_account_is_waited_for() -> None:
    async with registry() as on:

        async def later() -> None:
            await asyncio.sleep(0.5)
            await create_account(on, "default")

        made, _ = await asyncio.gather(create_pod(on), later())
        assert made.spec.serviceAccountName == "default"


@virtual_time
async def test_but_not_for_ever() -> None:
    async with registry() as on:
        with pytest.raises(ApiError, match='serviceaccount "default" not found'):
            await create_pod(on)
        assert 1 <= asyncio.get_running_loop().time() <= 3


@virtual_time
async def test_an_accounts_pull_secrets() -> None:
    async with registry() as on:
        await create_account(on, "robot", imagePullSecrets=[{"name": "s"}])
        made = await create_pod(on, serviceAccountName="robot")
        assert [s.name for s in made.spec.imagePullSecrets] == ["s"]
        assert made.spec.serviceAccount == "robot"


@virtual_time
async def test_without_controllers_nobody_makes_accounts() -> None:
    async with registry(accounts_required=False) as on:
        assert (await create_pod(on)).spec.serviceAccountName == "default"
