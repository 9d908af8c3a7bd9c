from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import models as m
from kubatch.reconcile.decision import Delete, Patch
from kubatch.scheduler import controller, preemption
from kubatch.scheduler.facts import KEY
from tests.unit.scheduler.cluster import START, Cluster, container, make_node, make_pod

NO_VICTIMS = "1 No preemption victims found for incoming pod."
TAKEN = "0/1 nodes are available: 1 Insufficient cpu."


def asking(name: str, cpu: str, priority: int = 0, **how: Any) -> m.Pod:
    return make_pod(name, containers=[container(cpu=cpu)], priority=priority, **how)


def running(name: str, cpu: str, priority: int = 0, where: str = "n1", **how: Any) -> m.Pod:
    return asking(name, cpu, priority, nodeName=where, phase="Running", **how)


def budget(allowed: int, **labels: str) -> m.PodDisruptionBudget:
    return m.PodDisruptionBudget(
        metadata=m.ObjectMeta(name="b", namespace="ns"),
        spec=m.PodDisruptionBudgetSpec(selector=m.LabelSelector(matchLabels=labels)),
        status=m.PodDisruptionBudgetStatus(
            disruptionsAllowed=allowed, currentHealthy=1, desiredHealthy=1, expectedPods=1
        ),
    )


def victims(cluster: Cluster) -> list[str]:
    return sorted(
        name
        for name, pod in cluster.pods.items()
        if pod.metadata and pod.metadata.deletionTimestamp is not None
    )


def test_the_whole_story() -> None:
    cluster = Cluster(make_node(), running("low", "4"), asking("vip", "3", 10))
    decision = cluster.turn()
    assert decision is not None
    assert decision.because == f"1 pod fits no node: {TAKEN}; asks others to go for 1"
    assert (cluster.message("vip"), cluster.nominated("vip")) == (TAKEN, "n1")
    assert cluster.events == [
        ("Warning", "FailedScheduling", TAKEN),
        ("Normal", "Preempted", "Preempted by pod uid-vip on node n1"),
    ]
    tell, _, mark, ask = decision.stages
    assert isinstance(tell.writes[0], Patch)
    assert tell.writes[0].patch["status"]["nominatedNodeName"] == "n1"
    [patch], [delete] = mark.writes, ask.writes
    assert isinstance(patch, Patch)
    assert isinstance(delete, Delete)
    assert patch.patch["metadata"] == {"uid": "uid-low"}
    [condition] = patch.patch["status"]["conditions"]
    assert condition == {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": "default-scheduler: preempting to accommodate a higher priority pod",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-03-01T10:00:00Z",
    }
    assert (delete.grace_period_seconds, delete.uid) == (None, "uid-low")
    again = cluster.turn()
    assert again is not None
    assert again.stages == (), "it waits for the victim's end and says nothing"
    assert "not eligible due to a terminating pod on the nominated node." in again.because
    cluster.end("low")
    cluster.turn()
    assert cluster.where() == {"vip": "n1"}


def test_policy_never_waits() -> None:
    pod = asking("vip", "3", 10, preemptionPolicy="Never")
    cluster = Cluster(make_node(), running("low", "4"), pod)
    cluster.turn()
    assert victims(cluster) == []
    assert (cluster.message("vip") or "").endswith(preemption.NEVER)


@pytest.mark.parametrize(
    ("cpu", "priority", "ending"),
    [
        ("3", 0, NO_VICTIMS),  # nobody is less important
        ("5", 10, "1 Preemption is not helpful for scheduling."),  # larger than the node
        ("4", 5, "1 Insufficient cpu."),  # one that is as important stays
    ],
)
def test_no_help(cpu: str, priority: int, ending: str) -> None:
    cluster = Cluster(
        make_node(), running("low", "3"), running("mid", "1", 5), asking("p", cpu, priority)
    )
    cluster.turn()
    assert victims(cluster) == []
    assert cluster.message("p") == (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: "
        f"0/1 nodes are available: {ending}"
    )


def test_as_few_as_possible_and_the_least_important() -> None:
    cluster = Cluster(
        make_node(),
        running("a", "1", 3),
        running("b", "1", 1),
        running("c", "1", 2),
        running("d", "1", 1, started=5),
        asking("vip", "2", 10),
    )
    cluster.turn()
    assert victims(cluster) == ["b", "d"]


