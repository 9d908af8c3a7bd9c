from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.reconcile.decision import Patch
from kubatch.scheduler import scores
from kubatch.scheduler.facts import KEY, node_keys, pod_keys, read_node, read_pod
from kubatch.scheduler.filters import Room
from tests.unit.scheduler.cluster import START, Cluster, container, make_node, make_pod

HELPLESS = (
    "no new claims to deallocate, preemption: 0/1 nodes are available: "
    "1 Preemption is not helpful for scheduling."
)
NO_VICTIMS = (
    "no new claims to deallocate, preemption: 0/1 nodes are available: "
    "1 No preemption victims found for incoming pod."
)


def asking(name: str, cpu: str, **how: Any) -> m.Pod:
    return make_pod(name, containers=[container(cpu=cpu)], **how)


def test_binds_and_says_so() -> None:
    cluster = Cluster(make_node(), make_pod("p"))
    decision = cluster.turn()
    assert cluster.where() == {"p": "n1"}
    assert cluster.events == [("Normal", "Scheduled", "Successfully assigned ns/p to n1")]
    assert decision is not None
    assert decision.because == "binds 1 pod"
    assert cluster.turn() is None, "nothing waits any more"


@pytest.mark.parametrize(
    ("node", "pod", "message"),
    [
        (make_node(), asking("p", "5"), f"1 Insufficient cpu. {HELPLESS}"),
        (
            make_node(unschedulable=True),
            asking("p", "1"),
            f"1 node(s) were unschedulable. {HELPLESS}",
        ),
        (
            make_node(),
            asking("p", "1", nodeSelector={"a": "b"}),
            f"1 node(s) didn't match Pod's node affinity/selector. {HELPLESS}",
        ),
        (make_node(pods="0"), asking("p", "1"), f"1 Too many pods. {NO_VICTIMS}"),
        (
            make_node(),
            asking("p", "5", preemptionPolicy="Never"),
            "1 Insufficient cpu. no new claims to deallocate, preemption: "
            "not eligible due to preemptionPolicy=Never.",
        ),
    ],
)
def test_messages_with_one_node(node: m.Node, pod: m.Pod, message: str) -> None:
    cluster = Cluster(node, pod)
    cluster.turn()
    whole = f"0/1 nodes are available: {message}"
    assert cluster.message("p") == whole
    assert cluster.events == [("Warning", "FailedScheduling", whole)]


def test_message_with_several_nodes() -> None:
    tainted = [m.Taint(key="k", effect="NoSchedule")]
    cluster = Cluster(
        make_node("a", taints=tainted),
        make_node("b"),
        make_node("c", cpu="1", memory="1Gi"),
        asking("there", "4", nodeName="b", phase="Running"),
        make_pod("p", containers=[container(cpu="2", memory="2Gi")]),
    )
    cluster.turn()
    assert cluster.message("p") == (
        "0/3 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s), "
        "2 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available: "
        "1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling."
    )


def test_no_nodes() -> None:
    cluster = Cluster(make_pod("p"))
    cluster.turn()
    assert cluster.message("p") == "no nodes available to schedule pods"


def test_says_it_once() -> None:
    cluster = Cluster(make_node(), asking("p", "5"))
    cluster.turn()
    decision = cluster.turn()
    assert decision is not None
    assert decision.stages == ()
    assert decision.because.startswith("1 pod fits no node: 0/1 nodes are available: 1 Insuff")
    cluster.nodes = [make_node(cpu="3")]
    cluster.turn()
    assert len(cluster.events) == 1, "the same words for another node"
    cluster.nodes = [make_node(cpu="6")]
    cluster.turn()
    assert cluster.where() == {"p": "n1"}


def patched(*conditions: m.PodCondition) -> dict[str, Any]:
    pod = asking("p", "5", conditions=list(conditions) or None)
    decision = Cluster(make_node(), pod, now=START + timedelta(seconds=1.5)).turn()
    assert decision is not None
    [patch] = decision.stages[0].writes
    assert isinstance(patch, Patch)
    [condition] = patch.patch["status"]["conditions"]
    return dict(condition)


