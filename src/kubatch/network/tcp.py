"""Bytes from a connection to another and back. Nothing is kept but what the other has not taken."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast

from kubatch.network.balance import Balance
from kubatch.network.routes import Address

CONNECT_TIMEOUT = 10.0  # seconds for one backend
# Bytes on their way in one direction before the sender waits.
BUFFER_BYTES_MAX = 256 * 1024


class Connections:
    """How many connections there may be at once, of all Services together."""

    def __init__(self, most: int = 4096) -> None:
        self.most = most
        self.open: set[asyncio.Transport] = set()

    def close(self) -> None:
        """End them all."""
        for transport in list(self.open):
            transport.abort()


class Side(asyncio.Protocol):
    """One end of a connection that is passed on; `other` is the other end's."""

    def __init__(self) -> None:
        self.other: Side | None = None
        self.transport: asyncio.Transport | None = None
        self._ended = False  # its sender has no more to say
        self._early = b""  # what came before there was another end: one read, then it is paused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX)

    def join(self, other: Side) -> None:
        """Pass on what comes, both ways."""
        self.other, other.other = other, self
        for side in (self, other):
            early, side._early = side._early, b""
            if early:
                side.data_received(early)
            if side.transport is not None and not side.transport.is_closing():
                side.transport.resume_reading()
            if side._ended:
                side.eof_received()

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        elif self.transport is not None:
            self._early += data
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The other way stays open until its own end."""
        self._ended = True
        other = self.other
        if other is None:
            return True  # it is told when there is another end
        if other.transport is None or other.transport.is_closing():
            return False
        if other._ended:
            other.transport.close()
            return False
        other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        other = self.other.transport if self.other is not None else None
        if other is not None and not other.is_closing():
            other.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        other, self.other = self.other, None
        if other is None or other.transport is None:
            return
        if error is None:
            other.transport.close()
        else:
            reset(other.transport)


def reset(transport: asyncio.Transport) -> None:
    """End a connection so that the other side takes it for an error, not for the end of data."""
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Accepted(Side):
    """The end towards a client: finds a backend, and joins the two."""

    def __init__(self, balance: Balance, connections: Connections) -> None:
        super().__init__()
        self._balance = balance
        self._connections = connections
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        if len(self._connections.open) >= self._connections.most:
            asyncio.get_running_loop().call_soon(reset, self.transport)
            return
        self._connections.open.add(self.transport)
        peer = self.transport.get_extra_info("peername")
        self._task = asyncio.get_running_loop().create_task(self._connect(str(peer[0])))

    async def _connect(self, client: str) -> None:
        loop = asyncio.get_running_loop()
        for host, port in self._balance.order(client, loop.time()):
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    _, side = await loop.create_connection(Side, host, port)
            except (OSError, TimeoutError):
                continue
            self.join(side)
            return
        assert self.transport is not None
        reset(self.transport)  # as if nobody had listened

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None:
            self._connections.open.discard(self.transport)
        if self._task is not None and not self._task.done() and self.other is None:
            self._task.cancel()
        super().connection_lost(error)


async def listen(place: Address, make: Callable[[], asyncio.Protocol]) -> asyncio.Server:
    """Accept connections at an address. Raises OSError."""
    return await asyncio.get_running_loop().create_server(make, *place, backlog=512)
