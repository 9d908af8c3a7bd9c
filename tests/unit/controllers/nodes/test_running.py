"""A node that dies and comes back, in the real engine."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from msgspec.structs import replace

from kubatch.agent import node as agent
from kubatch.api import models as m
from kubatch.api.conditions import find
from kubatch.api.resource import EVENTS, LEASES, NODES, PODS
from kubatch.controllers import eviction, nodes, podgc
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time

MACHINE = agent.Machine(4, 2**33, 2**36, 110, "id", "uuid", "boot", "6.1", "linux", "amd64")


class Agent:
    """Says that a node lives."""

    def __init__(self, on: Engine, name: str) -> None:
        self._on = on
        self._name = name

    async def register(self) -> None:
        on, node = self._on, agent.new(self._name, MACHINE)
        made = await on.client.create(NODES, node)
        await self.report()
        await on.client.create(LEASES, agent.lease(made, on.world.now()))

    async def report(self) -> None:
        known = await self._on.client.get(NODES, None, self._name)
        status = agent.with_status(
            known, MACHINE, name=self._name, address="10.0.0.1", runtime="x",
            now=self._on.world.now(),
        )  # fmt: skip
        await self._on.client.update(NODES, status, "status")

    async def renew(self) -> None:
        known = await self._on.client.get(LEASES, "kube-node-lease", self._name)
        renewed = agent.renewed(known, self._name, self._on.world.now())
        await self._on.client.update(LEASES, renewed)

    async def live(self) -> None:
        while True:
            await asyncio.sleep(10)
            await self.renew()


async def make_pod(on: Engine, name: str, where: str, patience: int | None = 300) -> None:
    tolerations = [
        m.Toleration(key=key, operator="Exists", effect="NoExecute", tolerationSeconds=patience)
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    ]
    spec = m.PodSpec(
        containers=[m.Container(name="c", image="busybox")], nodeName=where, tolerations=tolerations
    )
    meta = m.ObjectMeta(name=name, namespace="default")
    made = await on.client.create(PODS, m.Pod(metadata=meta, spec=spec))
    ready = m.PodCondition(type="Ready", status="True")
    status = m.PodStatus(phase="Running", conditions=[ready])
    await on.client.update(PODS, replace(made, status=status), "status")


async def ready(on: Engine, name: str) -> str:
    found = await on.client.get(NODES, None, name)
    condition = find((found.status or m.NodeStatus()).conditions, "Ready")
    return condition.status if condition else ""


async def taints(on: Engine, name: str) -> list[str]:
    found = await on.client.get(NODES, None, name)
    listed = (found.spec or m.NodeSpec()).taints or []
    return sorted(f"{t.key.rpartition('/')[2]}:{t.effect}" for t in listed)


async def two_nodes(on: Engine) -> tuple[Agent, asyncio.Task[None]]:
    """One that lives for ever, and one whose life can be ended."""
    await on.namespace("kube-node-lease")
    good, frail = Agent(on, "good"), Agent(on, "frail")
    await good.register()
    await frail.register()
    on.tasks.append(asyncio.create_task(good.live()))
    life = asyncio.create_task(frail.live())
    on.tasks.append(life)
    return frail, life


async def reasons(on: Engine, kind: str) -> list[str]:
    listing = await on.client.list(EVENTS, "default")
    return [e.reason or "" for e in listing.items if e.involvedObject.kind == kind]


@virtual_time
async def test_a_node_dies_and_comes_back() -> None:
    async with engine(nodes.controller(), eviction.controller()) as on:
        frail, life = await two_nodes(on)
        await make_pod(on, "short", "frail", 30)
        await make_pod(on, "long", "frail", 300)
        await make_pod(on, "elsewhere", "good", 0)
        await asyncio.sleep(305)
        assert (await ready(on, "frail"), await taints(on, "frail")) == ("True", [])
        life.cancel()
        await asyncio.sleep(40)
        assert await ready(on, "frail") == "True"
        await asyncio.sleep(15)
        assert await ready(on, "frail") == "Unknown"
        assert await taints(on, "frail") == ["unreachable:NoExecute", "unreachable:NoSchedule"]
        pod = await on.client.get(PODS, "default", "long")
        condition = find((pod.status or m.PodStatus()).conditions, "Ready")
        assert condition is not None
        assert condition.status == "False"
        await asyncio.sleep(40)
        gone = await on.client.get(PODS, "default", "short")
        assert gone.metadata is not None
        assert gone.metadata.deletionTimestamp is not None
        target = find((gone.status or m.PodStatus()).conditions, "DisruptionTarget")
        assert target is not None
        assert (target.reason, target.message) == (
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
        )
        # Back in time for the other one.
        await frail.report()
        on.tasks.append(asyncio.create_task(frail.live()))
        await asyncio.sleep(600)
        assert (await ready(on, "frail"), await taints(on, "frail")) == ("True", [])
        kept = await on.client.get(PODS, "default", "long")
        assert kept.metadata is not None
        assert kept.metadata.deletionTimestamp is None
        assert "elsewhere" in await on.names(PODS)
        assert (await reasons(on, "Node")).count("NodeNotReady") == 1
        assert sorted(set(await reasons(on, "Pod"))) == ["NodeNotReady", "TaintManagerEviction"]


@virtual_time
async def test_the_only_node_keeps_its_pods() -> None:
    """There is nowhere to go: whoever comes back finds everything as it was."""
    async with engine(nodes.controller(), eviction.controller()) as on:
        await on.namespace("kube-node-lease")
        await Agent(on, "only").register()
        await make_pod(on, "p", "only", 0)
        await asyncio.sleep(3600)
        assert (await ready(on, "only"), await taints(on, "only")) == (
            "Unknown",
            ["unreachable:NoSchedule"],
        )
        pod = await on.client.get(PODS, "default", "p")
        assert pod.metadata is not None
        assert pod.metadata.deletionTimestamp is None


@virtual_time
async def test_a_dead_node_is_deleted_and_its_pods_with_it() -> None:
    async with engine(nodes.controller(), eviction.controller(), podgc.controller()) as on:
        _, life = await two_nodes(on)
        await make_pod(on, "p", "frail", 30)
        life.cancel()
        await asyncio.sleep(120)
        assert await on.names(PODS) == ["p"]
        await on.client.delete(NODES, None, "frail")
        await asyncio.sleep(60)
        assert await on.names(PODS) == []
        assert "RemovingNode" in await reasons(on, "Node")


@virtual_time
async def test_a_healthy_node_is_looked_at_when_its_lease_is_renewed() -> None:
    async with engine() as on:
        looks = 0
        record = nodes.controller()

        def counted(*words: Any) -> Any:
            nonlocal looks
            looks += 1
            return record.read(*words)

        on.run(dataclasses.replace(record, read=counted))
        await on.namespace("kube-node-lease")
        alone = Agent(on, "n")
        await alone.register()
        on.tasks.append(asyncio.create_task(alone.live()))
        await asyncio.sleep(5)
        looks = 0
        await asyncio.sleep(1000)
        assert looks <= 100 + 1000 // 50
