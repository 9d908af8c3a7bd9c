"""The end of a pod: its containers, its last status, what it leaves behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kubatch.agent import status
from kubatch.agent.commands import (
    Command,
    DeletePod,
    Emit,
    ForgetPod,
    PodDecision,
    ReleaseVolumes,
    RemoveContainer,
    RunPreStop,
    Signal,
)
from kubatch.agent.facts import ContainerFacts, Memory, PodFacts, Stopping, VolumesState
from kubatch.agent.qos import qos_class
from kubatch.agent.termination import Ending, end
from kubatch.agent.verdict import Verdict, rejected_status, with_disruption
from kubatch.runtime.protocol import ContainerId

OVERDUE = Verdict(status.DEADLINE_REASON, status.DEADLINE_MESSAGE)
# pkg/kubelet/kubelet.go, HandlePodCleanups: a pod that is gone from the API gets one second
GONE_GRACE = 1


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
            steps(ending),
            memory=Memory(stopping=ending.stopping),
            wake_at=ending.wake_at,
        )
    removals = tuple(RemoveContainer(id, with_log=False) for id in sorted(held))
    return PodDecision("the pod is gone from the API", (*removals, ForgetPod()))


def refused(facts: PodFacts, verdict: Verdict) -> PodDecision:
    """The pod is not taken in: that is all there is to show."""
    start = facts.memory.start_time
    assert start is not None
    shown = rejected_status(facts.pod, verdict, qos_class(facts.pod), start)
    return PodDecision(f"Failed: the node refuses it: {verdict.reason}", (), shown, facts.memory)


def stop(
    facts: PodFacts, shown: status.Shown, phase: str, now: datetime, *, verdict: Verdict | None
) -> PodDecision:
    """End what runs; when nothing does, show the final status."""
    memory = facts.memory
    grace = facts.deletion_grace if facts.deleting else facts.grace
    commands: list[Command] = []
    reason = message = None
    until_then = facts.phase if status.is_terminal(phase) else phase
    if verdict is not None and not facts.deleting:
        phase = "Failed"
        reason, message = verdict.reason, verdict.message
        grace = grace if verdict.grace is None else min(grace, verdict.grace)
        if verdict is OVERDUE and not memory.deadline_told:
            commands.append(Emit("Normal", reason, message))
            memory = replace(memory, deadline_told=True)
    running = any(c.running for c in facts.everything)
    wake_at = None
    if running:
        ending = end(facts.everything, memory.stopping, grace, now)
        memory = replace(memory, stopping=ending.stopping)
        wake_at = ending.wake_at
        commands += _announced(ending)
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
        conditions = with_disruption(conditions, verdict, facts.pod, now)
    return PodDecision(
        f"{phase}: {_why(facts, verdict)}, "
        + ("the others are ended" if running else "nothing runs"),
        tuple(commands),
        status.pod_status(facts, shown, phase, reason, message, conditions),
        memory,
        wake_at,
    )


def _why(facts: PodFacts, verdict: Verdict | None) -> str:
    if facts.deleting:
        return "it is being deleted"
    if verdict is OVERDUE:
        return "its deadline passed"
    if verdict is not None:
        return f"the node ends it: {verdict.reason}"
    if any(c.running and c.health.failed for c in facts.regular):
        return "a probe failed and nothing may be started again"
    return "its containers have ended"


def steps(ending: Ending) -> tuple[Command, ...]:
    """What to do next to end containers."""
    hooks = tuple(RunPreStop(c) for c in ending.hooks)
    return (*hooks, *(Signal(id, number) for id, number in ending.signals))


def _announced(ending: Ending) -> list[Command]:
    events = [
        Emit("Normal", "Killing", f"Stopping container {c.name}", c.field_path)
        for c in ending.announced
    ]
    return [*events, *steps(ending)]


def after_the_end(facts: PodFacts, now: datetime) -> PodDecision:
    """The API shows a terminal phase: it never changes again, so only clear up."""
    if any(c.running for c in facts.everything):
        grace = facts.deletion_grace if facts.deleting else facts.grace
        ending = end(facts.everything, facts.memory.stopping, grace, now)
        return PodDecision(
            f"{facts.phase}: declared so by somebody else, its containers are ended",
            tuple(_announced(ending)),
            memory=replace(facts.memory, stopping=ending.stopping),
            wake_at=ending.wake_at,
        )
    commands: list[Command] = [RemoveContainer(id, with_log=False) for id in sorted(facts.held)]
    if facts.volumes in (VolumesState.WANTED, VolumesState.READY):
        commands.append(ReleaseVolumes())
    if facts.deleting and facts.deletion_grace:  # else it is done, and waits for finalizers
        commands.append(DeletePod())
    return PodDecision(f"{facts.phase}: nothing is left to do", tuple(commands))
