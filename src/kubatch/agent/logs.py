"""Reading containers' log files: CRI lines in, text out.

pkg/kubelet/kuberuntime/logs/logs.go (ReadLogs, logWriter) and pkg/util/tail. `LineFilter` and
`tail_offset` are the rules; `read` is the one that waits.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

_CHUNK = 64 * 1024
# How often a followed file is looked at: quick while output comes, slower while nothing does.
_POLL_MIN = 0.005
_POLL_MAX = 0.04
_STAMP_DIGITS = 9
# pkg/kubelet/kuberuntime/kuberuntime_manager.go: MaxContainerTerminationMessageLogLines, ...Length
TAIL_LINES = 80
TAIL_BYTES = 2048


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a log, and how (core/v1 PodLogOptions)."""

    follow: bool = False
    previous: bool = False
    since: datetime | None = None
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    stream: str = ""  # "": both; stdout or stderr


class LineFilter:
    """Turns the records of a CRI log into output, as the options say."""

    def __init__(self, options: LogOptions) -> None:
        self._timestamps = options.timestamps
        self._since = options.since
        self._stream = options.stream.encode()
        self._left = options.limit_bytes
        self._plain = not options.timestamps and options.since is None and not options.stream
        self._inside_line = False

    @property
    def full(self) -> bool:
        """Whether limitBytes is used up."""
        return self._left is not None and self._left <= 0

    def feed(self, records: bytes) -> bytes:
        """The output for whole records, each ending with a newline."""
        out: list[bytes] = []
        for record in records.split(b"\n"):
            if not record:
                continue
            stamp, _, rest = record.partition(b" ")
            stream, _, rest = rest.partition(b" ")
            tag, separator, text = rest.partition(b" ")
            if not separator:
                continue  # torn by a crash: not a record
            partial = tag.startswith(b"P")
            if self._plain or self._wanted(stamp, stream):
                if self._timestamps and not self._inside_line:
                    out.append(full_stamp(stamp) + b" ")
                out.append(text if partial else text + b"\n")
                self._inside_line = partial
        return self._limited(b"".join(out))

    def _wanted(self, stamp: bytes, stream: bytes) -> bool:
        if self._stream and stream != self._stream:
            return False
        if self._since is None:
            return True
        moment = parse_stamp(stamp)
        return moment is None or moment >= self._since

    def _limited(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        data = data[: self._left]
        self._left -= len(data)
        return data


def full_stamp(stamp: bytes) -> bytes:
    """A record's time with nine digits, whatever the runtime left out."""
    head, dot, fraction = stamp.removesuffix(b"Z").partition(b".")
    return head + b"." + (fraction if dot else b"").ljust(_STAMP_DIGITS, b"0") + b"Z"


def parse_stamp(stamp: bytes) -> datetime | None:
    """A record's time, to the microsecond."""
    head, _, fraction = stamp.decode(errors="replace").removesuffix("Z").partition(".")
    try:
        moment = datetime.fromisoformat(head)
        micros = int(fraction[:6].ljust(6, "0"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment + timedelta(microseconds=micros)


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last so many records begin; reads from the end (pkg/util/tail: FindTailLineStart).

    A record still being written does not count: it has no newline yet.
    """
    size = file.seek(0, os.SEEK_END)
    position = size
    if lines <= 0:
        return size
    newlines = 0
    while position > 0:
        start = max(0, position - _CHUNK)
        file.seek(start)
        block = file.read(position - start)
        end = len(block)
        while (found := block.rfind(b"\n", 0, end)) >= 0:
            newlines += 1
            if newlines > lines:
                return start + found + 1
            end = found
        position = start
    return 0


def message_from_log(path: Path) -> str:
    """The end of a log as a termination message (FallbackToLogsOnError)."""
    try:
        with path.open("rb") as file:
            file.seek(tail_offset(file, TAIL_LINES))
            records = file.read()
    except OSError:
        return ""
    text = LineFilter(LogOptions()).feed(records)
    return text[-TAIL_BYTES:].decode(errors="replace")


async def read(
    path: Path, options: LogOptions, ended: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """The log's output; with follow, until the container has ended and all was read.

    Raises FileNotFoundError. A rotated file is read to its end before its successor.
    """
    filter = LineFilter(options)
    file: BinaryIO = path.open("rb")
    try:
        if options.tail_lines is not None:
            file.seek(tail_offset(file, options.tail_lines))
        else:
            file.seek(0)
        unfinished = b""
        pause = _POLL_MIN
        while not filter.full:
            # Asked before reading: what was written before the end is then read for certain.
            over = await ended() if options.follow else True
            chunk = file.read(_CHUNK)
            if chunk:
                records, newline, unfinished = (unfinished + chunk).rpartition(b"\n")
                if output := filter.feed(records + newline):
                    yield output
                pause = _POLL_MIN
                continue
            successor = _successor(path, file) if options.follow else None
            if successor is not None:
                file.close()
                file, unfinished = successor, b""
                continue
            if over:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _POLL_MAX)
    finally:
        file.close()


def _successor(path: Path, file: BinaryIO) -> BinaryIO | None:
    """The file that took this one's place, once this one is read to its end."""
    try:
        if os.stat(path).st_ino == os.fstat(file.fileno()).st_ino:
            return None
        # Between our last read and the rename more may have come.
        if os.fstat(file.fileno()).st_size > file.tell():
            return None
        return path.open("rb")
    except FileNotFoundError:
        return None
