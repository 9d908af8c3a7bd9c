"""Ending containers: preStop hooks, SIGTERM, the grace period, SIGKILL.

pkg/kubelet/kuberuntime/kuberuntime_container.go: killContainersWithSyncResult, killContainer,
executePreStopHook.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kubatch.agent.facts import ContainerFacts, Kind, Stopping
from kubatch.runtime.protocol import ContainerId

SIGKILL = 9
SIGTERM = 15
# kuberuntime_container.go: minimumGracePeriodInSeconds, whatever the grace period says
GRACE_MIN = 2
# A SIGKILL that had no effect (a process stuck in the kernel) is sent again.
KILL_AGAIN = 10.0


@dataclass(frozen=True, slots=True)
class Ending:
    """The next steps of ending a pod."""

    stopping: Stopping
    signals: tuple[tuple[ContainerId, int], ...]
    announced: tuple[ContainerFacts, ...]  # those whose end began just now
    hooks: tuple[ContainerFacts, ...]  # those whose preStop hook is to run
    wake_at: datetime | None


def end(
    containers: Sequence[ContainerFacts], before: Stopping | None, grace: int, now: datetime
) -> Ending:
    """What to signal now.

    First preStop hooks run, all at once and no longer than the grace period. Sidecars hear SIGTERM
    only when every regular container and every later sidecar has ended; waiting uses up the same
    grace period. A grace period made shorter begins anew.
    """
    stopping = before or Stopping(now, grace)
    if grace < stopping.grace:
        stopping = replace(stopping, since=now, grace=grace)
    over = stopping.since + timedelta(seconds=max(stopping.grace, GRACE_MIN))
    told, killed = dict(stopping.told), dict(stopping.killed)
    signals: list[tuple[ContainerId, int]] = []
    wakes: list[datetime] = []
    running = [c for c in containers if c.running]
    hooks = tuple(c for c in running if _hook_begins(c, stopping))
    stopping = replace(stopping, hooked=stopping.hooked | {c.name for c in hooks})
    hooks_end = stopping.since + timedelta(seconds=stopping.grace)
    first = [c for c in running if c.kind is not Kind.SIDECAR]
    sidecars = [c for c in reversed(running) if c.kind is Kind.SIDECAR]
    others_run = False
    for c in first + sidecars:
        assert c.latest is not None
        if now < hooks_end and _hook_runs(c, stopping):
            wakes.append(hooks_end)
            others_run = True
            continue
        waits = c.kind is Kind.SIDECAR and others_run and now < over
        others_run = True
        if waits:
            wakes.append(over)
            continue
        if c.name not in told:
            told[c.name] = now
            signals.append((c.latest.id, SIGTERM))
        kill_at = max(over, told[c.name] + timedelta(seconds=GRACE_MIN))
        if c.name in killed:
            kill_at = killed[c.name] + timedelta(seconds=KILL_AGAIN)
        if now >= kill_at:
            killed[c.name] = now
            signals.append((c.latest.id, SIGKILL))
            kill_at = now + timedelta(seconds=KILL_AGAIN)
        wakes.append(kill_at)
    return Ending(
        replace(stopping, told=told, killed=killed),
        tuple(signals),
        tuple(running) if before is None else (),
        hooks,
        min(wakes, default=None),
    )


def _hook_begins(c: ContainerFacts, stopping: Stopping) -> bool:
    """Whether a container's preStop hook is to run: once, and where the grace period allows it."""
    return (
        c.has_pre_stop
        and c.pre_stop is None
        and stopping.grace > 0
        and c.name not in stopping.hooked
        and c.name not in stopping.told
    )


def _hook_runs(c: ContainerFacts, stopping: Stopping) -> bool:
    """Whether a preStop hook is under way, begun by this ending or by one before it."""
    return not c.pre_stop.done if c.pre_stop is not None else c.name in stopping.hooked
