"""Endpoints under faults: once they stop, every ready pod is where it should be, once."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import ENDPOINTSLICES, NODES, PODS, SERVICES
from kubatch.client.local import LocalClient
from kubatch.controllers import endpoints, endpointslice
from kubatch.reconcile.loop import Caches, Runner
from kubatch.sim.faults import Faults, FaultyClient
from kubatch.sim.services import look_at_endpoints, service
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time

LABELS = {"app": "web"}


async def set_status(client: LocalClient, pod: m.Pod, rng: random.Random) -> None:
    ready = rng.choice(["True", "False"])
    status = m.PodStatus(
        phase=rng.choice(["Running"] * 6 + ["Succeeded"]),
        podIP=f"10.0.0.{rng.randrange(1, 250)}",
        conditions=[m.PodCondition(type="Ready", status=ready)],
    )
    await client.update(PODS, replace(pod, status=status), "status")


async def meddle(client: LocalClient, rng: random.Random, number: int) -> None:
    """One thing that happens to the pods of a Service, or to the Service."""
    pods = (await client.list(PODS)).items
    what = rng.choice(["make", "make", "status", "status", "status", "label", "delete", "slice"])
    one = rng.choice(pods) if pods else None
    if what == "make" or one is None or one.metadata is None:
        spec = m.PodSpec(containers=[m.Container(name="c", image="i")], nodeName="n")
        meta = m.ObjectMeta(name=f"p{number}", namespace="default", labels=dict(LABELS))
        await set_status(client, await client.create(PODS, m.Pod(metadata=meta, spec=spec)), rng)
        return
    name = one.metadata.name or ""
    if what == "status" and one.status is not None and one.status.phase == "Running":
        await set_status(client, one, rng)
    elif what == "label":
        value = rng.choice(["web", "other"])
        patch = {"metadata": {"labels": {"app": value}}}
        await client.patch(PODS, "default", name, patch)
    elif what == "delete":
        await client.delete(PODS, "default", name, grace_period_seconds=rng.choice([0, 30]))
    elif what == "slice":
        for made in (await client.list(ENDPOINTSLICES)).items:
            assert made.metadata is not None
            await client.delete(ENDPOINTSLICES, "default", made.metadata.name or "")


def start(on: Engine, faults: Faults, rng: random.Random) -> None:
    """The controllers, with a client that misfortune strikes."""
    client = FaultyClient(on.client, faults, rng, lambda where: None, lambda text: None)
    caches = Caches(client)
    records: list[Any] = [endpoints.controller(), endpointslice.controller()]
    runners = [Runner(record, client, caches, on.world) for record in records]
    on.tasks.append(asyncio.create_task(caches.run()))
    on.tasks += [asyncio.create_task(runner.run()) for runner in runners]


@pytest.mark.parametrize("seed", range(12))
def test_every_ready_pod_is_in_one_slice_in_the_end(seed: int) -> None:
    @virtual_time
    async def run() -> None:
        rng = random.Random(seed)
        async with engine() as on:
            faults = Faults(
                meddled=0.1, refused=0.1, doubtful=0.1, misread=0.1, cut=0.1, expired=0.05,
                stalled=0.05, split=0.5, lag_seconds=0.2, stall_seconds=5.0,
            )  # fmt: skip
            await on.client.create(NODES, m.Node(metadata=m.ObjectMeta(name="n")))
            await on.client.create(SERVICES, service("web", dict(LABELS)))
            start(on, faults, rng)
            for number in range(40):
                with suppress(ApiError):  # a pod that has just changed, or gone
                    await meddle(on.client, rng, number)
                await asyncio.sleep(rng.expovariate(2.0))
            faults.stop()
            await on.quiet(300)
            assert await look_at_endpoints(on.client) == []
            assert [pod for pod in (await on.client.list(PODS)).items if pod.status]

    run()


@virtual_time
async def test_what_is_wrong_is_seen() -> None:
    async with engine() as on:
        await on.client.create(SERVICES, service("web", dict(LABELS)))
        await meddle(on.client, random.Random(1), 1)
        assert "service default/web has no slice" in await look_at_endpoints(on.client)
