"""What the rules look at: a node's NoExecute taints, and the pods on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from kubatch.api import models as m
from kubatch.api.resource import NODES, PODS
from kubatch.api.taints import NO_EXECUTE
from kubatch.reconcile.controller import Index, Key, View

# When each pod is to go, by uid: counted from when a taint was first seen with it.
Timers = Mapping[str, datetime]
NO_TIMERS: Timers = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EvictionFacts:
    """A node that pods should leave, or from which they need not go any more."""

    node: str
    taints: tuple[m.Taint, ...]
    pods: tuple[m.Pod, ...]
    timers: Timers


def no_execute_taints(node: m.Node | None) -> tuple[m.Taint, ...]:
    """The taints that drive pods away."""
    taints = (node.spec.taints if node is not None and node.spec else None) or ()
    return tuple(t for t in taints if t.effect == NO_EXECUTE)


def node_of(pod: m.Pod) -> str:
    """The node a pod was given; "" when it has none."""
    return (pod.spec.nodeName if pod.spec else None) or ""


def _evictable(pod: m.Pod) -> Iterable[str]:
    finished = pod.status is not None and pod.status.phase in ("Succeeded", "Failed")
    going = pod.metadata is not None and pod.metadata.deletionTimestamp is not None
    node = node_of(pod)
    return (node,) if node and not finished and not going else ()


EVICTABLE_PODS = Index("evictable-pods", PODS, _evictable)


def read(view: View, key: Key, remembered: object) -> EvictionFacts | None:
    """The facts about a node; None at once when nothing drives pods away, and nothing did."""
    taints = no_execute_taints(view.get(NODES, None, key.name))
    timers: Timers = remembered if isinstance(remembered, Mapping) else NO_TIMERS
    if not taints and not timers:
        return None
    return EvictionFacts(key.name, taints, tuple(view.indexed(EVICTABLE_PODS, key.name)), timers)
