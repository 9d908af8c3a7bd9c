"""Writes that others depend on: what they rest on must be there."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api.models import ConfigMap, ObjectMeta
from kubatch.api.resource import CONFIGMAPS
from kubatch.reconcile.apply import Applied, apply
from kubatch.reconcile.decision import Create, Decision, Patch, Present, Write, stage
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time


class Silent:
    """A Recorder that hears nothing."""

    def record(self, *_: Any, **__: Any) -> None:
        pass


def config(name: str, **meta: Any) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default", **meta))


async def carried_out(on: Engine, first: Write) -> Applied:
    """The first write, and another that must only follow it."""
    then = Create(CONFIGMAPS, config("then"))
    return await apply(Decision("a test", (stage(first), stage(then))), on.client, Silent())


@pytest.mark.parametrize(
    ("name", "own_uid", "passes"),
    [
        ("there", True, True),
        ("there", False, False),
        ("leaving", True, False),
        ("none", False, False),
    ],
)
def test_presence_is_confirmed_by_the_api(name: str, own_uid: bool, passes: bool) -> None:
    @virtual_time
    async def scenario() -> None:
        async with engine() as on:
            there = await on.client.create(CONFIGMAPS, config("there"))
            leaving = await on.client.create(CONFIGMAPS, config("leaving", finalizers=["x/y"]))
            await on.client.delete(CONFIGMAPS, "default", "leaving")
            uids = {c.metadata.name: c.metadata.uid for c in (there, leaving) if c.metadata}
            uid = (uids[name] or "") if own_uid else "another"
            applied = await carried_out(on, Present(CONFIGMAPS, "default", name, uid))
            assert (applied.error is None) is passes
            assert ("then" in await on.names(CONFIGMAPS)) is passes

    scenario()


@pytest.mark.parametrize("required", [False, True])
def test_a_patch_that_is_required_needs_its_object(required: bool) -> None:
    @virtual_time
    async def scenario() -> None:
        async with engine() as on:
            patch = Patch(CONFIGMAPS, "default", "none", {"data": {}}, required=required)
            applied = await carried_out(on, patch)
            assert (applied.error is not None) is required
            assert await on.names(CONFIGMAPS) == ([] if required else ["then"])
            assert applied.doubts == [(CONFIGMAPS, "default", "none")]

    scenario()