def test_of_equals_those_that_ran_longer_stay() -> None:
    pods = [running("a", "2", started=9), running("b", "2", started=1)]
    cluster = Cluster(make_node(), *pods, asking("vip", "1", 10))
    cluster.turn()
    assert victims(cluster) == ["a"]


def test_budgets_are_respected_where_possible() -> None:
    pods = [
        running("guarded", "2", 0, labels={"app": "g"}),
        running("free", "2", 1, labels={"app": "f"}),
    ]
    cluster = Cluster(make_node(), *pods, asking("vip", "2", 10))
    cluster.budgets = [budget(0, app="g")]
    cluster.turn()
    assert victims(cluster) == ["free"], "though it is more important"
    cluster = Cluster(make_node(), *pods, asking("vip", "4", 10))
    cluster.budgets = [budget(0, app="g")]
    cluster.turn()
    assert victims(cluster) == ["free", "guarded"], "where there is no other way"


@pytest.mark.parametrize(
    ("first", "second", "where"),
    [
        ([("a", "4", 5)], [("b", "4", 1)], "n2"),  # the less important
        ([("a", "2", 1), ("b", "2", 1)], [("c", "4", 1)], "n2"),  # the fewer
        ([("a", "2", 2), ("b", "2", 2)], [("c", "2", 2), ("d", "2", 1)], "n2"),  # the smaller sum
        ([("a", "4", 1)], [("b", "4", 1)], "n1"),  # the first by name
    ],
)
def test_least_harm(
    first: list[tuple[str, str, int]], second: list[tuple[str, str, int]], where: str
) -> None:
    pods = [running(name, cpu, p, "n1", started=0) for name, cpu, p in first]
    pods += [running(name, cpu, p, "n2", started=0) for name, cpu, p in second]
    cluster = Cluster(make_node("n1"), make_node("n2"), *pods, asking("vip", "4", 10))
    cluster.turn()
    assert cluster.nominated("vip") == where


def test_rather_those_that_started_last() -> None:
    cluster = Cluster(
        make_node("n1"),
        make_node("n2"),
        running("a", "4", started=1),
        running("b", "4", where="n2", started=9),
        asking("vip", "4", 10),
    )
    cluster.turn()
    assert victims(cluster) == ["b"]


def test_room_is_kept_for_the_nominated() -> None:
    cluster = Cluster(make_node(), running("low", "3"), asking("vip", "4", 10))
    cluster.turn()
    cluster.pods["late"] = asking("late", "1", 5, after=9)
    cluster.pods["other"] = asking("other", "1", 20, after=10)
    cluster.turn()
    where = cluster.where()
    assert (where["vip"], where["late"], where["other"]) == (None, None, "n1"), "the greater may"


def test_the_outdone_lose_their_nomination() -> None:
    cluster = Cluster(
        make_node(),
        running("low", "4"),
        asking("mid", "4", 5),
    )
    cluster.turn()
    assert cluster.nominated("mid") == "n1"
    cluster.pods["vip"] = asking("vip", "4", 10)
    cluster.turn()
    assert cluster.nominated("vip") == "n1"
    assert cluster.nominated("mid") is None


def test_two_at_once_ask_for_different_victims() -> None:
    pods = [running(f"low{i}", "1", started=i) for i in range(4)]
    cluster = Cluster(make_node(), *pods, asking("v1", "1", 10), asking("v2", "1", 9))
    cluster.turn()
    assert victims(cluster) == ["low2", "low3"]
    for name in victims(cluster):
        cluster.end(name)
    cluster.turn()
    assert {cluster.where()["v1"], cluster.where()["v2"]} == {"n1"}


def test_few_preemptions_in_one_turn() -> None:
    pods = [running(f"low{i:02}", "100m", started=i) for i in range(20)]
    vips = [asking(f"v{i:02}", "100m", 10) for i in range(20)]
    cluster = Cluster(make_node(cpu="2"), *pods, *vips)
    decision = cluster.turn()
    assert decision is not None
    assert decision.wake_at == START
    assert len(victims(cluster)) == 16
    cluster.turn()
    assert len(victims(cluster)) == 20


