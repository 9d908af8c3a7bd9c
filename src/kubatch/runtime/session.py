"""Exec and attach in the process runtime: pipes that both ends hold, and a connection to the shim.

The pipes, or the terminal, are made here and their other ends handed to the shim with the request.
What a program prints then comes straight from it, and waits in the pipe while nobody reads. The
connection tells the exit code; when it breaks, the shim knows that nobody looks any more.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import struct
import termios
from collections.abc import Callable, Mapping
from typing import Any

from kubatch.runtime.protocol import (
    ContainerId,
    ContainerNotFound,
    ExecFailed,
    RuntimeUnavailable,
    Session,
)

_READ_BYTES = 64 * 1024
_LINE_BYTES_MAX = 64 * 1024
# Output that comes so long, or so much of it, after the program's end is that of others who hold
# its pipe; the pipe itself holds less.
_DRAIN_S = 1.0
_DRAIN_BYTES_MAX = 4 << 20
_SIZE_MAX = 0xFFFF


async def start_session(
    sock: socket.socket, request: Mapping[str, Any], *, tty: bool, stdin: bool
) -> ProcessSession:
    """Ask the shim on a fresh connection, which the session then owns.

    Raises ContainerNotFound, ExecFailed, RuntimeUnavailable.
    """
    ends = _Ends(tty=tty, stdin=stdin)
    session = None
    try:
        sock.setblocking(False)
        line = json.dumps({"n": 1, **request, "fds": list(ends.theirs)}) + "\n"
        data = line.encode("utf-8", "surrogatepass")
        try:
            sent = socket.send_fds(sock, [data], list(ends.theirs.values()))
            await asyncio.get_running_loop().sock_sendall(sock, data[sent:])
            lines = _Lines(sock)
            answer = await lines.next()
        except OSError as error:
            raise RuntimeUnavailable(f"the shim has gone: {error}") from error
        if "missing" in answer:
            raise ContainerNotFound(ContainerId(*request["id"]))
        if "error" in answer:
            raise ExecFailed(answer["error"])
        session = ProcessSession(sock, lines, ends.ours, tuple(request["id"]))
        return session
    finally:
        _close_all(ends.theirs)
        if session is None:
            _close_all(ends.ours)
            sock.close()


class _Ends:
    """Both ends of everything, by name."""

    def __init__(self, *, tty: bool, stdin: bool) -> None:
        self.ours: dict[str, int] = {}
        self.theirs: dict[str, int] = {}
        try:
            if tty:
                self.ours["tty"], self.theirs["tty"] = os.openpty()
            else:
                if stdin:
                    self.theirs["stdin"], self.ours["stdin"] = os.pipe()
                for name in ("stdout", "stderr"):
                    self.ours[name], self.theirs[name] = os.pipe()
        except OSError as error:
            _close_all(self.ours)
            _close_all(self.theirs)
            raise ExecFailed(f"no pipe or terminal: {os.strerror(error.errno or 0)}") from error
        for fd in self.ours.values():
            os.set_blocking(fd, False)


def _close_all(fds: dict[str, int]) -> None:
    for fd in fds.values():
        os.close(fd)
    fds.clear()


class _Lines:
    """The shim's messages on a session's connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""

    async def next(self) -> dict[str, Any]:
        """The next message. Raises RuntimeUnavailable when there is none any more."""
        loop = asyncio.get_running_loop()
        while b"\n" not in self._buffer:
            try:
                data = await loop.sock_recv(self._sock, 4096)
            except OSError:
                data = b""
            if not data or len(self._buffer) > _LINE_BYTES_MAX:
                raise RuntimeUnavailable("the shim has gone")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message


class ProcessSession(Session):
    """The Session of a host process; see runtime/protocol.py."""

    def __init__(
        self,
        sock: socket.socket,
        lines: _Lines,
        fds: dict[str, int],
        container: tuple[str, str, int],
    ) -> None:
        self._sock = sock
        self._fds = fds
        self._container = container
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Future[None]] = set()
        self._after_exit = 0  # bytes read since the end
        self._exit = asyncio.create_task(self._listen(lines))
        self._exit.add_done_callback(_look)

    async def read(self, stream: str) -> bytes:
        """The next output; b"" at the end, or when the program ended and no more comes."""
        while True:
            fd = self._fds.get("tty" if "tty" in self._fds and stream == "stdout" else stream)
            if fd is None:
                return b""
            try:
                data = os.read(fd, _READ_BYTES)
                self._after_exit += len(data) if self._exit.done() else 0
                return data if self._after_exit <= _DRAIN_BYTES_MAX else b""
            except BlockingIOError:
                pass
            except OSError:  # EIO: nobody has the terminal open any more
                return b""
            if not await self._readable(fd):
                return b""

    async def _readable(self, fd: int) -> bool:
        """Wait for output; False when it is too late for any."""
        ready = asyncio.ensure_future(self._turn(fd, self._loop.add_reader, True))
        try:
            await asyncio.wait((ready, self._exit), return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                await asyncio.wait((ready,), timeout=_DRAIN_S)
            return ready.done()
        finally:
            ready.cancel()
            await asyncio.wait((ready,))

    async def write(self, data: bytes) -> None:
        """Input, waiting while the pipe is full."""
        view = memoryview(data)
        while view:
            fd = self._fds.get("tty", self._fds.get("stdin"))
            if fd is None:
                return
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                await self._turn(fd, self._loop.add_writer, False)
            except OSError:  # the program reads no more
                await self.end_input()
                return

    async def end_input(self) -> None:
        """Close the input pipe."""
        fd = self._fds.pop("stdin", None)
        if fd is not None:
            self._loop.remove_writer(fd)
            os.close(fd)

    async def resize(self, width: int, height: int) -> None:
        """Set the terminal's size: our own one's here, a container's through the shim."""
        rows, columns = min(max(height, 0), _SIZE_MAX), min(max(width, 0), _SIZE_MAX)
        if "tty" in self._fds:
            size = struct.pack("HHHH", rows, columns, 0, 0)
            fcntl.ioctl(self._fds["tty"], termios.TIOCSWINSZ, size)
            return
        request = {"op": "resize", "id": self._container, "rows": rows, "columns": columns}
        try:
            await self._loop.sock_sendall(self._sock, json.dumps(request).encode() + b"\n")
        except OSError:
            pass  # the program's end will be seen, or that of the shim

    async def wait(self) -> int:
        """The exit code, once the shim tells it."""
        return await asyncio.shield(self._exit)

    async def close(self) -> None:
        """Close everything; the shim sees it and hangs up on the program."""
        # So that it happens even if whoever closes is cancelled; not before nobody reads it.
        self._exit.add_done_callback(lambda _: self._sock.close())
        self._exit.cancel()
        for future in self._waiting:
            future.cancel()
        for fd in self._fds.values():
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
        _close_all(self._fds)
        await asyncio.wait((self._exit,))
        await asyncio.sleep(0)  # the callback's turn

    async def _listen(self, lines: _Lines) -> int:
        while True:
            message = await lines.next()
            if "exit" in message:
                return int(message["exit"])

    async def _turn(self, fd: int, add: Callable[..., Any], reading: bool) -> None:
        """Wait until a file is readable or writable."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(future)
        add(fd, _done, future)
        try:
            await future
        finally:
            self._waiting.discard(future)
            if fd in self._fds.values():
                (self._loop.remove_reader if reading else self._loop.remove_writer)(fd)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _look(task: asyncio.Task[int]) -> None:
    """Look at the outcome, so that one nobody waited for is not reported as an error."""
    if not task.cancelled():
        task.exception()