def test_condition() -> None:
    fresh = patched()
    assert fresh.pop("message").startswith("0/1 nodes")
    assert fresh == {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-03-01T10:00:01Z",
    }
    old = m.PodCondition(type="PodScheduled", status="False", reason="Unschedulable", message="x")
    assert "lastTransitionTime" not in patched(old), "still False: no transition"


def test_long_messages_are_cut_in_the_event_only() -> None:
    wanted = {f"resource-{i:03}": "1" for i in range(60)}
    cluster = Cluster(make_node(), make_pod("p", requests=wanted))
    cluster.turn()
    [(_, _, note)] = cluster.events
    assert len(note) == 1024
    assert note.endswith(" ...")
    assert len(cluster.message("p") or "") > 1024


def test_order_is_priority_then_age() -> None:
    cluster = Cluster(
        make_node(cpu="1"),
        asking("young", "1", after=2),
        asking("old", "1", after=1),
        asking("vip", "1", after=3, priority=10),
    )
    cluster.turn()
    assert cluster.where() == {"young": None, "old": None, "vip": "n1"}
    cluster.pods["vip"] = asking("vip", "1", nodeName="n1", phase="Succeeded")
    cluster.turn()
    assert cluster.where() == {"young": None, "old": "n1", "vip": "n1"}


def test_a_small_pod_passes_a_big_one() -> None:
    cluster = Cluster(make_node(cpu="1"), asking("big", "2"), asking("small", "1", after=9))
    cluster.turn()
    assert cluster.where() == {"big": None, "small": "n1"}


@pytest.mark.parametrize(
    "pod",
    [
        make_pod("p", schedulerName="mine"),
        make_pod("p", schedulingGates=[m.PodSchedulingGate(name="x")]),
        make_pod("p", deleting=True),
        make_pod("p", nodeName="n1"),
        make_pod("p", phase="Failed"),
    ],
    ids=["other", "gated", "deleting", "bound", "finished"],
)
def test_pods_that_do_not_wait(pod: m.Pod) -> None:
    assert Cluster(make_node(), pod).turn() is None


def test_terminating_pods_hold_their_room_and_finished_ones_do_not() -> None:
    held = asking("q", "4", nodeName="n1", phase="Running", deleting=True)
    cluster = Cluster(make_node(), held, asking("p", "1"))
    cluster.turn()
    assert cluster.where()["p"] is None
    cluster.pods["q"] = asking("q", "4", nodeName="n1", phase="Failed", deleting=True)
    cluster.turn()
    assert cluster.where()["p"] == "n1"


def test_binds_are_limited() -> None:
    pods = [make_pod(f"p{i:03}") for i in range(501)]
    cluster = Cluster(make_node(pods="1000"), *pods)
    decision = cluster.turn()
    assert decision is not None
    assert (len(decision.stages[0].writes), decision.wake_at) == (500, START)
    cluster.turn()
    assert None not in cluster.where().values()


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 2)), max_size=12),
    st.lists(st.integers(500, 4000), min_size=1, max_size=3),
)
def test_never_more_than_there_is(asks: list[tuple[int, int]], sizes: list[int]) -> None:
    nodes = [make_node(f"n{i}", cpu=f"{size}m") for i, size in enumerate(sizes)]
    pods = [
        asking(f"p{i:02}", f"{cpu}m", priority=priority) for i, (cpu, priority) in enumerate(asks)
    ]
    cluster = Cluster(*nodes, *pods)
    cluster.turn()
    free = dict(zip([f"n{i}" for i in range(len(sizes))], sizes, strict=True))
    left: list[int] = []
    for (cpu, _), node in zip(asks, cluster.where().values(), strict=True):
        if node is None:
            left.append(cpu)
        else:
            free[node] -= cpu
    assert min(free.values()) >= 0
    assert all(cpu > max(free.values()) for cpu in left), "what fits is bound"
    cluster.turn()
    decision = cluster.turn()
    assert decision is None or not decision.stages


