"""A real server over TLS on a free port, with the real registry over a memory store."""

from __future__ import annotations

import io
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kubatch.api.errors import bad_request
from kubatch.client.protocol import Dialer, NodeRefused, Opener
from kubatch.registry import bootstrap
from kubatch.registry.api import Registry
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.server.wire import ApiServer
from kubatch.settings import Settings
from kubatch.store.memory import MemoryStore
from kubatch.world import World


@dataclass(frozen=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    warnings: list[str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Speaks HTTP to the server; `headers` go with every request."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def __call__(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        data: Any = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if data and len(data) > 1 << 20:  # aiohttp warns of large bodies sent in one piece
            data = io.BytesIO(data)
        async with self.session.request(
            method, self.url + path, data=data, headers=headers, allow_redirects=False
        ) as response:
            return Answer(
                response.status,
                response.headers,
                await response.read(),
                response.headers.getall("Warning", []),
            )

    async def create(self, path: str, body: Any) -> Any:
        answer = await self("POST", path, body)
        assert answer.status == 201, answer.text
        return answer.json


class ScriptedLogs:
    """Logs of pods that do not run."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, Mapping[str, Any]]] = []

    async def logs(
        self, namespace: str, name: str, container: str, query: Mapping[str, Any]
    ) -> AsyncIterator[bytes]:
        self.asked.append((namespace, name, container, query))
        if query.get("previous"):
            raise bad_request(f'previous terminated container "{container}" in pod "{name}"')
        yield b"one\n"
        yield b"two\n"

    async def exec(self, *_: object) -> Opener:
        raise NodeRefused(500, "", "nothing runs here")

    async def attach(self, *_: object) -> Opener:
        raise NodeRefused(500, "", "nothing runs here")

    async def port_forward(self, *_: object) -> Dialer:
        raise NodeRefused(500, "", "nothing runs here")


@dataclass(frozen=True)
class Running:
    """A started server and what it was made of."""

    server: ApiServer
    registry: Registry
    logs: ScriptedLogs
    data_dir: Path
    ready: list[bool]

    def tls(self, certificate: str | None = "admin") -> ssl.SSLContext:
        pki = self.data_dir / "pki"
        context = ssl.create_default_context(cafile=pki / "ca.crt")
        if certificate:
            context.load_cert_chain(pki / f"{certificate}.crt", pki / f"{certificate}.key")
        return context


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    store = MemoryStore(history_changes_max=100)
    await store.open()
    world = World()
    registry = Registry(store, world, STRATEGIES)
    await bootstrap.ensure_namespaces(registry)
    logs = ScriptedLogs()
    settings = Settings(
        tmp_path, port=0, bookmark_interval=0.02, body_bytes_max=100_000, shutdown_grace=1.0
    )
    ready = [True]
    server = ApiServer(registry, logs, settings, world, ready=lambda: ready[0])
    await server.start()
    yield Running(server, registry, logs, tmp_path, ready)
    await server.stop()
    await store.close()


async def _client(
    running: Running, certificate: str | None, headers: Mapping[str, str]
) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(ssl=running.tls(certificate))
    # aiohttp would name a type for every body; the Python client does not.
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, skip_auto_headers=("Content-Type", "User-Agent")
    ) as session:
        yield Client(session, running.server.url)


@pytest.fixture
async def admin(running: Running) -> AsyncIterator[Client]:
    async for client in _client(running, "admin", {}):
        yield client


@pytest.fixture
async def stranger(running: Running) -> AsyncIterator[Client]:
    async for client in _client(running, None, {}):
        yield client
