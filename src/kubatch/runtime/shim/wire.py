"""One connected client of the shim: newline-delimited JSON over a socket that never blocks."""

from __future__ import annotations

import json
import socket
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from typing import Any

_READ_BYTES = 256 * 1024
_REQUEST_BYTES_MAX = 16 << 20
_UNSENT_BYTES_MAX = 64 << 20
_WAITING_MAX = 4096

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Client:
    """Requests that came, and messages that go; a client that goes wrong is dropped."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.requests: deque[dict[str, Any]] = deque()
        self.greeted = False  # has asked for the state, so wants changes
        self.broken = False
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
            data = self.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
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
        if len(self._incoming) > _REQUEST_BYTES_MAX:
            self.broken = True

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
