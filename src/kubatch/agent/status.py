"""A pod's status as the kubelet shows it: phase, conditions, container statuses.

pkg/kubelet/kubelet_pods.go (getPhase, generateAPIPodStatus, convertToAPIContainerStatuses) and
pkg/kubelet/status/generate.go (conditions).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from kubatch.agent.backoff import go_duration, should_restart, waits_until
from kubatch.agent.facts import (
    EPOCH,
    TERMINAL_PHASES,
    ContainerFacts,
    Kind,
    PodFacts,
    container_id,
)
from kubatch.agent.refuse import EPHEMERAL
from kubatch.api import models as m
from kubatch.api import quantity
from kubatch.runtime.protocol import Container, ContainerState
from kubatch.world import whole_seconds

# Written by the kubelet in this order, after the conditions of others.
CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)
DEADLINE_REASON = "DeadlineExceeded"
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"
# pkg/kubelet/kuberuntime/kuberuntime_container.go: 12 KiB for all containers of a pod
MESSAGES_BYTES_MAX = 12 * 1024
MESSAGE_BYTES_MAX = 4096
_UNKNOWN_EXIT = 137


@dataclass(frozen=True, slots=True)
class Shown:
    """Every container's status, in spec order; the same positions as in the facts."""

    early: tuple[m.ContainerStatus, ...]  # init containers and sidecars
    regular: tuple[m.ContainerStatus, ...]


