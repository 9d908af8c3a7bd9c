"""Datagrams to a backend and its answers back, client by client."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from kubatch.network.balance import Balance
from kubatch.network.routes import Address

IDLE = 60.0  # seconds without a datagram after which a client is forgotten
CLIENTS_MAX = 1024  # per Service port; who came first is forgotten first
WAITING_MAX = 16  # datagrams held while the way to a backend is being opened


class Accepted(asyncio.DatagramProtocol):
    """The socket that clients send to."""

    def __init__(self, balance: Balance) -> None:
        self._balance = balance
        self._flows: dict[Address, _Flow] = {}
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, client: Any) -> None:
        flow = self._flows.get(client)
        if flow is None:
            if len(self._flows) >= CLIENTS_MAX:
                self._flows.pop(next(iter(self._flows))).close()
            loop = asyncio.get_running_loop()
            backend = self._balance.order(client[0], loop.time())[0]
            flow = self._flows[client] = _Flow(self, client, backend)
        flow.send(data)

    def forget(self, client: Address, flow: _Flow) -> None:
        """A client has been silent, or its backend is not there."""
        if self._flows.get(client) is flow:
            del self._flows[client]

    def connection_lost(self, error: Exception | None) -> None:
        for flow in list(self._flows.values()):
            flow.close()
        self._flows.clear()


class _Flow(asyncio.DatagramProtocol):
    """One client's way to a backend; open while it is used."""

    def __init__(self, accepted: Accepted, client: Address, backend: Address) -> None:
        self._accepted = accepted
        self._client = client
        self._waiting: list[bytes] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = False
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(IDLE, self.close)
        self._task = loop.create_task(self._open(backend))

    async def _open(self, backend: Address) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_datagram_endpoint(lambda: self, remote_addr=backend)
        except OSError:
            self.close()

    def connection_made(self, transport: Any) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        if self._closed:
            self._transport.abort()
            return
        for data in self._waiting:
            self._transport.sendto(data)
        self._waiting = []

    def send(self, data: bytes) -> None:
        """To the backend."""
        self._used()
        if self._transport is not None:
            self._transport.sendto(data)
        elif len(self._waiting) < WAITING_MAX:
            self._waiting.append(data)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._used()
        if self._accepted.transport is not None:
            self._accepted.transport.sendto(data, self._client)

    def error_received(self, error: Exception) -> None:
        self.close()  # the next datagram looks for a backend anew

    def _used(self) -> None:
        self._timer.cancel()
        if not self._closed:
            self._timer = asyncio.get_running_loop().call_later(IDLE, self.close)

    def close(self) -> None:
        """No more of this client."""
        self._closed = True
        self._timer.cancel()
        self._accepted.forget(self._client, self)
        if self._transport is not None:
            self._transport.abort()
