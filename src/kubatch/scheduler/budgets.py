"""Disruption budgets as preemption sees them: rather other victims than those they protect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubatch.api import models as m
from kubatch.api.selectors import LabelRequirements, from_selector
from kubatch.scheduler.occupants import Occupant

_NO_META = m.ObjectMeta()


@dataclass(frozen=True, slots=True)
class Budget:
    """What a budget allows, by the status that its controller wrote."""

    namespace: str
    selector: LabelRequirements
    allowed: int
    disrupted: frozenset[str]  # pods whose end is counted already


def read_budget(budget: m.PodDisruptionBudget) -> Budget:
    """The facts about a budget."""
    meta, status = budget.metadata or _NO_META, budget.status
    return Budget(
        meta.namespace or "",
        from_selector(budget.spec.selector if budget.spec else None),
        (status.disruptionsAllowed if status else None) or 0,
        frozenset((status.disruptedPods if status else None) or ()),
    )


def split(
    pods: Sequence[Occupant], budgets: Sequence[Budget]
) -> tuple[list[Occupant], list[Occupant]]:
    """Those whose end would break a budget, and the others (filterPodsWithPDBViolation)."""
    left = [budget.allowed for budget in budgets]
    breaking: list[Occupant] = []
    harmless: list[Occupant] = []
    for pod in pods:
        broken = False
        for i, budget in enumerate(budgets):
            if _covers(budget, pod) and pod.name not in budget.disrupted:
                left[i] -= 1
                broken = broken or left[i] < 0
        (breaking if broken else harmless).append(pod)
    return breaking, harmless


def _covers(budget: Budget, pod: Occupant) -> bool:
    """An empty selector covers nothing, nor is a pod without labels covered."""
    if budget.namespace != pod.namespace or not pod.labels or budget.selector.empty:
        return False
    return budget.selector.matches(pod.labels)
