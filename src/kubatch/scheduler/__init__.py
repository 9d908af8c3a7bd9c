"""Which pod goes to which node. Pure: one more record for the engine."""

from __future__ import annotations

from kubatch.api.resource import (
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODDISRUPTIONBUDGETS,
    PODS,
)
from kubatch.reconcile.controller import Controller
from kubatch.scheduler.decide import decide
from kubatch.scheduler.facts import (
    PODS_BY_NODE,
    SCHEDULER_NAME,
    WAITING_PODS,
    SchedulerFacts,
    namespace_keys,
    no_keys,
    node_keys,
    pod_keys,
    read,
    volume_keys,
)


def controller() -> Controller[SchedulerFacts]:
    """The record for the engine."""
    return Controller(
        name=SCHEDULER_NAME,
        watches={
            PODS: pod_keys,
            NODES: node_keys,
            PERSISTENTVOLUMECLAIMS: volume_keys,
            PERSISTENTVOLUMES: volume_keys,
            NAMESPACES: namespace_keys,
            PODDISRUPTIONBUDGETS: no_keys,
        },
        read=read,
        decide=decide,
        indexes=(WAITING_PODS, PODS_BY_NODE),
        workers=1,
        events_v1=True,
    )
