"""Edge cases that need more than the Job's rules: the real registry, caches and other controllers.

Their numbers are those of docs/job-edge-cases.md.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubatch import scheduler
from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import JOBS, NODES, PODS
from kubatch.controllers import gc
from kubatch.controllers import job as jobs
from kubatch.controllers.job import orphans
from kubatch.controllers.job.facts import is_tracked
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time

NS = "default"


def job(name: str = "a", requests: dict[str, str] | None = None, **spec: Any) -> m.Job:
    container: dict[str, Any] = {"name": "c", "image": "x"}
    if requests:
        container["resources"] = {"requests": requests}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    plain = {"metadata": {"name": name, "namespace": NS}}
    return msgspec.convert({**plain, "spec": {"template": template, **spec}}, m.Job)


async def pods(on: Engine) -> list[m.Pod]:
    return list((await on.client.list(PODS, NS)).items)


async def end(on: Engine, pod: m.Pod, phase: str) -> None:
    assert pod.metadata is not None
    name = pod.metadata.name or ""
    await on.client.patch(PODS, NS, name, {"status": {"phase": phase}}, subresource="status")


async def conditions(on: Engine) -> list[str]:
    status = (await on.client.get(JOBS, NS, "a")).status
    return [c.type for c in (status.conditions if status else None) or ()]


@virtual_time
async def test_12_nothing_is_decided_before_the_own_writes_are_seen() -> None:
    async with engine(jobs.controller()) as on:
        await on.quiet(1)
        on.client.hold(PODS)
        await on.client.create(JOBS, job(backoffLimit=0))
        await on.quiet(1)
        [pod] = await pods(on)
        await end(on, pod, "Failed")
        await on.quiet(60)
        assert await conditions(on) == []
        assert len(await pods(on)) == 1, "nor is the pod that is not seen created again"
        on.client.release(PODS)
        await on.quiet(60)
        assert await conditions(on) == ["FailureTarget", "Failed"]


@virtual_time
async def test_20_suspending_waits_for_the_pods_that_were_just_created() -> None:
    async with engine(jobs.controller()) as on:
        await on.quiet(1)
        on.client.hold(PODS)
        await on.client.create(JOBS, job(parallelism=2, completions=4))
        await on.quiet(1)
        await on.client.patch(JOBS, NS, "a", {"spec": {"suspend": True}})
        await on.quiet(60)
        assert len(await pods(on)) == 2
        assert await conditions(on) == []
        on.client.release(PODS)
        await on.quiet(60)
        assert await pods(on) == []
        assert await conditions(on) == ["Suspended"]


@virtual_time
async def test_41_a_job_that_only_the_server_knows_to_be_deleted_adopts_nothing() -> None:
    async with engine(jobs.controller()) as on:
        made = await on.client.create(JOBS, job(suspend=True))
        await on.quiet(5)
        on.client.hold(JOBS)
        await on.client.delete(JOBS, NS, "a", propagation="Foreground")
        assert made.spec is not None
        labels = made.spec.template.metadata.labels if made.spec.template.metadata else None
        meta = m.ObjectMeta(name="orphan", namespace=NS, labels=labels)
        container = m.Container(name="c", image="x")
        spec = m.PodSpec(containers=[container], restartPolicy="Never")
        await on.client.create(PODS, m.Pod(metadata=meta, spec=spec))
        await on.quiet(60)
        [pod] = await pods(on)
        assert pod.metadata is not None
        assert not pod.metadata.ownerReferences
        on.client.release(JOBS)


@pytest.mark.parametrize("down", [False, True], ids=["running", "down"])
@pytest.mark.parametrize("propagation", ["Orphan", "Background", "Foreground"])
def test_49_no_pod_keeps_the_finalizer_however_its_job_is_deleted(
    propagation: str, down: bool
) -> None:
    @virtual_time
    async def scenario() -> None:
        controllers = (jobs.controller(), orphans.controller(), gc.controller())
        async with engine(*controllers) as on:
            await on.client.create(JOBS, job(parallelism=2, completions=2))
            await on.quiet(5)
            assert [is_tracked(pod) for pod in await pods(on)] == [True, True]
            if down:  # what happens meanwhile is heard of later, all at once
                on.client.hold(JOBS)
                on.client.hold(PODS)
            await on.client.delete(JOBS, NS, "a", propagation=propagation)
            await on.quiet(60)
            if down:
                on.client.release(JOBS)
                on.client.release(PODS)
                await on.quiet(120)
            assert await on.names(JOBS, NS) == []
            left = await pods(on)
            assert not any(is_tracked(pod) for pod in left)
            assert len(left) == (2 if propagation == "Orphan" else 0)

    scenario()


CHOICE = {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}}


@virtual_time
async def test_52_a_node_selector_may_come_with_the_resumption_and_not_later() -> None:
    async with engine(jobs.controller()) as on:
        await on.client.create(JOBS, job(suspend=True))
        await on.quiet(5)
        await on.client.patch(JOBS, NS, "a", {"spec": {"suspend": False, **CHOICE}})
        await on.quiet(5)
        [pod] = await pods(on)
        assert pod.spec is not None
        assert pod.spec.nodeSelector == {"disk": "fast"}
        other = {"template": {"spec": {"nodeSelector": {"disk": "slow"}}}}
        with pytest.raises(ApiError, match=r"spec\.template: Invalid value") as raised:
            await on.client.patch(JOBS, NS, "a", {"spec": other})
        assert raised.value.code == 422


@virtual_time
async def test_53_a_job_just_created_suspended_may_be_changed() -> None:
    async with engine() as on:  # no controller has given it a condition yet
        await on.client.create(JOBS, job(suspend=True))
        container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": "2"}}}
        await on.client.patch(JOBS, NS, "a", {"spec": CHOICE})
        changed = {"template": {"spec": {"containers": [container]}}}
        made = await on.client.patch(JOBS, NS, "a", {"spec": changed})
        assert made.spec is not None
        spec = made.spec.template.spec
        assert spec is not None
        assert spec.nodeSelector == {"disk": "fast"}
        assert spec.containers[0].resources is not None
        assert spec.containers[0].resources.requests == {"cpu": "2"}


@virtual_time
async def test_59_pods_that_do_not_fit_wait_for_their_turn() -> None:
    node = m.Node(
        metadata=m.ObjectMeta(name="n"),
        status=m.NodeStatus(
            allocatable={"cpu": "8", "memory": "8Gi", "pods": "110"},
            conditions=[m.NodeCondition(type="Ready", status="True")],
        ),
    )
    async with engine(jobs.controller(), scheduler.controller()) as on:
        made = await on.client.create(NODES, msgspec.structs.replace(node, status=None))
        ready = msgspec.structs.replace(node, metadata=made.metadata)
        await on.client.update(NODES, ready, "status")
        # Every node is made with the taint of one that is not ready.
        await on.client.patch(NODES, None, "n", {"spec": {"taints": None}})
        asking = job(requests={"cpu": "1"}, parallelism=90, completions=90, backoffLimit=0)
        await on.client.create(JOBS, asking)
        for _ in range(20):
            await on.quiet(5)
            bound = [pod for pod in await pods(on) if pod.spec and pod.spec.nodeName]
            runs = [p for p in bound if p.status and p.status.phase == "Pending"]
            assert len(runs) <= 8
            for pod in runs:
                await end(on, pod, "Succeeded")
        status = (await on.client.get(JOBS, NS, "a")).status
        assert status is not None
        assert (status.succeeded, status.failed) == (90, None)
        assert await conditions(on) == ["SuccessCriteriaMet", "Complete"]
