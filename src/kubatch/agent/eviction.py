"""Which pod to end when the machine runs short, and what the node says of itself then.

pkg/kubelet/eviction: thresholds, ranking and messages. Pure: everything observed comes in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kubatch.agent.signals import Amount
from kubatch.api import quantity

# pkg/kubelet/eviction/api/types.go; imagefs is left out: there are no images on a disk here
SIGNALS = ("memory.available", "nodefs.available", "nodefs.inodesFree", "pid.available")
_RESOURCE = {
    "memory.available": "memory",
    "nodefs.available": "ephemeral-storage",
    "nodefs.inodesFree": "inodes",
    "pid.available": "pids",
}
_CONDITION = {
    "memory.available": "MemoryPressure",
    "nodefs.available": "DiskPressure",
    "nodefs.inodesFree": "DiskPressure",
    "pid.available": "PIDPressure",
}
# kubelet's --eviction-pressure-transition-period
TRANSITION = timedelta(minutes=5)
# eviction_manager.go: podCleanupTimeout
CLEANUP = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod that runs, as far as ranking it goes."""

    uid: str
    name: str
    priority: int
    critical: bool
    # By resource (memory, ephemeral-storage): what is requested and used by each container.
    requests: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    usage: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def used(self, resource: str) -> int:
        return sum(self.usage.get(resource, {}).values())

    def requested(self, resource: str) -> int:
        return sum(self.requests.get(resource, {}).values())


@dataclass(frozen=True, slots=True)
class State:
    """What is kept between looks."""

    seen: Mapping[str, datetime] = field(default_factory=dict)  # by condition: when it was so last
    evicting: str = ""  # the uid of the pod that is being ended
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What one look leads to."""

    state: State
    pressure: tuple[str, ...] = ()  # conditions that are true
    attempt: str = ""  # the resource that is short now
    signal: str = ""  # by which that was noticed
    victim: str = ""  # a pod's uid
    message: str = ""


def parse_threshold(text: str, capacity: int) -> int:
    """A threshold in units: a quantity, or a share of the capacity. Raises ValueError."""
    if text.endswith("%"):
        share = float(text[:-1])
        if not 0 <= share <= 100:
            raise ValueError(f"{text} is no share of anything")
        return int(capacity * share / 100)
    return quantity.whole(text)


def decide(
    signals: Mapping[str, Amount],
    thresholds: Mapping[str, str],
    candidates: Sequence[Candidate],
    state: State,
    now: datetime,
) -> Round:
    """One pod at most is ended at a time, since its end may be enough."""
    short = _short(signals, thresholds)
    seen = {kind: at for kind, at in state.seen.items() if now - at < TRANSITION}
    seen.update((_CONDITION[name], now) for name, _ in short)
    pressure = tuple(sorted(seen))
    alive = {c.uid for c in candidates}
    waits = state.evicting in alive and state.since is not None and now - state.since < CLEANUP
    kept = State(seen, state.evicting if waits else "", state.since if waits else None)
    if not short:
        return Round(kept, pressure)
    name, limit = short[0]  # memory first: it cannot wait (byEvictionPriority)
    resource = _RESOURCE[name]
    ranked = [] if waits else rank(candidates, resource)
    if not ranked:
        return Round(kept, pressure, resource, name)
    victim = ranked[0]
    message = describe(victim, resource, limit, signals[name].available)
    return Round(State(seen, victim.uid, now), pressure, resource, name, victim.uid, message)


def disk_is_short(signals: Mapping[str, Amount], thresholds: Mapping[str, str]) -> bool:
    """Whether there is too little room on the disk at this moment."""
    return any(_RESOURCE[name] in ("ephemeral-storage", "inodes")
               for name, _ in _short(signals, thresholds))  # fmt: skip


def _short(signals: Mapping[str, Amount], thresholds: Mapping[str, str]) -> list[tuple[str, int]]:
    """The signals below their thresholds, with these in units."""
    return [
        (name, limit)
        for name in SIGNALS
        if name in thresholds and name in signals
        for limit in [parse_threshold(thresholds[name], signals[name].capacity)]
        if signals[name].available < limit
    ]


def rank(candidates: Sequence[Candidate], resource: str) -> list[Candidate]:
    """The pods that may be ended, first the one to go (helpers.go: rankMemoryPressure and kin)."""

    def key(pod: Candidate) -> tuple[object, ...]:
        over = pod.used(resource) - pod.requested(resource)
        return (over <= 0, pod.priority, -over, pod.name, pod.uid)

    return sorted((c for c in candidates if not c.critical), key=key)


def describe(victim: Candidate, resource: str, limit: int, available: int) -> str:
    """helpers.go: evictionMessage."""
    text = (
        f"The node was low on resource: {resource}. Threshold quantity: {binary(limit)}, "
        f"available: {binary(available)}. "
    )
    requests = victim.requests.get(resource, {})
    for name, used in sorted(victim.usage.get(resource, {}).items()):
        if used > requests.get(name, 0):
            text += (
                f"Container {name} was using {binary(used)}, request is "
                f"{binary(requests.get(name, 0))}, has larger consumption of {resource}. "
            )
    return text


@dataclass(frozen=True, slots=True)
class Stored:
    """What one pod has on disk, against what it may have; bytes."""

    volumes: Mapping[str, tuple[int, str]] = field(default_factory=dict)  # used, limit as written
    containers: Mapping[str, int] = field(default_factory=dict)  # logs and writable layer
    limits: Mapping[str, str] = field(default_factory=dict)  # of containers, as written
    # As volumes, of those in memory: they have limits of their own and are no storage.
    in_memory: Mapping[str, tuple[int, str]] = field(default_factory=dict)


def too_much_stored(stored: Stored) -> str:
    """Why a pod has to go for what it stores, "" when it may stay.

    eviction_manager.go: localStorageEviction, in its order.
    """
    for name, (used, limit) in sorted({**stored.volumes, **stored.in_memory}.items()):
        if limit and used > quantity.whole(limit):
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
    if stored.limits:
        total = quantity.summed(stored.limits.values())
        used = sum(stored.containers.values()) + sum(v for v, _ in stored.volumes.values())
        if used > quantity.whole(total):
            return (
                f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
            )
    for name, used in sorted(stored.containers.items()):
        if name in stored.limits and used > quantity.whole(stored.limits[name]):
            return (
                f"Container {name} exceeded its local ephemeral storage limit "
                f'"{stored.limits[name]}". '
            )
    return ""


def binary(amount: int) -> str:
    """A number of bytes as Kubernetes writes what it has counted (Quantity, BinarySI)."""
    if not amount or amount % 1024:
        return str(amount)
    return quantity.canonical(f"{amount // 1024}Ki")
