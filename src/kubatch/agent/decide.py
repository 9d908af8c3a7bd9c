"""What to do about one pod: commands for the runtime, the status to show, when to look again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from msgspec import structs

from kubatch.agent import status
from kubatch.agent.backoff import after_restart, waits_until
from kubatch.agent.facts import (
    NOTHING_KNOWN,
    ContainerFacts,
    Kind,
    Memory,
    PodFacts,
    Problem,
    Stopping,
    VolumesState,
)
from kubatch.agent.termination import Ending, end
from kubatch.api import models as m
from kubatch.runtime.protocol import Container, ContainerId, ContainerState
from kubatch.world import whole_seconds

# pkg/kubelet/pod_workers.go: a sync that failed is tried again after backOffPeriod
RETRY = 10.0
# pkg/kubelet/kubelet.go, HandlePodCleanups: a pod that is gone from the API gets one second
GONE_GRACE = 1
# Of each container the latest attempt is kept, and one before it for `logs --previous`
# (kuberuntime_gc.go: MaxPerPodContainer).
ATTEMPTS_KEPT = 2


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Prepare and start one attempt; what goes wrong becomes a Problem in the memory."""

    container: ContainerFacts
    attempt: int


@dataclass(frozen=True, slots=True)
class SetUpVolumes:
    """Make the pod's volumes ready; what goes wrong is kept in the memory."""


@dataclass(frozen=True, slots=True)
class ReleaseVolumes:
    """Remove the pod's volumes: no container will use them any more."""


