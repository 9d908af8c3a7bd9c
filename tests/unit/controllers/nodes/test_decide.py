"""Conditions and taints, nodes that fall silent, and their pods."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import models as m
from kubatch.controllers.nodes.facts import Fleet, read
from kubatch.controllers.nodes.tainting import drives_away
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Emit, PutStatus
from tests.unit.controllers.nodes.cases import NOW, after, lease, look, node, ready_pod, shown
from tests.unit.controllers.static_view import StaticView

REGISTERED = "Normal RegisteredNode"
READY = {"Ready": "True"}


@pytest.mark.parametrize(
    ("conditions", "taints", "unschedulable", "expected"),
    [
        ({}, ["not-ready:NoSchedule"], False, None),
        (READY, [], False, None),
        (READY, ["not-ready:NoSchedule"], False, ""),
        (READY, ["not-ready:NoSchedule", "mine:NoSchedule"], False, "mine:NoSchedule"),
        (READY, ["not-ready:NoExecute"], False, ""),
        (READY, ["mine:NoExecute"], False, None),
        ({"Ready": "False"}, [], False, "not-ready:NoSchedule"),
        ({"Ready": "Unknown"}, ["not-ready:NoSchedule"], False, "unreachable:NoSchedule"),
        (READY, [], True, "unschedulable:NoSchedule"),
        ({**READY, "DiskPressure": "True"}, [], False, "disk-pressure:NoSchedule"),
        ({**READY, "MemoryPressure": "True"}, [], False, "memory-pressure:NoSchedule"),
        ({**READY, "NetworkUnavailable": "True"}, [], False, "network-unavailable:NoSchedule"),
        ({**READY, "PIDPressure": "Unknown"}, [], False, None),
    ],
)
def test_taints_follow_conditions(
    conditions: dict[str, str], taints: list[str], unschedulable: bool, expected: str | None
) -> None:
    decision = look(NOW, node("n", conditions, taints, unschedulable=unschedulable))
    lines = [] if expected is None else [f"taints {expected}".strip()]
    assert shown(decision) == [REGISTERED, *lines]


@pytest.mark.parametrize(
    ("ready", "others", "taints", "expected"),
    [
        ("Unknown", ["True"], [], "unreachable:NoSchedule unreachable:NoExecute"),
        ("False", ["True"], [], "not-ready:NoSchedule not-ready:NoExecute"),
        (
            "Unknown",
            ["True"],
            ["not-ready:NoSchedule", "not-ready:NoExecute"],
            "unreachable:NoSchedule unreachable:NoExecute",
        ),
        # With no node ready nothing is driven away, and what was goes back.
        ("Unknown", [], [], "unreachable:NoSchedule"),
        ("Unknown", ["False", "Unknown"], [], "unreachable:NoSchedule"),
        ("Unknown", ["False"], ["unreachable:NoExecute"], "unreachable:NoSchedule"),
        # In an outage of most of them no taint is added and none taken back.
        ("Unknown", ["False", "False", "True"], [], "unreachable:NoSchedule"),
        (
            "Unknown",
            ["False", "False", "True"],
            ["unreachable:NoExecute"],
            "unreachable:NoExecute unreachable:NoSchedule",
        ),
    ],
)
def test_pods_are_driven_away_while_other_nodes_are_ready(
    ready: str, others: list[str], taints: list[str], expected: str
) -> None:
    fleet = [node(f"other{i}", {"Ready": status}) for i, status in enumerate(others)]
    decision = look(NOW, node("n", {"Ready": ready}, taints), *fleet)
    assert shown(decision) == [REGISTERED, f"taints {expected}"]
    assert decision.wake_at == after(10)


@pytest.mark.parametrize(
    ("nodes", "not_ready", "expected"),
    [(1, 1, False), (2, 1, True), (3, 2, True), (5, 3, False), (6, 3, True), (100, 55, False)],
)
def test_an_outage_is_not_a_dead_node(nodes: int, not_ready: int, expected: bool) -> None:
    assert drives_away(Fleet(nodes, not_ready)) is expected


def test_new_taints_have_a_time_and_old_ones_keep_theirs() -> None:
    down = node("n", {"Ready": "Unknown"}, ["unreachable:NoSchedule"])
    decision = look(NOW, down, node("other", READY))
    writes: list[Any] = [w for s in decision.stages for w in s.writes]
    old, new = writes[1].patch["spec"]["taints"]
    assert "timeAdded" not in old
    assert new["timeAdded"].startswith("2026-01-01T00:00:00")


# ----- silence


def conditions(decision: Any) -> dict[str, m.NodeCondition]:
    [write] = [w for s in decision.stages for w in s.writes if isinstance(w, PutStatus)]
    return {c.type: c for c in write.obj.status.conditions}


def test_a_node_that_falls_silent() -> None:
    quiet = node("n", {**READY, "MemoryPressure": "False"})
    first = look(NOW, quiet, lease(NOW))
    assert shown(first) == [REGISTERED]
    assert first.wake_at == after(50.001)
    in_time = look(after(50), quiet, lease(NOW), remembered=first.remember)
    assert shown(in_time) == []
    late = look(after(50.001), quiet, lease(NOW), remembered=first.remember)
    assert shown(late) == [
        "status Ready=Unknown MemoryPressure=Unknown DiskPressure=Unknown PIDPressure=Unknown",
        "Normal NodeNotReady",
    ]
    found = conditions(late)
    assert (found["Ready"].reason, found["Ready"].message) == (
        "NodeStatusUnknown",
        "Kubelet stopped posting node status.",
    )
    assert (found["DiskPressure"].reason, found["DiskPressure"].message) == (
        "NodeStatusNeverUpdated",
        "Kubelet never posted node status.",
    )
    assert found["Ready"].lastHeartbeatTime == NOW
    assert found["Ready"].lastTransitionTime == after(50)


def test_a_node_that_never_reported_gets_longer() -> None:
    first = look(NOW, node("n"))
    assert first.wake_at == after(60.001)
    late = look(after(60.001), node("n"), remembered=first.remember)
    assert [line.partition(" ")[0] for line in shown(late)] == ["status"]
    assert conditions(late)["Ready"].reason == "NodeStatusNeverUpdated"
    # Found long after it was made: it had its time already.
    assert conditions(look(after(61), node("n")))["Ready"].status == "Unknown"


@pytest.mark.parametrize("what", ["lease", "heartbeat"])
def test_either_sign_of_life_counts(what: str) -> None:
    first = look(NOW, node("n", READY), lease(NOW))
    alive = node("n", READY)
    assert alive.status is not None
    if what == "heartbeat":
        assert alive.status.conditions
        alive.status.conditions[0].lastHeartbeatTime = after(-1000)
    # Their clock is wrong by an hour: only that it moves on matters.
    renewed = lease(after(3600)) if what == "lease" else lease(NOW)
    second = look(after(40), alive, renewed, remembered=first.remember)
    assert second.wake_at == after(90.001)
    assert shown(look(after(90), alive, renewed, remembered=second.remember)) == []


def test_a_lease_that_goes_back_is_no_sign_of_life() -> None:
    first = look(NOW, node("n", READY), lease(NOW))
    second = look(after(40), node("n", READY), lease(after(-5)), remembered=first.remember)
    assert second.wake_at == after(50.001)


def test_whoever_slept_may_not_complain_of_silence() -> None:
    """The machine was suspended for an hour: the nodes get their time from now on."""
    first = look(NOW, node("n", READY), lease(NOW))
    late = look(after(3600), node("n", READY), lease(NOW), remembered=first.remember)
    assert shown(late) == []
    assert late.wake_at == after(3650.001)


def test_silence_is_said_once() -> None:
    known = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]
    down = node("n", dict.fromkeys(known, "Unknown"), ["unreachable:NoSchedule"])
    first = look(NOW, down, lease(NOW))
    late = look(after(50.5), down, lease(NOW), remembered=first.remember)
    assert shown(late) == []
    assert late.wake_at == after(60.5)


# ----- pods, coming and going


def test_pods_of_a_node_that_is_not_ready_are_shown_as_not_ready_once() -> None:
    down = node("n", {"Ready": "Unknown"}, ["unreachable:NoSchedule"])
    pods = [ready_pod("a"), ready_pod("b", "other")]
    first = look(NOW, down, *pods)
    assert shown(first) == [REGISTERED, "a Ready=False", "Warning NodeNotReady a"]
    # Its agent, if it is alive after all, may say otherwise; that is not answered.
    again = look(after(5), down, *pods, ready_pod("c"), remembered=first.remember)
    assert shown(again) == ["c Ready=False", "Warning NodeNotReady c"]
    back = look(after(6), node("n", READY), *pods, remembered=again.remember)
    assert shown(back) == []
    assert back.remember.marked == frozenset()


def test_a_node_comes_and_goes() -> None:
    first = look(NOW, node("n", READY))
    gone = look(after(1), remembered=first.remember)
    [write] = gone.stages[0].writes
    assert isinstance(write, Emit)
    assert write.note.message == "Node n event: Removing Node n from Controller"
    assert gone.subject == node("n", READY)
    assert gone.remember is None
    assert read(StaticView(), Key("", "n"), None) is None
    # A namesake is another node.
    fresh = look(after(2), node("n", READY, uid="another"), remembered=first.remember)
    assert shown(fresh) == [REGISTERED]
