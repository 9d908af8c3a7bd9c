"""The Node object of this machine, its lease, and the events about it.

pkg/kubelet/nodestatus/setters.go, pkg/kubelet/kubelet_node_status.go. Everything here is pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.world import whole_seconds

# The Kubernetes whose kubelet we behave like.
KUBELET_VERSION = "v1.36.2+kubatch"
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
LEASE_RENEW = 10.0
STATUS_REPORT = 300.0  # nodeStatusReportFrequency

# setters.go: hard eviction thresholds are taken off what pods may request
RESERVED_MEMORY_BYTES = 100 * 1024 * 1024
RESERVED_DISK_PERCENT = 10

# type, status, reason, message; in the kubelet's order
_CONDITIONS = (
    (
        "MemoryPressure", "False", "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)  # fmt: skip


# reason and message of those that may be true
_PRESSURE = {
    "MemoryPressure": (
        "KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
    ),
    "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    "PIDPressure": ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Machine:
    """What the node says about its machine."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    pods: int
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel_version: str
    os_image: str
    architecture: str  # as Go names it: amd64, arm64
    huge_pages: Mapping[str, int] = field(default_factory=dict)  # by size (2Mi): bytes
    images: Sequence[str] = ()  # names that stand for programs of this machine; they take no room


def labels(name: str, machine: Machine) -> dict[str, str]:
    """The labels a node registers itself with."""
    return {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
    }


def capacity(machine: Machine) -> dict[str, str]:
    """All there is."""
    return {
        "cpu": str(machine.cpus),
        "ephemeral-storage": f"{machine.disk_bytes // 1024}Ki",
        **{f"hugepages-{size}": str(amount) for size, amount in machine.huge_pages.items()},
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "pods": str(machine.pods),
    }


def allocatable(machine: Machine) -> dict[str, str]:
    """What pods may ask for (setters.go: Allocatable is capacity without reservations)."""
    disk = machine.disk_bytes * (100 - RESERVED_DISK_PERCENT) // 100
    # Huge pages are memory that nobody else can have.
    huge = sum(machine.huge_pages.values())
    memory = max(0, machine.memory_bytes - RESERVED_MEMORY_BYTES - huge)
    return {
        **capacity(machine),
        "ephemeral-storage": str(disk),
        "memory": f"{memory // 1024}Ki",
    }


def foreign(old: Mapping[str, str] | None, machine: Machine) -> dict[str, str]:
    """Capacity that others wrote into the status: setters.go (MachineInfo) only sets its own.

    Sizes of huge pages that the machine no longer has go (reconcileHugePageResource).
    """
    own = capacity(machine)
    return {
        name: str(amount)
        for name, amount in (old or {}).items()
        if name not in own and not name.startswith("hugepages-")
    }


