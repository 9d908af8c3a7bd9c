"""Where control groups can be made: found by making one, since only that tells."""

from __future__ import annotations

import os

V2 = ""  # the key of version 2, which has one hierarchy for all controllers
CONTROLLERS = ("cpu", "memory", "pids")
SHARES_MAX = 262_144
_SHARES = 1024  # of one CPU, in version 1


class Hierarchy:
    """One tree of control groups, and the directory in it that is ours."""

    __slots__ = ("base", "controllers", "version")

    def __init__(self, version: int, base: str, controllers: tuple[str, ...]) -> None:
        self.version = version
        self.base = base
        self.controllers = controllers

    def child(self, parent: str, name: str) -> str:
        """A directory below another, which is made too. Raises OSError."""
        path = f"{parent}/{name}"
        for each in (self.base, parent, path):
            try:
                os.mkdir(each, 0o755)
            except FileExistsError:
                continue
            if each == self.base and self.controllers == ("cpu",):
                # All that ask for CPUs together weigh as much as the machine has.
                shares = min(_SHARES * (os.cpu_count() or 1), SHARES_MAX)
                write(f"{each}/cpu.shares", shares)
            if self.version == 2 and each != path:
                divide(each, self.controllers)
        return path


def find(name: str) -> dict[str, Hierarchy]:
    """The hierarchies in which a directory of this name could be made; {} when there are none."""
    try:
        with open("/proc/self/cgroup") as file:
            places = parse_places(file.read())
        with open("/proc/self/mountinfo") as file:
            mounts = parse_mounts(file.read(), places)
    except OSError:
        return {}
    if V2 in mounts and (found := _version_2(*mounts[V2], name)) is not None:
        return {V2: found}
    found_1 = {}
    for controller in CONTROLLERS:
        if controller in mounts:
            hierarchy = Hierarchy(1, f"{mounts[controller][1]}/{name}", (controller,))
            if _usable(hierarchy):
                found_1[controller] = hierarchy
    return found_1


def parse_places(text: str) -> dict[str, str]:
    """/proc/self/cgroup: where we are in the hierarchy of each controller."""
    places = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            places[controller] = path
    return places


def parse_mounts(text: str, places: dict[str, str]) -> dict[str, tuple[str, str]]:
    """/proc/self/mountinfo: for each controller the mount point, and our own directory below it."""
    found = {}
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        words, kind = fields.split(), rest.split()
        if len(words) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        keys = [V2] if kind[0] == "cgroup2" else kind[2].split(",")
        for key in keys:
            if key in places and key not in found:
                found[key] = (words[4], _below(words[4], words[3], places[key]))
    return found


def _below(mount: str, root: str, place: str) -> str:
    if place == root or place.startswith("/.."):
        return mount
    if root != "/" and place.startswith(root + "/"):
        place = place[len(root) :]
    return mount + place.rstrip("/")


def divide(path: str, controllers: tuple[str, ...]) -> tuple[str, ...]:
    """Version 2: let the directories below have controllers; which of them they have then."""
    got = []
    for controller in controllers:
        try:
            write(f"{path}/cgroup.subtree_control", f"+{controller}")
        except OSError:
            continue
        got.append(controller)
    return tuple(got)


def write(path: str, value: object) -> None:
    """Write to a file of the kernel, all at once as it wants it. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)


def _version_2(mount: str, own: str, name: str) -> Hierarchy | None:
    """Below ourselves, beside ourselves (a delegated subgroup), or as root at the top.

    A directory with processes cannot be divided, the topmost excepted.
    """
    places = [own, os.path.dirname(own), mount]
    for place in dict.fromkeys(p for p in places if p == mount or p.startswith(mount + "/")):
        controllers = divide(place, CONTROLLERS)
        if "memory" in controllers or "cpu" in controllers:
            hierarchy = Hierarchy(2, f"{place}/{name}", controllers)
            if _usable(hierarchy):
                return hierarchy
    return None


def _usable(hierarchy: Hierarchy) -> bool:
    """Whether a process can be put into a directory of ours."""
    if hierarchy.version == 1:
        try:
            os.mkdir(hierarchy.base, 0o755)
        except FileExistsError:
            return os.access(f"{hierarchy.base}/cgroup.procs", os.W_OK)
        except OSError:
            return False
        usable = os.access(f"{hierarchy.base}/cgroup.procs", os.W_OK)
        os.rmdir(hierarchy.base)
        return usable
    try:
        path = hierarchy.child(f"{hierarchy.base}/trial", "trial")
    except OSError:
        return False
    # What keeps a process out (no right over the directory above both) shows only by trying.
    pid = os.fork()
    if not pid:
        try:
            fd = os.open(f"{path}/cgroup.procs", os.O_WRONLY)
            os._exit(0 if os.write(fd, b"0") else 1)
        except OSError:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    for each in (path, os.path.dirname(path), hierarchy.base):
        try:
            os.rmdir(each)
        except OSError:
            pass
    return status == 0
