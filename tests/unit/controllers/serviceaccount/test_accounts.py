"""The accounts in the real engine."""

from __future__ import annotations

from kubatch.api.models import ObjectMeta
from kubatch.api.resource import SERVICEACCOUNTS
from kubatch.controllers import serviceaccount
from tests.suites.engine import engine
from tests.suites.virtual_time import virtual_time


@virtual_time
async def test_every_namespace_gets_its_account_old_or_new() -> None:
    async with engine() as on:
        await on.namespace("old")
        on.run(serviceaccount.controller())
        await on.namespace("new")
        await on.until(lambda: len(on.caches.of(SERVICEACCOUNTS)) == 3)


@virtual_time
async def test_a_deleted_account_comes_back_as_another() -> None:
    async with engine(serviceaccount.controller()) as on:
        await on.until(lambda: on.caches.get(SERVICEACCOUNTS, "default", "default"))
        first = await on.client.get(SERVICEACCOUNTS, "default", "default")
        await on.client.delete(SERVICEACCOUNTS, "default", "default")
        await on.quiet()
        second = await on.client.get(SERVICEACCOUNTS, "default", "default")
        assert (first.metadata or ObjectMeta()).uid != (second.metadata or ObjectMeta()).uid
