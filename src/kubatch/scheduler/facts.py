"""What the scheduler looks at: pods that wait for a node, and the nodes with what is left of them.

The pods on a node are found by an index that leaves out finished ones: they use nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, is_
from typing import Any

import msgspec

from kubatch.api import models as m
from kubatch.api.resource import NAMESPACES, NODES, PODDISRUPTIONBUDGETS, PODS
from kubatch.reconcile.controller import Index, Key, View
from kubatch.scheduler import images
from kubatch.scheduler.budgets import Budget, read_budget
from kubatch.scheduler.claims import Claims, read_claims
from kubatch.scheduler.occupants import Occupant, Port, read_occupant
from kubatch.scheduler.requests import Resources, amounts, summed
from kubatch.scheduler.terms import Terms

SCHEDULER_NAME = "default-scheduler"
KEY = Key("", "scheduler")  # one turn looks at all waiting pods, so that the order is right
_NO_META = m.ObjectMeta()
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod that waits for a node."""

    occupant: Occupant
    spec: m.PodSpec
    rank: tuple[int, float, str, str]  # highest priority first, then the oldest
    images: tuple[str, ...]
    nominated: str  # the node on which others were asked to go for it; "": none
    # Pods of the same shape fit the same nodes: the result for one is good for all.
    shape: bytes

    @property
    def pod(self) -> m.Pod:
        """The pod itself."""
        return self.occupant.pod

    @property
    def namespace(self) -> str:
        """Where it is."""
        return self.occupant.namespace

    @property
    def name(self) -> str:
        """How it is called there."""
        return self.occupant.name

    @property
    def uid(self) -> str:
        """Which one it is."""
        return self.occupant.uid

    @property
    def requests(self) -> Resources:
        """What it needs."""
        return self.occupant.requests

    @property
    def scoring_requests(self) -> Resources:
        """What scoring takes it to need."""
        return self.occupant.scoring_requests

    @property
    def ports(self) -> tuple[Port, ...]:
        """The ports of the node that it needs."""
        return self.occupant.ports

    @property
    def terms(self) -> Terms:
        """What it says of its neighbours."""
        return self.occupant.terms


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node, and what the pods bound to it have taken."""

    name: str
    labels: Mapping[str, str]
    taints: Sequence[m.Taint]
    unschedulable: bool
    allocatable: Resources
    used: Resources
    scoring_used: Resources
    pods: int
    ports: tuple[Port, ...]
    images: Mapping[str, int]
    occupants: tuple[Occupant, ...]
    # Of the occupants: whether any says something of others, and the least important one.
    about_pods: bool
    least_priority: float
    # What this was read from, so that it need not be read again.
    source: m.Node = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SchedulerFacts:
    """Everything one turn of the scheduler depends on."""

    waiting: tuple[PodFacts, ...]  # by rank
    nodes: tuple[NodeFacts, ...]  # by name
    claims: Claims = field(default_factory=dict)  # those that waiting pods name
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # their labels
    budgets: tuple[Budget, ...] = ()  # where there may be something to preempt


# ----- indexes over pods


def is_finished(pod: m.Pod) -> bool:
    """Whether a pod has ended and uses nothing any more."""
    return pod.status is not None and pod.status.phase in ("Succeeded", "Failed")


def is_waiting(pod: m.Pod) -> bool:
    """Whether this scheduler should find a node for a pod: ours, ungated, and not going away."""
    spec = pod.spec
    return (
        spec is not None
        and not spec.nodeName
        and not spec.schedulingGates
        and spec.schedulerName in (None, "", SCHEDULER_NAME)
        and (pod.metadata or _NO_META).deletionTimestamp is None
        and not is_finished(pod)
    )


def uses_node(pod: m.Pod) -> str:
    """The node whose resources a pod holds; "" when it holds none. Terminating pods still do."""
    return "" if is_finished(pod) or pod.spec is None else pod.spec.nodeName or ""


def _by_node(pod: m.Pod) -> Iterable[str]:
    node = uses_node(pod)
    return (node,) if node else ()


def _waiting(pod: m.Pod) -> Iterable[str]:
    return ("",) if is_waiting(pod) else ()


WAITING_PODS = Index("waiting-pods", PODS, _waiting)
PODS_BY_NODE = Index("pods-by-node", PODS, _by_node)


# ----- reading


def read(view: View, key: Key, remembered: object) -> SchedulerFacts | None:
    """All waiting pods and all nodes; None when no pod waits, without looking at nodes.

    Remembered are the facts of the turn before: pods and nodes that are as they were then are not
    read anew.
    """
    waiting = view.indexed(WAITING_PODS, "")
    if not waiting:
        return None
    before = remembered if isinstance(remembered, SchedulerFacts) else SchedulerFacts((), ())
    known = {pod.uid: pod for pod in before.waiting}
    asks = sorted((_read_once(pod, known) for pod in waiting), key=attrgetter("rank"))
    were = {node.name: node for node in before.nodes}
    nodes = sorted((_node_once(view, node, were) for node in view.list(NODES)), key=_by_name)
    least = min((node.least_priority for node in nodes), default=0)
    preempts = any(-pod.rank[0] > least for pod in asks[:1])
    spoken = any(node.about_pods for node in nodes) or any(p.terms.about_pods for p in asks)
    return SchedulerFacts(
        tuple(asks),
        tuple(nodes),
        read_claims(view, [pod.occupant for pod in asks if pod.occupant.claims]),
        _namespaces(view) if spoken else {},
        tuple(map(read_budget, view.list(PODDISRUPTIONBUDGETS))) if preempts else (),
    )


_by_name = attrgetter("name")


def _namespaces(view: View) -> dict[str, Mapping[str, str]]:
    metas = [space.metadata or _NO_META for space in view.list(NAMESPACES)]
    return {meta.name or "": meta.labels or {} for meta in metas}


def _read_once(pod: m.Pod, known: Mapping[str, PodFacts]) -> PodFacts:
    before = known.get((pod.metadata or _NO_META).uid or "")
    return before if before is not None and before.pod is pod else read_pod(pod)


def _node_once(view: View, node: m.Node, known: Mapping[str, NodeFacts]) -> NodeFacts:
    name = (node.metadata or _NO_META).name or ""
    pods = view.indexed(PODS_BY_NODE, name)
    before = known.get(name)
    if before is None:
        return read_node(node, pods)
    occupants = before.occupants
    if len(pods) == len(occupants) and all(map(is_, pods, [one.pod for one in occupants])):
        if before.source is node:
            return before
        return _node(node, occupants)
    seen = {one.uid: one for one in occupants}
    return _node(node, tuple(_occupant_once(pod, seen) for pod in pods))


def _occupant_once(pod: m.Pod, known: Mapping[str, Occupant]) -> Occupant:
    before = known.get((pod.metadata or _NO_META).uid or "")
    return before if before is not None and before.pod is pod else read_occupant(pod)


def read_pod(pod: m.Pod) -> PodFacts:
    """The facts about a waiting pod."""
    metadata = pod.metadata or _NO_META
    spec = pod.spec or m.PodSpec(containers=[])
    occupant = read_occupant(pod)
    created = metadata.creationTimestamp
    rank = (
        -(spec.priority or 0),
        created.timestamp() if created else 0.0,
        metadata.namespace or "",
        metadata.name or "",
    )
    wanted = images.of_pod(spec)
    nominated = pod.status.nominatedNodeName if pod.status else None
    return PodFacts(occupant, spec, rank, wanted, nominated or "", _shape(occupant, spec, wanted))


def _shape(occupant: Occupant, spec: m.PodSpec, wanted: tuple[str, ...]) -> bytes:
    claims = [(occupant.namespace, name) for name in occupant.claims]
    parts: tuple[Any, ...] = (
        sorted(occupant.requests.items()),
        sorted(occupant.scoring_requests.items()),
        occupant.ports,
        spec.nodeName,
        spec.nodeSelector,
        spec.affinity.nodeAffinity if spec.affinity else None,
        spec.tolerations,
        spec.preemptionPolicy,
        spec.priority,
        wanted,
        claims,
        repr(occupant.terms),
    )
    return _encode(parts)


def read_node(node: m.Node, pods: Sequence[m.Pod]) -> NodeFacts:
    """The facts about a node on which these pods are."""
    return _node(node, tuple(read_occupant(pod) for pod in pods if pod.spec is not None))


def _node(node: m.Node, occupants: tuple[Occupant, ...]) -> NodeFacts:
    metadata = node.metadata or _NO_META
    spec = node.spec or m.NodeSpec()
    return NodeFacts(
        metadata.name or "",
        metadata.labels or {},
        spec.taints or (),
        bool(spec.unschedulable),
        amounts(node.status.allocatable if node.status else None),
        summed(one.requests for one in occupants),
        summed(one.scoring_requests for one in occupants),
        len(occupants),
        tuple(port for one in occupants for port in one.ports),
        images.of_node(node),
        occupants,
        any(one.terms.about_pods for one in occupants),
        min((one.priority for one in occupants), default=float("inf")),
        node,
    )


# ----- which events matter


def pod_keys(old: m.Pod | None, new: m.Pod | None) -> Iterable[Key]:
    """A pod that starts to wait or waits for something else, and one that gives up its room.

    That may be room which it only had in a turn: one that goes before it could be bound. And one
    on a node that now is, by its labels, another pod to those that want it near or far.
    """
    if new is not None and is_waiting(new):
        if old is None or not is_waiting(old) or old.spec != new.spec or _labels(old, new):
            yield KEY
    elif old is not None and _had_room(old) and (_gave_up(new) or _labels(old, new)):
        yield KEY


def _gave_up(new: m.Pod | None) -> bool:
    return new is None or not uses_node(new)


def _labels(old: m.Pod, new: m.Pod | None) -> bool:
    now = (new.metadata if new else None) or _NO_META
    return (old.metadata or _NO_META).labels != now.labels


def _had_room(pod: m.Pod) -> bool:
    return bool(uses_node(pod)) or is_waiting(pod)


def node_keys(old: m.Node | None, new: m.Node | None) -> Iterable[Key]:
    """Any change of a node but a heartbeat."""
    if old is None or new is None or _offer(old) != _offer(new):
        yield KEY


def _offer(node: m.Node) -> tuple[object, ...]:
    return (
        (node.metadata or _NO_META).labels,
        node.spec,
        node.status.allocatable if node.status else None,
    )


def volume_keys(old: Any, new: Any) -> Iterable[Key]:
    """Any change of what a volume or a claim is and belongs to, but for its status."""
    if old is None or new is None or old.spec != new.spec or old.metadata != new.metadata:
        yield KEY


def namespace_keys(old: m.Namespace | None, new: m.Namespace | None) -> Iterable[Key]:
    """A namespace with other labels, by which affinity may mean it."""
    if old is not None and new is not None:
        was, now = old.metadata or _NO_META, new.metadata or _NO_META
        if was.labels != now.labels:
            yield KEY


def no_keys(_old: Any, _new: Any) -> Iterable[Key]:
    """Changes that only the next turn needs to know."""
    return ()
