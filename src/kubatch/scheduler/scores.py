"""Which of several nodes is best: emptier ones, evenly used, without taints to put up with.

The plugins and weights are the default profile's (pkg/scheduler/apis/config/v1/default_plugins.go).
"""

from __future__ import annotations

from kubatch.scheduler.facts import NodeFacts, PodFacts
from kubatch.scheduler.filters import Room, tolerates

MAX = 100
TAINT_WEIGHT = 3
AFFINITY_WEIGHT = 2
SPREAD_WEIGHT = 2
NEIGHBOURS_WEIGHT = 2
_SCORED = ("cpu", "memory")


def emptiness(pod: PodFacts, room: Room) -> int:
    """What depends on what is left of a node."""
    return least_allocated(pod, room) + balanced(pod, room)


def least_allocated(pod: PodFacts, room: Room) -> int:
    """The mean share of cpu and memory left with the pod (leastResourceScorer)."""
    scores: list[int] = []
    for name in _SCORED:
        offered = room.node.allocatable.get(name, 0)
        if offered:
            taken = room.scoring_used.get(name, 0) + pod.scoring_requests.get(name, 0)
            scores.append(max(0, offered - taken) * MAX // offered)
    return sum(scores) // len(scores) if scores else 0


def balanced(pod: PodFacts, room: Room) -> int:
    """How alike the used shares of cpu and memory are (balancedResourceScorer)."""
    shares: list[float] = []
    for name in _SCORED:
        offered = room.node.allocatable.get(name, 0)
        if offered:
            taken = room.used.get(name, 0) + pod.requests.get(name, 0)
            shares.append(min(1.0, taken / offered))
    spread = abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0.0
    return int((1 - spread) * MAX)


def intolerable(pod: PodFacts, node: NodeFacts) -> int:
    """How many PreferNoSchedule taints of a node the pod does not tolerate."""
    return sum(
        taint.effect == "PreferNoSchedule" and not tolerates(pod.spec, taint)
        for taint in node.taints
    )