# ----- scores


def test_spreads_and_breaks_ties_by_name() -> None:
    pods = [asking(f"p{i}", "1", after=i) for i in range(4)]
    cluster = Cluster(make_node("b"), make_node("a"), *pods)
    cluster.turn()
    assert list(cluster.where().values()) == ["a", "b", "a", "b"]


def test_avoids_soft_taints() -> None:
    soft = [m.Taint(key="k", effect="PreferNoSchedule")]
    cluster = Cluster(make_node("a", taints=soft), make_node("b", cpu="2"), asking("p", "1"))
    cluster.turn()
    assert cluster.where() == {"p": "b"}


def test_follows_preferred_affinity() -> None:
    term = m.NodeSelectorTerm(matchExpressions=[m.NodeSelectorRequirement("disk", "In", ["ssd"])])
    wish = m.NodeAffinity(
        preferredDuringSchedulingIgnoredDuringExecution=[m.PreferredSchedulingTerm(term, 1)]
    )
    pod = asking("p", "1", affinity=m.Affinity(nodeAffinity=wish))
    cluster = Cluster(make_node("a"), make_node("b", cpu="3", labels={"disk": "ssd"}), pod)
    cluster.turn()
    assert cluster.where() == {"p": "b"}


def test_score_numbers() -> None:
    pod = read_pod(make_pod("p", containers=[container(cpu="1", memory="2Gi")]))
    room = Room(read_node(make_node(), []))
    assert scores.least_allocated(pod, room) == 75
    assert scores.balanced(pod, room) == 100
    lopsided = read_pod(make_pod("p", containers=[container(cpu="4")]))
    assert scores.balanced(lopsided, room) == 50
    odd = Room(read_node(make_node(cpu="0", memory="0"), []))
    assert (scores.least_allocated(pod, odd), scores.balanced(pod, odd)) == (0, 100)
    bare = read_pod(make_pod("p"))
    assert scores.least_allocated(bare, room) == 97


# ----- which events matter


def test_pod_events() -> None:
    waits, bound = make_pod("p"), make_pod("p", nodeName="n1")
    told = make_pod("p", conditions=[m.PodCondition(type="PodScheduled", status="False")])
    done = make_pod("p", nodeName="n1", phase="Succeeded")
    gated = make_pod("p", schedulingGates=[m.PodSchedulingGate(name="x")])
    for old, new, matters in [
        (None, waits, True),
        (waits, told, False),
        (gated, waits, True),
        (waits, asking("p", "1"), True),
        (waits, bound, False),
        (waits, None, True),  # a turn may have held room for it that others could use
        (bound, done, True),
        (bound, None, True),
        (done, None, False),
        (None, bound, False),
    ]:
        assert list(pod_keys(old, new)) == ([KEY] if matters else [])


def test_node_events() -> None:
    node = make_node()
    beat = make_node()
    assert beat.status is not None
    beat.status.conditions = [m.NodeCondition(type="Ready", status="True")]
    assert list(node_keys(None, node)) == [KEY]
    assert list(node_keys(node, beat)) == []
    assert list(node_keys(node, make_node(cpu="9"))) == [KEY]
    assert list(node_keys(node, make_node(labels={"a": "b"}))) == [KEY]
    assert list(node_keys(node, make_node(unschedulable=True))) == [KEY]
    assert list(node_keys(node, None)) == [KEY]


@pytest.mark.parametrize(("generation", "observed"), [(3, 3), (None, None)])
def test_the_condition_tells_which_generation_it_is_about(
    generation: int | None, observed: int | None
) -> None:
    pod = asking("p", "5")
    assert pod.metadata is not None
    pod = replace(pod, metadata=replace(pod.metadata, generation=generation))
    decision = Cluster(make_node(), pod).turn()
    assert decision is not None
    [patch] = decision.stages[0].writes
    assert isinstance(patch, Patch)
    [condition] = patch.patch["status"]["conditions"]
    assert condition.get("observedGeneration") == observed
