"""The client over HTTPS: the suite, and what only a network can do to it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from kubatch.api.resource import CONFIGMAPS
from kubatch.client import kubeconfig
from kubatch.client.http import RECONNECTS, RETRIES, HttpClient, Limits, Unreachable
from kubatch.client.kubeconfig import Endpoint
from kubatch.client.protocol import Client
from kubatch.world import World
from tests.suites.api_server import served
from tests.suites.client_suite import ClientSuite, config, refused, take


class TestHttpClient(ClientSuite):
    @pytest.fixture
    async def client(self, tmp_path: Path) -> AsyncIterator[Client]:
        async with served(tmp_path) as on, on.client() as client:
            yield client


# ----- a server that does what a test says


Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


IMPATIENT = Limits(reconnect_delay=0.0)


class Script:
    """Answers each request with the next function, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        self.headers.append(dict(request.headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)


@asynccontextmanager
async def scripted(
    *answers: Answer, limits: Limits = IMPATIENT, **words: Any
) -> AsyncIterator[tuple[Script, HttpClient]]:
    script = Script(*answers)
    server = web.Server(script)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    endpoint = Endpoint(f"http://127.0.0.1:{port}", **words)
    try:
        async with HttpClient(endpoint, World(), limits=limits) as client:
            yield script, client
    finally:
        listener.close()
        await server.shutdown(1)


def says(body: Any, status: int = 200, **headers: str) -> Answer:
    async def answer(_: web.BaseRequest) -> web.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(body=data, status=status, headers=headers)

    return answer


def streams(*chunks: bytes, breaks: bool = False) -> Answer:
    """A watch: these chunks, then its end, clean or not."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0)
        if breaks:
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


async def silence(request: web.BaseRequest) -> web.StreamResponse:
    """A watch with nothing to tell."""
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.Event().wait()
    return response


def line(type: str, name: str, revision: int) -> bytes:
    metadata = {"name": name, "namespace": "default", "resourceVersion": str(revision)}
    event = {"type": type, "object": {"kind": "ConfigMap", "metadata": metadata}}
    return json.dumps(event).encode() + b"\n"


def item(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "resourceVersion": "3"}}


def page(*names: str, token: str = "") -> Answer:
    meta = {"resourceVersion": "9", "continue": token}
    return says({"kind": "ConfigMapList", "metadata": meta, "items": [item(n) for n in names]})


STATUS = {"kind": "Status", "status": "Failure", "message": "no", "reason": "Busy", "code": 503}
OK = says(item("a"))


async def test_an_answer_with_retry_after_is_asked_again() -> None:
    busy = says(STATUS, 429, **{"Retry-After": "0"})
    down = says(STATUS, 503, **{"Retry-After": "0"})
    async with scripted(busy, down, OK) as (script, client):
        found = await client.get(CONFIGMAPS, "default", "a")
        assert found.metadata is not None
        assert found.metadata.name == "a"
        assert len(script.requests) == 3


async def test_retries_end() -> None:
    async with scripted(says(STATUS, 429, **{"Retry-After": "0"})) as (script, client):
        error = await refused(client.get(CONFIGMAPS, "default", "a"))
        assert error.reason == "Busy"
        assert len(script.requests) == RETRIES + 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_error_without_retry_after_is_told_at_once(status: int) -> None:
    async with scripted(says(STATUS, status), OK) as (script, client):
        assert (await refused(client.get(CONFIGMAPS, "default", "a"))).message == "no"
        assert len(script.requests) == 1


async def test_a_write_is_repeated_when_the_server_asks_for_it() -> None:
    async with scripted(says(STATUS, 429, **{"Retry-After": "0"}), OK) as (script, client):
        await client.create(CONFIGMAPS, config("default", "a"))
        path = "POST /api/v1/namespaces/default/configmaps"
        assert script.requests == [path, path]


@pytest.mark.parametrize(
    ("answer", "code", "reason", "text"),
    [
        (says(b"404 page not found\n", 404), 404, "NotFound", "Not Found: 404 page not found"),
        (says(b"", 502), 502, "", "Bad Gateway"),
        (says(b"<html>" + b"x" * 9000, 503), 503, "ServiceUnavailable", "Service Unavailable"),
        (says({"kind": "Status"}, 401), 401, "Unauthorized", "Unauthorized"),
        (says(b"{nonsense", 200), 500, "InternalError", "cannot be read"),
        (says({"metadata": "no"}, 200), 500, "InternalError", "cannot be read"),
        (says(b"\xff\xfe", 500), 500, "InternalError", "Internal Server Error"),
        (says(b"", 302, Location="http://elsewhere/"), 302, "", "Found"),
    ],
)
async def test_whatever_is_answered_becomes_an_error(
    answer: Answer, code: int, reason: str, text: str
) -> None:
    async with scripted(answer) as (_, client):
        error = await refused(client.get(CONFIGMAPS, "default", "a"))
        assert (error.code, error.reason) == (code, reason)
        assert text in error.message
        assert len(error.message) < 500


async def test_nobody_answers() -> None:
    async with HttpClient(Endpoint("http://127.0.0.1:1"), World()) as client:
        error = await refused(client.get(CONFIGMAPS, "default", "a"))
        assert isinstance(error, Unreachable)
        assert error.message == "cannot reach http://127.0.0.1:1: Connection refused"


async def test_a_list_follows_its_chunks() -> None:
    async with scripted(page("a", "b", token="t=1&x"), page("c")) as (script, client):
        listing = await client.list(CONFIGMAPS, "default", label_selector="x=1")
        assert [obj.metadata.name for obj in listing.items if obj.metadata] == ["a", "b", "c"]
        assert listing.revision == 9
        first, second = script.requests
        assert first.endswith("?labelSelector=x%3D1&limit=500")
        assert second.endswith("?labelSelector=x%3D1&limit=500&continue=t%3D1%26x")


async def test_a_list_whose_chunks_expire_is_asked_for_whole() -> None:
    gone = says({**STATUS, "reason": "Expired", "code": 410}, 410)
    async with scripted(page("a", token="t"), gone, page("a", "b")) as (script, client):
        listing = await client.list(CONFIGMAPS, "default")
        assert len(listing.items) == 2
        assert script.requests[-1] == "GET /api/v1/namespaces/default/configmaps"


async def test_names_do_not_lead_elsewhere() -> None:
    async with scripted(OK) as (script, client):
        await client.get(CONFIGMAPS, "default", "a/../../secrets?x=1")
        assert (await refused(client.get(CONFIGMAPS, "default", ".."))).code == 400
        assert script.requests == [
            "GET /api/v1/namespaces/default/configmaps/a%2F..%2F..%2Fsecrets%3Fx=1"
        ]


# ----- watches


async def watched(client: HttpClient, count: int, after: int = 5) -> list[str]:
    watch: Any = client.watch(CONFIGMAPS, "default", after=after)
    async with aclosing(watch):
        return [f"{type} {name} {e.revision}" for type, name, e in await take(watch, count)]


def resumed_from(script: Script) -> list[str]:
    return [
        parse_qs(request.partition("?")[2]).get("resourceVersion", [""])[0]
        for request in script.requests
    ]


@pytest.mark.parametrize("breaks", [False, True], ids=["ends", "breaks"])
async def test_a_watch_goes_on_from_what_it_has_seen(breaks: bool) -> None:
    first = streams(line("ADDED", "a", 6), line("BOOKMARK", "", 8), breaks=breaks)
    second = streams(line("MODIFIED", "a", 9), line("DELETED", "a", 10))
    async with scripted(first, second, silence) as (script, client):
        assert await watched(client, 3) == ["ADDED a 6", "MODIFIED a 9", "DELETED a 10"]
        assert resumed_from(script) == ["5", "8"]


async def test_a_watch_asks_for_bookmarks_and_an_end() -> None:
    async with scripted(streams(line("ADDED", "a", 6)), silence) as (script, client):
        await watched(client, 1)
        query = parse_qs(script.requests[0].partition("?")[2])
        assert query["watch"] == query["allowWatchBookmarks"] == ["true"]
        assert 300 <= int(query["timeoutSeconds"][0]) <= 600


async def test_lines_may_come_in_any_pieces() -> None:
    text = line("ADDED", "a", 6) + line("ADDED", "b", 7)
    pieces = [text[n : n + 7] for n in range(0, len(text), 7)]
    async with scripted(streams(*pieces), silence) as (_, client):
        assert await watched(client, 2) == ["ADDED a 6", "ADDED b 7"]


@pytest.mark.parametrize("code", [410, 403])
async def test_an_error_in_a_watch_is_raised(code: int) -> None:
    status = {"kind": "Status", "message": "too old", "reason": "Expired", "code": code}
    text = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
    async with scripted(streams(text)) as (script, client):
        error = await refused(watched(client, 1))
        assert (error.code, error.message) == (code, "too old")
        assert len(script.requests) == 1


async def test_a_watch_that_is_refused_is_an_error() -> None:
    async with scripted(says({**STATUS, "code": 403}, 403)) as (_, client):
        assert (await refused(watched(client, 1))).code == 403


async def test_a_watch_nobody_answers_gives_up_in_the_end() -> None:
    async with scripted(streams(breaks=True)) as (script, client):
        assert isinstance(await refused(watched(client, 1)), Unreachable)
        assert len(script.requests) == RECONNECTS + 1


async def test_initial_events_that_break_off_must_be_listed() -> None:
    async with scripted(streams(line("ADDED", "a", 6), breaks=True)) as (_, client):
        watch: Any = client.watch(CONFIGMAPS, after=0)
        async with aclosing(watch):
            await take(watch, 1)
            assert (await refused(anext(watch))).code == 410


async def test_an_endless_line_is_refused() -> None:
    async with scripted(streams(b"x" * 200), limits=Limits(line_bytes_max=100)) as (_, client):
        assert "too large" in (await refused(watched(client, 1))).message


async def test_a_huge_answer_is_refused() -> None:
    async with scripted(says(b"x" * 200), limits=Limits(answer_bytes_max=100)) as (_, client):
        assert "too large" in (await refused(client.get(CONFIGMAPS, "d", "a"))).message


# ----- credentials


async def test_credentials_are_not_sent_in_the_clear() -> None:
    async with scripted(OK, token="secret") as (script, client):
        await client.get(CONFIGMAPS, "default", "a")
        assert "Authorization" not in script.headers[0]


async def test_a_token_is_enough(tmp_path: Path) -> None:
    async with served(tmp_path) as on:
        by_certificate = kubeconfig.read(on.kubeconfig)
        tls = ssl.create_default_context(cafile=str(tmp_path / "pki" / "ca.crt"))
        token = (tmp_path / "tokens").read_text().partition(",")[0]
        for endpoint in (
            Endpoint(by_certificate.server, tls, token=token),
            Endpoint(by_certificate.server, tls, token_file=tmp_path / "token"),
        ):
            (tmp_path / "token").write_text(f"{token}\n")
            async with HttpClient(endpoint, World()) as client:
                assert (await client.list(CONFIGMAPS)).revision > 0


async def test_a_rotated_token_is_read_again(tmp_path: Path) -> None:
    async with served(tmp_path) as on:
        where = kubeconfig.read(on.kubeconfig).server
        tls = ssl.create_default_context(cafile=str(tmp_path / "pki" / "ca.crt"))
        file = tmp_path / "token"
        file.write_text("old")
        endpoint = Endpoint(where, tls, token_file=file)
        async with HttpClient(endpoint, World()) as client:
            assert (await refused(client.list(CONFIGMAPS))).code == 401
            file.write_text((tmp_path / "tokens").read_text().partition(",")[0])
            assert (await client.list(CONFIGMAPS)).revision > 0


async def test_a_server_nobody_vouches_for_is_not_spoken_to(tmp_path: Path) -> None:
    async with served(tmp_path) as on:
        where = kubeconfig.read(on.kubeconfig).server
        stranger = Endpoint(where, ssl.create_default_context(), token="secret")
        async with HttpClient(stranger, World()) as client:
            error = await refused(client.list(CONFIGMAPS))
            assert isinstance(error, Unreachable)
            assert "certificate" in error.message.lower()
