"""Container output as CRI log lines: `<time> <stream> F|P <text>`.

P marks a part of a line: one longer than 16 KiB, or a last line without its newline
(kubelet: pkg/kubelet/kuberuntime/logs; containerd: internal/cri/io/logger.go).
"""

from __future__ import annotations

import os
import time

from .clock import epoch_ns
from .complain import complain

LINE_BYTES_MAX = 16 * 1024

_second = -1
_second_text = ""


def stamp(nanoseconds: int) -> str:
    """A moment since the epoch as RFC 3339 with nanoseconds, in UTC."""
    global _second, _second_text
    second, rest = divmod(nanoseconds, 1_000_000_000)
    if second != _second:
        _second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _second = second
    return f"{_second_text}.{rest:09d}Z"


class CriLog:
    """One container's log file, and the files it was rotated to."""

    __slots__ = (
        "_bytes_max",
        "_fd",
        "_files_max",
        "_lossy",
        "_path",
        "_rotated",
        "_size",
        "_tails",
    )

    def __init__(self, path: str, bytes_max: int, files_max: int) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._fd = -1
        self._size = 0
        self._lossy = False
        self._rotated = ""  # the last name without a fraction of a second
        self._tails = {"stdout": b"", "stderr": b""}
        try:
            self._open()
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), 0o750, exist_ok=True)
            self._open()

    def feed(self, stream: str, data: bytes) -> None:
        """Take output; whole lines are written, the rest waits for its newline."""
        now = stamp(epoch_ns())
        full = f"{now} {stream} F ".encode()
        lines = (self._tails[stream] + data).split(b"\n")
        tail = lines.pop()
        if lines:
            if max(map(len, lines)) <= LINE_BYTES_MAX:
                self._write(full + (b"\n" + full).join(lines) + b"\n")
            else:
                part = f"{now} {stream} P ".encode()
                self._write(b"".join(_split(line, full, part) for line in lines))
        if len(tail) > LINE_BYTES_MAX:
            part = f"{now} {stream} P ".encode()
            keep = len(tail) % LINE_BYTES_MAX or LINE_BYTES_MAX
            self._write(_split(tail[:-keep], part, part))
            tail = tail[-keep:]
        self._tails[stream] = tail

    def flush(self, stream: str) -> None:
        """Write what waits for a newline that may never come."""
        tail = self._tails[stream]
        if tail:
            self._tails[stream] = b""
            self._write(f"{stamp(epoch_ns())} {stream} P ".encode() + tail + b"\n")

    def close(self) -> None:
        """Close the file; what came without a newline is written first."""
        for stream in self._tails:
            self.flush(stream)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._fd = os.open(self._path, flags, 0o640)
        self._size = os.fstat(self._fd).st_size

    def _write(self, block: bytes) -> None:
        # Output that the disk refuses is lost, as in a container engine; the container runs on.
        try:
            if self._fd < 0:
                self._open()
            while block:
                room = self._bytes_max - self._size
                if len(block) <= room:
                    self._append(block)
                    return
                cut = block.rfind(b"\n", 0, max(room, 0)) + 1
                if not cut and not self._size:  # one line longer than a whole file
                    cut = block.find(b"\n") + 1
                self._append(block[:cut])
                block = block[cut:]
                self._rotate()
        except OSError as error:
            if not self._lossy:
                complain(f"log {self._path}: {error}")
            self._lossy = True

    def _append(self, block: bytes) -> None:
        view = memoryview(block)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            # What comes when there is room again must not go on in the middle of a line.
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(block)

    def _rotate(self) -> None:
        # kubelet: pkg/kubelet/logs/container_log_manager.go, rotateLatestLog. It looks every ten
        # seconds, we at every write, so a second can need a finer stamp than theirs.
        now = epoch_ns()
        target = time.strftime(f"{self._path}.%Y%m%d-%H%M%S", time.gmtime(now // 1_000_000_000))
        if target == self._rotated:
            target += f".{now % 1_000_000_000:09d}"
        else:
            self._rotated = target
        os.rename(self._path, target)
        os.close(self._fd)
        self._fd = -1
        self._open()
        folder, name = os.path.split(self._path)
        old = sorted(entry for entry in os.listdir(folder) if entry.startswith(name + "."))
        for entry in old[: max(0, len(old) - self._files_max + 1)]:
            os.unlink(os.path.join(folder, entry))


def _split(line: bytes, last: bytes, part: bytes) -> bytes:
    """A long line in pieces, each with its prefix."""
    pieces = [line[i : i + LINE_BYTES_MAX] for i in range(0, len(line), LINE_BYTES_MAX)] or [b""]
    final = pieces.pop()
    return b"".join(part + piece + b"\n" for piece in pieces) + last + final + b"\n"
