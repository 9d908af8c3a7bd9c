"""One HTTP request, against servers that answer as they are told."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kubatch.agent import http_get
from kubatch.agent.checks import Asker, CannotAsk, http_request, port_of
from kubatch.agent.hooks import run_hook
from kubatch.agent.probes import Answer, Outcome, probes_of
from kubatch.api import models as m
from kubatch.runtime.protocol import ContainerId
from kubatch.sim.runtime import Exit, ScriptedRuntime
from kubatch.world import World
from tests.unit.agent.pods import container
from tests.unit.agent.servers import HOST, listening

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ID = ContainerId("u1", "c", 0)


class Server:
    """Answers each path with bytes; keeps what it was asked."""

    def __init__(self, answers: Mapping[str, bytes]) -> None:
        self.answers = answers
        self.asked: list[list[str]] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.asked.append(head)
        writer.write(self.answers[head[0].split()[1]])
        await writer.drain()


@asynccontextmanager
async def serving(
    answers: Mapping[str, bytes], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    server = Server(answers)
    async with listening(server.serve, tls) as server.port:
        yield server


async def ask(server: Server, path: str, **fields: Any) -> Answer:
    action = m.core_v1.HTTPGetAction(port=server.port, path=path, **fields)
    c = container(readinessProbe=m.Probe(httpGet=action, timeoutSeconds=1))
    [probe] = probes_of(c)
    return await Asker(ScriptedRuntime(World())).ask(probe, c, ID, HOST)


def redirect(to: str, body: str = "") -> bytes:
    length = f"Content-Length: {len(body)}"
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\n{length}\r\n\r\n{body}".encode()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWERS = {
    "/": OK,
    "/old": b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 20_000,
    "/chunks": CHUNKED + b"3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
    "/huge-chunk": CHUNKED + b"fffff\r\n" + b"y" * 12_000,
    "/broken-chunk": CHUNKED + b"zz\r\n",
    "/500": b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
    "/304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "/here": redirect("/"),
    "/there": redirect("http://example.com/", "bye"),
    "/round": redirect("/round"),
    "/noise": b"SSH-2.0-OpenSSH\r\n\r\n",
    "/half": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok",
    "/nothing": b"",
    "/long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
    "/a%20b?c=%22d": OK,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "outcome", "text"),
    [
        ("/", Outcome.SUCCESS, "ok"),
        ("", Outcome.SUCCESS, "ok"),
        ("/old", Outcome.SUCCESS, "x" * 10_240),
        ("/chunks", Outcome.SUCCESS, "abcde"),
        ("/huge-chunk", Outcome.SUCCESS, "y" * 10_240),
        ("/half", Outcome.SUCCESS, "ok"),
        ("/here", Outcome.SUCCESS, "ok"),
        ("/there", Outcome.WARNING, "Probe terminated redirects, Response body: bye"),
        ("/304", Outcome.WARNING, "Probe terminated redirects, Response body: "),
        ("/500", Outcome.FAILURE, "HTTP probe failed with statuscode: 500"),
        ('/a b?c="d', Outcome.SUCCESS, "ok"),
        ("/round", Outcome.FAILURE, 'Get "URL/round": stopped after 10 redirects'),
        ("/nothing", Outcome.FAILURE, 'Get "URL/nothing": EOF'),
        (
            "/noise",
            Outcome.FAILURE,
            'Get "URL/noise": net/http: HTTP/1.x transport connection broken: '
            'malformed "SSH-2.0-OpenSSH"',
        ),
        (
            "/long",
            Outcome.FAILURE,
            'Get "URL/long": net/http: server response headers exceeded 65536 bytes',
        ),
    ],
)
async def test_answers(path: str, outcome: Outcome, text: str) -> None:
    async with serving(ANSWERS) as server:
        found = await ask(server, path)
        expected = text.replace("URL", f"http://{HOST}:{server.port}")
        assert found == Answer(outcome, expected)


async def test_a_broken_chunk_is_a_failure() -> None:
    async with serving(ANSWERS) as server:
        assert (await ask(server, "/broken-chunk")).outcome is Outcome.FAILURE


async def test_headers() -> None:
    async with serving(ANSWERS) as server:
        await ask(server, "/")
        where = f"{HOST}:{server.port}"
        assert server.asked == [
            ["GET / HTTP/1.1", "User-Agent: kube-probe/1.36", "Accept: */*", f"Host: {where}",
             "Connection: close", "", ""],
        ]  # fmt: skip
        header = m.core_v1.HTTPHeader
        mine = [header("host", "example.com"), header("USER-AGENT", ""), header("X-A", "b")]
        await ask(server, "/", httpHeaders=mine)
        assert server.asked[1] == [
            "GET / HTTP/1.1", "Host: example.com", "X-A: b", "Accept: */*", "Connection: close",
            "", "",
        ]  # fmt: skip
        bad = await ask(server, "/", httpHeaders=[header("X-A", "b\r\nX-B: c")])
        assert bad.text.endswith('net/http: invalid header field value for "X-A"')
        assert len(server.asked) == 2


async def test_nobody_listens_and_nobody_answers() -> None:
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        server = Server({})
        server.port = silent.getsockname()[1]
        found = await ask(server, "/h")
        where = f"{HOST}:{server.port}"
        refused = f"dial tcp {where}: connect: connection refused"
        assert found == Answer(Outcome.FAILURE, f'Get "http://{where}/h": {refused}')
        assert await dial(server.port) == Answer(Outcome.FAILURE, refused)
        silent.listen()
        assert await dial(server.port) == Answer(Outcome.SUCCESS)


async def dial(port: int) -> Answer:
    c = container(livenessProbe=m.Probe(tcpSocket=m.core_v1.TCPSocketAction(port=port)))
    [probe] = probes_of(c)
    return await Asker(ScriptedRuntime(World())).ask(probe, c, ID, HOST)


async def test_an_answer_that_does_not_come_in_time() -> None:
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        port = silent.getsockname()[1]
        c = container(livenessProbe=m.Probe(httpGet=m.core_v1.HTTPGetAction(port=port)))
        [probe] = probes_of(c)
        hurried = type(probe)(**{**_fields(probe), "timeout": 0.01})
        found = await Asker(ScriptedRuntime(World())).ask(hurried, c, ID, HOST)
        assert found.text == (
            f'Get "http://{HOST}:{port}/": context deadline exceeded '
            "(Client.Timeout exceeded while awaiting headers)"
        )


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


async def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(http_get.RequestFailed, match=r"dial tcp: lookup no\.invalid: no such host"):
        await http_get.connect("no.invalid", 1)


def test_an_address_of_version_6() -> None:
    made = http_get.request("HTTPS", "::1", 443, "x", [], "me")
    assert made.url == "https://[::1]:443/x"
    assert made.headers["Host"] == "[::1]:443"
    assert made.host == "::1"


@pytest.mark.parametrize(
    ("port", "expected"), [(80, 80), ("web", 8080), ("81", 81), ("other", None)]
)
def test_ports(port: int | str, expected: int | None) -> None:
    c = container(ports=[m.ContainerPort(name="web", containerPort=8080)])
    if expected is None:
        with pytest.raises(CannotAsk, match="invalid syntax"):
            port_of(port, c)
    else:
        assert port_of(port, c) == expected


# ----- TLS


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate that nobody signed."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    folder: Path = tmp_path_factory.mktemp("tls")
    (folder / "all.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "all.pem")
    return context


async def test_certificates_are_not_looked_at(tls: ssl.SSLContext) -> None:
    async with serving(ANSWERS, tls) as server:
        assert await ask(server, "/", scheme="HTTPS") == Answer(Outcome.SUCCESS, "ok")


async def test_tls_where_there_is_none() -> None:
    plain = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    async with serving_plainly(plain) as port:
        server = Server({})
        server.port = port
        found = await ask(server, "/", scheme="HTTPS")
        assert found.text == (
            f'Get "https://{HOST}:{port}/": http: server gave HTTP response to HTTPS client'
        )


@asynccontextmanager
async def serving_plainly(answer: bytes) -> AsyncIterator[int]:
    """Answers the same whatever it is sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer)
        await writer.drain()

    async with listening(serve) as port:
        yield port


