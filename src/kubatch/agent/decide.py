"""What to do about one pod: commands for the runtime, the status to show, when to look again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from msgspec import structs

from kubatch.agent import status
from kubatch.agent.backoff import after_restart, waits_until
from kubatch.agent.commands import (
    Command,
    Emit,
    PodDecision,
    RemoveContainer,
    SetUpVolumes,
    StartContainer,
)
from kubatch.agent.ending import OVERDUE, after_the_end, refused, stop
from kubatch.agent.facts import ContainerFacts, Kind, PodFacts, Problem, VolumesState
from kubatch.agent.renewal import Plan, end_condemned, given_up, without_late_renewals
from kubatch.agent.reset import start_anew
from kubatch.api import models as m
from kubatch.runtime.protocol import Container, ContainerState
from kubatch.world import whole_seconds

# pkg/kubelet/pod_workers.go: a sync that failed is tried again after backOffPeriod
RETRY = 10.0
# Of each container the latest attempt is kept, and one before it for `logs --previous`
# (kuberuntime_gc.go: MaxPerPodContainer).
ATTEMPTS_KEPT = 2


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
        return after_the_end(facts, now)
    if memory.verdict is not None and memory.verdict.rejected:
        return refused(facts, memory.verdict)
    facts = without_late_renewals(facts, now)
    deadline = status.deadline_of(facts, memory.start_time)
    verdict = memory.verdict
    if verdict is None and deadline is not None and now >= deadline:
        verdict = OVERDUE
    finalising = facts.deleting or verdict is not None
    shown = status.containers(facts, now, stopping=finalising)
    phase = status.phase(facts, shown, finalising=finalising)
    finished = status.is_terminal(phase) or _regular_done(facts)
    source = facts.resetting
    if finalising or (source is None and (finished or given_up(facts))):
        return stop(facts, shown, phase, now, verdict=verdict)
    decision = _run(facts, shown, phase, now) if source is None else start_anew(facts, source, now)
    if deadline is not None and (decision.wake_at is None or deadline < decision.wake_at):
        return replace(decision, wake_at=deadline)
    return decision


def _regular_done(facts: PodFacts) -> bool:
    """Whether every regular container has ended for good, sidecars aside."""
    return all(
        c.latest is not None and c.exited and not status.restarts(c, c.latest)
        for c in facts.regular
    )


def _run(facts: PodFacts, shown: status.Shown, phase: str, now: datetime) -> PodDecision:
    """Start what should run and does not."""
    plan = Plan(facts.memory, _outdated(facts))
    end_condemned(facts, plan, now)
    for c in facts.ephemeral:
        if c.latest is None:
            _start(facts, c, plan, now)
    if _initialise(facts, plan, now):
        _start_regular(facts, plan, now)
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


def _start_regular(facts: PodFacts, plan: Plan, now: datetime) -> None:
    """Start regular containers in order; what comes after a postStart hook waits for it."""
    for c in facts.regular:
        if c.starting and not c.hook_failed:
            return
        if (c.latest is None or (c.exited and status.restarts(c, c.latest))) and (
            _start(facts, c, plan, now) and _has_post_start(c.spec)
        ):
            return


def _has_post_start(container: m.Container) -> bool:
    return container.lifecycle is not None and container.lifecycle.postStart is not None


def _initialise(facts: PodFacts, plan: Plan, now: datetime) -> bool:
    """Run init containers one by one, keep sidecars up; whether regular ones may start.

    kuberuntime_container.go: computeInitContainerActions. Once a regular container has run, init
    containers are done with for good.
    """
    initialised = any(c.attempts and not c.was_reset for c in facts.regular)
    for c in facts.early:
        if c.kind is Kind.SIDECAR:
            if not c.running:
                _start(facts, c, plan, now)
                if not initialised:
                    return False
            elif not c.started and not initialised:
                return False  # its hook or its startup probe is under way
        elif initialised:
            continue
        elif c.latest is None or (c.exited and status.failed(c.latest)):
            _start(facts, c, plan, now)
            return False
        elif c.running:
            return False
    return True


def _start(facts: PodFacts, c: ContainerFacts, plan: Plan, now: datetime) -> bool:
    """Start a container, unless a problem or its back-off holds it back; whether it was."""
    problem = facts.memory.problems.get(c.name)
    if problem is not None:
        retry = _retry_at(problem)
        if retry is None:
            return False
        if now < retry:
            plan.wakes.append(retry)
            return False
    if c.latest is None:
        plan.commands.append(StartContainer(c, 0))
        return True
    memory, ended = plan.memory, status.finished(c.latest)
    entry = memory.backoffs.get(c.name)
    # One that a probe ended starts again in the same breath: its back-off was looked at before.
    until = None if c.renewed else waits_until(entry, ended)
    if until is not None and now < until:
        plan.wakes.append(until)
        if c.latest.id not in memory.backoff_told:
            message = f"Back-off restarting failed container {c.name} in pod {facts.full_name}"
            plan.commands.append(Emit("Warning", "BackOff", message, c.field_path))
            told = frozenset(i for i in memory.backoff_told if i.container != c.name)
            plan.memory = replace(memory, backoff_told=told | {c.latest.id})
        return False
    if problem is None:
        entry = after_restart(entry, ended, now)
        plan.memory = replace(memory, backoffs={**memory.backoffs, c.name: entry})
    plan.commands.append(StartContainer(c, c.latest.id.attempt + 1))
    return True


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
