"""One attempt to run one container, as the shim sees it."""

from __future__ import annotations

import os
from collections.abc import Callable

from . import spawn
from .clock import epoch_us
from .cri_log import CriLog
from .journal import Key
from .kin import kin_of

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from typing import Any

    from .journal import Record
    from .sessions import Attachment

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

    __slots__ = (
        "attachments",
        "cwd",
        "deadline",
        "env",
        "key",
        "log",
        "pid",
        "pidfd",
        "pipes",
        "record",
        "stdin",
        "stdin_once",
        "tty",
        "waiters",
    )

    def __init__(self, key: Key, record: Record) -> None:
        self.key = key
        self.record = record
        self.pid = 0  # of a process not reaped yet, else 0
        self.pidfd = -1  # of a process that another shim started
        self.log: CriLog | None = None
        self.pipes: dict[int, str] = {}
        self.stdin = -1  # our end of its input
        self.stdin_once = False  # the first who wrote to it closes it
        self.tty = False  # the one pipe is a terminal
        self.env: dict[str, str] | None = None  # for what is run beside it; None: another shim's
        self.cwd = "/"
        self.attachments: list[Attachment] = []
        self.deadline = 0.0  # when the report of the exit waits no longer for the pipes
        self.waiters: list[Callable[[], None]] = []  # called once the exit is journaled

    @property
    def running(self) -> bool:
        """Whether the end was not recorded yet."""
        return bool(self.record["state"] != "exited")

    def find_again(self, boot: str) -> bool:
        """Take hold of the process that another shim started; False when it is not there."""
        pid, birth = self.record.get("pid"), self.record.get("birth")
        if self.record.get("boot") != boot or not pid or birth is None:
            return False
        try:
            self.pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        except (OSError, AttributeError):
            pass  # no pidfd here: looked at from time to time
        if spawn.birth(pid) != birth:
            self.close()
            return False
        self.pid = pid
        return True

    def end(self, **values: Any) -> None:
        """Record the end."""
        self.record = {**self.record, "state": "exited", "finished_at": epoch_us(), **values}

    def open_streams(self, request: dict[str, Any], theirs: list[int]) -> tuple[Any, ...]:
        """Make the program's files: what it is to do with them; its ends are put into `theirs`."""
        self.env, self.cwd = request["env"], request["cwd"] or "/"
        if kin := kin_of(request["env"]):
            self.record["kin"] = kin
        if request.get("network"):
            self.record["network"] = request["network"]
        self.tty, self.stdin_once = request["tty"], request["stdin_once"]
        if self.tty:
            master, slave = os.openpty()
            theirs.append(slave)
            os.set_blocking(master, False)
            self.pipes[master] = "stdout"
            if request["stdin"]:
                self.stdin = os.dup(master)
            if "sandbox" in request:
                return spawn.pipes(slave, slave, slave)  # the program takes control in there
            return spawn.terminal(slave)
        stdin = -1
        if request["stdin"]:
            stdin, self.stdin = os.pipe()
            theirs.append(stdin)
            os.set_blocking(self.stdin, False)
        for stream in ("stdout", "stderr"):
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            self.pipes[reader] = stream
            theirs.append(writer)
        return spawn.pipes(stdin, *theirs[-2:])

    def stuck(self, fd: int) -> bool:
        """Whether a viewer has to take output before more is read."""
        stream = self.pipes.get(fd)
        return stream is not None and any(a.stuck(stream) for a in self.attachments)

    def read(self, fd: int) -> bool:
        """Move output to the log, once. False when the pipe is empty or at its end."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        stream = self.pipes[fd]
        assert self.log is not None
        if data:
            self.log.feed(stream, data)
            for attachment in self.attachments:
                attachment.feed(stream, data)
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

    def close_input(self) -> None:
        """End the program's input, as far as it hangs on us; a terminal's does not."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def close(self) -> None:
        """Let go of everything open."""
        self.close_input()
        for fd in list(self.pipes):
            self.close_pipe(fd)
        if self.log is not None:
            self.log.close()
            self.log = None
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def still_running(record: Record) -> Record:
    """The record of an ended attempt as it was before its end."""
    ends = ("finished_at", "exit_code", "max_rss_bytes", "cpu_seconds")
    return {**{k: v for k, v in record.items() if k not in ends}, "state": "running"}
