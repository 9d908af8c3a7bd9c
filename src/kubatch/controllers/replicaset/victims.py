"""Which pods go first when there are too many (controller_utils.go: ActivePodsWithRanks.Less)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cmp_to_key

from kubatch.controllers.replicaset.facts import PodFacts

_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def choose(pods: Sequence[PodFacts], count: int, now: datetime) -> list[PodFacts]:
    """The pods to delete."""
    if count >= len(pods):
        return list(pods)
    crowd = Counter(pod.node for pod in pods)

    def compare(one: PodFacts, other: PodFacts) -> int:
        """Negative when `one` goes before `other`: the first difference decides."""
        simple = _sooner(_coarse(one, crowd), _coarse(other, crowd))
        if simple:
            return simple
        if one.ready and other.ready and one.ready_since != other.ready_since:
            return _younger(one.ready_since, other.ready_since, now) or _by_uid(one, other)
        if one.restarts != other.restarts:
            return other.restarts - one.restarts
        if one.created != other.created:
            return _younger(one.created, other.created, now) or _by_uid(one, other)
        return _by_uid(one, other)

    return sorted(pods, key=cmp_to_key(compare))[:count]


def _coarse(pod: PodFacts, crowd: Counter[str]) -> tuple[int, ...]:
    """Unassigned, not running, not ready, cheap, and on a crowded node: smaller goes first."""
    return (bool(pod.node), _PHASES.get(pod.phase, 2), pod.ready, pod.cost, -crowd[pod.node])


def _sooner(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return (one > other) - (one < other)


def _younger(one: datetime | None, other: datetime | None, now: datetime) -> int:
    """Ages are compared by their order of magnitude, so that chance spreads the loss."""
    if one is None or other is None:
        return (one is not None) - (other is not None)  # no time at all counts as latest
    return _magnitude(one, now) - _magnitude(other, now)


def _magnitude(moment: datetime, now: datetime) -> int:
    nanoseconds = (now - moment).total_seconds() * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds > 0 else -1


def _by_uid(one: PodFacts, other: PodFacts) -> int:
    return (one.uid > other.uid) - (one.uid < other.uid)