def containers(facts: PodFacts, now: datetime, *, stopping: bool) -> Shown:
    """The status of each container; while stopping, none waits to be restarted."""
    waiting = "PodInitializing" if facts.early else "ContainerCreating"
    share = min(MESSAGE_BYTES_MAX, MESSAGES_BYTES_MAX // max(1, len(facts.containers)))
    early: list[m.ContainerStatus] = []
    regular: list[m.ContainerStatus] = []
    for c in facts.containers:
        into = regular if c.kind is Kind.REGULAR else early
        into.append(_container(facts, c, waiting, share, now, stopping))
    return Shown(tuple(early), tuple(regular))


def _container(
    facts: PodFacts, c: ContainerFacts, waiting: str, share: int, now: datetime, stopping: bool
) -> m.ContainerStatus:
    latest, previous = c.latest, c.previous
    image = c.spec.image or ""
    problem = None if stopping else facts.memory.problems.get(c.name)
    if latest is None:
        reason, message = (problem.reason, problem.message) if problem else (waiting, None)
        return m.ContainerStatus(
            name=c.name,
            image=image,
            imageID="",
            ready=False,
            restartCount=0,
            started=False,
            state=m.ContainerState(waiting=m.ContainerStateWaiting(reason=reason, message=message)),
            lastState=m.ContainerState(),
        )
    running = latest.state is ContainerState.RUNNING
    last = previous
    if running:
        began = whole_seconds(latest.started_at or now)
        state = m.ContainerState(running=m.ContainerStateRunning(startedAt=began))
    else:
        held_back = None if stopping else _held_back(facts, c, latest, now)
        if held_back is not None:
            state = m.ContainerState(waiting=held_back)
            last = latest
        else:
            state = m.ContainerState(terminated=_terminated(facts, c, latest, share))
    resources = c.spec.resources or m.ResourceRequirements()
    return m.ContainerStatus(
        name=c.name,
        image=image,
        imageID=image,
        containerID=container_id(facts.runtime, latest.id),
        # A regular init container is ready once it has succeeded, and never while it runs.
        ready=(running and c.kind is not Kind.INIT)
        or (c.kind is Kind.INIT and not running and not failed(latest)),
        started=running,
        restartCount=latest.id.attempt,
        state=state,
        lastState=m.ContainerState(
            terminated=None if last is None else _terminated(facts, c, last, share)
        ),
        resources=resources,
        allocatedResources=resources.requests,
        volumeMounts=_volume_mounts(c.spec),
    )


def _volume_mounts(container: m.Container) -> list[m.core_v1.VolumeMountStatus] | None:
    return [
        m.core_v1.VolumeMountStatus(
            name=mount.name,
            mountPath=mount.mountPath,
            readOnly=mount.readOnly or None,
            # What is mounted read-only here is so with everything below it.
            recursiveReadOnly=None
            if not mount.readOnly
            else "Enabled"
            if mount.recursiveReadOnly in ("Enabled", "IfPossible")
            else "Disabled",
        )
        for mount in container.volumeMounts or ()
    ] or None


def _held_back(
    facts: PodFacts, c: ContainerFacts, latest: Container, now: datetime
) -> m.ContainerStateWaiting | None:
    """The waiting state of an ended container that will run again, but not now."""
    if not restarts(c, latest):
        return None
    problem = facts.memory.problems.get(c.name)
    if problem is not None:
        return m.ContainerStateWaiting(reason=problem.reason, message=problem.message)
    entry = facts.memory.backoffs.get(c.name)
    until = waits_until(entry, finished(latest))
    if entry is None or until is None or until <= now:
        return None
    # pkg/kubelet/kuberuntime/kuberuntime_manager.go: doBackOff
    return m.ContainerStateWaiting(
        reason="CrashLoopBackOff",
        message=f"back-off {go_duration(entry.delay)} restarting failed container={c.name} "
        f"pod={facts.full_name}",
    )


def restarts(c: ContainerFacts, ended: Container) -> bool:
    """Whether the container runs again after this end."""
    code = _UNKNOWN_EXIT if ended.exit_code is None else ended.exit_code
    if c.kind is Kind.INIT and ended.reason == "OOMKilled":
        code = code or _UNKNOWN_EXIT
    return should_restart(c.restart_policy, c.restart_rules, code)


def failed(ended: Container) -> bool:
    """Whether an init container's attempt did not succeed (kubecontainer: IsContainerFailed)."""
    return ended.exit_code != 0 or ended.reason == "OOMKilled"


def finished(ended: Container) -> datetime:
    """When an attempt ended; long ago, if nobody saw it."""
    return ended.finished_at or ended.started_at or EPOCH


def _terminated(
    facts: PodFacts, c: ContainerFacts, ended: Container, share: int
) -> m.ContainerStateTerminated:
    code = _UNKNOWN_EXIT if ended.exit_code is None else ended.exit_code
    unseen = ended.reason == "ContainerStatusUnknown"
    finished_at = ended.finished_at if unseen else finished(ended)
    message = ended.message
    tail = c.tails.get(ended.id.attempt, "")
    if tail:
        message = f"{message}: {tail}" if message else tail
    started_at = ended.started_at
    if started_at is None and not unseen:
        started_at = EPOCH  # as containerd reports what never started
    return m.ContainerStateTerminated(
        exitCode=code,
        reason=ended.reason or ("Completed" if code == 0 else "Error"),
        message=_clip(message, share) or None,
        startedAt=None if started_at is None else whole_seconds(started_at),
        finishedAt=None if finished_at is None else whole_seconds(finished_at),
        containerID=container_id(facts.runtime, ended.id),
    )


def _clip(text: str, bytes_max: int) -> str:
    if len(text) * 4 <= bytes_max:
        return text
    return text.encode()[:bytes_max].decode(errors="ignore")


# ----- phase


def phase(facts: PodFacts, shown: Shown, *, finalising: bool) -> str:
    """The pod's phase (getPhase). Finalising: no container is ever started again."""
    pending_init = pending_sidecar = running = waiting = stopped = succeeded = for_good = 0
    for c, status in zip(facts.early, shown.early, strict=True):
        state = status.state
        assert state is not None
        ended = _last_end(status)
        if c.kind is Kind.SIDECAR:
            if state.running is not None:
                running += 1
                pending_sidecar += not status.started
            elif state.waiting is not None and ended is None:
                waiting += 1
                pending_sidecar += 1
        elif state.running is not None or ended is None:
            pending_init += 1
        elif _init_failed(ended) and not _restartable(c, ended):
            return "Failed"
    for c, status in zip(facts.regular, shown.regular, strict=True):
        state = status.state
        assert state is not None
        ended = _last_end(status)
        if state.running is not None:
            running += 1
        elif ended is not None:
            stopped += 1
            succeeded += state.terminated is not None and ended.exitCode == 0
            for_good += not _restartable(c, ended)
        else:
            waiting += 1
    any_regular = any(c.attempts for c in facts.regular)
    if pending_init or (pending_sidecar and not any_regular) or waiting:
        return "Pending"
    if running:
        return "Running"
    if not stopped:
        return "Pending"
    if not finalising and for_good < stopped:
        return "Running"
    return "Succeeded" if succeeded == stopped else "Failed"


def _last_end(status: m.ContainerStatus) -> m.ContainerStateTerminated | None:
    """How a container that does not run ended; None when it never ran."""
    assert status.state is not None
    if status.state.terminated is not None or status.state.waiting is None:
        return status.state.terminated
    return status.lastState.terminated if status.lastState is not None else None


def _init_failed(ended: m.ContainerStateTerminated) -> bool:
    return ended.exitCode != 0 or ended.reason == "OOMKilled"


def _restartable(c: ContainerFacts, ended: m.ContainerStateTerminated) -> bool:
    code = ended.exitCode
    if c.kind is Kind.INIT and ended.reason == "OOMKilled":
        code = code or _UNKNOWN_EXIT
    return should_restart(c.restart_policy, c.restart_rules, code)


# ----- conditions


def conditions(
    facts: PodFacts, shown: Shown, pod_phase: str, now: datetime, *, sandbox: bool
) -> list[m.PodCondition]:
    """The pod's conditions; times change only where a status does."""
    meta, old_status = facts.pod.metadata, facts.pod.status
    assert meta is not None
    old = {c.type: c for c in (old_status.conditions if old_status else None) or ()}
    result = [c for c in old.values() if c.type not in CONDITIONS]
    ready = _containers_ready(facts, shown, pod_phase)
    findings = (
        ("True" if sandbox else "False", None, None),
        _initialized(facts, shown, pod_phase),
        _pod_ready(facts, ready, old),
        ready,
        ("True", None, None),
    )
    moment = whole_seconds(now)
    for kind, (status, reason, message) in zip(CONDITIONS, findings, strict=True):
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


# ----- the end


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
    return Shown(early, regular)


def _all_initialised(facts: PodFacts, shown: Shown) -> bool:
    return all(
        bool(s.started if c.kind is Kind.SIDECAR else s.ready)
        for c, s in zip(facts.early, shown.early, strict=True)
    )


def _lost(status: m.ContainerStatus) -> m.ContainerStatus:
    if status.state is not None and status.state.terminated is not None:
        return status
    unknown = m.ContainerStateTerminated(
        exitCode=_UNKNOWN_EXIT,
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
    return replace(
        old,
        phase=pod_phase,
        reason=reason,
        message=message,
        conditions=pod_conditions,
        hostIP=address,
        hostIPs=[m.HostIP(ip=address)],
        # There is one network, the machine's own.
        podIP=address,
        podIPs=[m.PodIP(ip=address)],
        startTime=facts.memory.start_time,
        qosClass=old.qosClass or qos_class(facts.pod),
        resources=old.resources or m.ResourceRequirements(),
        initContainerStatuses=list(shown.early) or None,
        containerStatuses=sorted(shown.regular, key=lambda s: s.name),
        ephemeralContainerStatuses=_ephemeral(facts.pod),
        observedGeneration=meta.generation,
    )


def _ephemeral(pod: m.Pod) -> list[m.ContainerStatus] | None:
    """None of them is started; each says so, and kubectl debug shows that to whoever waits."""
    assert pod.spec is not None
    waiting = m.ContainerStateWaiting(reason="CreateContainerConfigError", message=EPHEMERAL)
    return [
        m.ContainerStatus(
            name=c.name,
            image=c.image or "",
            imageID="",
            ready=False,
            restartCount=0,
            state=m.ContainerState(waiting=waiting),
        )
        for c in pod.spec.ephemeralContainers or ()
    ] or None


def qos_class(pod: m.Pod) -> str:
    """pkg/apis/core/v1/helper/qos/qos.go: ComputePodQOS."""
    spec = pod.spec
    assert spec is not None
    if spec.resources is not None and (spec.resources.requests or spec.resources.limits):
        parts: list[Any] = [spec.resources]
    else:
        parts = [c.resources for c in (*(spec.initContainers or ()), *spec.containers)]
    requests: dict[str, Any] = {"cpu": 0, "memory": 0}
    limits: dict[str, Any] = {"cpu": 0, "memory": 0}
    guaranteed = True
    for resources in parts:
        for name in ("cpu", "memory"):
            request = _amount(resources and resources.requests, name)
            limit = _amount(resources and resources.limits, name)
            requests[name] += request
            limits[name] += limit
            guaranteed = guaranteed and limit > 0
    if not any(requests.values()) and not any(limits.values()):
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def _amount(amounts: dict[str, Any] | None, name: str) -> Any:
    value = (amounts or {}).get(name)
    return quantity.parse(str(value)) if value is not None else 0


def is_terminal(pod_phase: str) -> bool:
    """Whether a pod in this phase stays as it is."""
    return pod_phase in TERMINAL_PHASES


def deadline_of(facts: PodFacts, start: datetime) -> datetime | None:
    """When activeDeadlineSeconds ends the pod, counted from when this node saw it first."""
    if facts.deadline is None:
        return None
    return start + timedelta(seconds=facts.deadline)
