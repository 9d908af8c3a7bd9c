"""Why a node refuses a pod, or ends one before its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kubatch.api import models as m
from kubatch.world import whole_seconds

# pkg/kubelet/eviction/eviction_manager.go: immediateEvictionGracePeriodSeconds
EVICTION_GRACE = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """A pod's end as this node has decided it; it shows once no container runs."""

    reason: str
    message: str
    grace: int | None = None  # seconds; None: the pod's own
    disruption: bool = False  # the node is to blame: a Job need not count it
    rejected: bool = False  # it never was taken in: nothing of it is shown but this


def rejection(reason: str, message: str) -> Verdict:
    """A pod that is not taken in."""
    return Verdict(reason, message, rejected=True)


def eviction(message: str, *, disruption: bool) -> Verdict:
    """A pod that is ended for what it uses."""
    return Verdict("Evicted", message, EVICTION_GRACE, disruption)


def rejected_status(pod: m.Pod, verdict: Verdict, qos: str, start: datetime) -> m.PodStatus:
    """All that shows of a pod that was not taken in (pkg/kubelet/kubelet.go: rejectPod)."""
    meta = pod.metadata
    assert meta is not None
    return m.PodStatus(
        phase="Failed",
        reason=verdict.reason,
        message=f"Pod was rejected: {verdict.message}",
        qosClass=qos,
        startTime=start,
        observedGeneration=meta.generation,
    )


def with_disruption(
    conditions: list[m.PodCondition], verdict: Verdict | None, pod: m.Pod, now: datetime
) -> list[m.PodCondition]:
    """Conditions that say the node ended the pod (status_manager.go, for TerminationByKubelet)."""
    if verdict is None or not verdict.disruption:
        return conditions
    if any(c.type == "DisruptionTarget" and c.status == "True" for c in conditions):
        return conditions
    meta = pod.metadata
    assert meta is not None
    ours = m.PodCondition(
        type="DisruptionTarget",
        status="True",
        reason="TerminationByKubelet",
        message=verdict.message,
        lastTransitionTime=whole_seconds(now),
        observedGeneration=meta.generation,
    )
    return [ours, *(c for c in conditions if c.type != "DisruptionTarget")]
