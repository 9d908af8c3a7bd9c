"""Beside a container's own program: programs run in it (exec), and viewers of its streams (attach).

A session is a connection of its own that brings its files along: the ends of pipes, or a terminal.
An exec'd program writes to them without us. A viewer gets copies of the output, and as long as it
does not read them the container's output is not read either, so nothing grows.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import termios

from . import sandboxed, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from collections.abc import Iterable
    from typing import Any

    from .attempt import Attempt
    from .journal import Key
    from .server import Shim
    from .wire import Client

_READ_BYTES = 64 * 1024
_READS = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR
_WRITES = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
_STREAMS = ("stdin", "stdout", "stderr")


class Sessions:
    """All sessions of a shim."""

    def __init__(self, shim: Shim) -> None:
        self._shim = shim
        self._running: dict[int, tuple[Client, Key]] = {}  # exec'd programs by pid
        # Unix sessions of ended programs in which something may still run.
        self._left: dict[int, Key] = {}

    def owns(self, pid: int) -> bool:
        """Whether a child is a program of ours that runs."""
        return pid in self._running

    def handle(self, client: Client, request: dict[str, Any], attempt: Attempt) -> dict[str, Any]:
        """The answer to exec, attach or resize."""
        op = request["op"]
        if op == "resize":
            return _resize(attempt, int(request["rows"]), int(request["columns"]))
        fds = client.take_fds()
        try:
            if not attempt.pid:
                return {"missing": True}
            names = request["fds"]
            if len(names) != len(fds):
                return {"error": "files are missing"}
            files = dict(zip(names, fds, strict=True))
            if op == "exec":
                return self._exec(client, request, attempt, files)
            return self._attach(client, attempt, files, fds)
        finally:
            for fd in fds:
                os.close(fd)

    # Programs

    def _exec(
        self, client: Client, request: dict[str, Any], attempt: Attempt, files: dict[str, int]
    ) -> dict[str, Any]:
        theirs: list[int] = []
        try:
            env, cwd = _surroundings(attempt)
            argv, boxed = request["argv"], "sandbox" in attempt.record
            if request["tty"]:
                # containerd: internal/cri/server/container_execsync.go, execInternal
                env, tty = {**env, "TERM": "xterm"}, files["tty"]
                actions = spawn.pipes(tty, tty, tty) if boxed else spawn.terminal(tty)
            else:
                actions = spawn.pipes(files.get("stdin", -1), files["stdout"], files["stderr"])
            if boxed:
                record, pid = attempt.record, attempt.pid
                argv, more = sandboxed.entering(record, pid, argv, env, request["tty"], theirs)
                env, cwd, actions = sandboxed.CLEAN, "/", actions + more
            pid = self._shim.spawn_in(attempt, argv, env, cwd, actions)
        except (spawn.StartError, OSError) as error:
            return {"error": str(error)}
        finally:
            for fd in theirs:
                os.close(fd)
        self.forget(pid)
        self._running[pid] = client, attempt.key
        number = int(request.get("on_close", signal.SIGHUP))
        client.dropped = lambda: self._hang_up(pid, client, number)
        return {"pid": pid}

    def _hang_up(self, pid: int, client: Client, number: int) -> None:
        if self._running.get(pid, (None,))[0] is client:
            spawn.kill_group(pid, number)
            spawn.kill_group(pid, signal.SIGCONT)

    def ended(self, pid: int, code: int) -> None:
        """A program was reaped: tell its client."""
        client, key = self._running.pop(pid)
        client.post({"exit": code})
        self._left[pid] = key
        used = {_session_of(child) for child in spawn.children() or ()}
        self._left = {session: key for session, key in self._left.items() if session in used}

    def forget(self, pid: int) -> None:
        """A number names a new process now."""
        self._left.pop(pid, None)

    def kill(self, key: Key) -> Iterable[int]:
        """End what runs beside a container; the Unix sessions in which something may be left."""
        mine = [pid for pid, (_, owner) in self._running.items() if owner == key]
        for pid in mine:
            spawn.kill_group(pid, signal.SIGKILL)
        left = [session for session, owner in self._left.items() if owner == key]
        for session in left:
            del self._left[session]
        return [*mine, *left]

    # Viewers

    def _attach(
        self, client: Client, attempt: Attempt, files: dict[str, int], fds: list[int]
    ) -> dict[str, Any]:
        if not attempt.pipes:
            return {"error": "the container's streams were lost with the shim that started it"}
        if set(files) - set(_STREAMS):
            return {"error": "only pipes can be attached"}
        attachment = Attachment(self._shim, client, attempt)
        try:
            for name, fd in files.items():
                os.set_blocking(fd, False)
                fds.remove(fd)
                attachment.take(name, fd)
        except OSError:
            attachment.drop()
            raise
        attempt.attachments.append(attachment)
        client.dropped = attachment.drop
        return {"tty": attempt.tty}


class Attachment:
    """One viewer of one container."""

    def __init__(self, shim: Shim, client: Client, attempt: Attempt) -> None:
        self._shim = shim
        self._client = client
        self._attempt = attempt
        self._outputs: dict[str, _Output] = {}
        self._input: _Input | None = None

    def take(self, name: str, fd: int) -> None:
        """Own one of the viewer's pipes."""
        attempt = self._attempt
        if name != "stdin":
            self._outputs[name] = _Output(self._shim, fd, attempt)
            if attempt.tty and name == "stderr":
                self._outputs.pop(name).close()
        elif attempt.stdin < 0:
            os.close(fd)  # no input is read: the viewer's is dropped
        else:
            self._input = _Input(self._shim, fd, attempt)

    def feed(self, stream: str, data: bytes) -> None:
        """Copy output to the viewer, who may have to be waited for."""
        output = self._outputs.get(stream)
        if output is not None:
            output.feed(data)

    def stuck(self, stream: str) -> bool:
        """Whether more output would have to be kept."""
        output = self._outputs.get(stream)
        return output is not None and bool(output.pending)

    def finish(self, code: int) -> None:
        """The container has ended: what is pending is still delivered."""
        self._client.post({"exit": code})
        for output in self._outputs.values():
            output.finish()
        self._end_input()

    def drop(self) -> None:
        """The viewer has gone."""
        for output in self._outputs.values():
            output.close()
        self._end_input()
        if self in self._attempt.attachments:
            self._attempt.attachments.remove(self)
        self._shim.resume(self._attempt)

    def _end_input(self) -> None:
        if self._input is not None:
            self._input.close()
            self._input = None


