"""Pods that nobody will end or look at any more."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.resource import NODES, PODS
from kubatch.controllers import podgc
from kubatch.controllers.podgc.decide import decide as rules
from kubatch.controllers.podgc.facts import FINISHED, node_key, read
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Decision, Delete, Patch
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time
from tests.unit.controllers.static_view import StaticView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = m.PodSpec(containers=[m.Container(name="c", image="busybox")])


def pod(
    name: str,
    phase: str = "Running",
    *,
    node: str = "",
    reason: str = "",
    age: int = 0,
    deleting: bool = False,
    grace: int | None = 30,
) -> m.Pod:
    return m.Pod(
        metadata=m.ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            creationTimestamp=NOW - timedelta(seconds=age),
            deletionTimestamp=NOW if deleting else None,
            deletionGracePeriodSeconds=grace if deleting else None,
        ),
        spec=replace(SPEC, nodeName=node or None),
        status=m.PodStatus(phase=phase, reason=reason or None),
    )


def node(ready: str, *taints: str) -> m.Node:
    return m.Node(
        metadata=m.ObjectMeta(name="n"),
        spec=m.NodeSpec(taints=[m.Taint(key=t, effect="NoExecute") for t in taints]),
        status=m.NodeStatus(conditions=[m.NodeCondition(type="Ready", status=ready)]),
    )


def decide(
    key: Key,
    *objects: Any,
    remembered: Any = None,
    now: datetime = NOW,
    finished_max: int = 12_500,
) -> Decision | None:
    facts = read(StaticView(*objects), key, remembered)
    return None if facts is None else rules(facts, now, finished_max=finished_max)


def shown(decision: Decision | None) -> list[str]:
    """Which pods are failed and which are deleted."""
    writes = [w for s in (decision.stages if decision else ()) for w in s.writes]
    out = []
    for write in writes:
        if isinstance(write, Patch):
            condition = "condition" if "conditions" in write.patch["status"] else "phase"
            out.append(f"{condition} {write.name} {write.patch['status']['phase']}")
        if isinstance(write, Delete):
            assert write.grace_period_seconds == 0
            out.append(f"delete {write.name}")
    return out


@pytest.mark.parametrize(
    ("threshold", "evicted", "expected"),
    [
        (1, "", ["delete a", "delete b"]),
        (1, "c", ["delete c", "delete a"]),
        (3, "", []),
        (2, "", ["delete a"]),
        (0, "", []),
        (-1, "", []),
    ],
)
def test_too_many_finished_pods(threshold: int, evicted: str, expected: list[str]) -> None:
    pods = [
        pod(name, phase, age=age, reason="Evicted" if name == evicted else "")
        for name, phase, age in (("a", "Failed", 30), ("b", "Succeeded", 20), ("c", "Failed", 10))
    ]
    decision = decide(FINISHED, *pods, pod("d", "Running"), finished_max=threshold)
    assert shown(decision) == expected
    assert decision is not None
    assert decision.wake_at == NOW + timedelta(seconds=20)


def test_those_deleted_already_are_not_deleted_again() -> None:
    pods = [pod("a", "Failed", age=9, deleting=True), pod("b", "Failed", age=8), pod("c", "Failed")]
    assert shown(decide(FINISHED, *pods, finished_max=1)) == ["delete b"]


def test_many_are_deleted_in_several_turns() -> None:
    pods = (pod(f"p{number:04}", "Failed") for number in range(502))
    decision = decide(FINISHED, *pods, finished_max=1)
    assert shown(decision) == [f"delete p{number:04}" for number in range(500)]
    assert decision is not None
    assert decision.wake_at == NOW


@pytest.mark.parametrize("phase", ["Pending", "Running", "Succeeded", "Failed", "Unknown"])
def test_a_terminating_pod_that_never_had_a_node(phase: str) -> None:
    decision = decide(Key("default", "pod/p"), pod("p", phase, deleting=True))
    failed = [] if phase in ("Succeeded", "Failed") else ["phase p Failed"]
    assert shown(decision) == [*failed, "delete p"]


def test_pods_that_are_left_alone() -> None:
    assert decide(Key("default", "pod/p"), pod("p")) is None
    assert decide(Key("default", "pod/p"), pod("p", node="n", deleting=True)) is None
    assert decide(Key("default", "pod/p")) is None
    assert decide(node_key("n"), node("True"), pod("p", node="n", deleting=True)) is None
    assert decide(node_key("gone")) is None


def test_a_node_out_of_service() -> None:
    taint = "node.kubernetes.io/out-of-service"
    pods = [pod("p", node="n", deleting=True), pod("stays", node="n")]
    assert shown(decide(node_key("n"), node("False", taint), *pods)) == [
        "phase p Failed",
        "delete p",
    ]
    assert decide(node_key("n"), node("True", taint), *pods) is None
    assert decide(node_key("n"), node("False"), *pods) is None


def test_a_node_that_is_gone() -> None:
    pods = [pod("p", node="n"), pod("q", "Succeeded", node="n"), pod("r", node="other")]
    first = decide(node_key("n"), *pods)
    assert first is not None
    assert (first.stages, first.wake_at) == ((), NOW + timedelta(seconds=40))
    later = decide(node_key("n"), *pods, remembered=first.remember, now=NOW + timedelta(seconds=40))
    assert shown(later) == ["condition p Failed", "delete p", "delete q"]
    assert later is not None
    [patch] = later.stages[1].writes
    assert patch.patch["status"]["conditions"] == [  # type: ignore[union-attr]
        {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
            "lastTransitionTime": "2026-01-01T00:00:40Z",
        }
    ]


def test_what_only_a_finalizer_keeps_needs_nothing_more() -> None:
    assert decide(node_key("n"), pod("p", "Failed", node="n", deleting=True, grace=0)) is None


def test_which_changes_of_pods_matter() -> None:
    keys = podgc.controller().watches[PODS]
    found = [
        [key.name for key in keys(before, after)]
        for before, after in (
            (None, pod("p")),
            (pod("p"), pod("p", node="n")),
            (pod("p", node="n"), pod("p", "Succeeded", node="n")),
            (pod("p", node="n"), pod("p", node="n", deleting=True)),
            (pod("p"), pod("p", deleting=True)),
            (pod("p", node="n"), None),
        )
    ]
    assert found == [[], ["node/n"], [], ["node/n"], ["pod/p"], []]


# ----- in the engine


async def bound(on: Engine, name: str, where: str) -> None:
    meta = m.ObjectMeta(name=name, namespace="default")
    await on.client.create(PODS, m.Pod(metadata=meta, spec=replace(SPEC, nodeName=where or None)))


@virtual_time
async def test_pods_of_a_node_that_never_comes_back() -> None:
    async with engine(podgc.controller()) as on:
        for name in ("gone", "brief"):
            await on.client.create(NODES, m.Node(metadata=m.ObjectMeta(name=name)))
            await bound(on, f"on-{name}", name)
        await asyncio.sleep(60)
        for name in ("gone", "brief"):
            await on.client.delete(NODES, None, name)
        await asyncio.sleep(30)
        # Its agent registers it again in time.
        await on.client.create(NODES, m.Node(metadata=m.ObjectMeta(name="brief")))
        await asyncio.sleep(60)
        assert await on.names(PODS) == ["on-brief"]


@virtual_time
async def test_pods_found_at_the_start() -> None:
    async with engine() as on:
        await bound(on, "lost", "nowhere")
        on.run(podgc.controller())
        await asyncio.sleep(39)
        assert await on.names(PODS) == ["lost"]
        await asyncio.sleep(2)
        assert await on.names(PODS) == []


@virtual_time
async def test_finished_pods_are_counted_now_and_then() -> None:
    async with engine() as on:
        await on.namespace("kube-system")
        on.run(podgc.controller(finished_max=1))
        for name in "abc":
            await bound(on, name, "")
            status = {"status": {"phase": "Succeeded"}}
            await on.client.patch(PODS, "default", name, status, subresource="status")
            await asyncio.sleep(1)
        await asyncio.sleep(15)
        assert await on.names(PODS) == ["a", "b", "c"]
        await asyncio.sleep(5)
        assert await on.names(PODS) == ["c"]
