"""Who has to go when the machine runs short, and what the node says then."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.agent.eviction import (
    CLEANUP,
    TRANSITION,
    Candidate,
    State,
    Stored,
    binary,
    decide,
    parse_threshold,
    rank,
    too_much_stored,
)
from kubatch.agent.signals import Amount
from tests.unit.agent.pods import START

MIB, GIB = 1 << 20, 1 << 30
HARD = {"memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%"}
ENOUGH = {
    "memory.available": Amount(10 * GIB, 20 * GIB),
    "nodefs.available": Amount(50 * GIB, 100 * GIB),
    "nodefs.inodesFree": Amount(500, 1000),
    "pid.available": Amount(1000, 32768),
}


def uses(uid: str, memory: int, request: int = 0, priority: int = 0) -> Candidate:
    return Candidate(
        uid, uid, priority, False,
        {"memory": {"c": request}} if request else {}, {"memory": {"c": memory}},
    )  # fmt: skip


def test_nothing_is_short() -> None:
    outcome = decide(ENOUGH, HARD, [uses("a", GIB)], State(), START)
    assert (outcome.pressure, outcome.victim, outcome.attempt) == ((), "", "")


def test_memory_is_short() -> None:
    """The message is the kubelet's, letter by letter."""
    short = {**ENOUGH, "memory.available": Amount(50 * MIB, 20 * GIB)}
    pods = [uses("small", MIB), uses("big", GIB), uses("fair", 2 * GIB, request=3 * GIB)]
    outcome = decide(short, HARD, pods, State(), START)
    assert outcome.pressure == ("MemoryPressure",)
    assert (outcome.attempt, outcome.victim) == ("memory", "big")
    assert outcome.message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container c was using 1Gi, request is 0, has larger consumption of memory. "
    )


def test_the_disk_is_short() -> None:
    short = {**ENOUGH, "nodefs.available": Amount(GIB, 100 * GIB)}
    pods = [
        Candidate("a", "a", 0, False, {}, {"ephemeral-storage": {"c": 5 * MIB}}),
        Candidate("b", "b", 0, False, {}, {"ephemeral-storage": {"c": 6 * MIB}}),
    ]
    outcome = decide(short, HARD, pods, State(), START)
    assert outcome.pressure == ("DiskPressure",)
    assert outcome.victim == "b"
    assert outcome.message.startswith(
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, "
        "available: 1Gi. Container c was using 6Mi, request is 0, "
    )


@pytest.mark.parametrize(
    ("signal", "amount", "pressure", "resource"),
    [
        ("nodefs.inodesFree", Amount(49, 1000), "DiskPressure", "inodes"),
        ("pid.available", Amount(9, 32768), "PIDPressure", "pids"),
    ],
)
def test_other_things_run_short(signal: str, amount: Amount, pressure: str, resource: str) -> None:
    hard = {**HARD, "pid.available": "10"}
    outcome = decide({**ENOUGH, signal: amount}, hard, [uses("a", 1)], State(), START)
    assert (outcome.pressure, outcome.attempt, outcome.victim) == ((pressure,), resource, "a")
    assert outcome.message.startswith(f"The node was low on resource: {resource}. ")


def test_a_signal_that_nobody_sees_or_limits_is_passed_over() -> None:
    assert decide({}, HARD, [uses("a", 1)], State(), START).pressure == ()
    assert decide({"pid.available": Amount(0, 1)}, HARD, [], State(), START).pressure == ()


def test_one_at_a_time() -> None:
    short = {**ENOUGH, "memory.available": Amount(50 * MIB, 20 * GIB)}
    pods = [uses("a", 3 * MIB), uses("b", 2 * MIB)]
    first = decide(short, HARD, pods, State(), START)
    assert first.victim == "a"
    waits = decide(short, HARD, pods, first.state, START + timedelta(seconds=10))
    assert (waits.victim, waits.attempt) == ("", "memory")
    gone = decide(short, HARD, pods[1:], waits.state, START + timedelta(seconds=20))
    assert gone.victim == "b"
    stuck = decide(short, HARD, pods, first.state, START + CLEANUP)
    assert stuck.victim == "a"


def test_pressure_passes_slowly() -> None:
    short = {**ENOUGH, "memory.available": Amount(50 * MIB, 20 * GIB)}
    state = decide(short, HARD, [], State(), START).state
    later = decide(ENOUGH, HARD, [], state, START + TRANSITION - timedelta(seconds=1))
    assert later.pressure == ("MemoryPressure",)
    assert decide(ENOUGH, HARD, [], later.state, START + TRANSITION).pressure == ()


def test_critical_pods_stay() -> None:
    short = {**ENOUGH, "memory.available": Amount(0, 20 * GIB)}
    only = Candidate("a", "a", 2_000_000_000, True, {}, {"memory": {"c": GIB}})
    outcome = decide(short, HARD, [only], State(), START)
    assert (outcome.victim, outcome.attempt) == ("", "memory")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2)), max_size=8))
def test_ranking_is_pairwise(rows: list[tuple[int, int, int]]) -> None:
    """The twin compares each two as the rules have it: over its request, priority, how much."""
    pods = [uses(f"{i:02}", used, asked, rank) for i, (used, asked, rank) in enumerate(rows)]
    ranked = rank(pods, "memory")
    assert sorted(p.uid for p in ranked) == [p.uid for p in pods]
    for first, second in pairwise(ranked):
        over = [p.used("memory") - p.requested("memory") for p in (first, second)]
        if (over[0] > 0) != (over[1] > 0):
            assert over[0] > 0
        elif first.priority != second.priority:
            assert first.priority < second.priority
        else:
            assert over[0] >= over[1]


@pytest.mark.parametrize(
    ("text", "capacity", "units"),
    [("100Mi", 5, 100 * MIB), ("10%", 200, 20), ("0%", 200, 0), ("12.5%", 200, 25)],
)
def test_thresholds(text: str, capacity: int, units: int) -> None:
    assert parse_threshold(text, capacity) == units


@pytest.mark.parametrize("text", ["101%", "-1%", "x%", "many"])
def test_no_thresholds(text: str) -> None:
    with pytest.raises(ValueError, match=r"share|convert|quantit"):
        parse_threshold(text, 100)


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (Stored(), ""),
        (Stored({"v": (MIB, "1Mi")}), ""),
        (Stored(in_memory={"v": (2 * MIB, ""), "w": (MIB, "1Mi")}), ""),
        (
            Stored(in_memory={"v": (MIB + 1, "1Mi")}),
            'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
        ),
        (Stored({}, {"c": 1}, {"c": "1Gi"}, in_memory={"v": (2 * GIB, "")}), ""),
        (
            Stored({"a": (9, ""), "v": (MIB + 1, "1Mi")}),
            'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
        ),
        (
            Stored({"v": (2 * GIB, "")}, {"c": 1}, {"c": "1Gi"}),
            "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
        ),
        (
            Stored({}, {"c": 3 * GIB, "d": 0}, {"c": "1Gi", "d": "3Gi"}),
            'Container c exceeded its local ephemeral storage limit "1Gi". ',
        ),
        (Stored({}, {"c": GIB}, {"c": "1Gi"}), ""),
    ],
)
def test_what_is_stored(stored: Stored, why: str) -> None:
    assert too_much_stored(stored) == why


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (5, "5"), (1024, "1Ki"), (1025, "1025"), (50 * MIB, "50Mi"), (GIB, "1Gi")],
)
def test_numbers_of_bytes(amount: int, text: str) -> None:
    assert binary(amount) == text
