"""Ten thousand CronJobs due in the same minute: how long after it their Jobs are there.

The real registry, SQLite store, caches and CronJob controller in one process, on the real clock.
Nobody runs the Jobs: it is the firing that is measured, not the work.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.table import Row
from kubatch.api import models as m
from kubatch.api.resource import CRONJOBS, JOBS
from kubatch.api.times import parse_time
from kubatch.client.local import LocalClient
from kubatch.controllers import cronjob
from kubatch.controllers.cronjob.jobs import SCHEDULED
from kubatch.reconcile.loop import Caches, Runner
from kubatch.registry.api import Registry
from kubatch.registry.bootstrap import ensure_namespaces
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.store.sqlite import SqliteStore
from kubatch.world import World

MANY = int(os.environ.get("KUBATCH_BENCH_CRONJOBS", "10000"))
AT_ONCE = 256  # creates under way while the CronJobs are made
PATIENCE = 120.0  # seconds after the minute


def rows() -> Iterator[Row]:
    """How late the Jobs of one minute are."""
    late = sorted(asyncio.run(_measure()))
    assert len(late) == MANY, f"{len(late)} Jobs of {MANY} CronJobs"
    yield Row(f"{MANY} CronJobs due at once: median", late[len(late) // 2], "s")
    yield Row(f"{MANY} CronJobs due at once: p99", late[int(len(late) * 0.99)], "s")
    yield Row(f"{MANY} CronJobs due at once: the last", late[-1], "s")


async def _measure() -> list[float]:
    """Seconds from the minute to each Job's being there for everybody to see."""
    with tempfile.TemporaryDirectory() as directory:
        world = World()
        store = SqliteStore(Path(directory) / "state.db")
        await store.open()
        registry = Registry(store, world, STRATEGIES)
        await ensure_namespaces(registry)
        client = LocalClient(registry)
        caches = Caches(client)
        seen: dict[str, float] = {}
        done = asyncio.Event()

        def saw(before: m.Job | None, after: m.Job | None) -> None:
            if before is None and after is not None and after.metadata is not None:
                slot = parse_time((after.metadata.annotations or {})[SCHEDULED])
                name = (after.metadata.name or "").rpartition("-")[0]
                seen.setdefault(name, (world.now() - slot).total_seconds())
                if len(seen) == MANY:
                    done.set()

        await _into_a_fresh_minute(world)
        slots = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(_make(client, slots, number) for number in range(MANY)))
        caches.of(JOBS).add_listener(saw)
        runner = Runner(cronjob.controller(), client, caches, world)
        tasks = [asyncio.create_task(caches.run()), asyncio.create_task(runner.run())]
        print(f"the minute comes in {60 - world.now().second} s", file=sys.stderr)
        async with asyncio.timeout(60 + PATIENCE):
            await done.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
        return list(seen.values())


async def _into_a_fresh_minute(world: World) -> None:
    """All are to be made within one minute, so that the next is the first that is due."""
    second = world.now().second
    if second > 30:
        await asyncio.sleep(61 - second)


async def _make(client: LocalClient, slots: asyncio.Semaphore, number: int) -> None:
    container = m.Container(name="main", image="busybox", command=["true"])
    pod = m.PodTemplateSpec(spec=m.PodSpec(containers=[container], restartPolicy="Never"))
    template = m.JobTemplateSpec(spec=m.JobSpec(template=pod))
    body: Any = m.CronJob(
        metadata=m.ObjectMeta(name=f"c{number:05}", namespace="default"),
        spec=m.CronJobSpec(schedule="* * * * *", jobTemplate=template),
    )
    async with slots:
        await client.create(CRONJOBS, body)
