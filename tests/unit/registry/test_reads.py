"""list and watch: pages, revisions, selectors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from kubatch.api.errors import ApiError
from kubatch.api.resource import CONFIGMAPS, EVENTS, EVENTS_V1, PODS
from kubatch.registry.api import Registry
from kubatch.registry.values import DeleteRequest, ListRequest, WatchEvent

from .conftest import context, decoded, obj_of, pod


async def make(registry: Registry, *names: str, **labels: str) -> None:
    for name in names:
        await registry.create(PODS, "default", pod(name, labels=labels or None), context())


def names(entries: Sequence[Any]) -> list[str]:
    return [obj_of(e).metadata.name for e in entries]


async def test_pages_show_the_state_of_the_first_one(registry: Registry) -> None:
    await make(registry, "a", "b", "c", "d", "e")
    first = await registry.list(PODS, "default", ListRequest(limit=2))
    assert names(first.entries) == ["a", "b"]
    assert first.remaining == 3
    await registry.delete(PODS, "default", "d", DeleteRequest(0), context())
    await make(registry, "cc")
    second = await registry.list(
        PODS, "default", ListRequest(limit=2, continue_token=first.continue_token)
    )
    assert names(second.entries) == ["c", "d"]
    assert second.revision == first.revision
    last = await registry.list(
        PODS, "default", ListRequest(limit=2, continue_token=second.continue_token)
    )
    assert names(last.entries) == ["e"]
    assert last.continue_token == ""


async def test_an_expired_token_brings_one_that_goes_on(registry: Registry) -> None:
    await make(registry, "a", "b", "c")
    first = await registry.list(PODS, "default", ListRequest(limit=1))
    for number in range(60):  # more than the history that the fixture keeps
        cm = decoded(CONFIGMAPS, {"metadata": {"name": f"cm{number}"}})
        await registry.create(CONFIGMAPS, "default", cm, context())
    with pytest.raises(ApiError) as caught:
        await registry.list(PODS, "default", ListRequest(continue_token=first.continue_token))
    assert (caught.value.code, caught.value.reason) == (410, "Expired")
    token = caught.value.to_status()["metadata"]["continue"]
    rest = await registry.list(PODS, "default", ListRequest(continue_token=token))
    assert names(rest.entries) == ["b", "c"]


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (ListRequest(continue_token="junk"), 400, "invalid continue token"),
        (ListRequest(resource_version="abc"), 400, 'parsing "abc": invalid syntax'),
        (ListRequest(resource_version="99999"), 504, "Too large resource version: 99999"),
        (
            ListRequest(resource_version_match="Exact"), 422,
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (ListRequest(field_selector="spec.foo=1"), 400, "field label not supported: spec.foo"),
        (ListRequest(label_selector="a in x"), 400, "unable to parse requirement"),
    ],
)  # fmt: skip
async def test_bad_queries(
    registry: Registry, request_: ListRequest, code: int, message: str
) -> None:
    with pytest.raises(ApiError) as caught:
        await registry.list(PODS, "default", request_)
    assert caught.value.code == code
    assert message in caught.value.message


async def test_selectors_choose(registry: Registry) -> None:
    await make(registry, "a", "b", app="x")
    await make(registry, "c")

    async def selected(**selectors: Any) -> list[str]:
        page = await registry.list(PODS, None, ListRequest(**selectors))
        return names(page.entries)

    assert await selected(label_selector="app=x") == ["a", "b"]
    assert await selected(label_selector="!app") == ["c"]
    assert await selected(field_selector="metadata.name=b") == ["b"]
    assert await selected(field_selector="status.phase!=Pending") == []
    assert await selected(field_selector="spec.nodeName=", label_selector="app") == ["a", "b"]


async def take(watch: Any, count: int) -> list[WatchEvent[Any]]:
    """The next `count` events."""
    got: list[WatchEvent[Any]] = []
    async with asyncio.timeout(5):
        while len(got) < count:
            got.extend(await anext(watch))
    await watch.aclose()
    return got


async def test_a_watch_from_now_shows_what_is_there_first(registry: Registry) -> None:
    await make(registry, "a", "b")
    watch = registry.watch(PODS, "default", ListRequest())
    await make(registry, "c")
    events = await take(watch, 3)
    assert [(e.type, e.entry.obj.metadata.name) for e in events] == [
        ("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c"),
    ]  # fmt: skip


async def test_a_watch_from_a_revision_shows_only_what_came_after(registry: Registry) -> None:
    await make(registry, "a")
    at = str(registry.revision)
    await make(registry, "b")
    await registry.delete(PODS, "default", "a", DeleteRequest(0), context())
    events = await take(registry.watch(PODS, None, ListRequest(resource_version=at)), 2)
    assert [(e.type, e.entry.obj.metadata.name) for e in events] == [
        ("ADDED", "b"), ("DELETED", "a"),
    ]  # fmt: skip
    assert events[1].entry.obj.metadata.resourceVersion == str(registry.revision)


async def test_leaving_the_selection_is_a_deletion_with_the_old_content(
    registry: Registry,
) -> None:
    await make(registry, "a", app="x")
    request = ListRequest(label_selector="app=x", resource_version=str(registry.revision))
    watch = registry.watch(PODS, "default", request)

    async def label(app: str) -> None:
        patch = {"metadata": {"labels": {"app": app}}}
        await registry.patch(PODS, "default", "a", "merge", patch, context())

    await label("y")
    left = registry.revision
    await label("x")
    events = await take(watch, 2)
    assert [e.type for e in events] == ["DELETED", "ADDED"]
    assert events[0].entry.obj.metadata.labels == {"app": "x"}
    assert events[0].entry.revision == left


async def test_a_watch_from_too_long_ago_is_expired(registry: Registry) -> None:
    start = str(registry.revision)
    for number in range(60):
        await make(registry, f"p{number}")
    with pytest.raises(ApiError) as caught:
        await take(registry.watch(PODS, "default", ListRequest(resource_version=start)), 1)
    assert caught.value.code == 410
    assert caught.value.message.startswith(f"too old resource version: {start} (")


async def test_events_are_one_thing_under_two_groups(registry: Registry) -> None:
    event = decoded(
        EVENTS,
        {
            "metadata": {"name": "e"},
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
            "reason": "Started",
            "message": "Container started",
            "source": {"component": "kubelet"},
            "count": 2,
            "type": "Normal",
        },
    )
    await registry.create(EVENTS, "default", event, context())
    shown = (await registry.get(EVENTS_V1, "default", "e")).obj
    assert shown.regarding is not None
    assert shown.regarding.name == "p"
    assert shown.note == "Container started"
    assert shown.deprecatedCount == 2
    page = await registry.list(
        EVENTS_V1, "default", ListRequest(field_selector="regarding.name=p,reason=Started")
    )
    assert names(page.entries) == ["e"]


async def test_pages_of_a_selection(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubatch.registry.lists._SELECTED_FROM_MIN", 2)
    await make(registry, *"bdfh", of="us")
    await make(registry, *"acegi")
    found, token = [], ""
    while True:
        request = ListRequest(label_selector="of=us", limit=3, continue_token=token)
        page = await registry.list(PODS, "default", request)
        found.append(names(page.entries))
        assert page.remaining is None
        token = page.continue_token
        if not token:
            break
    assert found == [["b", "d", "f"], ["h"]]
    everything = await registry.list(PODS, None, ListRequest(label_selector="of=us"))
    assert names(everything.entries) == ["b", "d", "f", "h"]


async def test_what_is_only_passed_on_is_not_decoded(registry: Registry) -> None:
    await make(registry, "a", "b")
    stored = await registry.select(PODS, "default", ListRequest())
    for record in stored.records:
        record.value.decoded = None
    again = await registry.select(PODS, "default", ListRequest(limit=1))
    assert [again.data(r) for r in again.records] == [stored.records[0].value.data]
    assert stored.records[0].value.decoded is None
    selected = await registry.select(PODS, "default", ListRequest(label_selector="!no"))
    assert stored.records[0].value.decoded is not None
    assert selected.records == stored.records


async def test_a_view_of_another_kind_is_passed_on_in_its_own_form(registry: Registry) -> None:
    event = decoded(EVENTS, {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}})
    await registry.create(EVENTS, "default", event, context())
    found = await registry.select(EVENTS_V1, "default", ListRequest())
    assert b'"regarding"' in found.data(found.records[0])


async def test_an_idle_watch_moves_on_with_the_store(registry: Registry) -> None:
    watch = registry.watch(PODS, "default", ListRequest(resource_version=str(registry.revision)))
    cm = decoded(CONFIGMAPS, {"metadata": {"name": "cm"}})
    await registry.create(CONFIGMAPS, "default", cm, context())
    assert watch.revision == registry.revision
    seen = watch.revision
    await make(registry, "a")
    assert watch.revision == seen, "a pod waits to be read"
    await anext(watch)
    assert watch.revision == registry.revision
    await watch.aclose()
    await make(registry, "b")
    assert watch.revision == registry.revision - 1
