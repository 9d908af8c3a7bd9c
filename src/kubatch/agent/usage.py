"""From readings of counters to what is used: rates over the time between two of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kubatch.api.consumption import Use
from kubatch.runtime.protocol import ContainerId, Usage


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at one moment."""

    at: datetime
    cpu_seconds: float
    memory_bytes: int


@dataclass(slots=True)
class History:
    """The last two readings of each container and of the machine."""

    now: dict[ContainerId, Reading] = field(default_factory=dict)
    before: dict[ContainerId, Reading] = field(default_factory=dict)
    machine: Reading | None = None
    machine_before: Reading | None = None

    def take(self, at: datetime, usages: Iterable[Usage], machine: Reading | None) -> None:
        """Take a new look; what it does not show has ended."""
        self.before = self.now
        self.now = {u.id: Reading(at, u.cpu_seconds, u.memory_bytes) for u in usages}
        self.machine_before, self.machine = self.machine, machine

    def container(self, id: ContainerId, started: datetime | None) -> tuple[Use, float] | None:
        """What a container uses, and over how many seconds; None when it was not seen.

        Of one seen for the first time all the time counts since it started.
        """
        now = self.now.get(id)
        if now is None:
            return None
        before = self.before.get(id)
        if before is None:
            if started is None:
                return None
            before = Reading(started, 0.0, 0)
        return rate(before, now)

    def node(self) -> tuple[Use, float] | None:
        """What the machine uses; None before two looks."""
        if self.machine is None or self.machine_before is None:
            return None
        return rate(self.machine_before, self.machine)


def rate(before: Reading, now: Reading) -> tuple[Use, float]:
    """CPUs used between two readings, and the seconds between them."""
    seconds = max((now.at - before.at).total_seconds(), 1e-3)
    cores = max(0.0, now.cpu_seconds - before.cpu_seconds) / seconds
    return Use(cores, now.memory_bytes), seconds


def of_pods(
    usages: Iterable[Usage],
) -> Mapping[str, dict[str, Usage]]:
    """Usages under their pods' uids and containers' names."""
    found: dict[str, dict[str, Usage]] = {}
    for usage in usages:
        found.setdefault(usage.id.pod_uid, {})[usage.id.container] = usage
    return found
