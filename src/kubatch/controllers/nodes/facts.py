"""What the rules about one node look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kubatch.api import models as m
from kubatch.api.conditions import find, is_true
from kubatch.api.resource import LEASES, NODES, PODS
from kubatch.reconcile.controller import Index, Key, View

LEASE_NAMESPACE = "kube-node-lease"  # core/v1: NamespaceNodeLease


@dataclass(frozen=True, slots=True)
class Memory:
    """What one turn tells the next: times on this machine's clock, whatever the node's says."""

    node: m.Node
    heartbeat: datetime | None  # as the node's status had it
    renewed: datetime | None  # as its lease had it
    heard: datetime  # when one of them was last seen to change
    wake_at: datetime  # when the next look was due at the latest
    marked: frozenset[str] = frozenset()  # pods shown as not ready because of this node


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many nodes there are, and how many of them are not ready."""

    nodes: int
    not_ready: int


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node: what it reports, when it was heard of, and how it is tainted."""

    node: m.Node  # the last one seen, when it is gone
    name: str
    gone: bool
    ready: str  # the status of its Ready condition; "" when it never reported
    heartbeat: datetime | None
    renewed: datetime | None
    conditions: tuple[m.NodeCondition, ...]
    unschedulable: bool
    taints: tuple[m.Taint, ...]
    memory: Memory | None
    # Only of a node that is not ready:
    fleet: Fleet = Fleet(1, 0)
    ready_pods: tuple[m.Pod, ...] = ()


def _ready_by_node(pod: m.Pod) -> Iterable[str]:
    status = pod.status
    node = pod.spec.nodeName if pod.spec else None
    if node and status is not None and is_true(status.conditions, "Ready"):
        yield node


# Pods that are shown as ready, by their node.
READY_PODS_BY_NODE = Index("ready-pods-by-node", PODS, _ready_by_node)


def read(view: View, key: Key, remembered: object) -> NodeFacts | None:
    """The facts about a node; None when it is gone and that has been said."""
    node = view.get(NODES, None, key.name)
    memory = remembered if isinstance(remembered, Memory) else None
    if node is None or node.metadata is None:
        if memory is None:
            return None
        return NodeFacts(memory.node, key.name, True, "", None, None, (), False, (), None)
    if (
        memory is not None
        and memory.node.metadata
        and memory.node.metadata.uid != node.metadata.uid
    ):
        memory = None  # a namesake
    conditions = tuple((node.status.conditions if node.status else None) or ())
    ready = find(conditions, "Ready")
    lease = view.get(LEASES, LEASE_NAMESPACE, key.name)
    unwell = ready is not None and ready.status != "True"
    return NodeFacts(
        node,
        key.name,
        False,
        ready.status if ready is not None else "",
        ready.lastHeartbeatTime if ready is not None else None,
        lease.spec.renewTime if lease is not None and lease.spec is not None else None,
        conditions,
        bool(node.spec and node.spec.unschedulable),
        tuple((node.spec.taints if node.spec else None) or ()),
        memory,
        _fleet(view) if unwell else Fleet(1, 0),
        tuple(view.indexed(READY_PODS_BY_NODE, key.name)) if unwell else (),
    )


def _fleet(view: View) -> Fleet:
    nodes = view.list(NODES)
    well = sum(is_true(n.status.conditions if n.status else None, "Ready") for n in nodes)
    return Fleet(len(nodes), len(nodes) - well)
