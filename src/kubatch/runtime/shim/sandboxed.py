"""What is different about a container whose process is bubblewrap, the program being its child.

bubblewrap makes the sandbox and waits in it for the program, which is process 1 there. What it is
told comes in file 3, so that no list of processes shows a container's environment; into file 4 it
writes the program's pid and, at the end, the exit code, which so outlives us.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import sys

from . import spawn
from .clock import epoch_us

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from typing import Any

    from .journal import Record

# What runs outside the sandbox heeds nothing that a container sets.
CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_ENTER = __file__.rsplit("/", 1)[0] + "/enter.py"
_HIGH = 10  # above 3 and 4, which the new process has for its own
_CHILD = re.compile(rb'"child-pid":\s*(\d+)')
_EXIT = re.compile(rb'"exit-code":\s*(\d+)')
# signal(7): those whose default is to end the process
_DEADLY = frozenset((
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGSEGV, signal.SIGPIPE,
    signal.SIGALRM, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
))  # fmt: skip


def files(request: dict[str, Any], theirs: list[int]) -> tuple[Any, ...]:
    """Files 3 and 4 of a new process; our ends of what is made are put into `theirs`."""
    box = request["sandbox"]
    told = _in_memory(box["told"].encode("utf-8", "surrogateescape"), theirs)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    status = os.open(box["status"], flags, 0o600)
    theirs.append(_move_up(status))
    return (os.POSIX_SPAWN_DUP2, told, 3), (os.POSIX_SPAWN_DUP2, theirs[-1], 4)


def record_of(request: dict[str, Any]) -> dict[str, Any]:
    """What the record of an attempt holds about its sandbox."""
    box = request["sandbox"]
    return {"status": box["status"], "enter": box["enter"]}


def deliver(record: Record, monitor: int, number: int) -> bool:
    """Signal the program. True when the container now dies as if the signal had ended it.

    As process 1 of its namespace a program that has not said what to do about a signal does not
    even get it. What would end it anywhere else ends it here too.
    """
    child = child_of(record, monitor)
    if child is None:  # nothing has started yet that could heed a signal
        if number in _DEADLY or number == signal.SIGKILL:
            spawn.kill_group(monitor, signal.SIGKILL)
            return True
        return False
    ends = number in _DEADLY and not _heeds(child, number)
    try:
        os.kill(child, signal.SIGKILL if ends else number)
    except ProcessLookupError:
        return False
    return ends


def child_of(record: Record, monitor: int) -> int | None:
    """The program's pid, while it is the child of its bubblewrap."""
    found = _CHILD.search(_status(record))
    if found is None:
        return None
    child = int(found.group(1))
    return child if spawn.parent(child) == monitor else None


def end_of(record: Record) -> dict[str, Any] | None:
    """How an attempt ended that no shim saw end, if bubblewrap has told."""
    box = record.get("sandbox")
    found = _EXIT.search(_status(record)) if box else None
    if box is None or found is None:
        return None
    try:
        finished = os.stat(box["status"]).st_mtime_ns // 1000
    except OSError:
        finished = epoch_us()
    return {"exit_code": int(found.group(1)), "finished_at": finished}


def entering(
    record: Record, monitor: int, argv: list[str], env: dict[str, str], tty: bool,
    theirs: list[int],
) -> tuple[list[str], tuple[Any, ...]]:  # fmt: skip
    """How to run one more program in a sandbox: the words, and what to do with file 3."""
    child = child_of(record, monitor)
    if child is None:
        raise spawn.StartError("the container is still being started")
    order = {**record["sandbox"]["enter"], "pid": child, "argv": argv, "env": env, "tty": tty}
    told = _in_memory(json.dumps(order).encode("utf-8", "surrogatepass"), theirs)
    words = [sys.executable, "-X", "utf8", "-S", "-I", "-E", _ENTER]
    return words, ((os.POSIX_SPAWN_DUP2, told, 3),)


def _status(record: Record) -> bytes:
    try:
        with open(record["sandbox"]["status"], "rb") as file:
            return file.read(4096)
    except OSError:
        return b""


def _in_memory(data: bytes, theirs: list[int]) -> int:
    """An open file with this content that has no name."""
    fd = _move_up(os.memfd_create("told", os.MFD_CLOEXEC))
    theirs.append(fd)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _move_up(fd: int) -> int:
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    finally:
        os.close(fd)


def _heeds(pid: int, number: int) -> bool:
    """Whether a process catches, ignores or holds back a signal."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                name, _, mask = line.partition(":")
                if name in ("SigBlk", "SigIgn", "SigCgt") and int(mask, 16) >> (number - 1) & 1:
                    return True
    except OSError:
        pass
    return False
