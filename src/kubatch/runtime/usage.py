"""What containers use: read from /proc for all of them at once, and from control groups.

A process is a container's when its ancestors lead to the container's own process, or when it
stayed in that process's Unix session. The time of children that ended is in their parent's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kubatch.runtime.protocol import ContainerId, Usage

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the list of processes."""

    pid: int
    parent: int
    session: int
    cpu_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Running:
    """A container to be looked at."""

    id: ContainerId
    pid: int
    groups: Mapping[str, str]  # as the shim's record has them; {} without
    layer: Path | None = None


def parse_stat(text: str) -> Process | None:
    """One /proc/PID/stat (proc(5)); None when it makes no sense."""
    # The name, in parentheses, may hold anything.
    fields = text[text.rfind(")") + 2 :].split()
    try:
        times = sum(int(field) for field in fields[11:15])
        return Process(
            int(text.partition(" ")[0]), int(fields[1]), int(fields[3]), times / _TICKS,
            int(fields[21]) * _PAGE,
        )  # fmt: skip
    except (ValueError, IndexError):
        return None


def processes() -> list[Process]:
    """Everything that runs now."""
    found = []
    for name in os.listdir(PROC):
        if name.isdigit():
            try:
                text = (PROC / name / "stat").read_text(errors="replace")
            except OSError:
                continue  # it has just ended
            if (process := parse_stat(text)) is not None:
                found.append(process)
    return found


def share(running: Iterable[Running], everything: Iterable[Process]) -> list[Usage]:
    """The sums for each container."""
    owners: dict[int, Running] = {one.pid: one for one in running}
    by_pid = {process.pid: process for process in everything}
    sums: dict[ContainerId, tuple[float, int]] = {}
    for process in by_pid.values():
        owner = _owner(process, by_pid, owners)
        if owner is not None:
            seconds, size = sums.get(owner.id, (0.0, 0))
            sums[owner.id] = (seconds + process.cpu_seconds, size + process.memory_bytes)
    return [Usage(id, seconds, size) for id, (seconds, size) in sorted(sums.items())]


def _owner(
    process: Process, by_pid: Mapping[int, Process], owners: Mapping[int, Running]
) -> Running | None:
    at: Process | None = process
    for _ in range(len(by_pid)):  # the list is no snapshot: it could hold a circle
        if at is None:
            break
        if at.pid in owners:
            return owners[at.pid]
        at = by_pid.get(at.parent)
    return owners.get(process.session)


def measure(running: list[Running]) -> list[Usage]:
    """What each container uses now; blocks for some milliseconds."""
    if not running:
        return []
    groups = {one.id: one.groups for one in running}
    layers = {one.id: one.layer for one in running}
    return [
        Usage(
            seen.id,
            _group_seconds(groups[seen.id]) or seen.cpu_seconds,
            _working_set(groups[seen.id]) or seen.memory_bytes,
            layers[seen.id],
        )
        for seen in share(running, processes())
    ]


def _working_set(groups: Mapping[str, str]) -> int:
    """What a group holds but for file pages not used lately (cadvisor: setMemoryStats)."""
    for key, total, inactive in (
        ("", "memory.current", "inactive_file"),
        ("memory", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        if key in groups:
            used = _number(Path(groups[key]) / total)
            return max(0, used - _line(Path(groups[key]) / "memory.stat", inactive))
    return 0


def _group_seconds(groups: Mapping[str, str]) -> float:
    return _line(Path(groups[""]) / "cpu.stat", "usage_usec") / 1e6 if "" in groups else 0.0


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _line(path: Path, name: str) -> int:
    try:
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    except (OSError, ValueError):
        pass
    return 0
