"""Which pod goes to which node. Pure: one more record for the engine."""

from __future__ import annotations

from kubatch.api.resource import NODES, PODS
from kubatch.reconcile.controller import Controller
from kubatch.scheduler.decide import decide
from kubatch.scheduler.facts import (
    PODS_BY_NODE,
    SCHEDULER_NAME,
    WAITING_PODS,
    SchedulerFacts,
    node_keys,
    pod_keys,
    read,
)


def controller() -> Controller[SchedulerFacts]:
    """The record for the engine."""
    return Controller(
        name=SCHEDULER_NAME,
        watches={PODS: pod_keys, NODES: node_keys},
        read=read,
        decide=decide,
        indexes=(WAITING_PODS, PODS_BY_NODE),
        workers=1,
        events_v1=True,
    )