# ----- hooks


async def run(handler: m.LifecycleHandler, runtime: ScriptedRuntime | None = None) -> Any:
    said: list[tuple[str, str]] = []
    error = await run_hook(
        runtime or ScriptedRuntime(World()), handler, container(), ID, "p_default(u1)", HOST,
        lambda reason, message: said.append((reason, message)),
    )  # fmt: skip
    return error, said


def calls(port: int | str, **fields: Any) -> m.LifecycleHandler:
    return m.LifecycleHandler(httpGet=m.core_v1.HTTPGetAction(port=port, path="/500", **fields))


async def test_any_answer_does_for_a_hook() -> None:
    async with serving(ANSWERS) as server:
        assert await run(calls(server.port)) == (None, [])
        assert "User-Agent: kube-lifecycle/1.36" in server.asked[0]


async def test_a_hook_falls_back_to_the_clear_and_tells_no_secrets() -> None:
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    secret = m.core_v1.HTTPHeader("Authorization", "Bearer x")
    async with serving_plainly(plain) as port:
        error, said = await run(calls(port, scheme="HTTPS", httpHeaders=[secret]))
    assert error is None
    [(reason, message)] = said
    assert reason == "LifecycleHTTPFallback"
    assert "http: server gave HTTP response to HTTPS client" in message


async def test_hooks_that_fail() -> None:
    where = 'for Container "c" in Pod "p_default(u1)" failed - error: '
    error, _ = await run(calls("nowhere"))
    assert error == f"HTTP lifecycle hook (/500) {where}strconv.Atoi: parsing \"nowhere\": " \
        "invalid syntax"  # fmt: skip
    error, _ = await run(m.LifecycleHandler())
    assert error == "invalid handler: neither exec, httpGet nor sleep"
    said = Exit(2, output="out", errors="err")
    runtime = ScriptedRuntime(World(), {"bad": said})
    handler = m.LifecycleHandler(exec=m.core_v1.ExecAction(command=["bad", "x"]))
    error, _ = await run(handler, runtime)
    assert error == (f'Exec lifecycle hook ([bad x]) {where}container not found ("c"), message: ""')


async def test_a_request_names_the_port_of_the_container() -> None:
    action = m.core_v1.HTTPGetAction(port="web", host="h", scheme="HTTPS", path="p")
    c = container(ports=[m.ContainerPort(name="web", containerPort=8080)])
    assert http_request(action, c, HOST, "me").url == "https://h:8080/p"
