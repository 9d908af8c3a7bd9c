"""A budget's status says how many pods are healthy, and how many of them may go.

pkg/controller/disruption/disruption.go: trySync and updatePdbStatus.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from kubatch.api import budgets
from kubatch.api import models as m
from kubatch.api.conditions import find, replaced
from kubatch.api.resource import PODDISRUPTIONBUDGETS
from kubatch.controllers.disruption.facts import BudgetFacts, Covered, is_ready
from kubatch.reconcile.decision import Decision, Emit, Note, PutStatus, Stage, stage
from kubatch.world import whole_seconds

# An eviction that was granted counts as done for so long, until its pod says so (DeletionTimeout).
GRANT = timedelta(minutes=2)
_NO_META = m.ObjectMeta()


def decide(facts: BudgetFacts, now: datetime) -> Decision:
    """Write the statuses that are out of date; each write stands for itself."""
    counted = [(one, _counted(one, now)) for one in facts.covered]
    stale = [
        PutStatus(PODDISRUPTIONBUDGETS, replace(one.budget, status=status))
        for one, status in counted
        if status != one.budget.status
    ]
    empty = frozenset(one.name for one in facts.covered if not one.pods)
    notes = [
        Emit(Note("Normal", "NoPods", "No matching pods found", about=one.budget))
        for one in facts.covered
        if one.name in empty - facts.said
    ]
    stages: list[Stage] = [stage(*some) for some in (stale, notes) if some]
    ends = [_ends(status, now) for _, status in counted]
    return Decision(
        f"{len(stale)} of {len(counted)} budgets allow otherwise now",
        tuple(stages),
        min((end for end in ends if end is not None), default=None),
        remember=empty,
    )


def _counted(one: Covered, now: datetime) -> m.PodDisruptionBudgetStatus:
    meta = one.budget.metadata or _NO_META
    spec = one.budget.spec or m.PodDisruptionBudgetSpec()
    before = one.budget.status
    granted = _granted(one, now)
    healthy = sum(_is_healthy(pod) and _name(pod) not in granted for pod in one.pods)
    desired = budgets.desired(spec, one.expected)
    allowed = max(0, healthy - desired) if one.expected else 0
    condition = m.meta_v1.Condition(
        type="DisruptionAllowed",
        status="True" if allowed else "False",
        reason="SufficientPods" if allowed else "InsufficientPods",
        message="",
        lastTransitionTime=whole_seconds(now),
        observedGeneration=meta.generation,
    )
    conditions = before.conditions if before is not None else None
    was = find(conditions, condition.type)
    if was is not None and was.status == condition.status:
        condition = replace(condition, lastTransitionTime=was.lastTransitionTime)
    return m.PodDisruptionBudgetStatus(
        currentHealthy=healthy,
        desiredHealthy=desired,
        disruptionsAllowed=allowed,
        expectedPods=one.expected,
        observedGeneration=meta.generation,
        disruptedPods=granted or None,
        conditions=replaced(conditions, condition),
    )


def _name(pod: m.Pod) -> str:
    return (pod.metadata or _NO_META).name or ""


def _is_healthy(pod: m.Pod) -> bool:
    """disruption.go: countHealthyPods."""
    return (pod.metadata or _NO_META).deletionTimestamp is None and is_ready(pod)


def _granted(one: Covered, now: datetime) -> dict[str, datetime]:
    """Evictions that were granted and have not happened yet (buildDisruptedPodMap)."""
    status = one.budget.status
    known = (status.disruptedPods if status else None) or {}
    staying = {
        _name(pod) for pod in one.pods if (pod.metadata or _NO_META).deletionTimestamp is None
    }
    return {name: since for name, since in known.items() if name in staying and since + GRANT > now}


def _ends(status: m.PodDisruptionBudgetStatus, now: datetime) -> datetime | None:
    granted = (status.disruptedPods or {}).values()
    return min(granted) + GRANT if granted else None
