"""Finished Jobs that are deleted after a while."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.resource import JOBS, PODS
from kubatch.controllers import gc, ttl
from kubatch.controllers.ttl.decide import decide
from kubatch.controllers.ttl.facts import needs_cleanup, read
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Delete, Unchanged
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time
from tests.unit.controllers.static_view import StaticView

DONE = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = m.PodSpec(containers=[m.Container(name="c", image="busybox")], restartPolicy="Never")


def job(
    time_to_live: int | None = 10,
    *conditions: tuple[str, str],
    finished: datetime | None = DONE,
    deleting: bool = False,
) -> m.Job:
    return m.Job(
        metadata=m.ObjectMeta(
            name="j",
            namespace="default",
            uid="u",
            resourceVersion="9",
            deletionTimestamp=DONE if deleting else None,
        ),
        spec=m.JobSpec(template=m.PodTemplateSpec(), ttlSecondsAfterFinished=time_to_live),
        status=m.JobStatus(
            conditions=[
                m.JobCondition(type=t, status=s, lastTransitionTime=finished) for t, s in conditions
            ]
        ),
    )


COMPLETE = ("Complete", "True")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (job(10, COMPLETE), True),
        (job(0, ("Failed", "True")), True),
        (job(None, COMPLETE), False),
        (job(10), False),
        (job(10, ("Complete", "False")), False),
        # These announce an end, and start no clock.
        (job(10, ("SuccessCriteriaMet", "True"), ("FailureTarget", "True")), False),
        (job(10, COMPLETE, deleting=True), False),
    ],
)
def test_which_jobs_it_is_about(found: m.Job, expected: bool) -> None:
    assert needs_cleanup(found) is expected
    facts = read(StaticView(found), Key("default", "j"))
    assert (facts is not None) is expected


@pytest.mark.parametrize(
    ("time_to_live", "age", "wait"),
    [
        (15, 10, 5),
        (10, 9.999, 0.001),
        (10, 10, None),
        (0, 0, None),
        (10, -3600, 3610),
        (5, 60, None),
    ],
)
def test_when(time_to_live: int, age: float, wait: float | None) -> None:
    facts = read(StaticView(job(time_to_live, COMPLETE)), Key("default", "j"))
    assert facts is not None
    now = DONE + timedelta(seconds=age)
    decision = decide(facts, now)
    if wait is not None:
        assert decision.stages == ()
        assert decision.wake_at == now + timedelta(seconds=wait)
        return
    writes = [w for stage in decision.stages for w in stage.writes]
    assert writes == [
        Unchanged(JOBS, "default", "j", "9"),
        Delete(JOBS, "default", "j", "u", propagation="Foreground"),
    ]
    assert decision.wake_at is None


def test_a_job_that_does_not_say_when_it_finished_stays() -> None:
    facts = read(StaticView(job(0, COMPLETE, finished=None)), Key("default", "j"))
    assert facts is not None
    decision = decide(facts, DONE)
    assert (decision.stages, decision.wake_at) == ((), None)


# ----- in the engine


async def finished_job(on: Engine, time_to_live: int | None, **meta: Any) -> m.Job:
    made = await on.client.create(
        JOBS,
        m.Job(
            metadata=m.ObjectMeta(name="j", namespace="default", **meta),
            spec=m.JobSpec(
                template=m.PodTemplateSpec(spec=SPEC), ttlSecondsAfterFinished=time_to_live
            ),
        ),
    )
    now = on.world.now().replace(microsecond=0)
    conditions = [
        m.JobCondition(type=t, status="True", lastTransitionTime=now)
        for t in ("SuccessCriteriaMet", "Complete")
    ]
    status = m.JobStatus(
        startTime=now,
        completionTime=now,
        succeeded=1,
        conditions=conditions,
        uncountedTerminatedPods=m.UncountedTerminatedPods(),
    )
    return await on.client.update(JOBS, replace(made, status=status), "status")


@virtual_time
async def test_the_job_goes_after_its_pods() -> None:
    async with engine(ttl.controller(), gc.controller()) as on:
        made = await finished_job(on, 10)
        assert made.metadata is not None
        owner = m.OwnerReference(
            apiVersion="batch/v1", kind="Job", name="j", uid=made.metadata.uid or "",
            controller=True, blockOwnerDeletion=True,
        )  # fmt: skip
        meta = m.ObjectMeta(name="p", namespace="default", ownerReferences=[owner])
        await on.client.create(PODS, m.Pod(metadata=meta, spec=SPEC))
        await asyncio.sleep(9.9)
        assert await on.names(JOBS) == ["j"]
        await asyncio.sleep(0.2)
        assert on.logged("deleted", JOBS, PODS) == ["pods/default/p", "jobs/default/j"]


@virtual_time
async def test_a_finalizer_keeps_it_and_it_is_not_deleted_early() -> None:
    async with engine(ttl.controller(), gc.controller()) as on:
        made = await finished_job(on, 10, finalizers=["k8s.io/dummy-finalizer"])
        await asyncio.sleep(60)
        kept = await on.client.get(JOBS, "default", "j")
        assert kept.metadata is not None
        assert kept.metadata.deletionTimestamp is not None
        assert made.status is not None
        assert made.status.completionTime is not None
        age = kept.metadata.deletionTimestamp - made.status.completionTime
        assert age == timedelta(seconds=10)
        assert kept.metadata.finalizers == ["k8s.io/dummy-finalizer"]
        await on.client.remove_finalizer(JOBS, "default", "j", "k8s.io/dummy-finalizer")
        assert await on.names(JOBS) == []


@virtual_time
async def test_more_time_given_before_it_is_over_is_honoured() -> None:
    async with engine(ttl.controller(), gc.controller()) as on:
        await finished_job(on, 10)
        await asyncio.sleep(5)
        await on.client.patch(JOBS, "default", "j", {"spec": {"ttlSecondsAfterFinished": 100}})
        await asyncio.sleep(90)
        assert await on.names(JOBS) == ["j"]
        await asyncio.sleep(6)
        assert await on.names(JOBS) == []


@virtual_time
async def test_so_is_more_time_that_the_cache_has_not_seen() -> None:
    """The API is asked before the deletion, since its answer cannot be taken back."""
    async with engine(ttl.controller(), gc.controller()) as on:
        await finished_job(on, 10)
        await asyncio.sleep(5)
        on.client.hold(JOBS)
        await on.client.patch(JOBS, "default", "j", {"spec": {"ttlSecondsAfterFinished": None}})
        await asyncio.sleep(60)
        assert await on.names(JOBS) == ["j"]
        on.client.release(JOBS)
        await asyncio.sleep(120)
        assert await on.names(JOBS) == ["j"]


@virtual_time
async def test_a_limit_set_on_a_finished_job() -> None:
    async with engine(ttl.controller(), gc.controller()) as on:
        await finished_job(on, None)
        await asyncio.sleep(60)
        await on.client.patch(JOBS, "default", "j", {"spec": {"ttlSecondsAfterFinished": 30}})
        await asyncio.sleep(1)
        assert await on.names(JOBS) == []
