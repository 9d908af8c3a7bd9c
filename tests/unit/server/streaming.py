"""A server whose pods run for real, and a SPDY client for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import WSMsgType

from kubatch.agent.streams import AgentStreams
from kubatch.client.local import LocalClient
from kubatch.registry import bootstrap
from kubatch.registry.api import Registry
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.runtime.process import ProcessRuntime
from kubatch.runtime.protocol import ContainerId, ContainerSpec
from kubatch.server.spdy.connection import (
    Aborted,
    Accepted,
    Connection,
    Ended,
    Event,
    GoneAway,
    Received,
)
from kubatch.server.wire import ApiServer
from kubatch.settings import Settings
from kubatch.store.memory import MemoryStore
from kubatch.world import World
from tests.suites.runtime_suite import PATH
from tests.unit.server.conftest import Client, Running, ScriptedLogs

PODS = "/api/v1/namespaces/default/pods"
DEADLINE = 10.0


@dataclass(frozen=True)
class Streaming:
    """The server, its runtime, and an administrator."""

    running: Running
    runtime: ProcessRuntime
    session: aiohttp.ClientSession
    folder: Path

    @property
    def admin(self) -> Client:
        return Client(self.session, self.running.server.url)

    async def pod(self, name: str = "p", *argv: str, **options: Any) -> ContainerId:
        """A pod with one running container, called c; as the agent would have started it."""
        made = await self.admin.create(
            PODS,
            {
                "metadata": {"name": name},
                "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "busybox"}]},
            },
        )
        id = ContainerId(made["metadata"]["uid"], "c", 0)
        spec = ContainerSpec(
            id, argv or ("sleep", "1000"), {"PATH": PATH}, None, self.folder / f"{name}.log"
        )
        await self.runtime.start(replace(spec, **options))
        return id

    def websocket(self, path: str, *protocols: str) -> Any:
        """Connect; an async context manager."""
        return self.session.ws_connect(self.running.server.url + path, protocols=protocols)

    async def spdy(self, path: str, *protocols: str) -> Spdy:
        """Connect with SPDY."""
        server = self.running.server
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=self.running.tls(), server_hostname="localhost"
        )
        lines = [f"POST {path} HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: SPDY/3.1"]
        lines += [f"X-Stream-Protocol-Version: {protocol}" for protocol in protocols]
        writer.write("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        return Spdy(reader, writer, head)


class Spdy:
    """The client's end of SPDY over a socket."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str
    ) -> None:
        self.head = head
        self.connection = Connection(client=True)
        self.received: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.aborted: set[int] = set()
        self.accepted: set[int] = set()
        self.said_goodbye = False
        self._reader, self._writer = reader, writer

    async def open(self, **headers: str) -> int:
        """Open a stream, and wait until it is accepted or refused."""
        number, data = self.connection.open(headers)
        self._writer.write(data)
        await self.until(lambda: number in self.accepted | self.aborted)
        return number

    def send(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        self._writer.write(self.connection.send(stream, data, fin=fin))

    def write(self, raw: bytes) -> None:
        self._writer.write(raw)

    async def until(self, condition: Any) -> None:
        """Read until it is so; at the end of the connection too it must be."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                raw = await self._reader.read(65536)
                assert raw or condition(), "the connection ended"
                for event in self.connection.receive(raw):
                    self._take(event)

    async def end(self) -> None:
        """Read to the end of the connection."""
        async with asyncio.timeout(DEADLINE):
            while not self.said_goodbye and (raw := await self._reader.read(65536)):
                for event in self.connection.receive(raw):
                    self._take(event)
        await self.close()

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass

    def _take(self, event: Event) -> None:
        match event:
            case Accepted(stream):
                self.accepted.add(stream)
            case Received(stream, data):
                self.received[stream] = self.received.get(stream, b"") + data
            case Ended(stream):
                self.ended.add(stream)
            case Aborted(stream):
                self.aborted.add(stream)
            case GoneAway():
                self.said_goodbye = True


@asynccontextmanager
async def streaming(folder: Path, **options: Any) -> AsyncIterator[Streaming]:
    """Everything, started."""
    store = MemoryStore(history_changes_max=100)
    await store.open()
    world = World()
    registry = Registry(store, world, STRATEGIES)
    await bootstrap.ensure_namespaces(registry)
    runtime = ProcessRuntime(folder / "runtime")
    await runtime.open()
    streams = AgentStreams(LocalClient(registry), runtime, folder)
    settings = Settings(folder, port=0, shutdown_grace=1.0, **options)
    server = ApiServer(registry, streams, settings, world, ready=lambda: True)
    await server.start()
    running = Running(server, registry, ScriptedLogs(), folder, [True])
    try:
        connector = aiohttp.TCPConnector(ssl=running.tls())
        async with aiohttp.ClientSession(
            connector=connector, skip_auto_headers=("Content-Type",)
        ) as session:
            yield Streaming(running, runtime, session, folder)
    finally:
        await server.stop()
        await runtime.close(kill=True)
        await store.close()


async def frames(socket: Any) -> tuple[dict[int, bytes], int | None]:
    """Everything a WebSocket says to its end, by channel, and the code it closed with."""
    found: dict[int, bytes] = {}
    async with asyncio.timeout(DEADLINE):
        async for message in socket:
            assert message.type is WSMsgType.BINARY
            number, data = message.data[0], message.data[1:]
            found[number] = found.get(number, b"") + data
    return found, socket.close_code


def status(raw: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(raw)
    return value
