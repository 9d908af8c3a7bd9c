"""Variables from a file that an earlier container of the pod wrote into an emptyDir (fileKeyRef).

pkg/kubelet/util/env/env_util.go. Who writes the file may be anybody's program: no link in its path
is followed, nothing but a regular file is read, and not more than so much of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from kubatch.agent.volumes import Mounted
from kubatch.api import models as m

FILE_BYTES_MAX = 64 * 1024
# None: the file is not there, or is no such file.
Files = Mapping[tuple[str, str], Mapping[str, str] | None]


def read_files(pod: m.Pod, container: m.Container, volumes: Mapping[str, Mounted]) -> Files:
    """Every file that a container's variables name, by volume and path, as far as it is mounted."""
    assert pod.spec is not None
    own = {volume.name for volume in pod.spec.volumes or () if volume.emptyDir is not None}
    found: dict[tuple[str, str], Mapping[str, str] | None] = {}
    for var in container.env or ():
        ref = var.valueFrom.fileKeyRef if var.valueFrom is not None else None
        volume = volumes.get(ref.volumeName) if ref is not None else None
        if ref is None or volume is None or volume.source is None or ref.volumeName not in own:
            continue
        found[ref.volumeName, ref.path] = _parsed(volume.source, ref.path)
    return found


def _parsed(volume: Path, path: str) -> dict[str, str] | None:
    try:
        return parse(_content(volume, path).decode())
    except (OSError, ValueError):
        return None


def _content(volume: Path, path: str) -> bytes:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise ValueError(path)
    folder = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Not to wait for whoever would write into a pipe.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(parts[-1], flags, dir_fd=folder), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError(path)
            data = file.read(FILE_BYTES_MAX + 1)
    finally:
        os.close(folder)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(path)
    return data


def parse(text: str) -> dict[str, str]:
    """Lines KEY=VALUE; a value in single quotes may go over lines. Raises ValueError.

    Empty lines and those that begin with # say nothing; of a key that comes twice the last counts.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        line, at = _line(text, at)
        if _says_nothing(line):
            continue
        key, equals, value = line.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key or any(c.isspace() for c in key):
            raise ValueError(f"not KEY=VALUE: {line[:80]}")
        if value.startswith("'"):
            begin = text.index("'", at - len(line) - 1 + line.index("=")) + 1
            close = text.find("'", begin)
            if close < 0:
                raise ValueError(f"not KEY=VALUE: {line[:80]}")
            value = text[begin:close]
            behind, at = _line(text, close + 1)
            if not _says_nothing(behind):
                raise ValueError(f"not KEY=VALUE: {line[:80]}")
        found[key] = value
    return found


def _line(text: str, at: int) -> tuple[str, int]:
    """The line that begins there, and where the next one does."""
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return text[at:end], end + 1


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")
