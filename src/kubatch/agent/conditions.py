"""A pod's conditions (pkg/kubelet/status/generate.go)."""

from __future__ import annotations

from datetime import datetime

from kubatch.agent.container_status import Shown
from kubatch.agent.facts import Kind, PodFacts
from kubatch.api import models as m
from kubatch.world import whole_seconds

# Written by the kubelet in this order, after the conditions of others.
CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)
RESTARTING = "AllContainersRestarting"  # last, and only of pods with a rule for it


def conditions(
    facts: PodFacts, shown: Shown, pod_phase: str, now: datetime, *, sandbox: bool
) -> list[m.PodCondition]:
    """The pod's conditions; times change only where a status does."""
    meta, old_status = facts.pod.metadata, facts.pod.status
    assert meta is not None
    old = {c.type: c for c in (old_status.conditions if old_status else None) or ()}
    result = [c for c in old.values() if c.type not in CONDITIONS and c.type != RESTARTING]
    ready = _containers_ready(facts, shown, pod_phase)
    findings = (
        ("True" if sandbox else "False", None, None),
        _initialized(facts, shown, pod_phase),
        _pod_ready(facts, ready, old),
        ready,
        ("True", None, None),
    )
    moment = whole_seconds(now)
    told = [*zip(CONDITIONS, findings, strict=True)]
    if facts.can_reset:
        told.append((RESTARTING, _restarting(facts, pod_phase)))
    for kind, (status, reason, message) in told:
        before = old.get(kind)
        since = moment
        if before is not None and before.status == status and before.lastTransitionTime:
            since = before.lastTransitionTime
        result.append(
            m.PodCondition(
                type=kind,
                status=status,
                reason=reason,
                message=message,
                lastTransitionTime=since,
                observedGeneration=meta.generation,
            )
        )
    return result


def is_told(facts: PodFacts) -> bool:
    """Whether the API shows that all containers are to run anew."""
    status = facts.pod.status
    known = (status.conditions if status is not None else None) or ()
    return any(c.type == RESTARTING and c.status == "True" for c in known)


_Finding = tuple[str, str | None, str | None]  # status, reason, message


def _initialized(facts: PodFacts, shown: Shown, pod_phase: str) -> _Finding:
    """status/generate.go: GeneratePodInitializedCondition."""
    if not facts.early:
        return "True", "PodCompleted" if pod_phase == "Succeeded" else None, None
    incomplete = [
        status.name
        for c, status in zip(facts.early, shown.early, strict=True)
        if not (status.started if c.kind is Kind.SIDECAR else status.ready)
    ]
    if pod_phase == "Succeeded" and not any(
        c.name in incomplete for c in facts.early if c.kind is Kind.INIT
    ):
        return "True", "PodCompleted", None
    if not incomplete or any(c.attempts for c in facts.regular):
        return "True", None, None
    listed = " ".join(incomplete)
    return "False", "ContainersNotInitialized", f"containers with incomplete status: [{listed}]"


def _containers_ready(facts: PodFacts, shown: Shown, pod_phase: str) -> _Finding:
    """status/generate.go: GenerateContainersReadyCondition."""
    if pod_phase == "Succeeded":
        return "False", "PodCompleted", None
    if pod_phase == "Failed":
        return "False", "PodFailed", None
    unready = [
        status.name
        for c, status in zip(facts.early, shown.early, strict=True)
        if c.kind is Kind.SIDECAR and not status.ready
    ]
    unready += [status.name for status in shown.regular if not status.ready]
    if not unready:
        return "True", None, None
    listed = " ".join(unready)
    return "False", "ContainersNotReady", f"containers with unready status: [{listed}]"


def _restarting(facts: PodFacts, pod_phase: str) -> _Finding:
    """status/generate.go: GenerateAllContainersRestartingCondition."""
    if pod_phase in ("Succeeded", "Failed"):
        return "False", "PodCompleted" if pod_phase == "Succeeded" else "PodFailed", None
    if facts.resetting is None:
        return "False", None, None
    return "True", "RestartAllContainersStarted", "container exited with restart policy rule"


def _pod_ready(
    facts: PodFacts, containers_ready: _Finding, old: dict[str, m.PodCondition]
) -> _Finding:
    """status/generate.go: GeneratePodReadyCondition."""
    if containers_ready[0] != "True":
        return containers_ready
    spec = facts.pod.spec
    assert spec is not None
    problems = []
    for gate in spec.readinessGates or ():
        condition = old.get(gate.conditionType)
        name = f'condition of pod readiness gate "{gate.conditionType}"'
        if condition is None:
            problems.append(f"corresponding {name} does not exist.")
        elif condition.status != "True":
            problems.append(
                f'the status of pod readiness gate "{gate.conditionType}" is not "True", '
                f"but {condition.status}"
            )
    if problems:
        return "False", "ReadinessGatesNotReady", ", ".join(problems)
    return "True", None, None
