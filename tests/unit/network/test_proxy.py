"""Real connections through the proxy, on this machine's own addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
import uvloop

from kubatch.api import models as m
from kubatch.api.resource import ENDPOINTSLICES, SERVICES
from kubatch.network import tcp, udp
from kubatch.network.balance import Balance
from kubatch.network.loop import Network
from kubatch.network.routes import Address
from tests.suites.engine import Engine, engine

HERE = "127.0.0.1"
THERE = "127.0.90.90"


def on_both_loops(test: Callable[[], Any]) -> Callable[[Any], None]:
    """uvloop differs in when it begins to read."""

    @pytest.mark.parametrize("factory", [uvloop.new_event_loop, asyncio.new_event_loop])
    def run(factory: Any) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(and_all_ends(test()))

    run.__name__ = test.__name__
    made: Callable[[Any], None] = run
    return made


async def and_all_ends(test: Any) -> None:
    """Connections are closed at both ends, one turn of the loop after the other."""
    await test
    for _ in range(20):
        await asyncio.sleep(0.001)


@asynccontextmanager
async def upper() -> AsyncIterator[Address]:
    """A server that answers all it is told, in capitals, once that has ended."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HERE, 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


@asynccontextmanager
async def proxy(*backends: Address, most: int = 10) -> AsyncIterator[Address]:
    connections, balance = tcp.Connections(most), Balance(backends)
    server = await tcp.listen((THERE, 0), lambda: tcp.Accepted(balance, connections))
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        connections.close()


async def ask(place: Address, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*place)
    writer.write(data)
    writer.write_eof()
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def free_port(kind: int = socket.SOCK_STREAM, host: str = HERE) -> int:
    with closing(socket.socket(socket.AF_INET, kind)) as one:
        one.bind((host, 0))
        return int(one.getsockname()[1])


@on_both_loops
async def test_bytes_go_there_and_back_and_ends_are_passed_on() -> None:
    async with upper() as backend, proxy(backend) as place:
        assert await ask(place, b"hello") == b"HELLO"
        assert await ask(place, b"") == b""
        big = b"x" * 3_000_000  # far beyond what is held on the way
        assert await ask(place, big) == big.upper()


@on_both_loops
async def test_a_sender_waits_for_who_does_not_read() -> None:
    size, may_read, got = 40_000_000, asyncio.Event(), 0
    done = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await may_read.wait()
        while data := await reader.read(1 << 20):
            got += len(data)
        writer.close()
        done.set()

    server = await asyncio.start_server(slow, HERE, 0)
    async with proxy(server.sockets[0].getsockname()) as place:
        _, writer = await asyncio.open_connection(*place)
        writer.write(b"x" * size)
        writer.write_eof()
        held = 0
        while True:  # until no more is taken
            await asyncio.sleep(0.1)
            left = writer.transport.get_write_buffer_size()
            if left == held:
                break
            held = left
        assert held > size // 2  # kernels take some, the proxy a little, the rest is the sender's
        may_read.set()
        async with asyncio.timeout(10):
            await done.wait()
        assert got == size
        writer.close()
    server.close()


@on_both_loops
async def test_one_that_is_not_there_is_passed_over() -> None:
    async with upper() as backend, proxy((HERE, free_port()), backend) as place:
        assert [await ask(place, b"a") for _ in range(3)] == [b"A"] * 3


@on_both_loops
async def test_nobody_there_ends_the_connection() -> None:
    async with proxy((HERE, free_port())) as place:
        with pytest.raises(ConnectionError):
            await ask(place, b"a")


@on_both_loops
async def test_there_are_only_so_many_connections() -> None:
    async with upper() as backend, proxy(backend, most=1) as place:
        first, writer = await asyncio.open_connection(*place)
        with pytest.raises(ConnectionError):
            await ask(place, b"a" * 1_000_000)
        writer.write(b"a")
        writer.write_eof()
        assert await first.read() == b"A"
        writer.close()


class Asking(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answers.put_nowait(data)


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data.upper(), addr)


@on_both_loops
async def test_datagrams() -> None:
    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=(HERE, 0))
    balance = Balance((echo.get_extra_info("sockname"),))
    server, _ = await loop.create_datagram_endpoint(
        lambda: udp.Accepted(balance), local_addr=(THERE, 0)
    )
    place = server.get_extra_info("sockname")
    for client in (b"one", b"two"):
        transport, asking = await loop.create_datagram_endpoint(Asking, remote_addr=place)
        for word in (b"a", b"b"):
            transport.sendto(client + word)
            async with asyncio.timeout(10):
                assert await asking.answers.get() == (client + word).upper()
        transport.close()
    server.close()
    echo.close()
    await asyncio.sleep(0)


