"""Controllers over HTTPS, as `kubatch controllers` runs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubatch.api import models as m
from kubatch.api.resource import EVENTS, JOBS, LEASES, PODS, SERVICEACCOUNTS
from kubatch.client.http import HttpClient
from kubatch.controllers.job import metrics
from kubatch.manager import DEFAULT, Manager, UnknownController, choose
from kubatch.reconcile.lease import Candidate
from kubatch.world import World
from tests.suites.api_server import served

SECONDS_MAX = 30.0


def job(name: str, **spec: Any) -> m.Job:
    container = {"name": "c", "image": "x"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    plain = {"metadata": {"name": name, "namespace": "default"}}
    return msgspec.convert({**plain, "spec": {"template": template, **spec}}, m.Job)


async def until(condition: Callable[[], Any]) -> Any:
    """What an awaited condition answers once it is true."""
    async with asyncio.timeout(SECONDS_MAX):
        while not (found := await condition()):
            pass  # the next answer is as new as it gets
        return found


@asynccontextmanager
async def managed(directory: Path, **choice: Any) -> AsyncIterator[tuple[HttpClient, Manager]]:
    account = m.ServiceAccount(metadata=m.ObjectMeta(name="default", namespace="default"))
    async with served(directory) as on, on.client() as client:
        await client.create(SERVICEACCOUNTS, account)
        async with on.client() as own:
            manager = Manager(own, choose(**choice), World())
            work = asyncio.create_task(manager.run())
            try:
                yield client, manager
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)


async def end_pods(client: HttpClient, phase: str = "Succeeded") -> None:
    """What a node would do to pods that have not ended."""
    for pod in (await client.list(PODS, "default")).items:
        assert pod.metadata is not None
        if pod.status is None or pod.status.phase not in ("Succeeded", "Failed"):
            name = pod.metadata.name or ""
            status = {"status": {"phase": phase}}
            await client.patch(PODS, "default", name, status, subresource="status")


async def finished(client: HttpClient, name: str) -> m.Job | None:
    found = await client.get(JOBS, "default", name)
    ended = found.status is not None and any(
        c.type in ("Complete", "Failed") for c in found.status.conditions or ()
    )
    return found if ended else None


@pytest.mark.slow
async def test_a_job_runs_to_its_end_over_https(tmp_path: Path) -> None:
    async with managed(tmp_path, everything=True, only=["job-controller"]) as (client, manager):
        await client.create(JOBS, job("a", completions=30, parallelism=7))

        async def done() -> m.Job | None:
            await end_pods(client)
            return await finished(client, "a")

        ended = await until(done)
        assert ended.status.succeeded == 30
        assert not ended.status.failed
        # It never took an old cache for the truth: no pod too many was ever created.
        assert manager.meters.value(metrics.PODS_CREATION, "new", "succeeded") == 30
        assert len((await client.list(PODS, "default")).items) == 30


@pytest.mark.slow
async def test_a_suspended_job_deletes_its_pods_over_https(tmp_path: Path) -> None:
    async with managed(tmp_path, everything=True, only=["job-controller"]) as (client, _):
        await client.create(JOBS, job("a", completions=3, parallelism=3))

        async def pods(count: int) -> bool:
            return len((await client.list(PODS, "default")).items) == count

        await until(lambda: pods(3))
        await client.patch(JOBS, "default", "a", {"spec": {"suspend": True}})
        await until(lambda: pods(0))
        await client.patch(JOBS, "default", "a", {"spec": {"suspend": False}})
        await until(lambda: pods(3))


@pytest.mark.slow
async def test_only_jobs_that_name_kubatch_are_touched(tmp_path: Path) -> None:
    async with managed(tmp_path, everything=False) as (client, _):
        await client.create(JOBS, job("theirs"))
        await client.create(JOBS, job("third", managedBy="example.com/other"))
        await client.create(JOBS, job("ours", managedBy="kubatch.dev/job-controller"))

        async def done() -> m.Job | None:
            await end_pods(client)
            return await finished(client, "ours")

        await until(done)
        pods = (await client.list(PODS, "default")).items
        assert {(pod.metadata.labels or {})["job-name"] for pod in pods if pod.metadata} == {"ours"}
        for name in ("theirs", "third"):
            untouched = await client.get(JOBS, "default", name)
            assert untouched.status in (None, m.JobStatus())


@pytest.mark.slow
async def test_a_manager_leads_and_gives_the_lease_back(tmp_path: Path) -> None:
    led = asyncio.Event()
    async with served(tmp_path) as on, on.client() as client:
        candidate = Candidate("me", "test", "default", 3.0, 2.0, 0.5)
        records = choose(everything=False)
        manager = Manager(client, records, World(), candidate=candidate, leading=led.set)
        work = asyncio.create_task(manager.run())
        async with asyncio.timeout(SECONDS_MAX):
            await led.wait()
        held = await client.get(LEASES, "default", "test")
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        left = await client.get(LEASES, "default", "test")
        events = (await client.list(EVENTS, "default")).items
        assert held.spec is not None
        assert left.spec is not None
        assert (held.spec.holderIdentity, left.spec.holderIdentity) == ("me", "")
        assert sorted(event.message or "" for event in events) == [
            "me became leader",
            "me stopped leading",
        ]


def names(**choice: Any) -> set[str]:
    return {record.name for record in choose(**choice)}


def test_which_controllers_run() -> None:
    assert names(everything=False) == set(DEFAULT)
    everything = names(everything=True)
    assert {"job-controller", "job-orphan-controller", "namespace-controller"} <= everything
    assert "default-scheduler" not in everything
    assert names(everything=True, only=["default-scheduler"]) == {"default-scheduler"}
    assert names(everything=False, only=["node-controller"]) == {"node-controller"}


@pytest.mark.parametrize(("name", "everything"), [("none", True), ("job-orphan-controller", False)])
def test_a_controller_that_is_not_there(name: str, everything: bool) -> None:
    with pytest.raises(UnknownController, match=f"no controller {name}; there are "):
        choose(everything=everything, only=[name])
