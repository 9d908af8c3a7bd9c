"""Watches over the wire: what they say, in what form, and how they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kubatch.registry.watch import Watch
from tests.unit.server.conftest import Client, Running
from tests.unit.server.test_reading import MAPS, PARTIAL, TABLE, config_map


class Lines:
    """The events of one watch."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.headers = response.headers

    async def next(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self._response.content.readline(), 5)
        assert line, "the watch ended"
        found: dict[str, Any] = json.loads(line)
        return found

    async def names(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(e["type"], e["object"]["metadata"]["name"]) for e in events]

    async def rest(self) -> list[dict[str, Any]]:
        body = await asyncio.wait_for(self._response.read(), 5)
        return [json.loads(line) for line in body.splitlines()]


@asynccontextmanager
async def watch(
    admin: Client, query: str = "", path: str = MAPS, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Lines]:
    url = f"{admin.url}{path}?watch=true{query}"
    async with admin.session.get(url, headers=headers) as response:
        assert response.status == 200
        yield Lines(response)


async def test_the_present_comes_first(admin: Client) -> None:
    await admin.create(MAPS, config_map("a"))
    async with watch(admin) as lines:
        assert lines.headers["Content-Type"] == "application/json"
        assert await lines.names(1) == [("ADDED", "a")]
        await admin.create(MAPS, config_map("b"))
        await admin("PUT", f"{MAPS}/b", config_map("b", k="v"))
        await admin("DELETE", f"{MAPS}/b")
        assert await lines.names(3) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]


async def test_headers_come_before_events(admin: Client) -> None:
    async with asyncio.timeout(5), watch(admin) as lines:
        assert "Audit-Id" in lines.headers


async def test_after_a_revision(admin: Client) -> None:
    first = await admin.create(MAPS, config_map("a"))
    await admin.create(MAPS, config_map("b"))
    async with watch(admin, f"&resourceVersion={first['metadata']['resourceVersion']}") as lines:
        assert await lines.names(1) == [("ADDED", "b")]


async def test_a_deletion_has_a_revision_of_its_own(admin: Client) -> None:
    created = await admin.create(MAPS, config_map("a"))
    revision = created["metadata"]["resourceVersion"]
    async with watch(admin, f"&resourceVersion={revision}") as lines:
        await admin("DELETE", f"{MAPS}/a")
        event = await lines.next()
    assert event["type"] == "DELETED"
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(revision)


async def test_leaving_the_selection(admin: Client) -> None:
    created = await admin.create(MAPS, config_map("a", k="old"))
    async with watch(admin, "&labelSelector=n%3Da") as lines:
        assert await lines.names(1) == [("ADDED", "a")]
        changed = {"metadata": {"name": "a", "labels": {"n": "z"}}, "data": {"k": "new"}}
        await admin("PUT", f"{MAPS}/a", changed)
        event = await lines.next()
    assert event["type"] == "DELETED"
    assert event["object"]["data"] == {"k": "old"}
    assert event["object"]["metadata"]["resourceVersion"] != created["metadata"]["resourceVersion"]


@pytest.mark.slow
async def test_a_watch_ends_when_asked(admin: Client) -> None:
    async with watch(admin, "&timeoutSeconds=1") as lines:
        assert await lines.rest() == []


async def test_a_revision_too_old(running: Running, admin: Client) -> None:
    for i in range(60):
        await admin.create(MAPS, config_map(f"a{i}"))
        await admin("DELETE", f"{MAPS}/a{i}")
    async with watch(admin, "&resourceVersion=1") as lines:
        events = await lines.rest()
    assert len(events) == 1
    assert events[0]["type"] == "ERROR"
    status = events[0]["object"]
    assert (status["code"], status["reason"]) == (410, "Expired")
    revision = running.registry.revision
    assert status["message"] == f"too old resource version: 1 ({revision})"


@pytest.mark.parametrize("present", [0, 2])
async def test_the_end_of_the_initial_events(admin: Client, present: int) -> None:
    for i in range(present):
        await admin.create(MAPS, config_map(f"a{i}"))
    query = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watch(admin, query) as lines:
        assert await lines.names(present) == [("ADDED", f"a{i}") for i in range(present)]
        mark = await lines.next()
        assert mark["type"] == "BOOKMARK"
        assert set(mark["object"]) == {"kind", "apiVersion", "metadata"}
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await admin.create(MAPS, config_map("live"))
        event = await lines.next()
        while event["type"] == "BOOKMARK":
            event = await lines.next()
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "live")


async def test_no_initial_events(admin: Client) -> None:
    await admin.create(MAPS, config_map("a"))
    query = "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
    async with watch(admin, query) as lines:
        await admin.create(MAPS, config_map("b"))
        assert await lines.names(1) == [("ADDED", "b")]


