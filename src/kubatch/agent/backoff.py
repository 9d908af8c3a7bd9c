"""When a container that ended is started again: restart policy and crash-loop back-off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

# pkg/kubelet/kubelet.go: MaxCrashLoopBackOff and backOffPeriod
BACKOFF_BASE = 10.0
BACKOFF_MAX = 300.0
# k8s.io/client-go/util/flowcontrol/backoff.go, hasExpired: twice the maximum
BACKOFF_RESET = 2 * BACKOFF_MAX


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long the next restart waits, and when that was last made longer."""

    delay: float
    updated: datetime


@dataclass(frozen=True, slots=True)
class RestartRule:
    """One entry of a container's restartPolicyRules."""

    inside: bool  # exit codes In the values, or NotIn
    values: tuple[int, ...]
    everything: bool = False  # the action is RestartAllContainers, not Restart

    def matches(self, exit_code: int) -> bool:
        return (exit_code in self.values) is self.inside


def should_restart(policy: str, rules: Sequence[RestartRule], exit_code: int) -> bool:
    """Whether a container that ended runs again (pkg/kubelet/container/helpers.go).

    `policy` is the container's own restartPolicy when it has one, else the pod's.
    """
    if any(rule.matches(exit_code) for rule in rules):
        return True
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def restarts_all(rules: Sequence[RestartRule], exit_code: int) -> bool:
    """Whether the pod's containers all run anew after this end: the first rule that fits says it.

    pkg/kubelet/container/helpers.go: ShouldAllContainersRestart.
    """
    return next((rule.everything for rule in rules if rule.matches(exit_code)), False)


def waits_until(entry: Backoff | None, finished: datetime) -> datetime | None:
    """When a container that finished then may start again; None: at once.

    flowcontrol/backoff.go: IsInBackOffSince. The first failure has no entry and waits for nothing.
    """
    if entry is None or _expired(entry, finished):
        return None
    return finished + timedelta(seconds=entry.delay)


def after_restart(entry: Backoff | None, finished: datetime, now: datetime) -> Backoff:
    """The entry once the container is started again (flowcontrol/backoff.go: Next)."""
    if entry is None or _expired(entry, finished):
        return Backoff(BACKOFF_BASE, now)
    return Backoff(min(entry.delay * 2, BACKOFF_MAX), now)


def _expired(entry: Backoff, finished: datetime) -> bool:
    return (finished - entry.updated).total_seconds() > BACKOFF_RESET


def go_duration(seconds: float) -> str:
    """Whole seconds as Go prints a Duration: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
