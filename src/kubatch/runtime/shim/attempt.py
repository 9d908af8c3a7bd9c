"""One attempt to run one container, as the shim sees it."""

from __future__ import annotations

import os
from collections.abc import Callable

from .clock import epoch_us
from .cri_log import CriLog
from .journal import Key

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from typing import Any

    from .journal import Record

_READ_BYTES = 64 * 1024
# What a dead program wrote last sits in its pipes, and no pipe of a user holds more than this.
_DRAIN_BYTES_MAX = 1 << 20

UNKNOWN_END = {
    "exit_code": 137,
    "reason": "ContainerStatusUnknown",
    # kubelet: pkg/kubelet/kubelet_pods.go, convertStatusToAPIStatus
    "message": "The container could not be located when the pod was terminated",
}


class Attempt:
    """The record that is journaled and shown, and what is open while it runs."""

    __slots__ = ("deadline", "key", "log", "pid", "pidfd", "pipes", "record", "waiters")

    def __init__(self, key: Key, record: Record) -> None:
        self.key = key
        self.record = record
        self.pid = 0  # of a process not reaped yet, else 0
        self.pidfd = -1  # of a process that another shim started
        self.log: CriLog | None = None
        self.pipes: dict[int, str] = {}
        self.deadline = 0.0  # when the report of the exit waits no longer for the pipes
        self.waiters: list[Callable[[], None]] = []  # called once the exit is journaled

    @property
    def running(self) -> bool:
        """Whether the end was not recorded yet."""
        return bool(self.record["state"] != "exited")

    def end(self, **values: Any) -> None:
        """Record the end."""
        self.record = {**self.record, "state": "exited", "finished_at": epoch_us(), **values}

    def read(self, fd: int) -> bool:
        """Move output to the log, once. False when the pipe is empty or at its end."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        stream = self.pipes[fd]
        assert self.log is not None
        if data:
            self.log.feed(stream, data)
            return True
        self.log.flush(stream)
        self.close_pipe(fd)
        return False

    def drain(self) -> None:
        """Move what the pipes hold now to the log."""
        for fd in list(self.pipes):
            count = 0
            while count < _DRAIN_BYTES_MAX and self.read(fd):
                count += _READ_BYTES

    def close_pipe(self, fd: int) -> None:
        """Close one pipe, and the log after the last one."""
        os.close(fd)
        del self.pipes[fd]
        if not self.pipes and self.log is not None:
            self.log.close()
            self.log = None

    def close(self) -> None:
        """Let go of everything open."""
        for fd in list(self.pipes):
            self.close_pipe(fd)
        if self.log is not None:
            self.log.close()
            self.log = None
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
