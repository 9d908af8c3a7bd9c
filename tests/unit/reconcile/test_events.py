from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kubatch.api.models import ConfigMap, Event, ObjectMeta, Pod
from kubatch.api.resource import EVENTS, EVENTS_V1
from kubatch.reconcile.events import (
    DROPPED_TOLD,
    MESSAGE_MAX,
    PENDING_MAX,
    SIMILAR_MAX,
    SIMILAR_WINDOW,
    SPAM_BURST,
    SPAM_REFILL,
    EventRecorder,
)
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time


def pod(name: str = "a", namespace: str | None = "default") -> Pod:
    return Pod(metadata=ObjectMeta(name=name, namespace=namespace, uid=f"uid-{name}"))


@asynccontextmanager
async def recorder(**words: Any) -> AsyncIterator[tuple[EventRecorder, Engine]]:
    async with engine() as on:
        yield EventRecorder(on.client, on.world, "tester", **words), on


async def written(on: Engine) -> Sequence[Event]:
    return (await on.client.list(EVENTS)).items


async def texts(on: Engine) -> list[tuple[str | None, int | None]]:
    return sorted((e.message, e.count) for e in await written(on))


@virtual_time
async def test_an_event_says_who_what_and_when() -> None:
    async with recorder(host="node-1", instance="tester-1") as (events, on):
        await asyncio.sleep(90)
        events.record(pod(), "Normal", "Started", "runs", field_path="spec.containers{main}")
        await events.flush()
        [event] = await written(on)
        about = event.involvedObject
        assert (about.apiVersion, about.kind, about.name, about.uid) == (
            "v1", "Pod", "a", "uid-a",
        )  # fmt: skip
        assert about.fieldPath == "spec.containers{main}"
        assert (event.type, event.reason, event.message) == ("Normal", "Started", "runs")
        assert event.count == 1
        assert event.firstTimestamp == event.lastTimestamp == on.world.now()
        assert event.source is not None
        assert (event.source.component, event.source.host) == ("tester", "node-1")
        assert (event.reportingComponent, event.reportingInstance) == ("tester", "tester-1")
        assert event.metadata.name is not None
        assert event.metadata.name.startswith("a.")


@virtual_time
async def test_events_about_cluster_scoped_objects_are_in_default() -> None:
    async with recorder() as (events, on):
        events.record(pod("n", namespace=None), "Normal", "Ready", "is")
        await events.flush()
        assert [e.metadata.namespace for e in await written(on)] == ["default"]


@pytest.mark.parametrize("flushes", [True, False])
def test_an_event_that_repeats_counts_up(flushes: bool) -> None:
    @virtual_time
    async def scenario() -> None:
        async with recorder() as (events, on):
            for _ in range(3):
                events.record(pod(), "Normal", "Pulled", "again")
                await asyncio.sleep(10)
                if flushes:
                    await events.flush()
            await events.flush()
            assert await texts(on) == [("again", 3)]

    scenario()


@virtual_time
async def test_a_repeated_event_keeps_its_first_time() -> None:
    async with recorder() as (events, on):
        first = on.world.now()
        for _ in range(2):
            events.record(pod(), "Normal", "Pulled", "again")
            await events.flush()
            await asyncio.sleep(10)
        [event] = await written(on)
        assert event.firstTimestamp == first
        assert event.lastTimestamp is not None
        assert (event.lastTimestamp - first).total_seconds() == 10


@virtual_time
async def test_a_counted_event_that_expired_is_written_anew() -> None:
    async with recorder() as (events, on):
        events.record(pod(), "Normal", "Pulled", "again")
        await events.flush()
        [event] = await written(on)
        await on.client.delete(EVENTS, "default", event.metadata.name or "")
        events.record(pod(), "Normal", "Pulled", "again")
        await events.flush()
        assert len(await written(on)) == 1


@virtual_time
async def test_many_similar_events_become_one() -> None:
    async with recorder() as (events, on):
        for number in range(SIMILAR_MAX + 3):
            events.record(pod(), "Warning", "Failed", f"try {number}")
            await events.flush()
        found = await texts(on)
        assert len(found) == SIMILAR_MAX
        assert found[0] == (f"(combined from similar events): try {SIMILAR_MAX + 2}", 4)


@virtual_time
async def test_similar_events_of_the_containers_of_one_pod_are_similar() -> None:
    async with recorder() as (events, on):
        for number in range(SIMILAR_MAX + 1):
            path = f"spec.containers{{c{number % 2}}}"
            events.record(pod(), "Warning", "Failed", f"try {number}", field_path=path)
            await events.flush()
        assert (await texts(on))[0] == (f"(combined from similar events): try {SIMILAR_MAX}", 2)