def new(name: str, machine: Machine) -> m.Node:
    """The Node as it is created; its status follows."""
    return m.Node(
        apiVersion="v1",
        kind="Node",
        metadata=m.ObjectMeta(
            name=name,
            labels=labels(name, machine),
            annotations={"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        ),
        spec=m.NodeSpec(),
    )


def with_status(
    node: m.Node,
    machine: Machine,
    *,
    name: str,
    address: str,
    runtime: str,
    now: datetime,
    problem: str = "",
    pressure: Collection[str] = (),
) -> m.Node:
    """The node with its present status; what others wrote into it stays."""
    old = node.status or m.NodeStatus()
    others = foreign(old.capacity, machine)
    status = replace(
        old,
        addresses=[
            m.NodeAddress(type="InternalIP", address=address),
            m.NodeAddress(type="Hostname", address=name),
        ],
        capacity={**capacity(machine), **others},
        # All of what nobody reserves; what left the capacity leaves this, too.
        allocatable={**allocatable(machine), **others},
        conditions=conditions(old.conditions or [], now, problem, pressure),
        nodeInfo=m.NodeSystemInfo(
            architecture=machine.architecture,
            bootID=machine.boot_id,
            containerRuntimeVersion=runtime,
            kernelVersion=machine.kernel_version,
            kubeProxyVersion="",
            kubeletVersion=KUBELET_VERSION,
            machineID=machine.machine_id,
            operatingSystem="linux",
            osImage=machine.os_image,
            systemUUID=machine.system_uuid,
        ),
        images=[m.core_v1.ContainerImage(names=[name], sizeBytes=0) for name in machine.images]
        or None,
    )
    return replace(node, status=status)


def conditions(
    old: list[m.NodeCondition], now: datetime, problem: str, pressure: Collection[str] = ()
) -> list[m.NodeCondition]:
    """The node's conditions; `problem`, when there is one, is why it is not ready."""
    before = {c.type: c for c in old}
    moment = whole_seconds(now)
    result = [c for c in old if c.type not in {row[0] for row in _CONDITIONS}]
    for kind, status, reason, message in _CONDITIONS:
        if kind in pressure:
            status, (reason, message) = "True", _PRESSURE[kind]
        if kind == "Ready" and problem:
            status, reason, message = "False", "KubeletNotReady", problem
        last = before.get(kind)
        since = moment
        if last is not None and last.status == status and last.lastTransitionTime:
            since = last.lastTransitionTime
        result.append(
            m.NodeCondition(
                type=kind,
                status=status,
                reason=reason,
                message=message,
                lastHeartbeatTime=moment,
                lastTransitionTime=since,
            )
        )
    return result


def changes(old: m.Node | None, new: m.Node) -> list[tuple[str, str, str]]:
    """The events about conditions that changed: type, reason and message."""
    before = {c.type: c.status for c in _conditions_of(old)}
    assert new.metadata is not None
    found = _reboot(old, new)
    for condition in _conditions_of(new):
        if before.get(condition.type) == condition.status:
            continue
        reason = condition.reason or ""
        if condition.type == "Ready":
            reason = "NodeReady" if condition.status == "True" else "NodeNotReady"
        else:
            reason = reason.replace("Kubelet", "Node", 1)
        message = f"Node {new.metadata.name} status is now: {reason}"
        found.append(("Normal", reason, message))
    return found


def schedulable_changes(before: m.Node | None, node: m.Node) -> list[tuple[str, str, str]]:
    """The event about a node that was cordoned or uncordoned (recordNodeSchedulableEvent)."""
    if before is None or _is_cordoned(before) == _is_cordoned(node):
        return []
    assert node.metadata is not None
    reason = "NodeNotSchedulable" if _is_cordoned(node) else "NodeSchedulable"
    return [("Normal", reason, f"Node {node.metadata.name} status is now: {reason}")]


def _is_cordoned(node: m.Node) -> bool:
    return bool(node.spec and node.spec.unschedulable)


def _reboot(old: m.Node | None, new: m.Node) -> list[tuple[str, str, str]]:
    """setters.go: MachineInfo."""
    boots = [n.status.nodeInfo.bootID for n in (old, new) if n and n.status and n.status.nodeInfo]
    if len(boots) < 2 or not boots[0] or boots[0] == boots[1]:
        return []
    assert new.metadata is not None
    message = f"Node {new.metadata.name} has been rebooted, boot id: {boots[1]}"
    return [("Warning", "Rebooted", message)]


def needs_report(node: m.Node, wanted: m.Node, now: datetime) -> bool:
    """Whether the status has to be written: it changed, or the last report is old."""
    if node.status is None or wanted.status is None:
        return True
    if _without_heartbeats(node.status) != _without_heartbeats(wanted.status):
        return True
    beats = [c.lastHeartbeatTime for c in node.status.conditions or () if c.lastHeartbeatTime]
    return not beats or now - max(beats) >= timedelta(seconds=STATUS_REPORT)


def _without_heartbeats(status: m.NodeStatus) -> m.NodeStatus:
    conditions = [replace(c, lastHeartbeatTime=None) for c in status.conditions or ()]
    return replace(status, conditions=conditions)


def _conditions_of(node: m.Node | None) -> list[m.NodeCondition]:
    return (node.status.conditions or []) if node is not None and node.status else []


def lease(node: m.Node, now: datetime) -> m.Lease:
    """The node's first lease (pkg/kubelet/util/nodelease.go)."""
    assert node.metadata is not None
    name = node.metadata.name
    return m.Lease(
        apiVersion="coordination.k8s.io/v1",
        kind="Lease",
        metadata=m.ObjectMeta(
            name=name,
            namespace=LEASE_NAMESPACE,
            ownerReferences=[
                m.OwnerReference(
                    apiVersion="v1", kind="Node", name=name or "", uid=node.metadata.uid or ""
                )
            ],
        ),
        spec=m.LeaseSpec(holderIdentity=name, leaseDurationSeconds=LEASE_SECONDS, renewTime=now),
    )


def renewed(old: m.Lease, name: str, now: datetime) -> m.Lease:
    """The lease with its time put forward."""
    spec = old.spec or m.LeaseSpec()
    return replace(
        old,
        spec=replace(spec, holderIdentity=name, leaseDurationSeconds=LEASE_SECONDS, renewTime=now),
    )
