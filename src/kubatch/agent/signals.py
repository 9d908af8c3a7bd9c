"""Reading how much of the machine is left; blocks for a moment."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_STAT = Path("/proc/stat")
_ENTRIES_MAX = 50_000  # of one pod's files; who has more is measured so far


@dataclass(frozen=True, slots=True)
class Amount:
    """How much there is, and how much is left."""

    available: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Look:
    """The machine at one moment."""

    signals: dict[str, Amount] = field(default_factory=dict)  # memory.available, ...
    cpu_seconds: float = 0.0  # all CPUs, since boot
    memory_bytes: int = 0  # used


def look(disk: Path) -> Look:
    """Look at the machine, and at the disk on which pods' data lies."""
    signals = {}
    memory = _memory(_text(_MEMINFO))
    if memory is not None:
        signals["memory.available"] = memory
    try:
        space = os.statvfs(disk)
    except OSError:
        pass
    else:
        signals["nodefs.available"] = Amount(
            space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
        )
        if space.f_files:  # some file systems make inodes as they need them
            signals["nodefs.inodesFree"] = Amount(space.f_favail, space.f_files)
    pids = _pids()
    if pids is not None:
        signals["pid.available"] = pids
    used = memory.capacity - memory.available if memory is not None else 0
    return Look(signals, _cpu_seconds(_text(_STAT)), used)


def size_of(paths: Iterable[Path]) -> int:
    """The bytes that files take on disk, below directories and following no links."""
    total, left = 0, _ENTRIES_MAX
    waiting = list(paths)
    while waiting and left > 0:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    left -= 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue  # it went away, or is no directory
    return total


def _memory(text: str) -> Amount | None:
    values = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            values[name] = int(rest.split()[0]) * 1024
    if len(values) < 2:
        return None
    return Amount(values["MemAvailable"], values["MemTotal"])


def _cpu_seconds(text: str) -> float:
    """Of user, nice, system, irq, softirq and steal; waiting for disks is no work (proc(5))."""
    fields = text.partition("\n")[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        return 0.0
    ticks = sum(int(fields[i]) for i in (1, 2, 3, 6, 7, 8))
    return ticks / os.sysconf("SC_CLK_TCK")


def _pids() -> Amount | None:
    """pkg/kubelet/stats/pidlimit/pidlimit_linux.go."""
    try:
        most = int(_text(Path("/proc/sys/kernel/pid_max")))
        threads = int(_text(Path("/proc/sys/kernel/threads-max")))
        running = int(_text(Path("/proc/loadavg")).split()[3].partition("/")[2])
    except (ValueError, IndexError):
        return None
    return Amount(min(most, threads) - running, min(most, threads))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