async def test_bookmarks(admin: Client) -> None:
    created = await admin.create(MAPS, config_map("a"))
    revision = created["metadata"]["resourceVersion"]
    query = f"&allowWatchBookmarks=true&resourceVersion={revision}"
    async with watch(admin, query) as lines:
        mark = await lines.next()
    assert mark == {
        "type": "BOOKMARK",
        "object": {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": revision},
        },
    }


async def test_refused_before_it_begins(admin: Client) -> None:
    for query, status in (
        ("sendInitialEvents=true", 422),
        ("resourceVersion=abc", 400),
        ("labelSelector=a%20foo", 400),
        ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=99999", 504),
    ):
        answer = await admin("GET", f"{MAPS}?watch=true&{query}")
        assert (answer.status, answer.json["kind"]) == (status, "Status")


async def test_tables_have_columns_once(admin: Client) -> None:
    await admin.create(MAPS, config_map("a"))
    query = "&allowWatchBookmarks=true"
    async with watch(admin, query, headers=TABLE) as lines:
        first = await lines.next()
        mark = await lines.next()
        await admin.create(MAPS, config_map("b"))
        event = await lines.next()
        while event["type"] == "BOOKMARK":
            event = await lines.next()
    assert first["object"]["kind"] == "Table"
    assert first["object"]["columnDefinitions"][0]["name"] == "Name"
    assert mark["object"]["kind"] == "Table"
    assert mark["object"]["rows"][0]["object"]["metadata"]["annotations"]
    assert event["object"]["columnDefinitions"] is None
    assert event["object"]["rows"][0]["cells"][0] == "b"


async def test_metadata_only(admin: Client) -> None:
    await admin.create(MAPS, config_map("a", k="v"))
    async with watch(admin, headers=PARTIAL) as lines:
        event = await lines.next()
    assert event["object"]["kind"] == "PartialObjectMetadata"
    assert "data" not in event["object"]


@pytest.mark.parametrize("name", ["", "/a"])
async def test_the_old_form(admin: Client, name: str) -> None:
    await admin.create(MAPS, config_map("a"))
    await admin.create(MAPS, config_map("b"))
    path = f"/api/v1/watch/namespaces/default/configmaps{name}"
    async with watch(admin, path=path) as lines:
        assert await lines.names(1) == [("ADDED", "a")]
        await admin("PUT", f"{MAPS}/a", config_map("a", k="v"))
        expected = [("MODIFIED", "a")] if name else [("ADDED", "b"), ("MODIFIED", "a")]
        assert await lines.names(len(expected)) == expected


async def test_one_object_is_not_watched(admin: Client) -> None:
    await admin.create(MAPS, config_map("a"))
    assert (await admin("GET", f"{MAPS}/a?watch=true")).json["kind"] == "ConfigMap"


async def test_stopping_ends_watches_at_once(running: Running, admin: Client) -> None:
    async with watch(admin) as lines:
        async with asyncio.timeout(0.5):
            await running.server.stop()
        assert await lines.rest() == []


async def test_a_client_that_leaves_is_noticed(
    running: Running, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = asyncio.Event()
    close = Watch.aclose

    async def aclose(self: Watch[Any]) -> None:
        await close(self)
        closed.set()

    monkeypatch.setattr(Watch, "aclose", aclose)
    async with watch(admin):
        assert not closed.is_set()
    await asyncio.wait_for(closed.wait(), 5)


async def test_a_bookmark_tells_how_far_the_store_has_come(admin: Client) -> None:
    first = await admin.create(MAPS, config_map("a"))
    revision = first["metadata"]["resourceVersion"]
    query = f"&allowWatchBookmarks=true&resourceVersion={revision}"
    async with watch(admin, query) as lines:
        other = await admin.create("/api/v1/namespaces", {"metadata": {"name": "elsewhere"}})
        wanted = other["metadata"]["resourceVersion"]
        found = revision
        while int(found) < int(wanted):
            event = await lines.next()
            assert event["type"] == "BOOKMARK"
            found = event["object"]["metadata"]["resourceVersion"]
        await admin.create(MAPS, config_map("b"))
        while event["type"] == "BOOKMARK":
            event = await lines.next()
        assert event["object"]["metadata"]["name"] == "b"


async def test_yaml_cannot_be_streamed(admin: Client) -> None:
    for accept in ("application/yaml", "application/yaml, application/json;q=0.5"):
        answer = await admin("GET", f"{MAPS}?watch=true", headers={"Accept": accept})
        assert (answer.status, answer.headers["Content-Type"]) == (406, "application/yaml")
        assert "reason: NotAcceptable\n" in answer.text
        assert (
            "message: 'only the following media types are accepted: application/json, "
            "application/vnd.kubernetes.protobuf'\n"
        ) in answer.text


async def test_a_large_present_state_comes_in_parts(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubatch.registry.watch.PRESENT_PART", 2)
    for name in "abcd":
        await admin.create(MAPS, config_map(name))
    query = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watch(admin, query) as lines:
        assert await lines.names(4) == [("ADDED", name) for name in "abcd"]
        end = await lines.next()
        assert end["type"] == "BOOKMARK"
        assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