class _Output:
    """A viewer's pipe, and what did not fit into it."""

    def __init__(self, shim: Shim, fd: int, attempt: Attempt) -> None:
        self._shim = shim
        self._fd = fd
        self._attempt = attempt
        self._last = False
        self.pending = bytearray()

    def feed(self, data: bytes) -> None:
        if self._fd < 0:
            return
        waits = bool(self.pending)
        self.pending += data
        if not waits:
            self._flush()
            if self.pending:
                self._shim.watch(self._fd, self._ready, _WRITES)

    def _ready(self, _: int) -> None:
        self._flush()
        if self._fd >= 0 and not self.pending:
            self._shim.forget_fd(self._fd)
        if not self.pending:
            if self._last:
                self.close()
            self._shim.resume(self._attempt)

    def _flush(self) -> None:
        try:
            while self.pending:
                del self.pending[: os.write(self._fd, self.pending[:_READ_BYTES])]
        except BlockingIOError:
            return
        except OSError:  # nobody reads it any more
            self.close()

    def finish(self) -> None:
        self._last = True
        if not self.pending:
            self.close()

    def close(self) -> None:
        self.pending.clear()
        if self._fd >= 0:
            self._shim.forget_fd(self._fd)
            os.close(self._fd)
            self._fd = -1


class _Input:
    """From a viewer's pipe to the container's: one piece at a time, the rest waits in the pipe."""

    def __init__(self, shim: Shim, fd: int, attempt: Attempt) -> None:
        self._shim = shim
        self._source = fd
        try:
            self._target = os.dup(attempt.stdin)  # one epoll entry for each viewer
        except OSError:
            os.close(fd)
            raise
        self._attempt = attempt
        self._pending = b""
        shim.watch(fd, self._readable, _READS)

    def _readable(self, _: int) -> None:
        try:
            self._pending = os.read(self._source, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._pending = b""
        if self._pending:
            self._write()
            if self._pending:
                self._shim.forget_fd(self._source)
                self._shim.watch(self._target, self._writable, _WRITES)
        else:
            self.close()

    def _writable(self, _: int) -> None:
        self._write()
        if not self._pending and self._target >= 0:
            self._shim.forget_fd(self._target)
            self._shim.watch(self._source, self._readable, _READS)

    def _write(self) -> None:
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._target, self._pending) :]
        except BlockingIOError:
            return
        except OSError:  # the program reads no more
            self.close()

    def close(self) -> None:
        self._pending = b""
        if self._target < 0:
            return
        for fd in (self._source, self._target):
            self._shim.forget_fd(fd)
            os.close(fd)
        self._target = -1
        if self._attempt.stdin_once:
            self._attempt.close_input()


def _surroundings(attempt: Attempt) -> tuple[dict[str, str], str]:
    """Environment and directory; those of the running program where another shim started it."""
    if attempt.env is not None:
        return attempt.env, attempt.cwd
    pid = attempt.pid
    if "sandbox" in attempt.record:
        pid = sandboxed.child_of(attempt.record, pid) or pid
    with open(f"/proc/{pid}/environ", encoding="utf-8", errors="surrogateescape") as file:
        pairs = [text.partition("=") for text in file.read().split("\0") if text]
    return {name: value for name, _, value in pairs}, os.readlink(f"/proc/{pid}/cwd")


def _resize(attempt: Attempt, rows: int, columns: int) -> dict[str, Any]:
    if attempt.tty:
        for fd in attempt.pipes:
            fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    return {}


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0
