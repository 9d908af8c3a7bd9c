"""pods/portforward: connections to a pod's ports, many over one connection of the client.

registry/core/pod/rest/subresources.go: PortForwardREST; kubelet/pkg/cri/streaming/portforward:
httpstream.go and websocket.go. The messages are theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from kubatch.api import errors
from kubatch.client.protocol import Connection, Dialer, PodStreams, StreamFailed
from kubatch.server import request
from kubatch.server.channels import WebSocketChannels
from kubatch.server.commands import check_place, find_pod
from kubatch.server.ending import end
from kubatch.server.replies import Call, Upgrade
from kubatch.server.spdy.session import SpdySession, SpdyStream
from kubatch.server.upgrade import Door, Tunnel, Wire, is_websocket
from kubatch.settings import Settings

if TYPE_CHECKING:
    from kubatch.registry.api import Registry

_SPDY = "portforward.k8s.io"
_TUNNEL = f"SPDY/3.1+{_SPDY}"
_WEBSOCKET = (_TUNNEL, "v4.channel.k8s.io", "v4.base64.channel.k8s.io")
_PORTS_MAX = 127  # two channels each, and a channel is one byte

Send = Callable[[bytes], Awaitable[None]]
Receive = Callable[[], Awaitable[bytes]]


async def forward(
    call: Call, registry: Registry, streams: PodStreams, settings: Settings
) -> Forwarding:
    """pods/portforward. Raises ApiError 400, 404 and NodeRefused."""
    info = call.info
    pod = await find_pod(call, registry)
    check_place(call, pod)
    assert pod.metadata is not None
    dialer = await streams.port_forward(info.namespace or "", info.name)
    name = f"{info.name}_{info.namespace}"
    return Forwarding(dialer, name, pod.metadata.uid or "", info.query, settings)


@dataclass(frozen=True)
class Forwarding(Upgrade):
    """One client's connection, and those it forwards."""

    dialer: Dialer
    pod: str
    uid: str
    query: request.Query
    settings: Settings

    async def run(self, door: Door, closing: asyncio.Future[None]) -> web.StreamResponse:
        """Upgrade, and forward until the client leaves. Raises ApiError 400, 403."""
        if not is_websocket(door.headers):
            await self._spdy(await door.spdy(door.choose((_SPDY,))), closing)
            return door.response
        protocol = door.choose(_WEBSOCKET)
        if protocol == _TUNNEL:
            await self._spdy(Tunnel(await door.websocket(protocol)), closing)
            return door.response
        ports = _ports(self.query)
        channels = WebSocketChannels(await door.websocket(protocol), protocol)
        try:
            await _Plain(self, channels, ports).run(closing)
        except ConnectionError:
            pass  # the client left
        finally:
            await channels.close()
        return door.response

    async def _spdy(self, wire: Wire, closing: asyncio.Future[None]) -> None:
        session = SpdySession(wire)
        try:
            await _Pairs(self, session).run(closing)
        finally:
            await session.close()

    async def connect(self, port: int, receive: Receive, send: Send, complain: Send) -> None:
        """One connection, from its start to its end. Raises ConnectionError."""
        try:
            connection = await self.dialer(port)
        except StreamFailed as error:
            where = f"error forwarding port {port} to pod {self.pod}, uid {self.uid}"
            await complain(f"{where}: {error}".encode())
            return
        up = asyncio.create_task(_upload(connection, receive))
        down = asyncio.create_task(_download(connection, send))
        try:
            # The pod's end is the end of all; the client may have said everything long before.
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if not down.done() and up.exception() is None:
                await asyncio.wait((down,))
        finally:
            try:
                await end(up, down)
            finally:
                await connection.close()


async def _upload(connection: Connection, receive: Receive) -> None:
    while data := await receive():
        await connection.write(data)
    await connection.end()


async def _download(connection: Connection, send: Send) -> None:
    while data := await connection.read():
        await send(data)


# ----- SPDY


