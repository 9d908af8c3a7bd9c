"""What a connection may hold, and how long it may take."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kubatch.api.models import ConfigMap, ObjectMeta
from kubatch.api.resource import CONFIGMAPS
from kubatch.client.local import LocalClient
from tests.suites.api_server import Served, served
from tests.suites.raw_https import MINUTE_S, answer, dialed, exchange, rest

GET = b"GET /version HTTP/1.1\r\nHost: x\r\n"
MIB = 1 << 20


def token_of(one: Served) -> bytes:
    return (one.kubeconfig.parent / "tokens").read_bytes().partition(b",")[0]


def status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x00\xff\x00garbage\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"BREW /pot HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (GET + b"A\x00: b\r\n\r\n", 400),
        (GET + b"no colon\r\n\r\n", 400),
        (GET + b"Content-Length: -1\r\n\r\n", 400),
        (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /" + b"a" * (MIB + 1) + b" HTTP/1.1\r\n\r\n", 414),
        (GET + b"A: " + b"b" * MIB + b"\r\n\r\n", 431),
        (GET + b"".join(b"A%d: b\r\n" % i for i in range(300)) + b"\r\n", 431),
        (GET + b"".join(b"A%d: %b\r\n" % (i, b"b" * 9000) for i in range(150)), 431),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else str(value),
)
async def test_what_is_no_request_is_answered_shortly(
    tmp_path: Path, sent: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path) as one:
        said = await exchange(one.server, sent)
        assert status(said) == code
        assert b"Python" not in said
        assert b"aiohttp" not in said
        assert len(said) < 500
        assert not caplog.records
        assert status(await exchange(one.server, GET + b"Connection: close\r\n\r\n")) == 200


@pytest.mark.parametrize(
    "sent", [b"", b"GET /version HTT", GET, GET + b"A: b\r\n" * 3], ids=["0", "line", "head", "3"]
)
async def test_headers_that_do_not_come_are_not_waited_for(tmp_path: Path, sent: bytes) -> None:
    async with served(tmp_path, idle_timeout=0.1) as one:
        assert await exchange(one.server, sent) == b""


async def test_a_connection_that_asks_nothing_more_is_closed(tmp_path: Path) -> None:
    async with served(tmp_path, idle_timeout=0.1) as one:
        said = await exchange(one.server, GET + b"\r\n")
        assert status(said) == 200


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async with served(tmp_path, request_timeout=0.1) as one, dialed(one.server) as (reader, writer):
        writer.write(
            b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\n"
            b"Authorization: Bearer " + token_of(one) + b"\r\nContent-Length: 9\r\n\r\n{"
        )
        code, body = await answer(reader)
        said = json.loads(body)
        assert (code, said["reason"]) == (504, "Timeout")
        assert said["message"] == "Timeout: request did not complete within the allotted timeout"


async def test_a_tls_handshake_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async with served(tmp_path, tls_handshake_timeout=0.1) as one:
        place = urlsplit(one.server.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        async with asyncio.timeout(MINUTE_S):
            writer.write(b"\x16\x03\x01")
            await rest(reader)
        writer.transport.abort()


async def test_requests_sent_ahead_wait_in_the_network(tmp_path: Path) -> None:
    """Pipelining is served in order, and what is not read yet takes no memory here."""
    async with served(tmp_path) as one:
        said = await exchange(
            one.server, (GET + b"\r\n") * 500 + GET + b"Connection: close\r\n\r\n"
        )
        assert said.count(b"HTTP/1.1 200 OK") == 501


async def test_with_too_many_connections_the_idle_ones_go_first(tmp_path: Path) -> None:
    async with served(tmp_path, connections_max=2) as one:
        watching = (
            b"GET /api/v1/configmaps?watch=1 HTTP/1.1\r\nHost: x\r\n"
            b"Authorization: Bearer " + token_of(one) + b"\r\n\r\n"
        )
        async with (
            dialed(one.server) as (watch, watch_writer),
            dialed(one.server) as (idle, _),
        ):
            watch_writer.write(watching)
            assert status(await watch.readuntil(b"\r\n\r\n")) == 200
            async with dialed(one.server) as (second, second_writer):
                assert await rest(idle) == b""
                second_writer.write(watching)
                assert status(await second.readuntil(b"\r\n\r\n")) == 200
                # Nobody is idle any more: now the newcomer has to go.
                async with dialed(one.server) as (third, _):
                    assert await rest(third) == b""


async def fill(one: Served, count: int = 150) -> None:
    """More than all the buffers between two programs take."""
    text, client = "x" * 100_000, LocalClient(one.registry)
    for i in range(count):
        obj = ConfigMap(metadata=ObjectMeta(name=f"c{i}", namespace="default"), data={"a": text})
        await client.create(CONFIGMAPS, obj)


@pytest.mark.parametrize("how", ["", "?pretty=true", "?watch=1"])
async def test_who_does_not_read_is_left(tmp_path: Path, how: str) -> None:
    async with served(tmp_path, stall_timeout=0.1) as one, dialed(one.server) as (reader, writer):
        await fill(one)
        writer.write(
            b"GET /api/v1/configmaps" + how.encode() + b" HTTP/1.1\r\nHost: x\r\n"
            b"Authorization: Bearer " + token_of(one) + b"\r\n\r\n"
        )
        await gone(one)
        said = await rest(reader)
        assert status(said) == 200
        assert len(said) < 15_000_000


async def gone(one: Served) -> None:
    """Wait until the server has no connection left."""
    async with asyncio.timeout(MINUTE_S):
        for there in (True, False):
            while bool(one.server.connections) != there:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
