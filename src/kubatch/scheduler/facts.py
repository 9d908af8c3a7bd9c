"""What the scheduler looks at: pods that wait for a node, and the nodes with what is left of them.

The pods on a node are found by an index that leaves out finished ones: they use nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import msgspec

from kubatch.api import models as m
from kubatch.api.resource import NODES, PODS
from kubatch.reconcile.controller import Index, Key, View
from kubatch.scheduler.requests import (
    SCORING_DEFAULTS,
    Resources,
    amounts,
    pod_requests,
    summed,
)

SCHEDULER_NAME = "default-scheduler"
KEY = Key("", "scheduler")  # one turn looks at all waiting pods, so that the order is right
_NO_META = m.ObjectMeta()
_encode = msgspec.json.Encoder().encode

Port = tuple[str, str, int]  # protocol, host address, port


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod that waits for a node."""

    pod: m.Pod
    namespace: str
    name: str
    uid: str
    spec: m.PodSpec
    rank: tuple[int, float, str, str]  # highest priority first, then the oldest
    requests: Resources
    scoring_requests: Resources  # with what scoring assumes for containers that ask for nothing
    ports: tuple[Port, ...]
    # Pods of the same shape fit the same nodes: the result for one is good for all.
    shape: bytes


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


@dataclass(frozen=True, slots=True)
class SchedulerFacts:
    """Everything one turn of the scheduler depends on."""

    waiting: tuple[PodFacts, ...]  # by rank
    nodes: tuple[NodeFacts, ...]  # by name


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

    Remembered are the facts of the turn before: a long queue of pods is not read anew each time.
    """
    waiting = view.indexed(WAITING_PODS, "")
    if not waiting:
        return None
    known: dict[str, PodFacts] = {}
    if isinstance(remembered, SchedulerFacts):
        known = {pod.uid: pod for pod in remembered.waiting}
    asks = sorted((_read_once(pod, known) for pod in waiting), key=attrgetter("rank"))
    nodes = [
        read_node(node, view.indexed(PODS_BY_NODE, (node.metadata or _NO_META).name or ""))
        for node in view.list(NODES)
    ]
    return SchedulerFacts(tuple(asks), tuple(sorted(nodes, key=lambda node: node.name)))


def _read_once(pod: m.Pod, known: Mapping[str, PodFacts]) -> PodFacts:
    before = known.get((pod.metadata or _NO_META).uid or "")
    return before if before is not None and before.pod is pod else read_pod(pod)


def read_pod(pod: m.Pod) -> PodFacts:
    """The facts about a waiting pod."""
    metadata = pod.metadata or _NO_META
    spec = pod.spec or m.PodSpec(containers=[])
    needs = pod_requests(spec)
    ports = host_ports(spec)
    created = metadata.creationTimestamp
    rank = (
        -(spec.priority or 0),
        created.timestamp() if created else 0.0,
        metadata.namespace or "",
        metadata.name or "",
    )
    shape = _encode(
        (
            sorted(needs.items()),
            ports,
            spec.nodeSelector,
            spec.affinity,
            spec.tolerations,
            spec.preemptionPolicy,
        )
    )
    return PodFacts(
        pod,
        metadata.namespace or "",
        metadata.name or "",
        metadata.uid or "",
        spec,
        rank,
        needs,
        pod_requests(spec, SCORING_DEFAULTS),
        ports,
        shape,
    )


def read_node(node: m.Node, pods: Sequence[m.Pod]) -> NodeFacts:
    """The facts about a node on which these pods are."""
    metadata = node.metadata or _NO_META
    spec = node.spec or m.NodeSpec()
    specs = [pod.spec for pod in pods if pod.spec is not None]
    return NodeFacts(
        metadata.name or "",
        metadata.labels or {},
        spec.taints or (),
        bool(spec.unschedulable),
        amounts(node.status.allocatable if node.status else None),
        summed(pod_requests(one) for one in specs),
        summed(pod_requests(one, SCORING_DEFAULTS) for one in specs),
        len(specs),
        tuple(port for one in specs for port in host_ports(one)),
    )


def host_ports(spec: m.PodSpec) -> tuple[Port, ...]:
    """The ports of the node that a pod asks for, those of sidecars included."""
    sidecars = (one for one in spec.initContainers or () if one.restartPolicy == "Always")
    return tuple(
        (port.protocol or "TCP", port.hostIP or "0.0.0.0", port.hostPort)
        for container in (*spec.containers, *sidecars)
        for port in container.ports or ()
        if port.hostPort
    )


# ----- which events matter


def pod_keys(old: m.Pod | None, new: m.Pod | None) -> Iterable[Key]:
    """A pod that starts to wait or waits for something else, and one that gives up its room.

    That may be room which it only had in a turn: one that goes before it could be bound.
    """
    if new is not None and is_waiting(new):
        if old is None or not is_waiting(old) or old.spec != new.spec:
            yield KEY
    elif old is not None and _had_room(old) and (new is None or not uses_node(new)):
        yield KEY


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
