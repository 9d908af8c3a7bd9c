"""Writing a volume's files so that a container sees all of a new version or none of it.

pkg/volume/util/atomic_writer.go: the files lie in a directory with a time in its name, `..data`
leads there, and what containers see are links through `..data`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
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
        shown = {p: File(f.content, f.mode | _GROUP_READS) for p, f in files.items()}
    _make_directory(volume, group)
    current = _current(volume)
    if current is not None and _read(current) == dict(shown):
        _link(volume, shown)
        return False
    new = volume / f"..{now:%Y_%m_%d_%H_%M_%S}.{suffix}"
    _make_directory(new, group)
    for path, file in shown.items():
        _write_file(new, path, file, group)
    link = volume / _NEW_DATA
    link.unlink(missing_ok=True)
    link.symlink_to(new.name)
    os.replace(link, volume / _DATA)
    _link(volume, shown)
    _clear(volume, new.name, _tops(shown))
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


def _make_directory(path: Path, group: int | None) -> None:
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    if group is not None:
        os.chown(path, -1, group)
        path.chmod(0o2755)
    else:
        path.chmod(0o755)  # whatever the umask made of it


def _write_file(root: Path, path: str, file: File, group: int | None) -> None:
    directory = root
    for part in path.split("/")[:-1]:
        directory /= part
        _make_directory(directory, group)
    fd = os.open(root / path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb") as opened:
        opened.write(file.content)
        if group is not None:
            os.fchown(fd, -1, group)
        os.fchmod(fd, file.mode)


def _current(volume: Path) -> Path | None:
    try:
        return volume / os.readlink(volume / _DATA)
    except OSError:
        return None


def _read(root: Path) -> dict[str, File]:
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            with contextlib.suppress(OSError):
                mode = path.stat().st_mode & 0o7777
                found[str(path.relative_to(root))] = File(path.read_bytes(), mode)
    return found


def _tops(files: Files) -> set[str]:
    return {path.split("/")[0] for path in files}


def _link(volume: Path, files: Files) -> None:
    for top in _tops(files):
        if not (volume / top).is_symlink():
            (volume / top).symlink_to(f"{_DATA}/{top}")


def _clear(volume: Path, current: str, tops: Iterable[str]) -> None:
    """Remove the links of files that are no more, and older versions."""
    kept = {_DATA, current, *tops}
    for entry in list(os.scandir(volume)):
        if entry.name in kept:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
