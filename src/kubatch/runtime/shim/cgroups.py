"""Control groups: what holds a container to its limits, and ends all of it at once.

One directory for each container below one for its pod, made for those alone that ask for limits
or shares. Version 2 where a directory is ours to divide, version 1 where we are root; elsewhere
nothing is enforced, and `enforced` says so.
"""

from __future__ import annotations

import os
import signal
import time

from .hierarchies import SHARES_MAX, V2, Hierarchy, find, write

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from .journal import Record

    Paths = Mapping[str, str]  # by controller; "" for version 2, which has one for all

_PERIOD_US = 100_000  # kubelet: cm/helpers_linux.go, QuotaPeriod
_KILL_S = 5.0


class CgroupError(OSError):
    """A control group could not be made; the text is worded as runc words it."""


class Cgroups:
    """The control groups of one shim, below a directory of its own in each hierarchy."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: dict[str, Hierarchy] | None = None
        self._left: list[str] = []  # directories in which something had not ended yet

    @property
    def _hierarchies(self) -> dict[str, Hierarchy]:
        if self._found is None:
            self._found = find(self._name)
        return self._found

    @property
    def enforced(self) -> list[str]:
        """The limits that can be enforced here."""
        found = self._hierarchies
        return sorted(found[V2].controllers if V2 in found else found)

    def make(self, request: Mapping[str, Any]) -> dict[str, str]:
        """Make a container's groups, with its limits and its pod's; where they are."""
        pod, name, attempt = request["id"]
        limits = request["limits"]
        paths = {}
        try:
            for controller, hierarchy in self._wanted(limits):
                parent = hierarchy.child(hierarchy.base, _safe(pod))
                _limit(parent, hierarchy, limits.get("pod") or {})
                paths[controller] = hierarchy.child(parent, f"{_safe(name)}.{int(attempt)}")
                _limit(paths[controller], hierarchy, limits)
        except OSError as error:
            self.remove(paths)
            raise CgroupError(
                error.errno, f"error setting cgroup config for procHooks process: {error}"
            ) from error
        return paths

    def _wanted(self, limits: Mapping[str, Any]) -> Iterator[tuple[str, Hierarchy]]:
        """Only what is needed: moving a process into a group costs more than starting it."""
        asked = set(_controllers(limits)) | set(_controllers(limits.get("pod") or {}))
        if not asked.intersection(self.enforced):
            return
        for controller, hierarchy in self._hierarchies.items():
            # Version 1 ends a container with the help of `pids`.
            if controller in (V2, "pids") or controller in asked:
                yield controller, hierarchy

    def remove(self, paths: Paths) -> None:
        """Remove a container's groups, and its pod's when they were the last."""
        for path in paths.values():
            if not _remove(path):
                self._left.append(path)

    @property
    def busy(self) -> bool:
        """Whether tidy() has something to do."""
        return bool(self._left)

    def tidy(self) -> None:
        """Try again to remove what could not be removed: zombies still counted in there."""
        self._left = [path for path in self._left if not _remove(path)]

    def end(self, record: Record) -> dict[str, Any]:
        """The attempt has ended: end what it left, and what its groups tell about its end."""
        paths = record.get("cgroup")
        if not paths:
            return {}
        kill(paths)
        # containerd: internal/cri/server/events.go, on TaskOOM, whatever the exit code
        told = {"reason": "OOMKilled", "message": ""} if oom_kills(paths) else {}
        self.remove(paths)
        return told

    def recover(self, running: Iterable[Record]) -> None:
        """End and remove what another shim left, but for what still runs."""
        kept = {path for record in running for path in (record.get("cgroup") or {}).values()}
        for base in {h.base for h in self._hierarchies.values()}:
            for pod in _directories(base):
                for path in _directories(pod):
                    if path not in kept:
                        kill({"": path})
                        self.remove({"": path})
                _rmdir(pod)
            _rmdir(base)

    def close(self) -> None:
        """Leave nothing behind."""
        deadline = time.monotonic() + _KILL_S
        while self._left and time.monotonic() < deadline:
            self.tidy()
        if self._found is not None:
            for hierarchy in self._found.values():
                _rmdir(hierarchy.base)


def enter(paths: Paths) -> None:
    """Move the calling process into the groups, with what it starts from now on."""
    for path in paths.values():
        fd = os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        os.write(fd, b"0")
        os.close(fd)


def oom_kills(paths: Paths) -> int:
    """How often the kernel ended a process because the memory limit was reached."""
    for controller, file in ((V2, "memory.events"), ("memory", "memory.oom_control")):
        if controller in paths:
            for line in _read(f"{paths[controller]}/{file}").splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    return 0


def kill(paths: Paths) -> None:
    """End everything in the groups, however fast it multiplies."""
    for path in list(paths.values())[:1]:
        if _write(f"{path}/cgroup.kill", 1):
            return
        # Version 1: what may not fork any more is ended one by one.
        for other in paths.values():
            _write(f"{other}/pids.max", 0)
        deadline = time.monotonic() + _KILL_S
        while (pids := _pids(path)) and time.monotonic() < deadline:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if all(_is_zombie(pid) for pid in pids):
                return
            time.sleep(0.0005)


def weight(shares: int) -> int:
    """CPU shares as version 2 has them (runc: cgroups.ConvertCPUSharesToCgroupV2Value)."""
    return 1 + (min(max(shares, 2), SHARES_MAX) - 2) * 9999 // 262_142


def _controllers(limits: Mapping[str, Any]) -> Iterator[str]:
    for controller, names in (
        ("memory", ("memory",)), ("cpu", ("cpu_quota", "cpu_shares")), ("pids", ("pids",)),
    ):  # fmt: skip
        if any(limits.get(name) for name in names):
            yield controller


def _limit(path: str, hierarchy: Hierarchy, limits: Mapping[str, Any]) -> None:
    """Write the limits. Raises OSError where the kernel refuses one."""
    memory, quota = limits.get("memory"), limits.get("cpu_quota")
    shares, pids = limits.get("cpu_shares"), limits.get("pids")
    new = hierarchy.version == 2
    has = hierarchy.controllers
    if memory and "memory" in has:
        write(f"{path}/{'memory.max' if new else 'memory.limit_in_bytes'}", memory)
        # No swap (kubelet: NoSwap), and the whole container ends at once (singleProcessOOMKill).
        _write(f"{path}/{'memory.swap.max' if new else 'memory.memsw.limit_in_bytes'}",
               0 if new else memory)  # fmt: skip
        _write(f"{path}/memory.oom.group", 1)
    if quota and "cpu" in has:
        if new:
            write(f"{path}/cpu.max", f"{quota} {_PERIOD_US}")
        else:
            write(f"{path}/cpu.cfs_period_us", _PERIOD_US)
            write(f"{path}/cpu.cfs_quota_us", quota)
    if shares and "cpu" in has:
        write(f"{path}/{'cpu.weight' if new else 'cpu.shares'}",
              weight(shares) if new else shares)  # fmt: skip
    if pids and "pids" in has:
        write(f"{path}/pids.max", pids)


def _safe(name: str) -> str:
    """A name as a directory; those of Kubernetes stay as they are."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name) or "_"


def _write(path: str, value: object) -> bool:
    """Write where that is possible."""
    try:
        write(path, value)
    except OSError:
        return False
    return True


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _pids(path: str) -> list[int]:
    return [int(word) for word in _read(f"{path}/cgroup.procs").split()]


def _is_zombie(pid: int) -> bool:
    text = _read(f"/proc/{pid}/stat")
    return text[text.rfind(")") + 2 : text.rfind(")") + 3] in ("", "Z", "X")


def _directories(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(e.path for e in entries if e.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _remove(path: str) -> bool:
    """Remove a container's group and, when it was the last, its pod's."""
    if not _rmdir(path):
        return False
    pod = os.path.dirname(path)
    if _rmdir(pod):
        _rmdir(os.path.dirname(pod))
    return True


def _rmdir(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
