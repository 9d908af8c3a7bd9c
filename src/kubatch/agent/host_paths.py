"""Paths of the machine and of volumes: hostPath types, and subPaths that cannot lead outside.

pkg/volume/hostpath/host_path.go; pkg/volume/util/subpath/subpath_linux.go.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from kubatch.agent.volume_files import VolumeError

_TYPES: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


class SubPathError(Exception):
    """A subPath cannot be used. Why is not told: it would say something about the host."""


def host_path(path: str, kind: str) -> Path:
    """Check, and where the type says so make, a path of the machine. Raises VolumeError."""
    try:
        if kind == "FileOrCreate" and not os.path.lexists(path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        elif kind in ("", "DirectoryOrCreate") and not os.path.lexists(path):
            # Without a type it is the container engine that makes a missing directory.
            os.makedirs(path, 0o755, exist_ok=True)
        found = os.stat(path).st_mode
    except OSError as error:
        if kind in _TYPES and not kind.endswith("Create"):
            raise VolumeError(_wrong(path, kind)) from error
        raise VolumeError(f"{path}: {(os.strerror(error.errno or 0)).lower()}") from error
    if kind in _TYPES and not _TYPES[kind][0](found):
        raise VolumeError(_wrong(path, kind))
    return Path(path)


def _wrong(path: str, kind: str) -> str:
    return f"hostPath type check failed: {path} is not {_TYPES[kind][1]}"


def sub_path(volume: Path, path: str) -> tuple[Path, tuple[int, int]]:
    """A path below a volume's root, made if it is missing, and what it is: device and inode.

    Symbolic links count as long as they stay in the volume. Another container may change them
    while we look, so the way there is walked again without following any.
    """
    try:
        root = os.path.realpath(volume)
        target = os.path.realpath(os.path.join(root, path))
    except OSError as error:  # changed while we look
        raise SubPathError from error
    if target != root and not target.startswith(root.rstrip("/") + "/"):
        raise SubPathError
    parts = [part for part in target[len(root) :].split("/") if part]
    try:
        return Path(target), _walk(root, parts)
    except OSError as error:
        raise SubPathError from error


def _walk(root: str, parts: list[str]) -> tuple[int, int]:
    here = os.open(root, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        info = os.fstat(here)
        mode = stat.S_IMODE(info.st_mode)
        for number, part in enumerate(parts):
            try:
                there = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            except FileNotFoundError:
                there = _make(here, part, mode)
            os.close(here)
            here = there
            info = os.fstat(here)
            last = number == len(parts) - 1
            if stat.S_ISLNK(info.st_mode) or not (last or stat.S_ISDIR(info.st_mode)):
                raise OSError(f"{part} was changed")
        return info.st_dev, info.st_ino
    finally:
        os.close(here)


def _make(parent: int, name: str, mode: int) -> int:
    os.mkdir(name, mode & 0o777, dir_fd=parent)
    made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    os.fchmod(made, mode)  # whatever the umask made of it
    return made


def give_to_group(root: Path, group: int, *, only_if_root_differs: bool) -> None:
    """Let a group read and write everything below (pkg/volume/volume_linux.go)."""
    info = os.stat(root)
    if only_if_root_differs and info.st_gid == group and info.st_mode & 0o2770 == 0o2770:
        return
    for _, folders, names, here in os.fwalk(root, topdown=False, follow_symlinks=False):
        for name in (*names, *folders):
            _give(name, group, here)
    os.chown(root, -1, group)
    os.chmod(root, stat.S_IMODE(info.st_mode) | 0o2770)


def _give(name: str, group: int, folder: int) -> None:
    try:
        info = os.lstat(name, dir_fd=folder)
        os.chown(name, -1, group, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(info.st_mode):
            return
        more = 0o2770 if stat.S_ISDIR(info.st_mode) else 0o660
        file = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISLNK(os.fstat(file).st_mode):
            os.chmod(f"/proc/self/fd/{file}", stat.S_IMODE(info.st_mode) | more)
    finally:
        os.close(file)
