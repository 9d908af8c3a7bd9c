"""pods/portforward over SPDY, over SPDY in a WebSocket, and over a plain WebSocket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kubatch.server.spdy.connection import Connection, Received
from tests.unit.server.streaming import DEADLINE, PODS, Streaming, frames, streaming

URL = f"{PODS}/p/portforward"
PROTOCOL = "portforward.k8s.io"
TUNNEL = f"SPDY/3.1+{PROTOCOL}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Streaming]:
    async with streaming(tmp_path, stream_creation_timeout=0.2) as made:
        await made.pod()
        yield made


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Somebody who answers in capitals, and says goodbye after the end."""
    talking: set[asyncio.Task[Any] | None] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(asyncio.current_task())
        try:
            while data := await reader.read(65536):
                writer.write(data.upper())
                await writer.drain()
            writer.write(b"bye")
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    async with asyncio.timeout(DEADLINE):  # whoever left took the connection along
        await asyncio.gather(*filter(None, talking))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


async def test_many_connections_over_spdy(world: Streaming, port: int) -> None:
    spdy = await world.spdy(URL, PROTOCOL)
    assert f"\r\nX-Stream-Protocol-Version: {PROTOCOL}\r\n" in spdy.head
    pairs = []
    for number in range(3):
        options = {"port": str(port), "requestid": str(number)}
        error = await spdy.open(streamtype="error", **options)
        spdy.send(error, b"", fin=True)
        pairs.append((error, await spdy.open(streamtype="data", **options)))
    for error, data in reversed(pairs):
        spdy.send(data, f"hello {error} ".encode())
    for error, data in pairs:
        spdy.send(data, b"end", fin=True)
        await spdy.until(lambda error=error, data=data: {error, data} <= spdy.ended)
        assert spdy.received[data] == f"HELLO {error} ENDbye".encode()
    assert set(spdy.received) == {data for _, data in pairs}
    await spdy.close()


async def test_much_goes_both_ways(world: Streaming, port: int) -> None:
    spdy = await world.spdy(URL, PROTOCOL)
    await spdy.open(streamtype="error", port=str(port), requestid="0")
    data = await spdy.open(streamtype="data", port=str(port), requestid="0")
    size = 4 << 20
    for _ in range(size >> 16):
        spdy.send(data, b"x" * (1 << 16))
    spdy.send(data, b"", fin=True)
    await spdy.until(lambda: data in spdy.ended)
    assert spdy.received[data] == b"X" * size + b"bye"
    await spdy.close()


async def test_a_port_that_nobody_has(world: Streaming) -> None:
    port = free_port()
    spdy = await world.spdy(URL, PROTOCOL)
    error = await spdy.open(streamtype="error", port=str(port), requestid="0")
    data = await spdy.open(streamtype="data", port=str(port), requestid="0")
    await spdy.until(lambda: {error, data} <= spdy.ended)
    (pod,) = (await world.admin("GET", PODS)).json["items"]
    said = f"error forwarding port {port} to pod p_default, uid {pod['metadata']['uid']}: "
    said += f"failed to connect to localhost:{port}: dial tcp4 127.0.0.1:{port}: "
    assert spdy.received == {error: f"{said}connect: connection refused".encode()}
    await spdy.close()


async def test_what_cannot_be_forwarded(world: Streaming, port: int) -> None:
    spdy = await world.spdy(URL, PROTOCOL)
    bad: list[dict[str, str]] = [
        {"streamtype": "data", "port": "0"},
        {"streamtype": "data", "port": "65536"},
        {"streamtype": "data", "port": "http"},
        {"streamtype": "data"},
        {"streamtype": "stdin", "port": str(port)},
    ]
    numbers = [await spdy.open(**headers) for headers in bad]
    await spdy.until(lambda: spdy.aborted == set(numbers))
    two = [await spdy.open(streamtype="data", port=str(port), requestid="7") for _ in range(2)]
    await spdy.until(lambda: set(two) <= spdy.aborted)
    alone = await spdy.open(streamtype="error", port=str(port), requestid="8")
    await spdy.until(lambda: alone in spdy.aborted)  # the other one never came
    await spdy.close()


async def test_a_stream_that_is_reset_ends_its_connection(world: Streaming, port: int) -> None:
    spdy = await world.spdy(URL, PROTOCOL)
    error = await spdy.open(streamtype="error", port=str(port), requestid="0")
    data = await spdy.open(streamtype="data", port=str(port), requestid="0")
    spdy.write(spdy.connection.reset(data))
    await spdy.until(lambda: error in spdy.ended)
    assert spdy.received == {}
    await spdy.close()


