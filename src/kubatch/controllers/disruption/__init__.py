"""How many pods of a disruption budget are healthy and may go: facts.py reads, decide.py decides.

The registry counts for itself when a pod is to be evicted; the status is for people, for the
scheduler's preemption, and for whoever waits until a drain may go on.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubatch.api import models as m
from kubatch.api.resource import PODDISRUPTIONBUDGETS, PODS, REPLICASETS
from kubatch.controllers.disruption.decide import decide
from kubatch.controllers.disruption.facts import (
    BUDGETS,
    PODS_BY_NAMESPACE,
    BudgetFacts,
    is_over,
    is_ready,
    read,
)
from kubatch.reconcile.controller import Controller, Key

_NO_META = m.ObjectMeta()


def controller() -> Controller[BudgetFacts]:
    """The record for the engine: a key is a namespace."""
    return Controller(
        name="disruption-controller",
        watches={
            PODDISRUPTIONBUDGETS: _budget_keys,
            PODS: _pod_keys,
            REPLICASETS: _replicaset_keys,
        },
        read=read,
        decide=decide,
        indexes=(BUDGETS, PODS_BY_NAMESPACE),
        queue="disruption",
    )


def _budget_keys(
    _old: m.PodDisruptionBudget | None, new: m.PodDisruptionBudget | None
) -> Iterable[Key]:
    if new is not None:
        yield Key((new.metadata or _NO_META).namespace or "", "")


def _pod_keys(old: m.Pod | None, new: m.Pod | None) -> Iterable[Key]:
    """A pod that came, went, ended, or is counted otherwise now."""
    if old is None or new is None or _counted(old) != _counted(new):
        pod = new if new is not None else old
        assert pod is not None
        yield Key((pod.metadata or _NO_META).namespace or "", "")


def _counted(pod: m.Pod) -> tuple[object, ...]:
    meta = pod.metadata or _NO_META
    return (meta.labels, meta.deletionTimestamp, meta.ownerReferences, is_ready(pod), is_over(pod))


def _replicaset_keys(old: m.ReplicaSet | None, new: m.ReplicaSet | None) -> Iterable[Key]:
    if old is not None and new is not None and old.spec != new.spec:
        yield Key((new.metadata or _NO_META).namespace or "", "")
