"""The machine, as far as sandboxes depend on it: looked at once, or before each of them."""

from __future__ import annotations

import glob
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

# A container has these for its own.
PRIVATE = ("/tmp", "/var/tmp", "/run")
# Where node agents keep what must not be on a disk (agent/volumes: memory_directory).
_MEMORY = "/dev/shm"
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Ground:
    """The machine, as far as sandboxes depend on it."""

    tools: Mapping[str, str]  # by name, absolute
    root: bool = False  # we may do everything
    layers: bool = False  # and lay a writable layer over the host's root
    uid: int = 0
    gid: int = 0
    groups: bool = False  # we have supplementary groups, which containers must not
    mount_points: tuple[str, ...] = ()  # of the host, in order; a layer shows none of them
    names_file: str = ""  # what /etc/resolv.conf is, where that is a link into /run
    provided: tuple[str, ...] = ()  # to be seen even where private directories would hide it
    hidden: tuple[str, ...] = ()  # never to be seen: our own state
    # What runs in a container before its program: tools, and the libraries they load.
    trusted: tuple[str, ...] = ()
    settings: tuple[str, ...] = ("/proc/sys",)  # of the whole machine, in /proc


def in_any(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of the folders, or in one."""
    return any(path == f or path.startswith(f.rstrip("/") + "/") for f in folders)


def mount_points(text: str, hidden: Iterable[str]) -> tuple[str, ...]:
    """The host's mount points a container is shown, from /proc/self/mountinfo."""
    found: list[str] = []
    apart = ("/proc", "/sys", "/dev", *PRIVATE, *hidden)
    for line in text.splitlines():
        fields = line.split(" ")
        point = fields[4].encode().decode("unicode_escape")
        kind = fields[fields.index("-") + 1]
        if point != "/" and kind != "autofs" and not in_any(point, (*apart, *found)):
            found.append(point)
    return tuple(found)


def settings() -> tuple[str, ...]:
    """What of /proc is to be closed for writing beside what bubblewrap closes."""
    more = ("/proc/sysrq-trigger", "/proc/fs", "/proc/acpi", "/proc/scsi")
    return ("/proc/sys", *(path for path in more if _can_be_written(path)))


def _can_be_written(path: str) -> bool:
    if os.path.isfile(path):
        return True
    found = (os.path.join(folder, n) for folder, _, names in os.walk(path) for n in names)
    return any(os.stat(file).st_mode & 0o222 for file in found)


def as_paths(paths: Iterable[Path]) -> tuple[str, ...]:
    """Existing paths without symbolic links."""
    return tuple(os.path.realpath(path) for path in paths)


def memories() -> tuple[str, ...]:
    """The directories in memory of all node agents, of this machine's other servers too."""
    return tuple(sorted(glob.glob(f"{_MEMORY}/kubatch-*")))


def trusted(tools: Mapping[str, str]) -> tuple[str, ...]:
    """What runs in a container before its program, with the libraries it loads."""
    found = {"/etc/ld.so.cache", "/etc/ld.so.preload"}
    for name in ("env", "setpriv", "setsid", "sh", "stat"):
        tool = tools.get(name)
        if tool is None:
            continue
        found.add(tool)
        # ld.so(8): the loader lists what it would load, and runs nothing
        listed = subprocess.run(
            [tool], env={"LD_TRACE_LOADED_OBJECTS": "1"}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
        ).stdout  # fmt: skip
        found.update(os.path.realpath(word) for word in listed.split() if word.startswith("/"))
    return tuple(sorted(found))
