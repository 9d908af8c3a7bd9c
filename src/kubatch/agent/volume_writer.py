"""Writing a volume's files so that a container sees all of a new version or none of it.

pkg/volume/util/atomic_writer.go: the files lie in a directory with a time in its name, `..data`
leads there, and what containers see are links through `..data`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from kubatch.agent.volume_files import File, Files, VolumeError

_DATA = "..data"
_NEW_DATA = "..data_tmp"
_GROUP_READS = 0o440


def write(volume: Path, files: Files, now: datetime, suffix: str, group: int | None) -> bool:
    """Bring a volume's content up to date; False when it was so already. Raises VolumeError.

    Only we write to such a volume: containers have it read-only.
    """
    for path in files:
        _check(path)
    shown = files
    if group is not None:  # pkg/volume/volume_linux.go: changeFilePermission
        shown = {p: replace(f, mode=f.mode | _GROUP_READS) for p, f in files.items()}
    root = os.fspath(volume)
    _make_directory(root, group)
    current = _current(root)
    if current is not None and _read(current) == {p: (f.content, f.mode) for p, f in shown.items()}:
        _link(root, shown)
        return False
    new = f"..{now:%Y_%m_%d_%H_%M_%S}.{suffix}"
    _make_directory(f"{root}/{new}", group)
    for path, file in shown.items():
        _write_file(f"{root}/{new}", path, file, group)
    if current is None:
        os.symlink(new, f"{root}/{_DATA}")
        _link(root, shown)
        return True
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{root}/{_NEW_DATA}")
    os.symlink(new, f"{root}/{_NEW_DATA}")
    os.replace(f"{root}/{_NEW_DATA}", f"{root}/{_DATA}")
    _link(root, shown)
    _clear(root, new, _tops(shown))
    return True


def _check(path: str) -> None:
    """atomic_writer.go: validatePath."""
    if path.startswith("/"):
        raise VolumeError(f"invalid path: must be relative path: {path}")
    parts = path.split("/")
    if ".." in parts or not path:
        raise VolumeError(f"invalid path: must not contain '..': {path}")
    if parts[0].startswith(".."):
        raise VolumeError(f"invalid path: must not start with '..': {path}")


def _make_directory(path: str, group: int | None) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o755)
    if group is not None:
        os.chown(path, -1, group)
        os.chmod(path, 0o2755)
    else:
        os.chmod(path, 0o755)  # whatever the umask made of it


def _write_file(root: str, path: str, file: File, group: int | None) -> None:
    directory = root
    for part in path.split("/")[:-1]:
        directory = f"{directory}/{part}"
        _make_directory(directory, group)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(f"{root}/{path}", flags, 0o600)
    try:
        left = memoryview(file.content)
        while left:
            left = left[os.write(fd, left) :]
        user = file.user if os.geteuid() == 0 else None  # else the one user there is has it
        if group is not None or user is not None:
            os.fchown(fd, -1 if user is None else user, -1 if group is None else group)
        os.fchmod(fd, file.mode)
    finally:
        os.close(fd)


def _current(volume: str) -> str | None:
    try:
        return f"{volume}/{os.readlink(f'{volume}/{_DATA}')}"
    except OSError:
        return None


def _read(root: str) -> dict[str, tuple[bytes, int]]:
    """Content and mode of every file."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            with contextlib.suppress(OSError):
                mode = path.stat().st_mode & 0o7777
                found[str(path.relative_to(root))] = path.read_bytes(), mode
    return found


def _tops(files: Files) -> set[str]:
    return {path.split("/")[0] for path in files}


def _link(volume: str, files: Files) -> None:
    for top in _tops(files):
        if not os.path.islink(f"{volume}/{top}"):
            os.symlink(f"{_DATA}/{top}", f"{volume}/{top}")


def _clear(volume: str, current: str, tops: Iterable[str]) -> None:
    """Remove the links of files that are no more, and older versions."""
    kept = {_DATA, current, *tops}
    for entry in list(os.scandir(volume)):
        if entry.name in kept:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
