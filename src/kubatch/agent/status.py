"""A pod's status as the kubelet shows it (pkg/kubelet/kubelet_pods.go: generateAPIPodStatus)."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from kubatch.agent.conditions import conditions
from kubatch.agent.container_status import (
    UNKNOWN_EXIT,
    Shown,
    containers,
    failed,
    finished,
    restarts,
)
from kubatch.agent.facts import Kind, PodFacts
from kubatch.agent.phase import is_terminal, phase
from kubatch.agent.qos import qos_class
from kubatch.api import models as m

__all__ = [
    "Shown", "conditions", "containers", "deadline_of", "failed", "finalised", "finished",
    "is_terminal", "phase", "pod_status", "qos_class", "restarts",
]  # fmt: skip

DEADLINE_REASON = "DeadlineExceeded"
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


def finalised(facts: PodFacts, shown: Shown) -> Shown:
    """The statuses once no container is left: none may be shown as waiting or running.

    status/status_manager.go: TerminatePod. Containers of a pod that never finished its init
    containers stay as they are: they could not have run.
    """
    initialised = not facts.early or any(c.attempts for c in facts.regular)
    last = max((i for i, c in enumerate(facts.early) if c.attempts), default=-1)
    early = tuple(
        _lost(status) if i <= last or initialised else status
        for i, status in enumerate(shown.early)
    )
    regular = shown.regular
    if initialised or (last == len(facts.early) - 1 and _all_initialised(facts, shown)):
        regular = tuple(_lost(status) for status in shown.regular)
    ephemeral = tuple(
        _lost(status) if c.attempts else status
        for c, status in zip(facts.ephemeral, shown.ephemeral, strict=True)
    )
    return Shown(early, regular, ephemeral)


def _all_initialised(facts: PodFacts, shown: Shown) -> bool:
    return all(
        bool(s.started if c.kind is Kind.SIDECAR else s.ready)
        for c, s in zip(facts.early, shown.early, strict=True)
    )


def _lost(status: m.ContainerStatus) -> m.ContainerStatus:
    if status.state is not None and status.state.terminated is not None:
        return status
    unknown = m.ContainerStateTerminated(
        exitCode=UNKNOWN_EXIT,
        reason="ContainerStatusUnknown",
        message="The container could not be located when the pod was terminated",
    )
    return replace(status, ready=False, started=False, state=m.ContainerState(terminated=unknown))


def pod_status(
    facts: PodFacts,
    shown: Shown,
    pod_phase: str,
    reason: str | None,
    message: str | None,
    pod_conditions: list[m.PodCondition],
) -> m.PodStatus:
    """The whole status; what others wrote into it stays."""
    old = facts.pod.status or m.PodStatus()
    meta = facts.pod.metadata
    assert meta is not None
    if reason is None and old.phase == pod_phase:
        reason, message = old.reason, old.message  # kept while the phase does not change
    address = facts.host_ip
    own = address if facts.pod_ip is None else facts.pod_ip
    return replace(
        old,
        phase=pod_phase,
        reason=reason,
        message=message,
        conditions=pod_conditions,
        hostIP=address,
        hostIPs=[m.HostIP(ip=address)],
        podIP=own or None,
        podIPs=[m.PodIP(ip=own)] if own else None,
        startTime=facts.memory.start_time,
        qosClass=old.qosClass or qos_class(facts.pod),
        resources=old.resources or m.ResourceRequirements(),
        initContainerStatuses=list(shown.early) or None,
        containerStatuses=sorted(shown.regular, key=lambda s: s.name),
        ephemeralContainerStatuses=list(shown.ephemeral) or None,
        observedGeneration=meta.generation,
    )


def deadline_of(facts: PodFacts, start: datetime) -> datetime | None:
    """When activeDeadlineSeconds ends the pod, counted from when this node saw it first."""
    if facts.deadline is None:
        return None
    return start + timedelta(seconds=facts.deadline)
