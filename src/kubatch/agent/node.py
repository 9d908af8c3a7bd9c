"""The Node object of this machine, its lease, and the events about it.

pkg/kubelet/nodestatus/setters.go, pkg/kubelet/kubelet_node_status.go. Everything here is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
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
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "pods": str(machine.pods),
    }


def allocatable(machine: Machine) -> dict[str, str]:
    """What pods may ask for (setters.go: Allocatable is capacity without reservations)."""
    disk = machine.disk_bytes * (100 - RESERVED_DISK_PERCENT) // 100
    memory = max(0, machine.memory_bytes - RESERVED_MEMORY_BYTES)
    return {
        **capacity(machine),
        "ephemeral-storage": str(disk),
        "memory": f"{memory // 1024}Ki",
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
) -> m.Node:
    """The node with its present status; what others wrote into it stays."""
    old = node.status or m.NodeStatus()
    status = replace(
        old,
        addresses=[
            m.NodeAddress(type="InternalIP", address=address),
            m.NodeAddress(type="Hostname", address=name),
        ],
        capacity=capacity(machine),
        allocatable=allocatable(machine),
        conditions=conditions(old.conditions or [], now, problem),
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
    )
    return replace(node, status=status)


def conditions(old: list[m.NodeCondition], now: datetime, problem: str) -> list[m.NodeCondition]:
    """The node's conditions; `problem`, when there is one, is why it is not ready."""
    before = {c.type: c for c in old}
    moment = whole_seconds(now)
    result = [c for c in old if c.type not in {row[0] for row in _CONDITIONS}]
    for kind, status, reason, message in _CONDITIONS:
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
    found = []
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
