"""The channels of exec and attach: stdin, stdout, stderr, error and resize, over either transport.

apimachinery/pkg/util/remotecommand/constants.go, kubelet/pkg/cri/streaming/remotecommand:
createStreams, createWebSocketStreams, createHTTPStreamStreams.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from kubatch.client.protocol import StreamOptions
from kubatch.server.spdy.session import SpdySession, SpdyStream
from kubatch.server.upgrade import Door, is_websocket

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
_CLOSE = 255  # of v5: the next byte names the channel that ends

V1, V2, V3 = "channel.k8s.io", "v2.channel.k8s.io", "v3.channel.k8s.io"
V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
_WEBSOCKET = (V5, V4, "v4.base64.channel.k8s.io", V1, "base64.channel.k8s.io")
_SPDY = (V4, V3, V2, V1)
_NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}

Status = Mapping[str, Any]


class Channels(Protocol):
    """What a program and its viewer talk over."""

    async def receive(self) -> tuple[int, bytes | None] | None:
        """A channel and its data, or None for its end; None when the client has gone."""
        ...

    async def send(self, channel: int, data: bytes) -> None:
        """Output. Raises ConnectionError."""
        ...

    async def finish(self, status: Status) -> None:
        """How it ended, after everything else. Raises ConnectionError."""
        ...

    async def close(self) -> None:
        """Close the connection, once everything was sent."""
        ...


async def open_channels(door: Door, options: StreamOptions, seconds: float) -> Channels:
    """Upgrade, and have the channels there. Raises ApiError 400, 403, TimeoutError."""
    if not is_websocket(door.headers):
        protocol = door.choose(_SPDY)
        session = SpdySession(await door.spdy(protocol))
        try:
            async with asyncio.timeout(seconds):
                streams = await _streams(session, _expected(options, protocol))
        except BaseException:
            await session.close()
            raise
        return SpdyChannels(session, streams, protocol)
    protocol = door.choose(_WEBSOCKET)
    channels = WebSocketChannels(await door.websocket(protocol), protocol)
    # Something is sent, so that the client sees that the connection stands.
    first = STDOUT if options.stdout else STDERR if options.stderr else ERROR
    await channels.send(first, b"")
    return channels


# ----- WebSocket


class WebSocketChannels:
    """A channel's number is the first byte of each message."""

    def __init__(self, websocket: web.WebSocketResponse, protocol: str) -> None:
        self._websocket = websocket
        self._protocol = protocol
        self._base64 = "base64" in protocol

    async def receive(self) -> tuple[int, bytes | None] | None:
        """The next message that says something."""
        while True:
            message = await self._websocket.receive()
            if message.type is WSMsgType.BINARY:
                data: bytes = message.data
            elif message.type is WSMsgType.TEXT:
                data = message.data.encode()
            else:
                return None
            if not data:
                continue
            number, rest = data[0], data[1:]
            if self._base64:
                number -= ord("0")
                try:
                    rest = base64.b64decode(rest, validate=True)
                except binascii.Error:
                    return None  # nobody knows what was meant
            elif self._protocol == V5 and number == _CLOSE:
                if rest:
                    return rest[0], None
                continue
            return number, rest

    async def send(self, channel: int, data: bytes) -> None:
        """One message."""
        if self._base64:
            await self._websocket.send_str(f"{channel}{base64.b64encode(data).decode()}")
        else:
            await self._websocket.send_bytes(bytes((channel,)) + data)

    async def finish(self, status: Status) -> None:
        """The status, on the error channel."""
        if said := _told({"metadata": {}, **status}, self._protocol):
            await self.send(ERROR, said)

    async def close(self) -> None:
        """Close with 1000, and wait a little for the answer."""
        await self._websocket.close()


# ----- SPDY


