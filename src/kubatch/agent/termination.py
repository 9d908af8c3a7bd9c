"""Ending a pod's containers: SIGTERM, the grace period, SIGKILL.

pkg/kubelet/kuberuntime/kuberuntime_container.go: killContainersWithSyncResult, killContainer.
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
    wake_at: datetime | None


def end(
    containers: Sequence[ContainerFacts], before: Stopping | None, grace: int, now: datetime
) -> Ending:
    """What to signal now.

    Sidecars hear SIGTERM only when every regular container and every later sidecar has ended;
    waiting uses up the same grace period. A grace period made shorter begins anew.
    """
    stopping = before or Stopping(now, grace)
    if grace < stopping.grace:
        stopping = replace(stopping, since=now, grace=grace)
    over = stopping.since + timedelta(seconds=max(stopping.grace, GRACE_MIN))
    told, killed = dict(stopping.told), dict(stopping.killed)
    signals: list[tuple[ContainerId, int]] = []
    wakes: list[datetime] = []
    running = [c for c in containers if c.running]
    first = [c for c in running if c.kind is not Kind.SIDECAR]
    sidecars = [c for c in reversed(running) if c.kind is Kind.SIDECAR]
    others_run = bool(first)
    for c in first + sidecars:
        assert c.latest is not None
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
        min(wakes, default=None),
    )
