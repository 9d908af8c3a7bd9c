"""Taking a connection over from HTTP: as a WebSocket, or for SPDY as the bare bytes it carries.

SPDY goes over any Wire: the socket itself, or binary frames of a WebSocket (the form that kubectl
uses for port-forward since 1.31).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from aiohttp import WSMsgType, web

from kubatch.api.errors import ApiError, bad_request

SPDY = "SPDY/3.1"
_STREAM_PROTOCOL = "X-Stream-Protocol-Version"
_READ_BYTES_MAX = 256 * 1024  # more is left to the network
# How long the other side may take to close, after it was sent everything: closing a socket with
# unread input would throw away what is on its way out.
_LINGER_S = 5.0


class Wire(Protocol):
    """A byte stream in both directions."""

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send, waiting while the other side does not read. Raises ConnectionError.

        The bytes are in the order of the calls, before any waiting.
        """
        ...

    async def close(self) -> None:
        """Close, once everything was sent."""
        ...


class Door:
    """One request that asks for its connection."""

    def __init__(
        self, http: web.BaseRequest, audit_id: str, started: Callable[[int], None]
    ) -> None:
        self._http = http
        self._started = started  # told the status when the connection is ours
        self._headers = {"Server": "kubatch", "Audit-Id": audit_id}
        self.response: web.StreamResponse = web.Response(status=500)  # what was answered

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers."""
        return self._http.headers

    def choose(self, supported: Sequence[str]) -> str:
        """The first protocol that the client wants and we have; "" when it names none.

        Raises ApiError 403.
        """
        websocket = is_websocket(self._http.headers)
        name = "Sec-WebSocket-Protocol" if websocket else _STREAM_PROTOCOL
        values = self._http.headers.getall(name, ())
        asked = [word.strip() for value in values for word in value.split(",")]
        if not any(asked):
            return ""
        found = next((word for word in asked if word in supported), None)
        if found is None:
            ours = " ".join(supported)
            wanted = " ".join(asked)
            # apimachinery/pkg/util/httpstream: Handshake; .../wsstream/conn.go: handshake
            why = f"unable to negotiate protocol: client supports [{wanted}], server "
            raise ApiError(403, "Forbidden", f"{why}supports [{ours}]")
        return found

    async def websocket(self, protocol: str) -> web.WebSocketResponse:
        """Become a WebSocket. Raises ApiError 400."""
        protocols = (protocol,) if protocol else ()
        # Not compressed: it would be work for both, for what is mostly small.
        response = web.WebSocketResponse(protocols=protocols, compress=False, timeout=_LINGER_S)
        response.headers.update(self._headers)
        if not protocol:
            response.headers["Sec-WebSocket-Protocol"] = ""
        try:
            await response.prepare(self._http)
        except web.HTTPException as error:
            raise bad_request(error.text or error.reason) from None
        self.response = response
        self._started(response.status)
        return response

    async def spdy(self, protocol: str) -> Socket:
        """Leave HTTP for SPDY. Raises ConnectionError."""
        headers = {**self._headers, "Connection": "Upgrade", "Upgrade": SPDY}
        if protocol:
            headers[_STREAM_PROTOCOL] = protocol
        response = web.StreamResponse(status=101, headers=headers)
        response.force_close()
        await response.prepare(self._http)
        self.response = response
        self._started(response.status)
        transport, before = self._http.transport, self._http.protocol
        if transport is None:
            raise ConnectionResetError("the client has gone")
        socket = Socket(transport, before)
        transport.set_protocol(socket)
        return socket


def is_websocket(headers: Mapping[str, str]) -> bool:
    """Whether a request wants to become a WebSocket."""
    return _wants(headers) == "websocket"


def is_spdy(headers: Mapping[str, str]) -> bool:
    """Whether a request wants to become SPDY."""
    return _wants(headers) == SPDY.lower()


def _wants(headers: Mapping[str, str]) -> str:
    if "upgrade" not in headers.get("Connection", "").lower():
        return ""
    return headers.get("Upgrade", "").strip().lower()


class Socket(asyncio.Protocol):
    """The Wire that is the connection itself."""

    def __init__(self, transport: asyncio.Transport, before: asyncio.Protocol) -> None:
        self._transport = transport
        self._before = before  # aiohttp's, which has to know when the connection ends
        self._incoming: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self._lost = False
        self._news = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()

    async def read(self) -> bytes:
        """Everything that is there."""
        while not self._incoming:
            if self._ended:
                return b""
            self._news.clear()
            await self._news.wait()
        data = b"".join(self._incoming)
        self._incoming.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            if not self._lost:
                self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Send; waits while the network's buffer is full."""
        if self._lost:
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        await self._may_write.wait()

    async def close(self) -> None:
        """Wait a little for the other side to close first."""
        try:
            async with asyncio.timeout(_LINGER_S):
                while await self.read():
                    pass
        except TimeoutError:
            pass
        finally:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._incoming.append(data)
        self._size += len(data)
        if self._size > _READ_BYTES_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._news.set()

    def eof_received(self) -> None:
        self._ended = True
        self._news.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = self._lost = True
        self._news.set()
        self._may_write.set()
        self._before.connection_lost(exc)


class Tunnel:
    """The Wire in the binary frames of a WebSocket."""

    def __init__(self, websocket: web.WebSocketResponse) -> None:
        self._websocket = websocket

    async def read(self) -> bytes:
        """The next frame that holds anything."""
        while True:
            message = await self._websocket.receive()
            if message.type is not WSMsgType.BINARY:
                return b""
            if message.data:
                data: bytes = message.data
                return data

    async def write(self, data: bytes) -> None:
        """Send a frame."""
        await self._websocket.send_bytes(data)

    async def close(self) -> None:
        """Close the WebSocket."""
        await self._websocket.close()
