"""The cache over the real registry, with watches that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import errors
from kubatch.api.errors import ApiError
from kubatch.api.models import ConfigMap, ObjectMeta
from kubatch.api.resource import CONFIGMAPS, Resource
from kubatch.client.cache import RETRY_DELAY, Cache
from kubatch.client.local import LocalClient
from kubatch.client.protocol import Event, Listing
from kubatch.registry.api import Registry
from tests.suites.engine import engine
from tests.suites.virtual_time import virtual_time

T = TypeVar("T")


class FaultyClient(LocalClient):
    """Lists fail and watches break when told to."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.list_errors: list[ApiError] = []
        self.lists = 0
        self._break = asyncio.Event()
        self._broken_by: ApiError | None = None

    def break_watch(self, error: ApiError | None) -> None:
        """End the watch, with an error or cleanly, before its next batch is handed out."""
        self._broken_by = error
        self._break.set()

    async def list(
        self, resource: Resource[T], namespace: str | None = None, **words: Any
    ) -> Listing[T]:
        self.lists += 1
        if self.list_errors:
            raise self.list_errors.pop(0)
        self._break.clear()
        return await super().list(resource, namespace, **words)

    async def watch(
        self, resource: Resource[T], namespace: str | None = None, **words: Any
    ) -> AsyncIterator[Sequence[Event[T]]]:
        async for batch in super().watch(resource, namespace, **words):
            if self._break.is_set():
                if self._broken_by is not None:
                    raise self._broken_by
                return
            yield batch


class Bench:
    """A cache, its client, and what its listener heard."""

    def __init__(self, client: FaultyClient) -> None:
        self.client = client
        self.heard: list[str] = []
        self.batches = 0
        self.cache = Cache(client, CONFIGMAPS)
        self.cache.add_index("colour", colours)
        self.cache.add_listener(self._listen)
        self.cache.add_batch_listener(self._count)

    def _listen(self, before: ConfigMap | None, after: ConfigMap | None) -> None:
        self.heard.append(f"{shown(before)} > {shown(after)}")

    def _count(self) -> None:
        self.batches += 1

    async def put(self, name: str, colour: str) -> ConfigMap:
        made = config(name, colour)
        try:
            return await self.client.update(CONFIGMAPS, made)
        except ApiError:
            return await self.client.create(CONFIGMAPS, made)

    async def remove(self, name: str) -> None:
        await self.client.delete(CONFIGMAPS, "default", name)

    def indexed(self, colour: str) -> list[str]:
        return [o.metadata.name or "" for o in self.cache.indexed("colour", colour) if o.metadata]


def config(name: str, colour: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data={"colour": colour})


def colours(obj: ConfigMap) -> Iterable[str]:
    """No key for colourless ones, several for the motley."""
    return [c for c in (obj.data or {}).get("colour", "").split("+") if c]


def shown(obj: ConfigMap | None) -> str:
    if obj is None or obj.metadata is None:
        return "-"
    return f"{obj.metadata.name}:{(obj.data or {}).get('colour', '')}"


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    async with engine() as on:
        made = Bench(FaultyClient(on.registry))
        task = asyncio.create_task(made.cache.run())
        await made.cache.synced.wait()
        try:
            yield made
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def settle() -> None:
    await asyncio.sleep(RETRY_DELAY * 3)


@virtual_time
async def test_changes_are_heard_in_order() -> None:
    async with bench() as on:
        await on.put("a", "red")
        await on.put("b", "blue")
        await on.put("a", "blue")
        last = await on.client.delete(CONFIGMAPS, "default", "b")
        await settle()
        assert on.heard == ["- > a:red", "- > b:blue", "a:red > a:blue", "b:blue > -"]
        assert len(on.cache) == 1
        assert last.metadata is not None
        assert on.cache.revision == int(last.metadata.resourceVersion or 0)


@virtual_time
async def test_objects_of_the_first_list_are_heard_too() -> None:
    async with engine() as on:
        made = Bench(FaultyClient(on.registry))
        await made.put("a", "red")
        task = asyncio.create_task(made.cache.run())
        await made.cache.synced.wait()
        assert made.heard == ["- > a:red"]
        assert made.cache.revision == on.registry.revision
        assert made.batches == 1
        task.cancel()


