"""What the rules look at: the budgets of a namespace, and the pods that each covers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubatch.api import budgets
from kubatch.api import models as m
from kubatch.api.conditions import is_true
from kubatch.api.owners import controller_of
from kubatch.api.resource import PODDISRUPTIONBUDGETS, PODS, REPLICASETS
from kubatch.api.selectors import from_selector
from kubatch.reconcile.controller import Index, Key, View

_NO_META = m.ObjectMeta()


@dataclass(frozen=True, slots=True)
class Covered:
    """A budget, and what it covers."""

    budget: m.PodDisruptionBudget
    name: str
    # Those that have not ended.
    pods: tuple[m.Pod, ...]
    expected: int  # how many pods there should be


@dataclass(frozen=True, slots=True)
class BudgetFacts:
    """A namespace with budgets."""

    covered: tuple[Covered, ...]  # by name
    said: frozenset[str]  # budgets of which the last turn told that they cover nothing


def is_over(pod: m.Pod) -> bool:
    """Whether a pod has ended."""
    return pod.status is not None and pod.status.phase in ("Succeeded", "Failed")


def is_ready(pod: m.Pod) -> bool:
    """Whether a pod says that it is ready."""
    return is_true(pod.status.conditions if pod.status else None, "Ready")


def _namespace(obj: m.Pod | m.PodDisruptionBudget) -> Iterable[str]:
    return ((obj.metadata or _NO_META).namespace or "",)


def _not_over(pod: m.Pod) -> Iterable[str]:
    return () if is_over(pod) else _namespace(pod)


BUDGETS = Index("budgets", PODDISRUPTIONBUDGETS, _namespace)
PODS_BY_NAMESPACE = Index("pods-not-over", PODS, _not_over)


def read(view: View, key: Key, remembered: object) -> BudgetFacts | None:
    """The facts about a namespace; None at once where there is no budget."""
    found = view.indexed(BUDGETS, key.namespace)
    if not found:
        return None
    pods = view.indexed(PODS_BY_NAMESPACE, key.namespace)
    said = remembered if isinstance(remembered, frozenset) else frozenset()
    return BudgetFacts(tuple(_cover(view, budget, pods) for budget in found), said)


def _cover(view: View, budget: m.PodDisruptionBudget, pods: Sequence[m.Pod]) -> Covered:
    selector = from_selector(budget.spec.selector if budget.spec else None)
    mine = tuple(pod for pod in pods if selector.matches((pod.metadata or _NO_META).labels))
    meta = budget.metadata or _NO_META
    replicas = _replicas(view, meta.namespace or "", mine)
    spec = budget.spec or m.PodDisruptionBudgetSpec()
    return Covered(budget, meta.name or "", mine, budgets.expected(spec, mine, replicas))


def _replicas(view: View, namespace: str, pods: Sequence[m.Pod]) -> dict[str, int]:
    """What the ReplicaSets of these pods want, by uid."""
    out: dict[str, int] = {}
    for pod in pods:
        owner = controller_of(pod.metadata)
        if owner is not None and owner.kind == REPLICASETS.kind and owner.uid not in out:
            found = view.get(REPLICASETS, namespace, owner.name)
            if found is not None and (found.metadata or _NO_META).uid == owner.uid:
                out[owner.uid] = (found.spec.replicas if found.spec else None) or 0
    return out
