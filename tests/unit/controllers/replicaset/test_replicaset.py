"""As many pods as a ReplicaSet asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.owners import owner_reference
from kubatch.api.resource import EVENTS, PODS, REPLICASETS
from kubatch.controllers import gc, replicaset
from kubatch.controllers.replicaset import victims
from kubatch.controllers.replicaset.decide import decide
from kubatch.controllers.replicaset.facts import Adoption, PodFacts, read, read_pod
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Create, Decision, Delete, Patch, PutStatus
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time
from tests.unit.controllers.static_view import StaticView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = {"app": "web"}


def rs(replicas: int | None = 2, *, deleting: bool = False, **spec: Any) -> m.ReplicaSet:
    container = m.Container(name="c", image="busybox")
    template = m.PodTemplateSpec(
        metadata=m.ObjectMeta(labels=LABELS, annotations={"a": "b"}),
        spec=m.PodSpec(containers=[container]),
    )
    return m.ReplicaSet(
        metadata=m.ObjectMeta(
            name="web",
            namespace="default",
            uid="uid-web",
            generation=1,
            deletionTimestamp=NOW if deleting else None,
        ),
        spec=m.ReplicaSetSpec(
            selector=m.LabelSelector(matchLabels=LABELS),
            replicas=replicas,
            template=template,
            **spec,
        ),
    )


def pod(
    name: str,
    *,
    phase: str = "Running",
    owned: bool = True,
    labels: dict[str, str] = LABELS,
    going: bool = False,
    ready: int | None = None,
    age: int = 100,
    node: str = "n",
    restarts: int = 0,
    cost: str = "",
) -> m.Pod:
    """`ready`: for so many seconds."""
    conditions = []
    if ready is not None:
        since = NOW - timedelta(seconds=ready)
        conditions.append(m.PodCondition(type="Ready", status="True", lastTransitionTime=since))
    key = "controller.kubernetes.io/pod-deletion-cost"
    return m.Pod(
        metadata=m.ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            labels=labels,
            annotations={key: cost} if cost else None,
            creationTimestamp=NOW - timedelta(seconds=age),
            deletionTimestamp=NOW if going else None,
            ownerReferences=[owner_reference(rs(), REPLICASETS)] if owned else None,
        ),
        spec=m.PodSpec(containers=[], nodeName=node or None),
        status=m.PodStatus(
            phase=phase,
            conditions=conditions or None,
            containerStatuses=[
                m.ContainerStatus(
                    name="c", image="", imageID="", ready=bool(conditions), restartCount=restarts
                )
            ],
        ),
    )


def sync(of: m.ReplicaSet, *pods: m.Pod, key: str = "web", now: datetime = NOW) -> Decision:
    facts = read(StaticView(of, *pods), Key("default", key))
    assert facts is not None
    return decide(facts, now)


def shown(decision: Decision) -> list[str]:
    out = []
    for write in (w for s in decision.stages for w in s.writes):
        match write:
            case Create():
                out.append(f"create {write.obj.metadata.generateName}")
            case Delete():
                out.append(f"delete {write.name}")
            case Patch():
                [owner] = write.patch["metadata"]["ownerReferences"]
                out.append(f"{'release' if '$patch' in owner else 'adopt'} {write.name}")
            case PutStatus():
                out.append(_status(write.obj.status))
    return out


def _status(status: m.ReplicaSetStatus) -> str:
    counts = (
        status.replicas,
        status.fullyLabeledReplicas,
        status.readyReplicas,
        status.availableReplicas,
        status.terminatingReplicas,
    )
    return "status " + " ".join(str(count or 0) for count in counts)


@pytest.mark.parametrize(
    ("replicas", "pods", "expected"),
    [
        (2, [], ["create web-", "create web-", "status 0 0 0 0 0"]),
        (None, [], ["create web-", "status 0 0 0 0 0"]),
        (1, [pod("a", ready=5)], ["status 1 1 1 1 0"]),
        (1, [pod("a"), pod("done", phase="Succeeded")], ["status 1 1 0 0 0"]),
        (1, [pod("a", going=True)], ["create web-", "status 0 0 0 0 1"]),
        (0, [pod("a"), pod("b")], ["delete a", "delete b", "status 2 2 0 0 0"]),
        (1, [pod("a", owned=False)], ["adopt a", "status 1 1 0 0 0"]),
        (1, [pod("a"), pod("b", labels={"x": "y"})], ["release b", "status 1 1 0 0 0"]),
        (1, [pod("a"), pod("b", owned=False, labels={"x": "y"})], ["status 1 1 0 0 0"]),
        (0, [pod("b", owned=False, going=True)], ["status 0 0 0 0 0"]),
    ],
)
def test_a_sync(replicas: int | None, pods: list[m.Pod], expected: list[str]) -> None:
    assert shown(sync(rs(replicas), *pods)) == expected


def test_one_that_is_being_deleted_changes_no_pods() -> None:
    decision = sync(rs(3, deleting=True), pod("a"), pod("b", owned=False), pod("c", labels={}))
    assert shown(decision) == ["status 1 1 0 0 0"]


def test_a_new_pod_is_the_template() -> None:
    [create] = [w for s in sync(rs(1)).stages for w in s.writes if isinstance(w, Create)]
    meta = create.obj.metadata
    assert (meta.labels, meta.annotations, meta.name) == (LABELS, {"a": "b"}, None)
    [owner] = meta.ownerReferences
    assert (owner.kind, owner.controller, owner.blockOwnerDeletion) == ("ReplicaSet", True, True)


def test_many_pods_come_in_several_turns() -> None:
    assert len(sync(rs(1200)).stages[0].writes) == 500
    assert sync(rs(1200)).stages[0].slow_start


def test_available_after_a_while() -> None:
    decision = sync(rs(2, minReadySeconds=10), pod("a", ready=4), pod("b", ready=10))
    assert shown(decision) == ["status 2 2 2 1 0"]
    assert decision.wake_at == NOW + timedelta(seconds=6)
    later = sync(
        rs(2, minReadySeconds=10), pod("a", ready=4), pod("b", ready=10), now=decision.wake_at
    )
    assert shown(later) == ["status 2 2 2 2 0"]
    assert later.wake_at is None


def test_a_pod_without_a_controller_finds_its_owner() -> None:
    facts = read(StaticView(rs(), pod("a", owned=False)), Key("default", ""))
    assert isinstance(facts, Adoption)
    assert shown(decide(facts, NOW)) == ["adopt a"]
    assert (
        read(StaticView(rs(), pod("a", owned=False, labels={"x": "y"})), Key("default", "")) is None
    )


def test_a_refusal_becomes_a_condition_and_stays_until_it_is_over() -> None:
    decision = sync(rs(2), pod("a"))
    [stage] = [s for s in decision.stages if s.after_error is not None]
    assert stage.after_error is not None
    [instead] = stage.after_error("exceeded quota")
    [write] = instead.writes
    assert isinstance(write, PutStatus)
    [condition] = write.obj.status.conditions
    assert (condition.type, condition.status, condition.reason, condition.message) == (
        "ReplicaFailure",
        "True",
        "FailedCreate",
        "exceeded quota",
    )
    refused = replace(rs(1), status=write.obj.status)
    cleared = [w for s in sync(refused, pod("a")).stages for w in s.writes]
    assert isinstance(cleared[0], PutStatus)
    assert cleared[0].obj.status.conditions is None


# ----- who goes first


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("z", node=""), pod("a")),
        (pod("z", phase="Pending"), pod("a", phase="Unknown")),
        (pod("z", phase="Unknown"), pod("a")),
        (pod("z"), pod("a", ready=1)),
        (pod("z", cost="-5"), pod("a")),
        (pod("z"), pod("a", cost="7")),
        (pod("z", ready=10), pod("a", ready=1000)),
        (pod("z", restarts=3), pod("a")),
        (pod("z", age=10), pod("a", age=1000)),
        (pod("a", age=1000), pod("z", age=1001)),  # as old, nearly: by uid
        (pod("a", ready=1000, restarts=0), pod("z", ready=1001, restarts=9)),
        (pod("a", cost="x"), pod("z")),
        (pod("a", cost="99999999999"), pod("z")),
    ],
)
def test_the_first_difference_decides(first: m.Pod, second: m.Pod) -> None:
    pods = [read_pod(second), read_pod(first)]
    assert victims.choose(pods, 1, NOW) == [read_pod(first)]
    assert victims.choose(pods, 2, NOW) == pods


def test_the_crowded_node_loses() -> None:
    pods = [read_pod(pod(name, node=node)) for name, node in (("a", "x"), ("b", "y"), ("c", "y"))]
    assert [p.name for p in victims.choose(pods, 1, NOW)] == ["b"]


def test_a_pod_without_a_time_counts_as_the_latest() -> None:
    timeless = replace(read_pod(pod("z")).pod, metadata=m.ObjectMeta(name="z", uid="uid-z"))
    pods = [read_pod(pod("a", age=0)), read_pod(timeless)]
    assert [p.name for p in victims.choose(pods, 1, NOW)] == ["z"]
    assert [p.name for p in victims.choose(pods[::-1], 1, NOW)] == ["z"]


def test_two_that_want_the_same_pod() -> None:
    """The first by name takes it."""
    other = rs()
    assert other.metadata is not None
    other.metadata = m.ObjectMeta(name="also", namespace="default", uid="uid-also")
    facts = read(StaticView(rs(), other, pod("a", owned=False)), Key("default", ""))
    assert isinstance(facts, Adoption)
    assert [replicaset.metadata.name for replicaset, _ in facts.pairs if replicaset.metadata] == [
        "also"
    ]


pods_of_all_kinds = st.builds(
    pod,
    st.sampled_from("abcdef"),
    phase=st.sampled_from(["Pending", "Running", "Unknown"]),
    ready=st.none() | st.integers(0, 2000),
    age=st.integers(0, 2000),
    node=st.sampled_from(["", "n", "m"]),
    restarts=st.integers(0, 2),
    cost=st.sampled_from(["", "-1", "4"]),
)


@given(
    st.lists(
        pods_of_all_kinds,
        min_size=1,
        max_size=6,
        unique_by=lambda p: (p.metadata or m.ObjectMeta()).name,
    )
)
def test_fewer_victims_are_among_more(pods: Sequence[m.Pod]) -> None:
    facts: list[PodFacts] = [read_pod(p) for p in pods]
    everyone = victims.choose(facts, len(facts) - 1, NOW)
    for count in range(len(facts)):
        assert victims.choose(facts, count, NOW) == everyone[:count]


# ----- in the engine


async def make(on: Engine, replicas: int) -> m.ReplicaSet:
    fresh = rs(replicas)
    meta = m.ObjectMeta(name="web", namespace="default")
    return await on.client.create(REPLICASETS, replace(fresh, metadata=meta))


async def scale(on: Engine, replicas: int) -> None:
    await on.client.patch(REPLICASETS, "default", "web", {"spec": {"replicas": replicas}})


async def status(on: Engine) -> m.ReplicaSetStatus:
    found = await on.client.get(REPLICASETS, "default", "web")
    assert found.status is not None
    return found.status


@virtual_time
async def test_up_and_down_and_away() -> None:
    async with engine(replicaset.controller(), gc.controller()) as on:
        await make(on, 3)
        await asyncio.sleep(1)
        assert len(await on.names(PODS)) == 3
        assert (await status(on)).replicas == 3
        await scale(on, 1)
        await asyncio.sleep(1)
        [left] = await on.names(PODS)
        await on.client.delete(PODS, "default", left, grace_period_seconds=0)
        await asyncio.sleep(1)
        [other] = await on.names(PODS)
        assert other != left
        await on.client.delete(REPLICASETS, "default", "web")
        await asyncio.sleep(1)
        assert await on.names(PODS) == []
        events = await on.client.list(EVENTS, "default")
        reasons = {e.reason for e in events.items if e.involvedObject.kind == "ReplicaSet"}
        assert reasons == {"SuccessfulCreate", "SuccessfulDelete"}


@virtual_time
async def test_a_stray_is_adopted_and_one_too_many_goes() -> None:
    async with engine(replicaset.controller()) as on:
        await make(on, 1)
        await asyncio.sleep(1)
        spec = m.PodSpec(containers=[m.Container(name="c", image="busybox")])
        meta = m.ObjectMeta(name="stray", namespace="default", labels=LABELS)
        await on.client.create(PODS, m.Pod(metadata=meta, spec=spec))
        await asyncio.sleep(1)
        assert len(await on.names(PODS)) == 1
        await scale(on, 2)
        await asyncio.sleep(1)
        [one, other] = await on.names(PODS)
        patch = {"metadata": {"labels": {"app": None, "was": "web"}}}
        await on.client.patch(PODS, "default", one, patch)
        await asyncio.sleep(1)
        assert len(await on.names(PODS)) == 3
        released = await on.client.get(PODS, "default", one)
        assert released.metadata is not None
        assert not released.metadata.ownerReferences
        assert other in await on.names(PODS)


@virtual_time
async def test_a_finished_pod_is_replaced() -> None:
    async with engine(replicaset.controller()) as on:
        await make(on, 1)
        await asyncio.sleep(1)
        [name] = await on.names(PODS)
        ended = {"status": {"phase": "Failed"}}
        await on.client.patch(PODS, "default", name, ended, subresource="status")
        await asyncio.sleep(1)
        assert len(await on.names(PODS)) == 2
        assert (await status(on)).replicas == 1
