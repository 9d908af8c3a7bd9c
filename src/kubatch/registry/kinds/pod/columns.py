"""A pod as a table row (pkg/printers/internalversion/printers.go: printPod)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubatch.api.models import ContainerStatus, Pod, PodSpec, PodStatus
from kubatch.registry.age import age, human_duration
from kubatch.registry.strategy import Column, Row

NONE = "<none>"
COLUMNS = (
    Column("Name", format="name", description="Name must be unique within a namespace."),
    Column(
        "Ready",
        description="The aggregate readiness state of this pod for accepting traffic.",
    ),
    Column("Status", description="The aggregate status of the containers in this pod."),
    Column(
        "Restarts",
        description="The number of times the containers in this pod have been restarted and when "
        "the last container in this pod has restarted.",
    ),
    Column(
        "Age",
        description="CreationTimestamp is a timestamp representing the server time when this "
        "object was created.",
    ),
    Column("IP", priority=1, description="The IP address allocated to the pod."),
    Column("Node", priority=1, description="The node the pod is assigned to."),
    Column("Nominated Node", priority=1, description="The node the pod may be assigned to."),
    Column("Readiness Gates", priority=1, description="The pod's readiness gates."),
)
_FINISHED: Mapping[str, Sequence[Mapping[str, Any]]] = {
    phase: ({"type": "Completed", "status": "True", "reason": phase, "message": message},)
    for phase, message in (
        ("Succeeded", "The pod has completed successfully."),
        ("Failed", "The pod failed."),
    )
}


@dataclass
class _Walk:
    """What a look at the containers' statuses comes to."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: datetime | None = None

    def count_restarts(self, status: ContainerStatus) -> None:
        self.restarts += status.restartCount
        ended = status.lastState.terminated if status.lastState is not None else None
        if ended is not None and ended.finishedAt is not None:
            self.last_restart = max(self.last_restart or ended.finishedAt, ended.finishedAt)


def pod_row(pod: Pod, now: datetime) -> Row:
    """The cells, and a condition that strikes finished pods through in some clients."""
    assert pod.metadata is not None
    spec, status = pod.spec, pod.status or PodStatus()
    assert spec is not None
    walk = _walk(spec, status)
    reason = walk.reason
    if pod.metadata.deletionTimestamp is not None:
        if status.reason == "NodeLost":
            reason = "Unknown"
        elif status.phase not in ("Succeeded", "Failed"):
            reason = "Terminating"
    sidecars = sum(c.restartPolicy == "Always" for c in spec.initContainers or ())
    restarts = str(walk.restarts)
    if walk.restarts and walk.last_restart is not None:
        ago = human_duration((now - walk.last_restart).total_seconds())
        restarts = f"{walk.restarts} ({ago} ago)"
    cells = (
        pod.metadata.name,
        f"{walk.ready}/{len(spec.containers) + sidecars}",
        reason,
        restarts,
        age(pod.metadata.creationTimestamp, now),
        _first_ip(status),
        spec.nodeName or NONE,
        status.nominatedNodeName or NONE,
        _gates(spec, status),
    )
    return Row(cells, _FINISHED.get(status.phase or "", ()))


def _first_ip(status: PodStatus) -> str:
    if status.podIPs:
        return status.podIPs[0].ip or NONE
    return status.podIP or NONE


def _gates(spec: PodSpec, status: PodStatus) -> str:
    if not spec.readinessGates:
        return NONE
    true = {c.type for c in status.conditions or () if c.status == "True"}
    met = sum(gate.conditionType in true for gate in spec.readinessGates)
    return f"{met}/{len(spec.readinessGates)}"


def _walk(spec: PodSpec, status: PodStatus) -> _Walk:
    walk = _Walk(status.reason or status.phase or "")
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.reason == "SchedulingGated":
            walk.reason = "SchedulingGated"
    sidecars = {c.name for c in spec.initContainers or () if c.restartPolicy == "Always"}
    of_sidecars = _Walk("")
    initializing = False
    for i, container in enumerate(status.initContainerStatuses or ()):
        walk.count_restarts(container)
        if container.name in sidecars:
            of_sidecars.count_restarts(container)
        state = container.state
        if state is not None and state.terminated is not None and state.terminated.exitCode == 0:
            continue
        if container.name in sidecars and container.started:
            walk.ready += container.ready
            continue
        walk.reason = f"Init:{_unfinished(container, i, len(spec.initContainers or ()))}"
        initializing = True
        break
    initialized = any(
        c.type == "Initialized" and c.status == "True" for c in status.conditions or ()
    )
    if not initializing or initialized:
        # Once past its init containers, only sidecars and containers count as restarts.
        walk.restarts, walk.last_restart = of_sidecars.restarts, of_sidecars.last_restart
        _containers(status, walk)
    return walk


def _unfinished(container: ContainerStatus, i: int, total: int) -> str:
    state = container.state
    if state is not None and state.terminated is not None:
        return _terminated(state.terminated)
    waiting = state.waiting if state is not None else None
    if waiting is not None and waiting.reason not in (None, "", "PodInitializing"):
        return str(waiting.reason)
    return f"{i}/{total}"


def _terminated(state: Any) -> str:
    if state.reason:
        return str(state.reason)
    return f"Signal:{state.signal}" if state.signal else f"ExitCode:{state.exitCode}"


def _containers(status: PodStatus, walk: _Walk) -> None:
    running, error = False, ""
    for container in reversed(status.containerStatuses or ()):
        walk.count_restarts(container)
        state = container.state
        if state is None:
            continue
        if state.waiting is not None and state.waiting.reason:
            walk.reason = state.waiting.reason
        elif state.terminated is not None:
            walk.reason = _terminated(state.terminated)
            if walk.reason != "Completed":
                error = walk.reason
        elif container.ready and state.running is not None:
            running = True
            walk.ready += 1
    if walk.reason != "Completed":
        return
    ready = any(c.type == "Ready" and c.status == "True" for c in status.conditions or ())
    if running and ready:
        walk.reason = "Running"
    elif error:
        walk.reason = error
    elif running:
        walk.reason = "NotReady"
