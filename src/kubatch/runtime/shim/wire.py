"""One connected client of the shim: newline-delimited JSON over a socket that never blocks."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections import deque
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from typing import Any

_READ_BYTES = 256 * 1024
_REQUEST_BYTES_MAX = 16 << 20
_UNSENT_BYTES_MAX = 64 << 20
_WAITING_MAX = 4096
_FDS_MAX = 3  # stdin, stdout and stderr of a session
_CREDENTIALS = struct.Struct("3i")  # unix(7): struct ucred
_FDS_SPACE = socket.CMSG_LEN(_FDS_MAX * 4)

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Client:
    """Requests that came, and messages that go; a client that goes wrong is dropped."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.requests: deque[dict[str, Any]] = deque()
        self.greeted = False  # has asked for the state, so wants changes
        self.broken = False
        self.fds: list[int] = []  # came with requests, and were not taken yet
        self.dropped: Callable[[], None] = lambda: None  # called when the client has gone
        self._incoming = b""
        self._outgoing = bytearray()

    @property
    def wants_read(self) -> bool:
        """False while too much is waiting already: the socket's buffer fills, the sender waits."""
        return len(self.requests) < _WAITING_MAX

    @property
    def wants_write(self) -> bool:
        """Whether messages wait for room in the socket's buffer."""
        return bool(self._outgoing)

    def receive(self) -> None:
        """Read once, and take the whole requests."""
        try:
            # Not recv_fds(), which forgets its flags: files would leak into containers.
            data, messages, _, _ = self.sock.recvmsg(
                _READ_BYTES, _FDS_SPACE, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            data, messages = b"", []
        for level, kind, raw in messages:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self.fds += memoryview(raw[: len(raw) // 4 * 4]).cast("i")
        if not data:
            self.broken = True
            return
        *lines, self._incoming = (self._incoming + data).split(b"\n")
        try:
            requests = [json.loads(line) for line in lines]
        except ValueError:
            requests = [None]
        if all(isinstance(request, dict) for request in requests):
            self.requests.extend(requests)
        else:
            self.broken = True
        if len(self._incoming) > _REQUEST_BYTES_MAX or len(self.fds) > _FDS_MAX:
            self.broken = True

    def take_fds(self) -> list[int]:
        """The files that came with the request; the taker closes them."""
        fds, self.fds = self.fds, []
        return fds

    def close(self) -> None:
        """Let go of the connection and of what hangs on it."""
        self.sock.close()
        for fd in self.take_fds():
            os.close(fd)
        self.dropped()

    def post(self, message: dict[str, Any]) -> None:
        """Queue a message; send() sends it."""
        self._outgoing += _encode(message).encode("utf-8", "surrogatepass") + b"\n"
        if len(self._outgoing) > _UNSENT_BYTES_MAX:
            self.broken = True  # it does not read; when it comes back it asks for the state

    def send(self) -> None:
        """Send what the socket takes."""
        try:
            while self._outgoing:
                del self._outgoing[: self.sock.send(self._outgoing)]
        except BlockingIOError:
            return
        except OSError:
            self.broken = True


def accepted(listener: socket.socket) -> socket.socket | None:
    """A connection of our own user or of root: whoever is connected starts programs as us."""
    try:
        sock, _address = listener.accept()
    except OSError:
        return None
    size = _CREDENTIALS.size
    said = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _pid, user, _group = _CREDENTIALS.unpack(said)
    if user in (0, os.geteuid()):
        return sock
    sock.close()
    return None
