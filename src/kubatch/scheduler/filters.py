"""Why a node will not do for a pod. The first filter that refuses gives the node its reasons.

The order and the texts are those of the default plugins (pkg/scheduler/framework/plugins).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kubatch.api import models as m
from kubatch.api import taints
from kubatch.scheduler import affinity
from kubatch.scheduler.facts import NodeFacts, PodFacts
from kubatch.scheduler.occupants import Occupant, Port
from kubatch.scheduler.requests import Resources

_UNSCHEDULABLE = m.Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
# What the Insufficient reasons come in; any other resource follows by name.
_ORDER = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A node's answer."""

    reasons: tuple[str, ...]
    for_good: bool = True  # no other pod's leaving would change it, so preemption would not help


@dataclass(slots=True)
class Room:
    """A node during one turn: what is left of it shrinks as pods are bound."""

    node: NodeFacts
    used: Resources = field(init=False)
    scoring_used: Resources = field(init=False)
    pods: int = field(init=False)
    ports: list[Port] = field(init=False)

    def __post_init__(self) -> None:
        self.used = dict(self.node.used)
        self.scoring_used = dict(self.node.scoring_used)
        self.pods = self.node.pods
        self.ports = list(self.node.ports)

    def take(self, pod: PodFacts) -> None:
        """Account for a pod that this turn binds here."""
        self.hold(pod.occupant)

    def hold(self, pod: Occupant) -> None:
        """Account for a pod, here or to come."""
        self._change(pod, 1)
        self.ports.extend(pod.ports)

    def release(self, pod: Occupant) -> None:
        """The pod is not accounted for any more."""
        self._change(pod, -1)
        for port in pod.ports:
            self.ports.remove(port)

    def _change(self, pod: Occupant, sign: int) -> None:
        for name, value in pod.requests.items():
            self.used[name] = self.used.get(name, 0) + sign * value
        for name, value in pod.scoring_requests.items():
            self.scoring_used[name] = self.scoring_used.get(name, 0) + sign * value
        self.pods += sign

    def copy(self) -> Room:
        """A room to try things in."""
        other = Room(self.node)
        other.used, other.scoring_used = dict(self.used), dict(self.scoring_used)
        other.pods, other.ports = self.pods, list(self.ports)
        return other


# ----- filters that look at the node alone: the same all turn for all pods of a shape

StaticFilter = Callable[[PodFacts, NodeFacts], Refusal | None]


def node_unschedulable(pod: PodFacts, node: NodeFacts) -> Refusal | None:
    """A cordoned node takes only pods that tolerate the taint which says so."""
    if node.unschedulable and not tolerates(pod.spec, _UNSCHEDULABLE):
        return Refusal(("node(s) were unschedulable",))
    return None


def node_name(pod: PodFacts, node: NodeFacts) -> Refusal | None:
    """A pod that names its node takes no other."""
    if pod.spec.nodeName and pod.spec.nodeName != node.name:
        return Refusal(("node(s) didn't match the requested node name",))
    return None


def taint_toleration(pod: PodFacts, node: NodeFacts) -> Refusal | None:
    """Every taint that keeps pods out must be tolerated; the reason does not name it."""
    for taint in node.taints:
        if taint.effect in ("NoSchedule", "NoExecute") and not tolerates(pod.spec, taint):
            return Refusal(("node(s) had untolerated taint(s)",))
    return None


def node_affinity(pod: PodFacts, node: NodeFacts) -> Refusal | None:
    """The pod's nodeSelector and required node affinity must match."""
    if affinity.matches(pod.spec, node.name, node.labels):
        return None
    return Refusal(("node(s) didn't match Pod's node affinity/selector",))


STATIC_FILTERS: tuple[StaticFilter, ...] = (
    node_unschedulable,
    node_name,
    taint_toleration,
    node_affinity,
)


def static_refusal(pod: PodFacts, node: NodeFacts) -> Refusal | None:
    """The first refusal that does not depend on other pods."""
    named = affinity.named_nodes(pod.spec)
    if named is not None and node.name not in named:
        return Refusal(("node(s) didn't satisfy plugin(s) [NodeAffinity]",))
    for refuses in STATIC_FILTERS:
        refusal = refuses(pod, node)
        if refusal is not None:
            return refusal
    return None


def tolerates(spec: m.PodSpec, taint: m.Taint) -> bool:
    """Whether any of the pod's tolerations covers a taint."""
    return any(taints.tolerates(one, taint) for one in spec.tolerations or ())


# ----- filters that look at what is left


def node_ports(pod: PodFacts, room: Room) -> Refusal | None:
    """The host ports that the pod asks for must be free."""
    if any(_conflict(mine, theirs) for mine in pod.ports for theirs in room.ports):
        reason = "node(s) didn't have free ports for the requested pod ports"
        return Refusal((reason,), for_good=False)
    return None


def _conflict(one: Port, other: Port) -> bool:
    """The same protocol and port, on addresses that overlap."""
    same = one[0] == other[0] and one[2] == other[2]
    return same and (one[1] == other[1] or "0.0.0.0" in (one[1], other[1]))


def node_resources_fit(pod: PodFacts, room: Room) -> Refusal | None:
    """Room for one more pod, and for all that it requests (noderesources/fit.go: fitsRequest)."""
    reasons: list[str] = []
    too_big = False
    allocatable = room.node.allocatable
    if room.pods + 1 > allocatable.get("pods", 0):
        reasons.append("Too many pods")
    for name in _ordered(pod.requests):
        asked = pod.requests[name]
        offered = allocatable.get(name, 0)
        if asked > 0 and asked > offered - room.used.get(name, 0):
            reasons.append(f"Insufficient {name}")
            too_big = too_big or asked > offered
    return Refusal(tuple(reasons), for_good=too_big) if reasons else None


def _ordered(requests: Resources) -> Iterable[str]:
    yield from (name for name in _ORDER if name in requests)
    yield from sorted(name for name in requests if name not in _ORDER)


def refusal(pod: PodFacts, room: Room) -> Refusal | None:
    """The first refusal that depends on the pods which are there."""
    return node_ports(pod, room) or node_resources_fit(pod, room)
