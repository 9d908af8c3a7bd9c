"""All containers of a pod run anew, because one ended as its restart rule says.

pkg/kubelet/kuberuntime/kuberuntime_manager.go: computePodActions and its ContainersToReset. First
the API is told, and what runs is ended; then everything is removed, but for logs, volumes and the
pod's namespaces; then the pod starts as it did first. The container that asked for it is removed
last and the API is told before, so that whoever is interrupted finds how far it was.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kubatch.agent import status
from kubatch.agent.commands import Command, Emit, PodDecision, RemoveContainer
from kubatch.agent.conditions import is_told
from kubatch.agent.ending import steps
from kubatch.agent.facts import ContainerFacts, PodFacts, Stopping, reset
from kubatch.agent.termination import end
from kubatch.api import models as m
from kubatch.runtime.protocol import ContainerId
from kubatch.world import whole_seconds


def start_anew(facts: PodFacts, source: ContainerFacts, now: datetime) -> PodDecision:
    """The next step; `source` is the container that asked for it."""
    if any(c.running for c in facts.containers):
        return _end_all(facts, now)
    if is_told(facts):
        return _remove_all(facts, source, now)
    decision = PodDecision("all containers are to run anew", memory=facts.memory, wake_at=now)
    return _shown(facts, decision, now)


def _end_all(facts: PodFacts, now: datetime) -> PodDecision:
    """Each for itself and without a grace period, so that no preStop hook runs."""
    commands: list[Command] = []
    endings: dict[ContainerId, Stopping] = {}
    wakes = []
    for c in facts.containers:
        if not c.running or c.latest is None:
            continue
        before = facts.memory.endings.get(c.latest.id)
        if before is None:
            commands.append(Emit("Normal", "Killing", "killing", c.field_path))
        ending = end((c,), before, 0, now)
        commands += steps(ending)
        endings[c.latest.id] = ending.stopping
        if ending.wake_at is not None:
            wakes.append(ending.wake_at)
    memory = replace(facts.memory, endings=endings, renewed=frozenset())
    because = "all containers are to run anew: they are ended"
    return _shown(
        facts, PodDecision(because, tuple(commands), None, memory, min(wakes, default=None)), now
    )


def _remove_all(facts: PodFacts, source: ContainerFacts, now: datetime) -> PodDecision:
    assert source.latest is not None
    last = source.latest.id
    names = {c.name for c in facts.containers}
    held = sorted(id for id in facts.held if id.container in names and id != last)
    if last in facts.held:
        held.append(last)
    memory = replace(facts.memory, endings={}, renewed=frozenset())
    containers = tuple(_anew(c, now) for c in facts.containers)
    facts = replace(facts, containers=containers, memory=memory)
    removals = tuple(RemoveContainer(id, with_log=False) for id in held)
    because = "all containers are removed, to run anew"
    return _shown(facts, PodDecision(because, removals, None, memory, now), now)


def _anew(c: ContainerFacts, now: datetime) -> ContainerFacts:
    """A container as it is once removed."""
    if c.latest is None:
        return c
    ended = m.ContainerStateTerminated(
        exitCode=0,
        startedAt=c.latest.started_at,
        finishedAt=c.latest.finished_at or whole_seconds(now),
    )
    attempts = (reset(c.latest.id, ended),)
    return replace(c, attempts=attempts, tails={}, post_start=None, pre_stop=None, renewed=False)


def _shown(facts: PodFacts, decision: PodDecision, now: datetime) -> PodDecision:
    facts = replace(facts, memory=decision.memory)
    shown = status.containers(facts, now, stopping=False)
    phase = status.phase(facts, shown, finalising=False)
    conditions = status.conditions(facts, shown, phase, now, sandbox=True)
    told = status.pod_status(facts, shown, phase, None, None, conditions)
    return replace(decision, status=told)
