"""Containers that a probe or a hook condemns, while their pod goes on or with it.

pkg/kubelet/kuberuntime/kuberuntime_manager.go: computePodActions; for sidecars
kuberuntime_container.go: computeInitContainerActions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from kubatch.agent.backoff import waits_until
from kubatch.agent.commands import Command, Emit
from kubatch.agent.container_status import finished, restarts
from kubatch.agent.ending import steps
from kubatch.agent.facts import ContainerFacts, Kind, Memory, PodFacts, Stopping
from kubatch.agent.termination import end
from kubatch.agent.vitals import LIVENESS, STARTUP
from kubatch.runtime.protocol import ContainerId


@dataclass(slots=True)
class Plan:
    """What is gathered while looking at a pod's containers one after another."""

    memory: Memory
    commands: list[Command]
    wakes: list[datetime] = field(default_factory=list)


def given_up(facts: PodFacts) -> bool:
    """Whether a failed probe ends the whole pod: nothing is kept, and nothing may be started."""
    condemned = [c for c in facts.regular if c.running and c.health.failed]
    if not condemned or any(c.restart_policy != "Never" for c in condemned):
        return False
    return all(
        c in condemned or (c.latest is not None and c.exited and not restarts(c, c.latest))
        for c in facts.regular
    )


def end_condemned(facts: PodFacts, plan: Plan, now: datetime) -> None:
    """End single containers, or go on with it."""
    endings: dict[ContainerId, Stopping] = {}
    renewed = set()
    for c in facts.containers:
        if c.renewed and c.latest is not None:
            renewed.add(c.latest.id)
    for c, id in _running(facts):
        before = plan.memory.endings.get(id)
        if before is None:
            why = _condemned(c)
            if why is None:
                continue
            plan.commands.append(Emit("Normal", "Killing", why, c.field_path))
            if c.health.failed and _runs_again(c):
                renewed.add(id)
        ending = end((c,), before, _grace(facts, c), now)
        plan.commands += steps(ending)
        endings[id] = ending.stopping
        if ending.wake_at is not None:
            plan.wakes.append(ending.wake_at)
    if endings or plan.memory.endings or plan.memory.renewed:
        plan.memory = replace(plan.memory, endings=endings, renewed=frozenset(renewed))


def _running(facts: PodFacts) -> Iterator[tuple[ContainerFacts, ContainerId]]:
    for c in facts.containers:
        if c.running and c.latest is not None:
            yield c, c.latest.id


def _condemned(c: ContainerFacts) -> str | None:
    """Why a container has to end, as its event says."""
    if c.hook_failed:
        return "FailedPostStartHook"
    if not c.health.failed:
        return None
    if c.kind is Kind.SIDECAR:
        return f"Init container {c.name} failed {c.health.failed} probe"
    again = ", will be restarted" if _runs_again(c) else ""
    return f"Container {c.name} failed {c.health.failed} probe{again}"


def _runs_again(c: ContainerFacts) -> bool:
    """Restart rules look at exit codes, and there is none yet: the policy alone decides."""
    return c.restart_policy != "Never"


def _grace(facts: PodFacts, c: ContainerFacts) -> int:
    """kuberuntime_container.go: setTerminationGracePeriod. A probe's own comes first."""
    probe = {LIVENESS: c.spec.livenessProbe, STARTUP: c.spec.startupProbe}.get(c.health.failed)
    if probe is None or probe.terminationGracePeriodSeconds is None or c.hook_failed:
        return facts.grace
    return probe.terminationGracePeriodSeconds


def without_late_renewals(facts: PodFacts, now: datetime) -> PodFacts:
    """Take back that a container runs anew, where its back-off forbids it.

    Upstream kills and starts in one go, and only the back-off since the end before can stand
    between: then the next look finds an exit code, and that decides.
    """
    late = {c.name for c in facts.containers if c.renewed and c.exited and _waits(facts, c, now)}
    if not late:
        return facts
    containers = tuple(replace(c, renewed=False) if c.name in late else c for c in facts.containers)
    kept = frozenset(id for id in facts.memory.renewed if id.container not in late)
    return replace(facts, containers=containers, memory=replace(facts.memory, renewed=kept))


def _waits(facts: PodFacts, c: ContainerFacts, now: datetime) -> bool:
    if c.previous is None:
        return False
    until = waits_until(facts.memory.backoffs.get(c.name), finished(c.previous))
    return until is not None and now < until