def _expected(options: StreamOptions, protocol: str) -> set[str]:
    """The streams that the client is going to open."""
    names = {"error"}
    names |= {n for n in ("stdin", "stdout", "stderr") if getattr(options, n)}
    if options.tty and protocol in (V4, V3):
        names.add("resize")
    return names


async def _streams(session: SpdySession, expected: set[str]) -> dict[str, SpdyStream]:
    """Wait for the streams by their types. Raises ConnectionError."""
    found: dict[str, SpdyStream] = {}
    while expected - set(found):
        stream = await session.accept()
        if stream is None:
            raise ConnectionResetError("the client left before its streams were there")
        name = stream.headers.get("streamtype", "")
        if name in _NAMES and name not in found:
            found[name] = stream
        else:
            await stream.reset()
    return found


class SpdyChannels:
    """Each channel is a stream of its own."""

    def __init__(
        self, session: SpdySession, streams: Mapping[str, SpdyStream], protocol: str
    ) -> None:
        self._session = session
        self._protocol = protocol
        self._streams = {_NAMES[name]: stream for name, stream in streams.items()}
        self._received: asyncio.Queue[tuple[int, bytes | None]] = asyncio.Queue(1)
        self._tasks = [
            asyncio.create_task(self._pump(number, self._streams[number]))
            for number in (STDIN, RESIZE)
            if number in self._streams
        ]

    async def _pump(self, number: int, stream: SpdyStream) -> None:
        try:
            while data := await stream.read():
                await self._received.put((number, data))
        except ConnectionError:
            pass
        await self._received.put((number, None))

    async def receive(self) -> tuple[int, bytes | None] | None:
        """What comes on either of the two streams that a client sends on."""
        taking = asyncio.ensure_future(self._received.get())
        try:
            await asyncio.wait((taking, self._session.gone), return_when=asyncio.FIRST_COMPLETED)
            return taking.result() if taking.done() else None
        finally:
            taking.cancel()

    async def send(self, channel: int, data: bytes) -> None:
        """Data on the channel's stream, if the client opened one."""
        if channel in self._streams:
            await self._streams[channel].write(data)

    async def finish(self, status: Status) -> None:
        """End the output, and say how the program did."""
        for number in (STDOUT, STDERR):
            if number in self._streams:
                await self._streams[number].end()
        if said := _told(status, self._protocol):
            await self._streams[ERROR].write(said)
        await self._streams[ERROR].end()

    async def close(self) -> None:
        """Close every stream and the connection."""
        for task in self._tasks:
            task.cancel()
        await self._session.close()


def _told(status: Status, protocol: str) -> bytes:
    """A status as the protocol has it: since v4 as JSON, before as text and only of a failure."""
    if protocol.startswith(("v4.", "v5.")):
        return json.dumps(status, separators=(",", ":"), ensure_ascii=False).encode()
    if status["status"] == "Success":
        return b""
    text: str = status["message"]
    return text.encode()


# ----- sizes of terminals


class Sizes:
    """Reads the messages of the resize channel, however they are cut."""

    _BYTES_MAX = 4096

    def __init__(self) -> None:
        self._buffer = ""

    def feed(self, data: bytes) -> Sequence[tuple[int, int]]:
        """Width and height of each message that is whole; nonsense is passed over."""
        text = (self._buffer + data.decode(errors="replace")).lstrip()
        self._buffer = ""
        found: list[tuple[int, int]] = []
        while text:
            try:
                size, end = json.JSONDecoder().raw_decode(text)
            except (ValueError, RecursionError):
                if text[0] == "{" and len(text) <= self._BYTES_MAX:
                    self._buffer = text
                break
            text = text[end:].lstrip()
            if isinstance(size, dict):
                found += _size(size.get("Width"), size.get("Height"))
        return found


def _size(width: object, height: object) -> list[tuple[int, int]]:
    if isinstance(width, int) and isinstance(height, int) and min(width, height) >= 0:
        return [(width, height)] if max(width, height) < 1 << 16 else []
    return []
