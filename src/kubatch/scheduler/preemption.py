"""Which pods have to go for a more important one (plugins/defaultpreemption)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubatch.scheduler.budgets import Budget, split
from kubatch.scheduler.filters import Refusal, Room
from kubatch.scheduler.occupants import Occupant

NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NEVER = "not eligible due to preemptionPolicy=Never."
_MOST_NEGATIVE = 1 << 31

# Whether the pod would fit a node with this room, on which these pods are.
Fits = Callable[[Room, Sequence[Occupant]], Refusal | None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node, and who would have to go there."""

    index: int
    victims: tuple[Occupant, ...]  # the most important first
    violations: int  # budgets broken


def dry_run(
    priority: int,
    index: int,
    room: Room,
    pods: Sequence[Occupant],
    budgets: Sequence[Budget],
    fits: Fits,
) -> Candidate | tuple[str, ...]:
    """Who would have to go from a node, or why that would not help (SelectVictimsOnNode).

    All that are less important go; then as many as possible come back, those first whose end would
    break a budget, and the more important before the others.
    """
    lesser = [pod for pod in pods if pod.priority < priority]
    if not lesser:
        return (NO_VICTIMS,)
    room = room.copy()
    for pod in lesser:
        room.release(pod)
    kept = [pod for pod in pods if pod.priority >= priority]
    refusal = fits(room, kept)
    if refusal is not None:
        return refusal.reasons
    lesser.sort(key=importance)
    breaking, harmless = split(lesser, budgets)
    victims: list[Occupant] = []
    violations = 0
    for number, pod in enumerate((*breaking, *harmless)):
        room.hold(pod)
        kept.append(pod)
        if fits(room, kept) is not None:
            room.release(pod)
            kept.pop()
            victims.append(pod)
            violations += number < len(breaking)
    return Candidate(index, tuple(sorted(victims, key=importance)), violations)


def importance(pod: Occupant) -> tuple[int, float, str, str]:
    """Sorts the more important first; of equals those that have run longer (MoreImportantPod)."""
    return (-pod.priority, pod.started, pod.namespace, pod.name)


def pick(candidates: Sequence[Candidate]) -> Candidate:
    """The least harm (pickOneNodeForPreemption); of equals the first node."""
    return min(candidates, key=_harm)


def _harm(one: Candidate) -> tuple[int, int, int, int, float, int]:
    if not one.victims:
        return (one.violations, -_MOST_NEGATIVE, 0, 0, 0.0, one.index)
    top = one.victims[0].priority
    earliest = min(pod.started for pod in one.victims if pod.priority == top)
    return (
        one.violations,
        top,
        sum(pod.priority + _MOST_NEGATIVE for pod in one.victims),
        len(one.victims),
        -earliest,
        one.index,
    )