@dataclass(frozen=True, slots=True)
class Signal:
    id: ContainerId
    number: int


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Forget an attempt that ended; with its log unless the pod stays to be read."""

    id: ContainerId
    with_log: bool


@dataclass(frozen=True, slots=True)
class DeletePod:
    """The last DELETE: grace period 0, with the uid as precondition."""


@dataclass(frozen=True, slots=True)
class ForgetPod:
    """Nothing is left of the pod but its logs: delete them and forget it."""


@dataclass(frozen=True, slots=True)
class Emit:
    """An event about the pod, or one of its containers when field_path is given."""

    type: str  # Normal, Warning
    reason: str
    message: str
    field_path: str = ""


Command = (
    StartContainer | SetUpVolumes | ReleaseVolumes | Signal | RemoveContainer | DeletePod
    | ForgetPod | Emit
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PodDecision:
    """Commands in the order to carry them out; then the status, if there is one to show.

    No status comes with StartContainer and SetUpVolumes: what to show depends on how it went, so
    the pod is decided anew after it, and a pod whose containers can start at once costs no write
    before that.
    """

    because: str
    commands: tuple[Command, ...] = ()
    status: m.PodStatus | None = None
    memory: Memory = NOTHING_KNOWN
    wake_at: datetime | None = None


def decide(facts: PodFacts, now: datetime) -> PodDecision:
    """The next step for a pod of this node (pkg/kubelet/kubelet.go: SyncPod and its kin).

    A terminal phase is written only when no container runs, and the pod is deleted only when the
    API shows that phase: who counts finished pods relies on both.
    """
    memory = facts.memory
    if memory.start_time is None:
        memory = replace(memory, start_time=whole_seconds(now))
        facts = replace(facts, memory=memory)
    assert memory.start_time is not None
    if status.is_terminal(facts.phase):
        return _ended(facts, now)
    deadline = status.deadline_of(facts, memory.start_time)
    overdue = deadline is not None and now >= deadline
    finalising = facts.deleting or overdue
    shown = status.containers(facts, now, stopping=finalising)
    phase = status.phase(facts, shown, finalising=finalising)
    finished = status.is_terminal(phase) or _regular_done(facts)
    if finalising or finished:
        return _stop(facts, shown, phase, now, overdue=overdue)
    decision = _run(facts, shown, phase, now)
    if deadline is not None and (decision.wake_at is None or deadline < decision.wake_at):
        return replace(decision, wake_at=deadline)
    return decision


def bury(
    containers: tuple[ContainerFacts, ...],
    held: frozenset[ContainerId],
    stopping: Stopping | None,
    now: datetime,
) -> PodDecision:
    """The next step for what is left of a pod that the API no longer has."""
    ending = end(containers, stopping, GONE_GRACE, now)
    if any(c.running for c in containers):
        return PodDecision(
            "the pod is gone from the API: its containers are ended",
            tuple(Signal(id, number) for id, number in ending.signals),
            memory=Memory(stopping=ending.stopping),
            wake_at=ending.wake_at,
        )
    removals = tuple(RemoveContainer(id, with_log=False) for id in sorted(held))
    return PodDecision("the pod is gone from the API", (*removals, ForgetPod()))


# ----- ending


def _regular_done(facts: PodFacts) -> bool:
    """Whether every regular container has ended for good, sidecars aside."""
    return all(
        c.latest is not None and c.exited and not status.restarts(c, c.latest)
        for c in facts.regular
    )


def _stop(
    facts: PodFacts, shown: status.Shown, phase: str, now: datetime, *, overdue: bool
) -> PodDecision:
    """End what runs; when nothing does, show the final status."""
    memory = facts.memory
    grace = facts.deletion_grace if facts.deleting else facts.grace
    commands: list[Command] = []
    reason = message = None
    until_then = facts.phase if status.is_terminal(phase) else phase
    if overdue and not facts.deleting:
        phase = "Failed"
        reason, message = status.DEADLINE_REASON, status.DEADLINE_MESSAGE
        if not memory.deadline_told:
            commands.append(Emit("Normal", reason, message))
            memory = replace(memory, deadline_told=True)
    running = any(c.running for c in facts.containers)
    wake_at = None
    if running:
        ending = end(facts.containers, memory.stopping, grace, now)
        memory = replace(memory, stopping=ending.stopping)
        wake_at = ending.wake_at
        commands += _ending_commands(ending)
    facts = replace(facts, memory=memory)
    conditions = status.conditions(facts, shown, phase, now, sandbox=running)
    if running:
        # The decision is made, but nothing may count the pod as ended while a container runs
        # (status/status_manager.go: mergePodStatus).
        if status.is_terminal(phase):
            phase, reason, message = until_then, None, None
    else:
        shown = status.finalised(facts, shown)
        if not status.is_terminal(phase):
            phase = status.phase(facts, shown, finalising=True)
        if not status.is_terminal(phase):
            phase = "Failed"
    why = "it is being deleted" if facts.deleting else "its deadline passed"
    if not facts.deleting and not overdue:
        why = "its containers have ended"
    return PodDecision(
        f"{phase}: {why}, " + ("the others are ended" if running else "nothing runs"),
        tuple(commands),
        status.pod_status(facts, shown, phase, reason, message, conditions),
        memory,
        wake_at,
    )


def _ending_commands(ending: Ending) -> list[Command]:
    events: list[Command] = [
        Emit("Normal", "Killing", f"Stopping container {c.name}", c.field_path)
        for c in ending.announced
    ]
    return events + [Signal(id, number) for id, number in ending.signals]


def _ended(facts: PodFacts, now: datetime) -> PodDecision:
    """The API shows a terminal phase: it never changes again, so only clear up."""
    if any(c.running for c in facts.containers):
        grace = facts.deletion_grace if facts.deleting else facts.grace
        ending = end(facts.containers, facts.memory.stopping, grace, now)
        return PodDecision(
            f"{facts.phase}: declared so by somebody else, its containers are ended",
            tuple(_ending_commands(ending)),
            memory=replace(facts.memory, stopping=ending.stopping),
            wake_at=ending.wake_at,
        )
    commands: list[Command] = [RemoveContainer(id, with_log=False) for id in sorted(facts.held)]
    if facts.volumes in (VolumesState.WANTED, VolumesState.READY):
        commands.append(ReleaseVolumes())
    if facts.deleting and facts.deletion_grace:  # else it is done, and waits for finalizers
        commands.append(DeletePod())
    return PodDecision(f"{facts.phase}: nothing is left to do", tuple(commands))


# ----- running


@dataclass(slots=True)
class _Plan:
    """What is gathered while looking at the containers one after another."""

    memory: Memory
    commands: list[Command]
    wakes: list[datetime]


def _run(facts: PodFacts, shown: status.Shown, phase: str, now: datetime) -> PodDecision:
    """Start what should run and does not."""
    plan = _Plan(facts.memory, _outdated(facts), [])
    if _initialise(facts, plan, now):
        for c in facts.regular:
            if c.latest is None or (c.exited and status.restarts(c, c.latest)):
                _start(facts, c, plan, now)
    starts = any(isinstance(command, StartContainer) for command in plan.commands)
    wake_at = min(plan.wakes, default=None)
    commands = tuple(plan.commands)
    if starts and facts.volumes is VolumesState.WANTED:
        return _volumes_first(facts, shown, phase, now)
    if starts:
        return PodDecision("containers are started", commands, None, plan.memory, wake_at)
    sandbox = True  # a pod that is looked after has all it needs to start containers
    conditions = status.conditions(facts, shown, phase, now, sandbox=sandbox)
    return PodDecision(
        f"{phase}: every container runs, has ended or waits for its time",
        commands,
        status.pod_status(facts, shown, phase, None, None, conditions),
        plan.memory,
        wake_at,
    )


def _volumes_first(facts: PodFacts, shown: status.Shown, phase: str, now: datetime) -> PodDecision:
    """Set the volumes up before anything starts, at once or when it is time to try again."""
    memory, trouble = facts.memory, facts.memory.mounting
    if trouble is None or now >= trouble.until:
        return PodDecision("its volumes are set up", (SetUpVolumes(),), memory=memory)
    conditions = status.conditions(facts, shown, phase, now, sandbox=False)
    waiting = status.pod_status(facts, shown, phase, None, None, conditions)
    if not any(c.attempts for c in facts.containers):
        waiting = structs.replace(waiting, podIP=None, podIPs=None)
    return PodDecision(
        f"{phase}: its volumes cannot be set up yet", (), waiting, memory, trouble.until
    )


def _initialise(facts: PodFacts, plan: _Plan, now: datetime) -> bool:
    """Run init containers one by one, keep sidecars up; whether regular ones may start.

    kuberuntime_container.go: computeInitContainerActions. Once a regular container has run, init
    containers are done with for good.
    """
    initialised = any(c.attempts for c in facts.regular)
    for c in facts.early:
        if c.kind is Kind.SIDECAR:
            if not c.running:
                _start(facts, c, plan, now)
                if not initialised:
                    return False
        elif initialised:
            continue
        elif c.latest is None or (c.exited and status.failed(c.latest)):
            _start(facts, c, plan, now)
            return False
        elif c.running:
            return False
    return True


def _start(facts: PodFacts, c: ContainerFacts, plan: _Plan, now: datetime) -> None:
    """Start a container, unless a problem or its back-off holds it back."""
    problem = facts.memory.problems.get(c.name)
    if problem is not None:
        retry = _retry_at(problem)
        if retry is None:
            return
        if now < retry:
            plan.wakes.append(retry)
            return
    if c.latest is None:
        plan.commands.append(StartContainer(c, 0))
        return
    memory, ended = plan.memory, status.finished(c.latest)
    entry = memory.backoffs.get(c.name)
    until = waits_until(entry, ended)
    if until is not None and now < until:
        plan.wakes.append(until)
        if c.latest.id not in memory.backoff_told:
            message = f"Back-off restarting failed container {c.name} in pod {facts.full_name}"
            plan.commands.append(Emit("Warning", "BackOff", message, c.field_path))
            told = frozenset(i for i in memory.backoff_told if i.container != c.name)
            plan.memory = replace(memory, backoff_told=told | {c.latest.id})
        return
    if problem is None:
        entry = after_restart(entry, ended, now)
        plan.memory = replace(memory, backoffs={**memory.backoffs, c.name: entry})
    plan.commands.append(StartContainer(c, c.latest.id.attempt + 1))


def _retry_at(problem: Problem) -> datetime | None:
    return None if problem.permanent else problem.at + timedelta(seconds=RETRY)


def _outdated(facts: PodFacts) -> list[Command]:
    return [
        RemoveContainer(attempt.id, with_log=True)
        for c in facts.containers
        for attempt in c.attempts[:-ATTEMPTS_KEPT]
        if attempt.id in facts.held and _is_over(attempt)
    ]


def _is_over(attempt: Container) -> bool:
    return attempt.state is ContainerState.EXITED