@virtual_time
async def test_similar_events_far_apart_are_not_combined() -> None:
    async with recorder() as (events, on):
        for number in range(SIMILAR_MAX + 3):
            events.record(pod(), "Warning", "Failed", f"try {number}")
            await events.flush()
            await asyncio.sleep(SIMILAR_WINDOW + 1)
        assert len(await texts(on)) == SIMILAR_MAX + 3


@virtual_time
async def test_who_talks_too_much_about_one_object_is_not_heard() -> None:
    async with recorder() as (events, on):
        for _ in range(SPAM_BURST + 5):
            events.record(pod("a"), "Normal", "Said", "something")
        events.record(pod("b"), "Normal", "Said", "something")
        await events.flush()
        assert sorted(e.count or 0 for e in await written(on)) == [1, SPAM_BURST]
        await asyncio.sleep(SPAM_REFILL)
        for _ in range(2):
            events.record(pod("a"), "Normal", "Said", "something")
        await events.flush()
        assert sorted(e.count or 0 for e in await written(on)) == [1, SPAM_BURST + 1]


@virtual_time
async def test_recording_never_waits_and_never_piles_up() -> None:
    async with recorder() as (events, on):
        for number in range(PENDING_MAX + 10):
            events.record(pod(f"p{number}"), "Normal", "Said", "something")
        await events.flush()
        assert len(await written(on)) == PENDING_MAX


def dropped(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [r.getMessage() for r in caplog.records if "dropped" in r.getMessage()]
    caplog.clear()
    return found


def test_a_burst_that_finds_no_room_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    @virtual_time
    async def scenario() -> None:
        async with recorder() as (events, _):
            for burst in (10, 3):
                for number in range(PENDING_MAX + burst):
                    events.record(pod(f"p{burst}-{number}"), "Normal", "Said", "something")
                assert not dropped(caplog)
                await events.flush()
                [told] = dropped(caplog)
                assert told == f"{burst} events were dropped: more than 1000 waited to be written"
            await events.flush()
            assert not dropped(caplog)

    scenario()


def test_a_burst_without_end_is_told_of_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    @virtual_time
    async def scenario() -> None:
        async with recorder() as (events, _):
            for number in range(PENDING_MAX + 5):
                events.record(pod(f"p{number}"), "Normal", "Said", "something")
            await asyncio.sleep(DROPPED_TOLD)
            for number in range(2):
                events.record(pod(f"q{number}"), "Normal", "Said", "something")
            await events.flush()
            assert len(dropped(caplog)) == 1

    scenario()


@virtual_time
async def test_a_message_is_cut() -> None:
    async with recorder() as (events, on):
        events.record(pod(), "Normal", "Said", "x" * 2000)
        await events.flush()
        assert [len(e.message or "") for e in await written(on)] == [MESSAGE_MAX]


@virtual_time
async def test_an_event_nobody_takes_is_dropped() -> None:
    async with recorder() as (events, on):
        events.record(pod("a", namespace="nowhere"), "Normal", "Said", "something")
        events.record(pod("b"), "Normal", "Said", "something")
        await events.flush()
        assert [e.involvedObject.name for e in await written(on)] == ["b"]


@virtual_time
async def test_the_task_writes_what_is_recorded() -> None:
    async with recorder() as (events, on):
        task = asyncio.create_task(events.run())
        for _ in range(2):
            events.record(pod(), "Normal", "Said", "something")
            await asyncio.sleep(1)
        assert await texts(on) == [("something", 2)]
        task.cancel()


@virtual_time
async def test_names_of_events_never_repeat() -> None:
    async with recorder() as (events, on):
        for number in range(5):
            events.record(pod(), "Normal", "Said", f"{number}")
        await events.flush()
        assert len({e.metadata.name for e in await written(on)}) == 5


@virtual_time
async def test_the_new_kind_of_event_has_a_series() -> None:
    async with recorder(events_v1=True, instance="tester-1") as (events, on):
        for _ in range(3):
            events.record(pod(), "Normal", "Scheduled", "to a node")
            await events.flush()
            await asyncio.sleep(1)
        [event] = (await on.client.list(EVENTS_V1)).items
        assert (event.reportingController, event.reportingInstance) == ("tester", "tester-1")
        assert (event.action, event.note) == ("Binding", "to a node")
        assert event.series is not None
        assert event.series.count == 3
        assert event.regarding is not None
        assert event.regarding.name == "a"


def test_an_object_without_a_uid_is_told_apart_by_name() -> None:
    @virtual_time
    async def scenario() -> None:
        async with recorder() as (events, on):
            for name in "ab":
                about = ConfigMap(metadata=ObjectMeta(name=name, namespace="default"))
                events.record(about, "Normal", "Said", "something")
            await events.flush()
            assert await texts(on) == [("something", 1), ("something", 1)]

    scenario()