def test_anti_affinity_is_a_reason_to_preempt() -> None:
    host = "kubernetes.io/hostname"
    term = m.core_v1.PodAffinityTerm(
        topologyKey=host, labelSelector=m.LabelSelector(matchLabels={"app": "a"})
    )
    away = m.core_v1.PodAntiAffinity(requiredDuringSchedulingIgnoredDuringExecution=[term])
    cluster = Cluster(
        make_node("n1", labels={host: "n1"}),
        running("a", "1", labels={"app": "a"}),
        running("b", "1", labels={"app": "b"}),
        asking("vip", "1", 10, affinity=m.Affinity(podAntiAffinity=away)),
    )
    cluster.turn()
    assert victims(cluster) == ["a"]


# ----- the twin

Small = tuple[int, int, bool]  # cpu, priority, guarded


def fits(there: Sequence[Small], cpu: int, size: int) -> bool:
    return sum(one[0] for one in there) + cpu <= size


def who_goes(there: list[Small], cpu: int, priority: int, size: int, allowed: int) -> list[int]:
    """The indexes of those that go, by the letter of the rule; [-1] when it would not help."""
    kept = [i for i, one in enumerate(there) if one[1] >= priority]
    lesser = [i for i in range(len(there)) if i not in kept]
    if not lesser or not fits([there[i] for i in kept], cpu, size):
        return [-1]
    lesser.sort(key=lambda i: (-there[i][1], i))
    guarded = [i for i in lesser if there[i][2]]
    breaking = guarded[allowed:]
    gone = []
    for i in [*breaking, *(i for i in lesser if i not in breaking)]:
        if fits([there[k] for k in [*kept, i]], cpu, size):
            kept.append(i)
        else:
            gone.append(i)
    return sorted(gone)


smalls = st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans())


@given(st.lists(smalls, max_size=5), st.integers(0, 6), st.integers(0, 4), st.integers(0, 2))
def test_twin(there: list[Small], cpu: int, priority: int, allowed: int) -> None:
    size = max(4, sum(one[0] for one in there))
    pods = [
        running(f"o{i}", str(c), p, started=i, labels={"guarded": str(guarded)})
        for i, (c, p, guarded) in enumerate(there)
    ]
    cluster = Cluster(make_node(cpu=str(size)), *pods, asking("p", str(cpu), priority))
    cluster.budgets = [budget(allowed, guarded="True")]
    cluster.turn()
    if fits(there, cpu, size):
        assert cluster.where()["p"] == "n1"
        return
    expected = who_goes(there, cpu, priority, size, allowed)
    gone = [int(name[1:]) for name in victims(cluster)]
    assert gone == ([] if expected == [-1] else expected)
    assert cluster.nominated("p") == ("n1" if gone else None)


def test_who_does_not_want_a_pod_goes_for_it() -> None:
    host = "kubernetes.io/hostname"
    term = m.core_v1.PodAffinityTerm(
        topologyKey=host, labelSelector=m.LabelSelector(matchLabels={"app": "vip"})
    )
    away = m.core_v1.PodAntiAffinity(requiredDuringSchedulingIgnoredDuringExecution=[term])
    hates: dict[str, Any] = {"affinity": m.Affinity(podAntiAffinity=away)}
    cluster = Cluster(
        make_node("n1", labels={host: "n1"}),
        make_node("n2", labels={host: "n2"}),
        running("a", "1", **hates),
        running("b", "1", where="n2", **hates),
        running("c", "1", 10, where="n2", **hates),
        asking("vip", "1", 10, labels={"app": "vip"}),
    )
    cluster.budgets = [budget(0), budget(0, app="x")]
    cluster.turn()
    assert (victims(cluster), cluster.nominated("vip")) == (["a"], "n1")


def test_a_node_that_needs_no_victims_is_best() -> None:
    harmless = preemption.Candidate(1, (), 0)
    cluster = Cluster(make_node(), running("low", "4"), asking("vip", "3", 10))
    facts = controller().read(cluster, KEY, None)
    assert facts is not None
    [victim] = facts.nodes[0].occupants
    assert preemption.pick([preemption.Candidate(0, (victim,), 0), harmless]) is harmless
