"""A client through which misfortune strikes: each kind alone, at a rate of one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from kubatch.api.errors import ApiError
from kubatch.api.models import ConfigMap, ObjectMeta
from kubatch.api.resource import CONFIGMAPS
from kubatch.sim.faults import Faults, FaultyClient, swarm
from kubatch.sim.world import chance
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time


def config(name: str = "a") -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"))


@dataclass
class Bench:
    on: Engine
    faults: Faults
    client: FaultyClient = field(init=False)
    crashes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = chance(0, "test")
        self.client = FaultyClient(
            self.on.client, self.faults, rng, self.crashes.append, lambda _: None
        )

    async def names(self) -> list[str]:
        return await self.on.names(CONFIGMAPS, "default")


@asynccontextmanager
async def bench(**faults: Any) -> AsyncIterator[Bench]:
    async with engine() as on:
        yield Bench(on, Faults(**faults))


@pytest.mark.parametrize(("kind", "written"), [("refused", []), ("doubtful", ["a"])])
def test_errors_before_and_after(kind: str, written: list[str]) -> None:
    @virtual_time
    async def scenario() -> None:
        async with bench(**{kind: 1.0}) as on:
            with pytest.raises(ApiError):
                await on.client.create(CONFIGMAPS, config())
            assert await on.names() == written

    scenario()


@pytest.mark.parametrize(("kind", "written"), [("crashed_before", []), ("crashed_after", ["a"])])
def test_a_crash_leaves_the_caller_waiting_for_ever(kind: str, written: list[str]) -> None:
    @virtual_time
    async def scenario() -> None:
        async with bench(**{kind: 1.0}) as on:
            writing = asyncio.create_task(on.client.create(CONFIGMAPS, config()))
            await asyncio.wait([writing], timeout=1000)
            assert not writing.done()
            assert len(on.crashes) == 1
            assert await on.names() == written
            on.client.dead = True
            with pytest.raises(asyncio.CancelledError):
                await on.client.get(CONFIGMAPS, "default", "a")
            writing.cancel()

    scenario()


@virtual_time
async def test_meddling_makes_a_true_conflict() -> None:
    async with bench(meddled=1.0) as on:
        stored = await on.client.create(CONFIGMAPS, config())
        with pytest.raises(ApiError, match="the object has been modified"):
            await on.client.update(CONFIGMAPS, stored)


async def watched(on: Bench) -> list[int]:
    """The sizes of the batches in which three changes come."""
    sizes: list[int] = []
    watch = on.client.watch(CONFIGMAPS, after=on.on.store.revision)

    async def first() -> int:
        return len(await anext(watch))

    reading = asyncio.create_task(first())
    await asyncio.sleep(0)
    for name in "abc":
        await on.on.client.create(CONFIGMAPS, config(name))
    sizes.append(await reading)
    async for batch in watch:
        sizes.append(len(batch))
        if sum(sizes) == 3:
            break
    return sizes


@virtual_time
async def test_a_watch_lags() -> None:
    async with bench(lag_seconds=5.0) as on:
        began = asyncio.get_running_loop().time()
        assert sum(await watched(on)) == 3
        assert asyncio.get_running_loop().time() > began


@pytest.mark.parametrize(
    ("kind", "ends"),
    [("cut", StopAsyncIteration), ("expired", ApiError), ("misread", ApiError)],
)
def test_a_watch_ends(kind: str, ends: type[Exception]) -> None:
    @virtual_time
    async def scenario() -> None:
        async with bench(**{kind: 1.0}) as on:
            with pytest.raises(ends):
                await watched(on)

    scenario()


def test_a_swarm_turns_kinds_off_and_stops() -> None:
    drawn = [swarm(chance(seed, "faults")) for seed in range(200)]
    rates: tuple[Callable[[Faults], float], ...] = (
        lambda f: f.refused,
        lambda f: f.crashed_after,
        lambda f: f.lag_seconds,
    )
    for rate in rates:
        off = sum(rate(faults) == 0.0 for faults in drawn)
        assert 60 < off < 140
        on = [rate(faults) for faults in drawn if rate(faults)]
        assert max(on) > 20 * min(on)
    one = drawn[0]
    history = one.history_changes_max
    one.stop()
    assert one == Faults(
        together=one.together,
        history_changes_max=history,
        watch_buffer_events_max=one.watch_buffer_events_max,
    )
    assert str(Faults(refused=0.25)).startswith("refused=0.25")