@virtual_time
async def test_reads_are_sorted_and_by_name() -> None:
    async with bench() as on:
        for name in "cab":
            await on.put(name, "red")
        await settle()
        assert [shown(o) for o in on.cache.list()] == ["a:red", "b:red", "c:red"]
        assert on.indexed("red") == ["a", "b", "c"]
        assert on.indexed("blue") == []
        assert shown(on.cache.get("default", "b")) == "b:red"
        assert on.cache.get("default", "z") is None
        assert on.cache.get(None, "a") is None


@virtual_time
async def test_an_index_follows_its_objects() -> None:
    async with bench() as on:
        await on.put("a", "red+blue")
        await settle()
        assert (on.indexed("red"), on.indexed("blue")) == (["a"], ["a"])
        await on.put("a", "blue+green")
        await settle()
        assert (on.indexed("red"), on.indexed("blue"), on.indexed("green")) == ([], ["a"], ["a"])
        assert shown(on.cache.indexed("colour", "blue")[0]) == "a:blue+green"
        await on.put("a", "")
        await settle()
        assert [on.indexed(c) for c in ("red", "blue", "green")] == [[], [], []]


@pytest.mark.parametrize("error", [errors.expired(), errors.internal("gone for a moment"), None])
def test_after_a_broken_watch_each_difference_is_heard_once(error: ApiError | None) -> None:
    @virtual_time
    async def scenario() -> None:
        async with bench() as on:
            for name in "abcd":
                await on.put(name, "red")
            await settle()
            on.heard.clear()
            on.client.break_watch(error)
            await on.put("a", "blue")
            await on.remove("b")
            await on.remove("c")
            await on.put("c", "red")  # a namesake with another uid
            await on.put("e", "green")
            await settle()
            assert sorted(on.heard) == [
                "- > c:red", "- > e:green", "a:red > a:blue", "b:red > -", "c:red > -",
            ]  # fmt: skip
            assert on.heard.index("c:red > -") < on.heard.index("- > c:red")
            assert on.client.lists == 2
            assert on.indexed("red") == ["c", "d"]
            await on.put("f", "red")
            await settle()
            assert on.heard[-1] == "- > f:red"

    scenario()


@virtual_time
async def test_a_list_that_fails_is_tried_again() -> None:
    async with engine() as on:
        client = FaultyClient(on.registry)
        client.list_errors = [errors.internal("not yet"), errors.expired()]
        cache = Cache(client, CONFIGMAPS)
        task = asyncio.create_task(cache.run())
        await cache.synced.wait()
        assert client.lists == 3
        assert asyncio.get_running_loop().time() == RETRY_DELAY
        task.cancel()


@virtual_time
async def test_a_watch_that_ends_at_once_does_not_spin() -> None:
    async with bench() as on:
        for number in range(5):
            on.client.break_watch(None)
            await on.put(f"c{number}", "red")
        await asyncio.sleep(RETRY_DELAY * 10)
        assert on.client.lists <= 11


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "remove", "break", "settle"]),
        st.sampled_from("abc"),
        st.sampled_from(["", "red", "blue", "red+blue"]),
    ),
    max_size=25,
)


@given(STEPS)
def test_the_copy_and_its_index_equal_what_is_stored(steps: list[tuple[str, str, str]]) -> None:
    @virtual_time
    async def scenario() -> None:
        async with bench() as on:
            stored: dict[str, str] = {}
            for verb, name, colour in steps:
                if verb == "put":
                    await on.put(name, colour)
                    stored[name] = colour
                elif verb == "remove" and stored.pop(name, None) is not None:
                    await on.remove(name)
                elif verb == "break":
                    on.client.break_watch(errors.expired())
                elif verb == "settle":
                    await settle()
            on.client.break_watch(errors.expired())
            await on.put("last", "red")
            stored["last"] = "red"
            await settle()
            assert [shown(o) for o in on.cache.list()] == [
                f"{name}:{stored[name]}" for name in sorted(stored)
            ]
            for colour in ("red", "blue"):
                assert on.indexed(colour) == [n for n in sorted(stored) if colour in stored[n]]
            assert told(on.heard) == {f"{n}:{c}" for n, c in stored.items()}

    scenario()


def told(heard: Sequence[str]) -> set[str]:
    """What is there, by the listener's account, which must fit together."""
    there: set[str] = set()
    for line in heard:
        before, _, after = line.partition(" > ")
        if before != "-":
            there.remove(before)
        if after != "-":
            assert after not in there
            there.add(after)
    return there
