"""Many CronJobs due at once, their zones, and what is counted about them."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from kubatch.api.resource import CRONJOBS, JOBS
from kubatch.controllers import cronjob, ttl
from kubatch.controllers.cronjob import metrics
from kubatch.controllers.cronjob.facts import read
from kubatch.controllers.cronjob.plan import plan
from kubatch.controllers.cronjob.settle import settle
from kubatch.controllers.ttl import metrics as ttl_metrics
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Create, Decision, Delete
from kubatch.reconcile.loop import Caches, Runner
from kubatch.reconcile.measures import Wrote
from kubatch.settings import local_zone
from tests.suites.engine import engine
from tests.suites.virtual_time import virtual_time
from tests.unit.controllers.cronjob.cases import at
from tests.unit.controllers.cronjob.cases import cronjob as case
from tests.unit.controllers.cronjob.test_running import make
from tests.unit.controllers.static_view import StaticView

MANY = 400


@virtual_time
async def test_each_fires_once_though_the_controller_is_restarted_among_them() -> None:
    async with engine() as on:
        for number in range(MANY):
            await make(on, "*/10 * * * *", name=f"c{number}", concurrencyPolicy="Forbid")
        made: list[str] = []
        lives = 0
        while lives < 4:
            lives += 1
            caches = Caches(on.client)
            runner = Runner(cronjob.controller(), on.client, caches, on.world)
            enough = asyncio.Event()

            def saw(
                before: Any, after: Any, bar: int = lives, bell: asyncio.Event = enough
            ) -> None:
                if before is None:
                    made.append(after.metadata.uid)
                    if len(set(made)) >= bar * MANY // 4:
                        bell.set()

            caches.of(JOBS).add_listener(saw)
            tasks = [asyncio.create_task(caches.run()), asyncio.create_task(runner.run())]
            async with asyncio.timeout(3600):
                await enough.wait()
            for task in tasks:
                task.cancel()  # in the middle of whatever it does
            await asyncio.gather(*tasks, return_exceptions=True)
        jobs = (await on.client.list(JOBS, "default")).items
        owners = Counter(job.metadata.ownerReferences[0].name for job in jobs)  # type: ignore[union-attr,index]
        slots = {job.metadata.name.rpartition("-")[2] for job in jobs}  # type: ignore[union-attr]
        assert len(slots) == 1, "all of one time"
        assert len(owners) == MANY
        assert set(owners.values()) == {1}
        caches = Caches(on.client)
        runner = Runner(cronjob.controller(), on.client, caches, on.world)
        tasks = [asyncio.create_task(caches.run()), asyncio.create_task(runner.run())]
        await on.quiet(60)
        for found in (await on.client.list(CRONJOBS, "default")).items:
            assert found.status is not None
            assert len(found.status.active or ()) == 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    ("own", "local", "expected"),
    [
        (None, None, "12:00"),
        (None, "Europe/Berlin", "10:00"),  # two hours ahead in May
        ("America/New_York", "Europe/Berlin", "16:00"),
    ],
)
def test_a_schedule_without_a_zone_is_in_the_local_one(
    own: str | None, local: str | None, expected: str
) -> None:
    view = StaticView(case("0 12 * * *", created="09:00", timeZone=own))
    facts = read(view, Key("default", "cj"), None, local)
    assert facts is not None
    wake = plan(facts, settle(facts), at("09:30")).wake_at
    assert wake == at(expected) + timedelta(milliseconds=100)


@pytest.mark.parametrize(
    ("value", "zone"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        (":Europe/Paris", "Europe/Paris"),
        ("", "UTC"),
        ("Nowhere/Land", "UTC"),
        ("../../etc/passwd", "UTC"),
    ],
)
def test_the_local_zone(monkeypatch: pytest.MonkeyPatch, value: str, zone: str) -> None:
    monkeypatch.setenv("TZ", value)
    assert local_zone() == zone


@virtual_time
async def test_skew_and_lateness_are_counted() -> None:
    async with engine(cronjob.controller(), ttl.controller()) as on:
        await make(on, "* * * * *")
        await on.until(lambda: on.logged("created", JOBS))
        await on.quiet(5)
        [runner, _] = on.runners
        [(labels, found)] = runner.meters.histograms[metrics.SKEW].items()
        assert (labels, sum(found.counts)) == ((), 1)
        assert 0 <= found.total < 2


def test_only_what_happened_is_counted() -> None:
    nothing = Decision("x", facts={"seconds_late": 3.0})
    assert list(metrics.wrote(nothing, Wrote(Create(JOBS, None)))) == []
    delete = Wrote(Delete(JOBS, "ns", "j", "uid"))
    [count] = ttl_metrics.wrote(nothing, delete)
    assert (count.metric, count.amount) == (ttl_metrics.DELETIONS, 3.0)
    assert list(ttl_metrics.wrote(nothing, Wrote(Create(JOBS, None)))) == []
