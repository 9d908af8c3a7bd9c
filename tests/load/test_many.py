"""Many at once, some of them hostile: everybody else is served, and memory has an end."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from kubatch.api.models import ConfigMap, ObjectMeta
from kubatch.api.resource import CONFIGMAPS
from kubatch.settings import Settings
from tests.suites.raw_https import MINUTE_S, answer, dialed
from tests.unit.server.secured import Secured, secured

MAPS = "/api/v1/namespaces/default/configmaps"
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "editor"}
BOB = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}
BINDING = {"metadata": {"name": "b"}, "roleRef": ROLE, "subjects": [BOB]}
TIGHT = {
    "reads_inflight_max": 8,
    "writes_inflight_max": 4,
    "user_queue_max": 2,
    "request_timeout": 60.0,
}


def tight(settings: Settings) -> Settings:
    return replace(settings, **TIGHT)  # type: ignore[arg-type]


async def let_bob_edit(server: Secured) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
    assert (await server.root("POST", path, BINDING)).status == 201
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}
    await server.root("POST", roles, {"metadata": {"name": "editor"}, "rules": [rule]})
    await server.seen()


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[Secured]:
    async with secured(tmp_path, change=tight) as made:
        await let_bob_edit(made)
        yield made


@pytest.fixture
async def wide(tmp_path: Path) -> AsyncIterator[Secured]:
    async with secured(tmp_path) as made:
        await let_bob_edit(made)
        yield made


def head(method: str, path: str, token: str, *more: str) -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *more)
    return "\r\n".join((*lines, "", "")).encode()


def resident_mib() -> float:
    """Memory of this process; what garbage still holds is none of it."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)


async def test_one_users_unfinished_requests_stop_only_that_user(narrow: Secured) -> None:
    server, begun = narrow.running.server, head("POST", MAPS, "bob-token", "Content-Length: 99")
    async with AsyncExitStack() as stack:
        # Two have all of bob's share, two wait, and one is too many.
        ends = [await stack.enter_async_context(dialed(server)) for _ in range(5)]
        for _, writer in ends:
            writer.write(begun + b"{")
        tasks = {asyncio.create_task(r.readuntil(b"\r\n\r\n")): r for r, _ in ends}
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        said = done.pop().result()
        assert said.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
        assert b"\r\nRetry-After: 1\r\n" in said
        assert b"\r\nContent-Type: text/plain; charset=utf-8\r\n" in said
        # His reads, and everybody else, go on.
        assert (await narrow.ask("bob-token", "GET", MAPS)).status == 200
        assert (await narrow.root("POST", MAPS, {"metadata": {"name": "a"}})).status == 201
        assert (await narrow.ask("", "GET", "/readyz")).status == 200
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # Once he has hung up there is room again, as soon as the server notices.
    async with asyncio.timeout(MINUTE_S):
        made = {"metadata": {"name": "b"}}
        while (again := await narrow.ask("bob-token", "POST", MAPS, made)).status == 429:
            pass
    assert again.status == 201


async def test_two_hundred_clients_of_one_user_are_all_served(wide: Secured) -> None:
    async def client(number: int) -> list[int]:
        made = await wide.ask("bob-token", "POST", MAPS, {"metadata": {"name": f"c{number}"}})
        read = await wide.ask("bob-token", "GET", f"{MAPS}/c{number}")
        return [made.status, read.status]

    async with asyncio.timeout(MINUTE_S * 4):
        assert await asyncio.gather(*map(client, range(200))) == [[201, 200]] * 200


async def test_a_thousand_watches_see_the_same(wide: Secured) -> None:
    server = wide.running.server
    watching = head("GET", f"{MAPS}?watch=1", "bob-token")
    async with AsyncExitStack() as stack:
        ends = [await stack.enter_async_context(dialed(server)) for _ in range(1000)]
        for _, writer in ends:
            writer.write(watching)
        for reader, _ in ends:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert (await wide.root("POST", MAPS, {"metadata": {"name": "seen"}})).status == 201
        for reader, _ in ends:
            line = b""
            while not line.startswith(b"{"):
                line = await reader.readline()
                assert line, "the watch has ended"
            assert json.loads(line)["object"]["metadata"]["name"] in ("seen", "")
        assert server.connections >= 1000


async def test_ten_thousand_requests_for_nothing_hold_nobody_up(wide: Secured) -> None:
    server, each, clients = wide.running.server, 500, 20
    nonsense = [
        head("GET", f"/api/v1/{'x' * (i % 900)}/%{i % 100:02d}?a=%zz", "") for i in range(each)
    ]

    async def strangers() -> None:
        async with dialed(server) as (reader, writer):
            writer.write(b"".join(nonsense).replace(b"Authorization: Bearer \r\n", b""))
            for _ in range(each):
                code, _ = await answer(reader)
                assert code == 403

    flood = [asyncio.create_task(strangers()) for _ in range(clients)]
    served_meanwhile = 0
    while not all(task.done() for task in flood):
        assert (await wide.ask("bob-token", "GET", MAPS)).status == 200
        served_meanwhile += 1
    await asyncio.gather(*flood)
    # A fair share of the turns: about as many as each of the strangers had.
    assert served_meanwhile > each // 10


@pytest.mark.parametrize("how", ["", "?watch=1"])
async def test_a_long_list_that_nobody_reads_takes_no_memory(wide: Secured, how: str) -> None:
    text = "x" * 500_000
    for i in range(100):
        meta = ObjectMeta(name=f"c{i}", namespace="default")
        await wide.client.create(CONFIGMAPS, ConfigMap(metadata=meta, data={"a": text}))
    before = resident_mib()
    async with AsyncExitStack() as stack:
        for _ in range(40):
            _, writer = await stack.enter_async_context(dialed(wide.running.server))
            writer.write(head("GET", MAPS + how, "bob-token"))
        read = await wide.ask("bob-token", "GET", MAPS)
        assert len(read.body) > 50_000_000
        del read
        # 50 MB each would be 2,000.
        assert resident_mib() - before < 300