class _Pairs:
    """Pairs of streams: one for data, one for an error."""

    def __init__(self, upgrade: Forwarding, session: SpdySession) -> None:
        self._upgrade = upgrade
        self._session = session
        self._waiting: dict[str, tuple[SpdyStream, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, closing: asyncio.Future[None]) -> None:
        """Take streams until the client leaves."""
        accepting = asyncio.create_task(self._accept())
        idle_s = self._upgrade.settings.stream_idle_timeout
        try:
            while not (accepting.done() or closing.done()):
                left = idle_s - self._session.idle_s
                if left <= 0:
                    return
                await asyncio.wait(
                    (accepting, closing), timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            await end(accepting, *self._tasks)

    async def _accept(self) -> None:
        while (stream := await self._session.accept()) is not None:
            kind = stream.headers.get("streamtype")
            if kind not in ("data", "error") or _port(stream.headers.get("port", "")) is None:
                await stream.reset()
                continue
            # Clients without request ids open the two streams of a pair one after the other.
            number = stream.number if kind == "error" else stream.number - 2
            key = stream.headers.get("requestid", f"stream {number}")
            if key not in self._waiting:
                self._waiting[key] = stream, self._start(self._expire(key))
                continue
            other, timer = self._waiting.pop(key)
            timer.cancel()
            if other.headers["streamtype"] == kind:
                await other.reset()
                await stream.reset()
                continue
            data, error = (stream, other) if kind == "data" else (other, stream)
            self._start(self._connect(data, error))

    def _start(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the client left; its session ends by itself

    async def _expire(self, key: str) -> None:
        await asyncio.sleep(self._upgrade.settings.stream_creation_timeout)
        stream, _ = self._waiting.pop(key)
        await stream.reset()

    async def _connect(self, data: SpdyStream, error: SpdyStream) -> None:
        port = _port(data.headers["port"])
        assert port is not None
        try:
            await self._upgrade.connect(port, data.read, data.write, error.write)
        finally:
            for stream in (data, error):
                stream.abandon()
                await stream.end()


# ----- WebSocket


class _Plain:
    """Channels 2n and 2n + 1 of a WebSocket are the data and the error of the nth port."""

    def __init__(self, upgrade: Forwarding, channels: WebSocketChannels, ports: list[int]) -> None:
        self._upgrade = upgrade
        self._channels = channels
        self._ports = ports
        self._received: list[asyncio.Queue[bytes]] = [asyncio.Queue(1) for _ in ports]
        self._over = [False] * len(ports)
        self._now = asyncio.get_running_loop().time
        self._active_at = self._now()

    async def run(self, closing: asyncio.Future[None]) -> None:
        """Forward until every connection has ended, or the client leaves."""
        for number, port in enumerate(self._ports):
            for channel in (2 * number, 2 * number + 1):
                await self._channels.send(channel, port.to_bytes(2, "little"))
        connections = [
            asyncio.create_task(self._connect(number, port))
            for number, port in enumerate(self._ports)
        ]
        over = asyncio.create_task(_all(connections))
        gone = asyncio.create_task(self._receive())
        idle_s = self._upgrade.settings.stream_idle_timeout
        try:
            while not (over.done() or gone.done() or closing.done()):
                left = self._active_at + idle_s - self._now()
                if left <= 0:
                    return
                await asyncio.wait(
                    (over, gone, closing), timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            await end(over, gone, *connections)

    async def _receive(self) -> None:
        while (received := await self._channels.receive()) is not None:
            self._active_at = self._now()
            channel, data = received
            number = channel // 2
            if channel % 2 == 0 and data and number < len(self._ports) and not self._over[number]:
                await self._received[number].put(data)

    async def _connect(self, number: int, port: int) -> None:
        async def send(data: bytes) -> None:
            self._active_at = self._now()
            await self._channels.send(2 * number, data)

        async def complain(text: bytes) -> None:
            await self._channels.send(2 * number + 1, text)

        queue = self._received[number]
        try:
            await self._upgrade.connect(port, queue.get, send, complain)
        finally:
            self._over[number] = True
            while not queue.empty():
                queue.get_nowait()


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


def _ports(query: request.Query) -> list[int]:
    """Raises ApiError 400 (portforward/websocket.go: NewV4Options)."""
    texts = [text for value in query.get("ports", ()) for text in value.split(",")]
    if not texts:
        raise errors.bad_request('query parameter "port" is required')
    ports = []
    for text in texts:
        port = _port(text)
        if port is None:
            raise errors.bad_request(f'unable to parse "{text}" as a port')
        ports.append(port)
    if len(ports) > _PORTS_MAX:
        raise errors.bad_request(f"at most {_PORTS_MAX} ports can be forwarded over a WebSocket")
    return ports


def _port(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        return None
    port = int(text)
    return port if 0 < port < 1 << 16 else None
