"""The gRPC health check, against a server over h2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection

from kubatch.agent.checks import Asker
from kubatch.agent.grpc_health import check, question
from kubatch.agent.probes import Answer, Outcome, probes_of
from kubatch.api import models as m
from kubatch.runtime.protocol import ContainerId
from kubatch.sim.runtime import ScriptedRuntime
from kubatch.world import World
from tests.unit.agent.pods import container
from tests.unit.agent.servers import HOST, listening


class Server:
    """Answers every call alike."""

    def __init__(self, body: bytes, trailers: dict[str, str], head: dict[str, str]) -> None:
        self.body, self.trailers, self.head = body, trailers, head
        self.headers: dict[str, str] = {}
        self.asked = b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        config = H2Configuration(client_side=False, header_encoding="utf-8")
        connection = H2Connection(config)
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(4096):
            for event in connection.receive_data(data):
                self._take(connection, event)
            writer.write(connection.data_to_send())

    def _take(self, connection: H2Connection, event: Any) -> None:
        match event:
            case events.RequestReceived():
                self.headers.update({str(k): str(v) for k, v in event.headers})
            case events.DataReceived():
                self.asked += event.data
            case events.StreamEnded():
                head = [(":status", "200"), *self.head.items()]
                connection.send_headers(event.stream_id, head, end_stream=not self.trailers)
                if self.trailers:
                    connection.send_data(event.stream_id, self.body)
                    connection.send_headers(
                        event.stream_id, list(self.trailers.items()), end_stream=True
                    )


@asynccontextmanager
async def serving(
    body: bytes = b"", trailers: dict[str, str] | None = None, **head: str
) -> AsyncIterator[Server]:
    server = Server(body, trailers or {}, {k.replace("_", "-"): v for k, v in head.items()})
    async with listening(server.serve) as server.port:
        yield server


def status(number: int) -> bytes:
    return b"\x00\x00\x00\x00\x02\x08" + bytes([number])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (status(1), Answer(Outcome.SUCCESS, "service healthy")),
        (status(2), Answer(Outcome.FAILURE, 'service unhealthy (responded with "NOT_SERVING")')),
        (status(9), Answer(Outcome.FAILURE, 'service unhealthy (responded with "9")')),
        (bytes(5), Answer(Outcome.FAILURE, 'service unhealthy (responded with "UNKNOWN")')),
    ],
)
async def test_statuses(body: bytes, expected: Answer) -> None:
    async with serving(body, {"grpc-status": "0"}) as server:
        probed = m.Probe(grpc=m.core_v1.GRPCAction(port=server.port, service="s"))
        c = container(livenessProbe=probed)
        [probe] = probes_of(c)
        found = await Asker(ScriptedRuntime(World())).ask(probe, c, ContainerId("", "", 0), HOST)
        assert found == expected
        assert server.headers[":path"] == "/grpc.health.v1.Health/Check"
        assert server.headers["user-agent"] == "kube-probe/1.36"
        assert server.asked == b"\x00\x00\x00\x00\x03\x0a\x01s"


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (
            {"grpc_status": "12", "grpc_message": "unknown service"},
            "error: this server does not implement the grpc health protocol "
            "(grpc.health.v1.Health): unknown service",
        ),
        (
            {"grpc_status": "5", "grpc_message": "no%20such"},
            "error: health rpc probe failed: rpc error: code = NotFound desc = no such",
        ),
        (
            {"grpc_status": "99"},
            "error: health rpc probe failed: rpc error: code = Code(99) desc = ",
        ),
        (
            {"content_type": "text/html"},
            "error: health rpc probe failed: rpc error: code = Unavailable desc = "
            "the answer is not gRPC's",
        ),
    ],
)
async def test_errors(head: dict[str, str], text: str) -> None:
    async with serving(b"", None, **head) as server:
        found = await check(HOST, server.port, "", 1, "me")
        assert found == Answer(Outcome.FAILURE, text)


async def test_no_server_and_other_servers() -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def leaves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    expected = {
        other: "error: health rpc probe failed: rpc error: code = Unavailable",
        leaves: "error: health rpc probe failed: rpc error: code = Unavailable",
        silent: "timeout: health rpc did not complete within 0.05s",
    }
    for serve, text in expected.items():
        async with listening(serve) as port:
            found = await check(HOST, port, "", 0.05 if serve is silent else 1, "me")
            assert found.text.startswith(text)
    found = await check(HOST, port, "", 1, "me")
    assert found.text == (
        f'error: failed to connect service at "{HOST}:{port}": connection error: desc = '
        f'"transport: Error while dialing: dial tcp {HOST}:{port}: connect: connection refused"'
    )


def test_long_names() -> None:
    name = "x" * 200
    assert question(name)[5:8] == b"\x0a\xc8\x01"
    assert question("") == bytes(5)
