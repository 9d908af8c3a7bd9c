"""Whether this node takes a pod that was bound to it; a pure ledger of what it has given away.

pkg/kubelet/lifecycle/predicate.go and pkg/kubelet/eviction/eviction_manager.go: Admit. The
scheduler has looked at the same; but a pod may name its node itself, and nodes change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kubatch.agent.qos import qos_class
from kubatch.agent.verdict import Verdict, rejection
from kubatch.api import models as m
from kubatch.api import taints
from kubatch.api.node_affinity import matches
from kubatch.api.requests import Resources, amounts, pod_requests

Port = tuple[str, str, int]  # protocol, host address, port

_TERMINAL = ("Succeeded", "Failed")
_FIRST = ("cpu", "memory", "ephemeral-storage")  # noderesources/fit.go: fitsRequest
_OS_LABEL = "kubernetes.io/os"
_MEMORY_TAINT = m.Taint(key="node.kubernetes.io/memory-pressure", effect="NoSchedule")
# pkg/apis/scheduling/types.go: SystemCriticalPriority
_CRITICAL = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """What one pod of this node has."""

    requests: Mapping[str, int]
    ports: tuple[Port, ...]


class Ledger:
    """What the pods of this node have, and what is left."""

    def __init__(self, allocatable: Mapping[str, str]) -> None:
        self._offered = amounts(allocatable)
        self._taken: dict[str, Taken] = {}
        self._used: Resources = {}

    def holds(self, uid: str) -> bool:
        """Whether a pod was taken in and has not ended."""
        return uid in self._taken

    def take(self, pod: m.Pod) -> None:
        """Take a pod in without asking: it has been here before."""
        uid, spec = _uid(pod), pod.spec
        if uid in self._taken or spec is None or is_over(pod):
            return
        taken = self._taken[uid] = Taken(pod_requests(spec), host_ports(spec))
        for name, amount in taken.requests.items():
            self._used[name] = self._used.get(name, 0) + amount

    def release(self, uid: str) -> None:
        """A pod has ended or is gone."""
        taken = self._taken.pop(uid, None)
        if taken is not None:
            for name, amount in taken.requests.items():
                self._used[name] -= amount

    def refuses(self, pod: m.Pod, pressure: Sequence[str] = ()) -> Verdict | None:
        """Why a pod is not taken in, as far as it does not depend on the Node object."""
        assert pod.spec is not None
        return (
            _under_pressure(pod, pressure)
            or _forbidden_sysctl(pod.spec)
            or _other_system(pod.spec)
            or self._too_much(pod.spec)
        )

    def _too_much(self, spec: m.PodSpec) -> Verdict | None:
        if len(self._taken) + 1 > self._offered.get("pods", 0):
            return _insufficient("pods", 1, len(self._taken), self._offered.get("pods", 0))
        asked = pod_requests(spec)
        for name in _ordered(asked):
            # What the node does not have at all is no longer asked for here
            # (predicate.go: removeMissingExtendedResources).
            if "/" in name and name not in self._offered:
                continue
            used, offered = self._used.get(name, 0), self._offered.get(name, 0)
            if asked[name] > 0 and asked[name] > offered - used:
                return _insufficient(name, asked[name], used, offered)
        return None

    def port_taken(self, spec: m.PodSpec) -> Verdict | None:
        """Whether a host port that the pod asks for is another's."""
        wanted = host_ports(spec)
        if wanted and any(
            _conflict(mine, theirs)
            for taken in self._taken.values()
            for theirs in taken.ports
            for mine in wanted
        ):
            return _predicate(
                "NodePorts", "node(s) didn't have free ports for the requested pod ports"
            )
        return None


def node_refuses(pod: m.Pod, node: m.Node) -> Verdict | None:
    """Why the Node object speaks against a pod."""
    meta, spec = node.metadata, pod.spec
    assert meta is not None
    assert spec is not None
    if not matches(spec, meta.name or "", meta.labels or {}):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    for taint in (node.spec.taints if node.spec is not None else None) or ():
        if taint.effect == taints.NO_EXECUTE and not _tolerates(spec, taint):
            return _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    return None


def is_over(pod: m.Pod) -> bool:
    """Whether a pod has ended and has nothing any more."""
    return pod.status is not None and pod.status.phase in _TERMINAL


def was_here(pod: m.Pod) -> bool:
    """Whether this node took the pod in before; a restart does not ask again."""
    return pod.status is not None and pod.status.startTime is not None


def is_critical(pod: m.Pod) -> bool:
    """pkg/kubelet/types/pod_update.go: IsCriticalPod."""
    return pod.spec is not None and (pod.spec.priority or 0) >= _CRITICAL


def _under_pressure(pod: m.Pod, pressure: Sequence[str]) -> Verdict | None:
    if not pressure or is_critical(pod):
        return None
    assert pod.spec is not None
    if list(pressure) == ["MemoryPressure"] and (
        qos_class(pod) != "BestEffort" or _tolerates(pod.spec, _MEMORY_TAINT)
    ):
        return None
    return rejection("Evicted", f"The node had condition: [{' '.join(pressure)}]. ")


def _forbidden_sysctl(spec: m.PodSpec) -> Verdict | None:
    """pkg/kubelet/sysctl/allowlist.go: Admit. No kernel setting here is a pod's own."""
    context = spec.securityContext
    for sysctl in (context.sysctls if context is not None else None) or ():
        name = sysctl.name.replace("/", ".")
        return rejection("SysctlForbidden", f'forbidden sysctl: "{name}" not allowlisted')
    return None


def _other_system(spec: m.PodSpec) -> Verdict | None:
    if (spec.nodeSelector or {}).get(_OS_LABEL, "linux") != "linux":
        return rejection(
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        )
    if spec.os is not None and spec.os.name != "linux":
        return rejection(
            "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
        )
    return None


def _insufficient(name: str, asked: int, used: int, offered: int) -> Verdict:
    return rejection(
        f"OutOf{name}",
        f"Node didn't have enough resource: {name}, requested: {asked}, used: {used}, "
        f"capacity: {offered}",
    )


def _predicate(name: str, description: str) -> Verdict:
    return rejection(name, f"Predicate {name} failed: {description}")


def _ordered(asked: Mapping[str, int]) -> Iterable[str]:
    yield from (name for name in _FIRST if name in asked)
    yield from sorted(name for name in asked if name not in _FIRST)


def _tolerates(spec: m.PodSpec, taint: m.Taint) -> bool:
    return any(taints.tolerates(one, taint) for one in spec.tolerations or ())


def host_ports(spec: m.PodSpec) -> tuple[Port, ...]:
    """The ports of the node that a pod has, those of sidecars included."""
    sidecars = (one for one in spec.initContainers or () if one.restartPolicy == "Always")
    return tuple(
        (port.protocol or "TCP", port.hostIP or "0.0.0.0", port.hostPort)
        for container in (*spec.containers, *sidecars)
        for port in container.ports or ()
        if port.hostPort
    )


def _conflict(one: Port, other: Port) -> bool:
    """The same protocol and port, on addresses that overlap."""
    same = one[0] == other[0] and one[2] == other[2]
    return same and (one[1] == other[1] or "0.0.0.0" in (one[1], other[1]))


def _uid(pod: m.Pod) -> str:
    assert pod.metadata is not None
    return pod.metadata.uid or ""