# ----- with Services


def service(port: int, name: str = "s", protocol: str = "TCP") -> m.Service:
    ports = [m.ServicePort(port=port, protocol=protocol)]
    return m.Service(
        metadata=m.ObjectMeta(name=name, namespace="default"), spec=m.ServiceSpec(ports=ports)
    )


def leading_to(port: int, *, ready: bool = True, protocol: str = "TCP") -> m.EndpointSlice:
    state = m.discovery_v1.EndpointConditions(ready=ready)
    return m.EndpointSlice(
        metadata=m.ObjectMeta(
            name="s-1", namespace="default", labels={"kubernetes.io/service-name": "s"}
        ),
        addressType="IPv4",
        endpoints=[m.Endpoint(addresses=[HERE], conditions=state)],
        ports=[m.EndpointPort(name="", port=port, protocol=protocol)],
    )


@asynccontextmanager
async def network() -> AsyncIterator[Engine]:
    async with engine() as run:
        run.tasks.append(asyncio.create_task(Network(run.caches).run()))
        run.run()
        yield run


async def eventually(place: Address, expected: bytes | None) -> None:
    """Wait until an address answers so; None: nobody is there."""
    async with asyncio.timeout(10):
        while True:
            try:
                if await ask(place, b"a") == expected:
                    return
            except ConnectionError:
                if expected is None:
                    return
            await asyncio.sleep(0.01)


async def made(run: Engine, port: int) -> Address:
    spec = (await run.client.create(SERVICES, service(port))).spec
    assert spec is not None
    return spec.clusterIP or "", port


@on_both_loops
async def test_a_service_answers_while_it_has_endpoints() -> None:
    async with network() as run, upper() as backend:
        place = await made(run, free_port(host=THERE))
        await eventually(place, None)
        made_slice = await run.client.create(ENDPOINTSLICES, leading_to(backend[1]))
        await eventually(place, b"A")
        assert made_slice.metadata is not None
        await run.client.delete(ENDPOINTSLICES, "default", "s-1")
        await eventually(place, None)
        await run.client.create(ENDPOINTSLICES, leading_to(backend[1]))
        await eventually(place, b"A")
        await run.client.delete(SERVICES, "default", "s")
        await eventually(place, None)


@on_both_loops
async def test_it_leads_to_where_the_endpoints_are_now() -> None:
    async with network() as run, upper() as backend:
        place = await made(run, free_port(host=THERE))
        await run.client.create(ENDPOINTSLICES, leading_to(free_port()))
        await eventually(place, None)
        ports = [{"name": "", "port": backend[1], "protocol": "TCP"}]
        await run.client.patch(ENDPOINTSLICES, "default", "s-1", {"ports": ports})
        await eventually(place, b"A")


@on_both_loops
async def test_datagrams_of_a_service() -> None:
    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=(HERE, 0))
    async with network() as run:
        port = free_port(socket.SOCK_DGRAM, THERE)
        spec = (await run.client.create(SERVICES, service(port, protocol="UDP"))).spec
        assert spec is not None
        there = echo.get_extra_info("sockname")[1]
        await run.client.create(ENDPOINTSLICES, leading_to(there, protocol="UDP"))
        transport, asking = await loop.create_datagram_endpoint(
            Asking, remote_addr=(spec.clusterIP or "", port)
        )
        async with asyncio.timeout(10):
            while asking.answers.empty():
                transport.sendto(b"a")
                await asyncio.sleep(0.01)
        assert await asking.answers.get() == b"A"
        transport.close()
    echo.close()


@on_both_loops
async def test_the_port_is_left_to_a_program_that_takes_it_everywhere() -> None:
    port = free_port()
    async with network() as run:
        place = await made(run, port)
        await run.client.create(ENDPOINTSLICES, leading_to(port))
        await eventually(place, None)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read())
            writer.close()

        server = await asyncio.start_server(answer, "0.0.0.0", port)
        await eventually(place, b"a")
        server.close()


@on_both_loops
async def test_a_program_that_takes_it_at_home_only_is_served() -> None:
    async with network() as run, upper() as backend:
        place = await made(run, backend[1])
        await run.client.create(ENDPOINTSLICES, leading_to(backend[1]))
        await eventually(place, b"A")


@on_both_loops
async def test_an_address_that_cannot_be_had_is_told_and_tried_again() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        async with network() as run, upper() as backend:
            place = await made(run, taken.getsockname()[1])
            await run.client.create(ENDPOINTSLICES, leading_to(backend[1]))
            await asyncio.sleep(0.05)
            taken.close()
            await eventually(place, b"A")
