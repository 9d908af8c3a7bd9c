"""Pods that leave nodes with NoExecute taints. A key is a node."""

from __future__ import annotations

from collections.abc import Iterable

from kubatch.api import models as m
from kubatch.api.resource import NODES, PODS
from kubatch.controllers.eviction.decide import decide
from kubatch.controllers.eviction.facts import (
    EVICTABLE_PODS,
    EvictionFacts,
    no_execute_taints,
    node_of,
    read,
)
from kubatch.reconcile.controller import Controller, Key


def controller() -> Controller[EvictionFacts]:
    """The record for the engine."""
    return Controller(
        name="taint-eviction-controller",
        watches={NODES: _node_keys, PODS: _pod_keys},
        read=read,
        decide=decide,
        indexes=(EVICTABLE_PODS,),
        workers=8,
        queue="noexec_taint_node",
    )


def _node_keys(before: m.Node | None, after: m.Node | None) -> Iterable[Key]:
    changed = no_execute_taints(before) != no_execute_taints(after)
    if changed and after is not None and after.metadata is not None:
        yield Key("", after.metadata.name or "")


def _pod_keys(before: m.Pod | None, after: m.Pod | None) -> Iterable[Key]:
    """The node of a pod that came to it, or that tolerates other things than before."""
    if after is None or after.spec is None or not node_of(after):
        return
    known = before.spec if before is not None and node_of(before) == node_of(after) else None
    if known is None or known.tolerations != after.spec.tolerations:
        yield Key("", node_of(after))
