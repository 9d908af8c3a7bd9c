from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from kubatch.sim import loop
from kubatch.sim.loop import NothingToWaitFor, TimeStandsStill, VirtualLoop
from kubatch.sim.world import EPOCH, SimClock, SimWorld, chance
from tests.suites.virtual_time import virtual_time


@virtual_time
async def test_hours_pass_in_no_time() -> None:
    running = asyncio.get_running_loop()
    order: list[str] = []
    running.call_later(7200, order.append, "late")
    running.call_later(0.5, order.append, "early")
    await asyncio.sleep(3 * 3600)
    assert running.time() == 3 * 3600
    assert order == ["early", "late"]


def test_waiting_for_nothing_is_noticed() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(NothingToWaitFor):
        runner.run(wait())


def test_busy_parts_that_stop_time_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "TURNS_MAX", 1000)

    async def spin() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(TimeStandsStill):
        runner.run(spin())


@virtual_time
async def test_the_clock_goes_with_the_loop_and_can_be_set() -> None:
    clock = SimClock()
    assert clock.now() == EPOCH
    await asyncio.sleep(90)
    clock.jump(-30)
    assert clock.now() == EPOCH + timedelta(seconds=60)


def test_chance_comes_from_the_seed_alone() -> None:
    def drawn(seed: int, what: str) -> tuple[str, str]:
        world = SimWorld(rng=chance(seed, what))
        return world.uid(), world.token()

    assert drawn(1, "a") == drawn(1, "a")
    assert len({drawn(1, "a"), drawn(2, "a"), drawn(1, "b")}) == 3
