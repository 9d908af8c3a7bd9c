"""What a pod's status says of each container.

pkg/kubelet/kubelet_pods.go: convertToAPIContainerStatuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from msgspec import structs

from kubatch.agent.backoff import go_duration, should_restart, waits_until
from kubatch.agent.facts import (
    EPOCH,
    RESET_MESSAGE,
    RESET_REASON,
    USED_TO_RUN,
    ContainerFacts,
    Kind,
    PodFacts,
    container_id,
)
from kubatch.api import models as m
from kubatch.runtime.protocol import Container
from kubatch.world import whole_seconds

# pkg/kubelet/kuberuntime/kuberuntime_container.go: 12 KiB for all containers of a pod
MESSAGES_BYTES_MAX = 12 * 1024
MESSAGE_BYTES_MAX = 4096
UNKNOWN_EXIT = 137


@dataclass(frozen=True, slots=True)
class Shown:
    """Every container's status, in spec order; the same positions as in the facts."""

    early: tuple[m.ContainerStatus, ...]  # init containers and sidecars
    regular: tuple[m.ContainerStatus, ...]
    ephemeral: tuple[m.ContainerStatus, ...] = ()


def containers(facts: PodFacts, now: datetime, *, stopping: bool) -> Shown:
    """The status of each container; while stopping, none waits to be restarted."""
    waiting = "PodInitializing" if facts.early else "ContainerCreating"
    share = min(MESSAGE_BYTES_MAX, MESSAGES_BYTES_MAX // max(1, len(facts.everything)))
    early: list[m.ContainerStatus] = []
    regular: list[m.ContainerStatus] = []
    for c in facts.containers:
        into = regular if c.kind is Kind.REGULAR else early
        into.append(_container(facts, c, waiting, share, now, stopping))
    ephemeral = [
        _container(facts, c, "ContainerCreating", share, now, stopping) for c in facts.ephemeral
    ]
    return Shown(tuple(early), tuple(regular), tuple(ephemeral))


def _container(
    facts: PodFacts, c: ContainerFacts, waiting: str, share: int, now: datetime, stopping: bool
) -> m.ContainerStatus:
    latest = c.latest
    if c.starting:
        return _as_before(facts, c, waiting, share)
    if latest is None:
        return _never_ran(facts, c, waiting, stopping=stopping)
    running, last = c.running, c.previous
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
        image=c.spec.image or "",
        imageID=c.spec.image or "",
        containerID=container_id(facts.runtime, latest.id),
        ready=_is_ready(c, latest),
        started=None if c.kind is Kind.EPHEMERAL else c.started,
        restartCount=latest.id.attempt,
        state=state,
        lastState=m.ContainerState(
            terminated=None if last is None else _terminated_before(facts, c, last, share)
        ),
        resources=resources,
        allocatedResources=resources.requests,
        volumeMounts=_volume_mounts(c.spec),
    )


def _never_ran(
    facts: PodFacts, c: ContainerFacts, waiting: str, *, stopping: bool
) -> m.ContainerStatus:
    problem = None if stopping else facts.memory.problems.get(c.name)
    reason, message = (problem.reason, problem.message) if problem else (waiting, None)
    return m.ContainerStatus(
        name=c.name,
        image=c.spec.image or "",
        imageID="",
        ready=False,
        restartCount=0,
        started=None if c.kind is Kind.EPHEMERAL else False,
        state=m.ContainerState(waiting=m.ContainerStateWaiting(reason=reason, message=message)),
        lastState=m.ContainerState(),
    )


def _as_before(facts: PodFacts, c: ContainerFacts, waiting: str, share: int) -> m.ContainerStatus:
    """A container whose postStart hook runs: what the API shows of it already, if anything.

    kuberuntime_container.go: startContainer waits for the hook, and the status for both. That the
    hook failed the time before is told until then (ErrPostStartHook).
    """
    last = c.previous
    error = c.hook_errors.get(last.id.attempt) if last is not None else None
    changes: dict[str, m.ContainerState] = {}
    if last is not None and error is not None:
        why = m.ContainerStateWaiting(reason="PostStartHookError", message=error)
        changes["state"] = m.ContainerState(waiting=why)
        changes["lastState"] = m.ContainerState(terminated=_terminated(facts, c, last, share))
    status = facts.pod.status or m.PodStatus()
    for shown in (*(status.initContainerStatuses or ()), *(status.containerStatuses or ())):
        if shown.name == c.name:
            before: m.ContainerStatus = structs.replace(
                shown, ready=False, started=False, **changes
            )
            return before
    return _never_ran(facts, c, waiting, stopping=False)


def _is_ready(c: ContainerFacts, latest: Container) -> bool:
    """A regular init container is ready once it has succeeded, and never while it runs."""
    if c.kind is Kind.EPHEMERAL:
        return False
    return not c.running and not failed(latest) if c.kind is Kind.INIT else c.ready


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
        if c.was_reset:
            return m.ContainerStateWaiting(reason=RESET_REASON, message=RESET_MESSAGE)
        return None
    # pkg/kubelet/kuberuntime/kuberuntime_manager.go: doBackOff
    return m.ContainerStateWaiting(
        reason="CrashLoopBackOff",
        message=f"back-off {go_duration(entry.delay)} restarting failed container={c.name} "
        f"pod={facts.full_name}",
    )


def restarts(c: ContainerFacts, ended: Container) -> bool:
    """Whether the container runs again after this end."""
    if c.renewed or ended.reason == RESET_REASON:
        return True
    code = UNKNOWN_EXIT if ended.exit_code is None else ended.exit_code
    if c.kind is Kind.INIT and ended.reason == "OOMKilled":
        code = code or UNKNOWN_EXIT
    return should_restart(c.restart_policy, c.restart_rules, code)


def failed(ended: Container) -> bool:
    """Whether an init container's attempt did not succeed (kubecontainer: IsContainerFailed)."""
    return ended.exit_code != 0 or ended.reason == "OOMKilled"


def finished(ended: Container) -> datetime:
    """When an attempt ended; long ago, if nobody saw it."""
    return ended.finished_at or ended.started_at or EPOCH


def _terminated_before(
    facts: PodFacts, c: ContainerFacts, ended: Container, share: int
) -> m.ContainerStateTerminated:
    """The same of an attempt that another one follows: one that was lost is worded differently."""
    shown = _terminated(facts, c, ended, share)
    if ended.reason != "ContainerStatusUnknown":
        return shown
    told: m.ContainerStateTerminated = structs.replace(shown, message=USED_TO_RUN)
    return told


def _terminated(
    facts: PodFacts, c: ContainerFacts, ended: Container, share: int
) -> m.ContainerStateTerminated:
    code = UNKNOWN_EXIT if ended.exit_code is None else ended.exit_code
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
