"""CronJobs in the real engine, over days of virtual time."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.resource import CRONJOBS, EVENTS, JOBS, NAMESPACES
from kubatch.controllers import cronjob, gc
from kubatch.controllers.cronjob import jobs
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import EPOCH, virtual_time
from tests.unit.controllers.cronjob.cases import template

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


async def sleep_until(moment: str) -> None:
    there = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    loop = asyncio.get_running_loop()
    await asyncio.sleep((there - EPOCH).total_seconds() - loop.time())


async def make(on: Engine, schedule: str, **spec: Any) -> m.CronJob:
    name = spec.pop("name", "cj")
    return await on.client.create(
        CRONJOBS,
        m.CronJob(
            metadata=m.ObjectMeta(name=name, namespace="default"),
            spec=m.CronJobSpec(schedule=schedule, jobTemplate=template(), **spec),
        ),
    )


async def finish(on: Engine, job: m.Job, how: str = "Complete") -> None:
    """End a Job as its controller would."""
    now = on.world.now().replace(microsecond=0)
    first = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[how]
    conditions = [
        m.JobCondition(type=t, status="True", lastTransitionTime=now) for t in (first, how)
    ]
    status = m.JobStatus(
        startTime=job.metadata.creationTimestamp if job.metadata else None,
        completionTime=now if how == "Complete" else None,
        succeeded=1 if how == "Complete" else None,
        failed=None if how == "Complete" else 1,
        conditions=conditions,
        uncountedTerminatedPods=m.UncountedTerminatedPods(),
    )
    await on.client.update(JOBS, replace(job, status=status), "status")


async def work(on: Engine, seconds: float, how: str = "Complete", every: float = 1.0) -> None:
    """Let every Job run for so long, until cancelled."""
    seen: set[str] = set()
    while True:
        await asyncio.sleep(every)
        for job in on.caches.of(JOBS).list():
            meta = job.metadata or m.ObjectMeta()
            age = on.world.now() - (meta.creationTimestamp or EPOCH)
            if (meta.uid or "") not in seen and age.total_seconds() >= seconds:
                seen.add(meta.uid or "")
                await finish(on, job, how)


def started(on: Engine) -> list[str]:
    """The times Jobs were made for, in the order they were made, in UTC."""
    names = on.logged("created", JOBS)
    minutes = [int(name.rpartition("-")[2]) for name in names]
    return [f"{datetime.fromtimestamp(60 * n, UTC):%d %H:%M}" for n in minutes]


async def current(on: Engine, name: str = "cj") -> m.CronJobStatus:
    found = await on.client.get(CRONJOBS, "default", name)
    return found.status or m.CronJobStatus()


async def reasons(on: Engine) -> list[str]:
    listing = await on.client.list(EVENTS, "default")
    return sorted({e.reason or "" for e in listing.items if e.involvedObject.kind == "CronJob"})


@virtual_time
async def test_a_spring_day_in_new_york() -> None:
    """02:30 does not come; 01:30 and 03:30 are an hour apart."""
    async with engine(cronjob.controller()) as on:
        await sleep_until("2026-03-07T12:00")
        zone = "America/New_York"
        await make(on, "30 1-3 * * *", name="night", timeZone=zone)
        await sleep_until("2026-03-09T12:00")
        assert started(on) == ["08 06:30", "08 07:30", "09 05:30", "09 06:30", "09 07:30"]


@virtual_time
async def test_an_autumn_day_in_new_york() -> None:
    """01:30 comes twice, every hour once, 02:00 once."""
    async with engine(cronjob.controller()) as on:
        await sleep_until("2026-10-31T16:00")
        zone = "America/New_York"
        await make(on, "30 1 * * *", name="twice", timeZone=zone)
        await make(on, "0 2 * * *", name="once", timeZone=zone)
        await sleep_until("2026-11-02T01:00")
        assert started(on) == ["01 05:30", "01 06:30", "01 07:00"]


@virtual_time
async def test_every_hour_of_a_day_whatever_the_clock_does() -> None:
    async with engine(cronjob.controller()) as on:
        await sleep_until("2026-03-29T00:10")
        await make(on, "@hourly", timeZone="Europe/Berlin")
        await asyncio.sleep(DAY)
        assert started(on) == [f"{d} {h:02}:00" for d in (29, 30) for h in range(24)][1:25]
        status = await current(on)
        assert status.lastScheduleTime == datetime(2026, 3, 30, tzinfo=UTC)


@virtual_time
async def test_a_day_in_the_life() -> None:
    """Jobs end, some are kept, the status is right, and nothing unusual is said."""
    async with engine(cronjob.controller(), gc.controller()) as on:
        await make(on, "0 */2 * * *", successfulJobsHistoryLimit=2)
        working = asyncio.create_task(work(on, 600, every=120))
        await asyncio.sleep(DAY + HOUR)
        working.cancel()
        assert len(started(on)) == 12
        assert len(await on.names(JOBS)) == 2
        status = await current(on)
        assert status.active is None
        assert status.lastScheduleTime == datetime(2026, 1, 2, tzinfo=UTC)
        assert status.lastSuccessfulTime is not None
        assert f"{status.lastSuccessfulTime:%d %H:%M}" == "02 00:10"
        assert await reasons(on) == ["SawCompletedJob", "SuccessfulCreate", "SuccessfulDelete"]


@virtual_time
async def test_failures_are_kept_apart() -> None:
    async with engine(cronjob.controller()) as on:
        await make(on, "*/10 * * * *", failedJobsHistoryLimit=0)
        working = asyncio.create_task(work(on, 5, "Failed"))
        await asyncio.sleep(HOUR + MINUTE)
        working.cancel()
        assert len(started(on)) == 6
        assert await on.names(JOBS) == []
        assert (await current(on)).lastSuccessfulTime is None


@virtual_time
async def test_forbidden_jobs_follow_one_another() -> None:
    """A run of 90 seconds: the next starts as soon as it ends, and makes up for the latest time."""
    async with engine(cronjob.controller()) as on:
        await make(on, "* * * * *", concurrencyPolicy="Forbid")
        working = asyncio.create_task(work(on, 90))
        active_max = 0
        for _ in range(600):
            await asyncio.sleep(1)
            active_max = max(active_max, len((await current(on)).active or ()))
        working.cancel()
        assert active_max == 1
        assert started(on)[:4] == ["01 00:01", "01 00:02", "01 00:04", "01 00:05"]
        assert "JobAlreadyActive" in await reasons(on)


@virtual_time
async def test_replaced_jobs_are_one_at_a_time() -> None:
    async with engine(cronjob.controller()) as on:
        await make(on, "* * * * *", concurrencyPolicy="Replace")
        for minute in range(1, 5):
            await sleep_until(f"2026-01-01T00:0{minute}:30")
            [name] = await on.names(JOBS)
            assert [ref.name for ref in (await current(on)).active or ()] == [name]
        assert len(started(on)) == 4
        assert await reasons(on) == ["SuccessfulCreate", "SuccessfulDelete"]


@virtual_time
async def test_allowed_jobs_pile_up_and_a_suspended_cronjob_rests() -> None:
    async with engine(cronjob.controller()) as on:
        await make(on, "* * * * *")
        await make(on, "* * * * *", name="off", suspend=True)
        await asyncio.sleep(3.5 * MINUTE)
        assert len((await current(on)).active or ()) == 3
        assert all(name.startswith("cj-") for name in await on.names(JOBS))
        # Back in service: the latest of the times it slept through starts at once.
        await on.client.patch(CRONJOBS, "default", "off", {"spec": {"suspend": False}})
        await asyncio.sleep(1)
        assert [n for n in await on.names(JOBS) if n.startswith("off-")] == ["off-29453763"]


@virtual_time
async def test_a_job_deleted_by_hand_is_missed_and_not_made_again() -> None:
    async with engine(cronjob.controller()) as on:
        await make(on, "0 * * * *")
        await asyncio.sleep(HOUR + 1)
        [name] = await on.names(JOBS)
        await on.client.delete(JOBS, "default", name, propagation="Background")
        await on.quiet()
        assert await on.names(JOBS) == []
        assert (await current(on)).active is None
        assert "MissingJob" in await reasons(on)


@virtual_time
async def test_a_name_that_is_taken_costs_that_time_only() -> None:
    async with engine(cronjob.controller()) as on:
        await make(on, "0 * * * *")
        other = m.Job(
            metadata=m.ObjectMeta(name="cj-29453820", namespace="default"),
            spec=template().spec,
        )
        await on.client.create(JOBS, other)
        await asyncio.sleep(HOUR + MINUTE)
        status = await current(on)
        assert (status.active, status.lastScheduleTime) == (None, None)
        assert await reasons(on) == []
        await asyncio.sleep(HOUR)
        assert len((await current(on)).active or ()) == 1


@virtual_time
async def test_a_cache_that_lags_does_not_make_a_job_twice() -> None:
    async with engine(cronjob.controller()) as on:
        await make(on, "0 * * * *")
        await asyncio.sleep(MINUTE)
        on.client.hold(JOBS)
        await asyncio.sleep(2 * HOUR)
        on.client.release(JOBS)
        await asyncio.sleep(1)
        assert started(on) == ["01 01:00", "01 02:00"]
        assert len((await current(on)).active or ()) == 2


@virtual_time
async def test_a_restart_between_the_job_and_the_status() -> None:
    """The Job is there and the status does not say so: the next server finds it."""
    async with engine() as on:
        made = await make(on, "0 * * * *", concurrencyPolicy="Forbid")
        await asyncio.sleep(HOUR + 1)
        await on.client.create(JOBS, jobs.make(made, datetime(2026, 1, 1, 1, tzinfo=UTC)))
        await asyncio.sleep(HOUR)
        on.run(cronjob.controller())
        await on.quiet()
        assert started(on) == ["01 01:00"]
        assert [r.name for r in (await current(on)).active or ()] == ["cj-29453820"]


@virtual_time
async def test_a_namespace_that_goes_away_is_left_in_peace() -> None:
    async with engine(cronjob.controller()) as on:
        await on.namespace("brief")
        cron = m.CronJob(
            metadata=m.ObjectMeta(name="cj", namespace="brief"),
            spec=m.CronJobSpec(schedule="* * * * *", jobTemplate=template()),
        )
        await on.client.create(CRONJOBS, cron)
        await on.client.delete(NAMESPACES, None, "brief")
        await asyncio.sleep(2 * MINUTE)
        assert await on.names(JOBS) == []
        assert await on.names(EVENTS, "brief") == []


@virtual_time
async def test_an_idle_cronjob_costs_nothing() -> None:
    """One look when it is made, and none until its time comes."""
    async with engine() as on:
        looks = 0
        record = cronjob.controller()

        def counted(*words: Any) -> Any:
            nonlocal looks
            looks += 1
            return record.read(*words)

        on.run(dataclasses.replace(record, read=counted))
        await make(on, "0 12 * * *")
        await asyncio.sleep(11.9 * HOUR)
        assert looks == 1
