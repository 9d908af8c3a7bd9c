"""A container's file system before it exists: what is behind each of its paths on this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

_LINKS_MAX = 40  # the kernel's own limit
_SCRIPT_BYTES = 256  # as much of a first line as the kernel looks at


class View:
    """Mounts laid over each other, looked through without being made."""

    def __init__(self, root: str = "/") -> None:
        self._mounts: dict[str, str | None] = {"/": root}

    def mount(self, target: str, source: str | None) -> None:
        """Lay a file or directory over a path without symbolic links; None: an empty directory."""
        below = target.rstrip("/") + "/"
        for known in [t for t in self._mounts if t.startswith(below)]:
            del self._mounts[known]
        self._mounts[target] = source

    def real(self, path: str) -> str:
        """The path without symbolic links and dots; what does not exist is taken as it is spelled.

        Raises OSError when it leads in circles.
        """
        pending = _parts_reversed(path)
        current, links = "/", 0
        while pending:
            name = pending.pop()
            if name == "..":
                current = os.path.dirname(current)
                continue
            candidate = os.path.join(current, name)
            host = None if candidate in self._mounts else self.host(candidate)
            if host is not None and os.path.islink(host):
                links += 1
                if links > _LINKS_MAX:
                    raise OSError(f"too many levels of symbolic links: {path}")
                text = os.readlink(host)
                if text.startswith("/"):
                    current = "/"
                pending += _parts_reversed(text)
                continue
            current = candidate
        return current

    def host(self, real: str) -> str | None:
        """Where a path without symbolic links is on this machine; None: in an empty directory."""
        place = real
        while place not in self._mounts:
            place = os.path.dirname(place)
        source = self._mounts[place]
        if source is None:
            return None
        rest = real[len(place) :].lstrip("/")
        return os.path.join(source, rest) if rest else source

    def holds_mounts(self, real: str) -> bool:
        """Whether a path is a mount point, or a directory on the way to one."""
        below = real.rstrip("/") + "/"
        return any(t == real or t.startswith(below) for t in self._mounts)

    def find(self, path: str) -> str | None:
        """Where an existing file is on this machine; None when the container has none such."""
        try:
            host = self.host(self.real(path))
        except OSError:
            return None
        return host if host is not None and os.path.exists(host) else None

    def why_not_program(self, name: str, search: str, directory: str) -> str:
        """Why a program cannot be started, worded as runc words it; "" when it can be."""
        if "/" in name:
            why = self._why_not(os.path.join(directory, name))
            return f'exec: "{name}": {why.format(name)}' if why else self._interpreter(name)
        for folder in search.split(":") if search and name else ():
            file = os.path.join(directory, folder, name)
            if not self._why_not(file):
                return self._interpreter(file)
        return f'exec: "{name}": executable file not found in $PATH'

    def _why_not(self, file: str) -> str:
        host = self.find(file)
        if host is None:
            return "stat {}: no such file or directory"
        if os.path.isdir(host):
            return "is a directory"
        return "" if os.stat(host).st_mode & 0o111 else "permission denied"

    def _interpreter(self, file: str) -> str:
        """A script without its interpreter: the kernel says that the script is not there."""
        host = self.find(file)
        if host is None:
            return ""
        try:
            with open(host, "rb") as program:
                head = program.read(_SCRIPT_BYTES)
        except OSError:
            return ""
        if not head.startswith(b"#!"):
            return ""
        words = head[2:].partition(b"\n")[0].split()
        if words and self.find(os.fsdecode(words[0])) is None:
            return f"exec {file}: no such file or directory"
        return ""


def _parts_reversed(path: str) -> list[str]:
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def children(directory: str) -> Iterator[tuple[str, str | None]]:
    """What is in a directory: names, and where symbolic links lead."""
    for entry in sorted(os.scandir(directory), key=lambda e: e.name):
        yield entry.name, os.readlink(entry.path) if entry.is_symlink() else None


def mode(path: str) -> int:
    """A directory's permissions."""
    return stat.S_IMODE(os.stat(path).st_mode)