async def test_a_connection_nobody_reads_from_does_not_hold_up_the_end(world: Streaming) -> None:
    """The pod's side closes; what the client still sends is thrown away."""

    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(leave, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    spdy = await world.spdy(URL, PROTOCOL)
    for request in ("0", "1"):
        error = await spdy.open(streamtype="error", port=port, requestid=request)
        data = await spdy.open(streamtype="data", port=port, requestid=request)
        for _ in range(64):
            spdy.send(data, bytes(1 << 16))
        await spdy.until(lambda error=error, data=data: {error, data} <= spdy.ended)
    await spdy.close()
    server.close()


class Tunnel:
    """The client's end of SPDY in a WebSocket."""

    def __init__(self, ws: Any) -> None:
        self.connection = Connection(client=True)
        self.received: dict[int, bytes] = {}
        self._ws = ws

    async def open(self, **headers: str) -> int:
        number, data = self.connection.open(headers)
        await self._ws.send_bytes(data)
        return number

    async def until(self, stream: int, text: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            while text not in self.received.get(stream, b""):
                for event in self.connection.receive((await self._ws.receive()).data):
                    if isinstance(event, Received):
                        before = self.received.get(event.stream, b"")
                        self.received[event.stream] = before + event.data


async def test_spdy_in_a_websocket(world: Streaming, port: int) -> None:
    async with world.websocket(URL, TUNNEL) as ws:
        assert ws.protocol == TUNNEL
        tunnel = Tunnel(ws)
        options = {"port": str(port), "requestid": "0"}
        await tunnel.open(streamtype="error", **options)
        data = await tunnel.open(streamtype="data", **options)
        await ws.send_bytes(tunnel.connection.send(data, b"hello"))
        await tunnel.until(data, b"HELLO")
        await ws.send_bytes(tunnel.connection.send(data, b"", fin=True))
        await tunnel.until(data, b"HELLObye")


@pytest.mark.parametrize("protocols", [("v4.channel.k8s.io",), ()])
async def test_plain_websocket(world: Streaming, port: int, protocols: tuple[str, ...]) -> None:
    nobody = free_port()
    path = f"{URL}?ports={port},{nobody}&ports={port}"
    async with world.websocket(path, *protocols) as ws:
        await ws.send_bytes(b"\0one")
        await ws.send_bytes(b"\4two")
        for channel in (1, 2, 9, 77):
            await ws.send_bytes(bytes((channel,)) + b"for nobody")
        found: dict[int, bytes] = {}
        async with asyncio.timeout(DEADLINE):
            while len(found.get(0, b"") + found.get(4, b"")) < 10 or len(found.get(3, b"")) < 3:
                message = (await ws.receive()).data
                found[message[0]] = found.get(message[0], b"") + message[1:]
    ours, theirs = port.to_bytes(2, "little"), nobody.to_bytes(2, "little")
    assert found[0] == ours + b"ONE"
    assert found[4] == ours + b"TWO"
    assert (found[1], found[2], found[5]) == (ours, theirs, ours)
    assert found[3].startswith(theirs + b"error forwarding port ")


async def test_a_plain_websocket_ends_with_its_connections(world: Streaming) -> None:
    port = free_port()
    async with world.websocket(f"{URL}?ports={port}", "v4.channel.k8s.io") as ws:
        found, code = await frames(ws)
    assert found[0] == port.to_bytes(2, "little")
    assert b"connection refused" in found[1]
    assert code == 1000


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", 'query parameter "port" is required'),
        ("?ports=x", 'unable to parse "x" as a port'),
        ("?ports=80,0", 'unable to parse "0" as a port'),
        ("?ports=" + ",".join(["80"] * 128), "at most 127 ports"),
    ],
)
async def test_ports_that_are_wrong(world: Streaming, query: str, message: str) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": "v4.channel.k8s.io",
    }
    answer = await world.admin("GET", URL + query, headers=upgrade)
    assert answer.status == 400
    assert message in answer.json["message"]


async def test_silence_ends_it(tmp_path: Path, port: int) -> None:
    async with streaming(tmp_path, stream_idle_timeout=0.1) as world:
        await world.pod()
        spdy = await world.spdy(URL, PROTOCOL)
        await spdy.until(lambda: spdy.said_goodbye)
        await spdy.close()
        for path, protocol in ((URL, TUNNEL), (f"{URL}?ports={port}", "v4.channel.k8s.io")):
            async with world.websocket(path, protocol) as ws:
                async for message in ws:
                    assert message.type is aiohttp.WSMsgType.BINARY
            assert ws.close_code == 1000
