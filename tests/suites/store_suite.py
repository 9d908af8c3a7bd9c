"""What every Store does, sentence by sentence of kubatch.store.protocol."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import pairwise

import pytest

from kubatch.store.protocol import (
    Change,
    KeyExists,
    KeyMissing,
    Record,
    RevisionCompacted,
    RevisionMismatch,
    Store,
    StoreUnavailable,
    Value,
    WatcherTooSlow,
)

HISTORY_CHANGES_MAX = 8
"""The history of the stores that subclasses provide."""

Reopen = Callable[[], Awaitable[Store]]


def value(text: str = "v") -> Value:
    return Value(text.encode())


async def keys(store: Store, prefix: str, revision: int | None = None) -> list[str]:
    return [record.key for record in await store.list(prefix, revision)]


async def take(watch: AsyncIterator[Sequence[Change]], count: int) -> list[Change]:
    """The next changes of a watch, at least `count` of them."""
    found: list[Change] = []
    while len(found) < count:
        async with asyncio.timeout(5):
            found += await anext(watch)
    return found


async def rest(watch: AsyncIterator[Sequence[Change]]) -> list[Change]:
    """Everything up to the end of a watch."""
    found: list[Change] = []
    async with asyncio.timeout(5):
        async for batch in watch:
            found += batch
    return found


class StoreSuite:
    """Subclasses provide `store`, open, empty, with HISTORY_CHANGES_MAX."""

    async def test_nothing_was_written(self, store: Store) -> None:
        assert store.revision == 0
        assert await store.get("/a") is None
        assert list(await store.list("")) == []

    async def test_each_write_takes_the_next_revision(self, store: Store) -> None:
        assert await store.create("/a", value()) == 1
        assert await store.create("/b", value()) == 2
        assert await store.update("/a", value(), 1) == 3
        assert await store.delete("/b", 2) == 4
        assert store.revision == 4

    async def test_get_hands_out_the_very_value(self, store: Store) -> None:
        given = Value(b"bytes", decoded=object())
        await store.create("/a", given)
        record = await store.get("/a")
        assert record == Record("/a", given, 1)
        assert record.value is given

    async def test_create_refuses_a_taken_key(self, store: Store) -> None:
        await store.create("/a", value("first"))
        with pytest.raises(KeyExists):
            await store.create("/a", value("second"))
        record = await store.get("/a")
        assert record is not None
        assert record.value.data == b"first"
        assert store.revision == 1

    async def test_create_refuses_a_key_that_is_not_text(self, store: Store) -> None:
        with pytest.raises(ValueError, match="surrogates"):
            await store.create("/\udc80", value())
        assert await store.create("/\xfc\U0010ffff", value()) == 1

    async def test_many_keys_are_created_at_once(self, store: Store) -> None:
        await store.create("/b", value("first"))
        watch = store.watch("/", 1)
        made = await store.create_all([(key, value(key)) for key in ("/a", "/b", "/c", "/a")])
        assert made == [2, None, 3, None]
        assert [(r.key, r.value.data) for r in await store.list("/")] == [
            ("/a", b"/a"), ("/b", b"first"), ("/c", b"/c"),
        ]  # fmt: skip
        assert [(c.key, c.revision) for c in await take(watch, 2)] == [("/a", 2), ("/c", 3)]
        await watch.aclose()
        assert await store.create_all([]) == []
        assert await store.create("/d", value()) == 4

    async def test_of_many_keys_one_that_is_not_text_stops_all(self, store: Store) -> None:
        with pytest.raises(ValueError, match="surrogates"):
            await store.create_all([("/a", value()), ("/\udc80", value())])
        assert await keys(store, "/") == []
        assert await store.create("/b", value()) == 1

    async def test_update_and_delete_refuse_a_missing_key(self, store: Store) -> None:
        with pytest.raises(KeyMissing):
            await store.update("/a", value(), 1)
        with pytest.raises(KeyMissing):
            await store.delete("/a", 1)

    async def test_update_and_delete_refuse_another_revision(self, store: Store) -> None:
        await store.create("/a", value())
        await store.update("/a", value(), 1)
        with pytest.raises(RevisionMismatch):
            await store.update("/a", value(), 1)
        with pytest.raises(RevisionMismatch):
            await store.delete("/a", 1)
        assert store.revision == 2

    async def test_a_deleted_key_is_gone_and_may_return(self, store: Store) -> None:
        await store.create("/a", value())
        await store.delete("/a", 1)
        assert await store.get("/a") is None
        with pytest.raises(KeyMissing):
            await store.delete("/a", 1)
        assert await store.create("/a", value()) == 3
        assert await keys(store, "/a") == ["/a"]

    async def test_of_two_writes_with_one_expectation_one_fails(self, store: Store) -> None:
        await store.create("/a", value())
        answers = await asyncio.gather(
            store.update("/a", value("x"), 1),
            store.update("/a", value("y"), 1),
            store.delete("/a", 1),
            return_exceptions=True,
        )
        assert answers[0] == 2
        assert [type(answer) for answer in answers[1:]] == [RevisionMismatch] * 2

    async def test_of_two_creates_one_fails(self, store: Store) -> None:
        answers = await asyncio.gather(
            *(store.create("/a", value()) for _ in range(3)), return_exceptions=True
        )
        assert sorted(type(answer).__name__ for answer in answers) == [
            "KeyExists",
            "KeyExists",
            "int",
        ]

    async def test_a_refused_write_finds_the_one_it_lost_against(self, store: Store) -> None:
        async def increment() -> None:
            while True:
                record = await store.get("/a")
                assert record is not None
                tries.append(record.revision)
                data = str(int(record.value.data) + 1).encode()
                try:
                    await store.update("/a", Value(data), record.revision)
                    return
                except RevisionMismatch:
                    continue

        tries: list[int] = []
        await store.create("/a", Value(b"0"))
        await asyncio.gather(*(increment() for _ in range(10)))
        record = await store.get("/a")
        assert record is not None
        assert record.value.data == b"10"
        assert len(tries) <= 10 * 11 / 2  # each round of those left has a winner

    async def test_a_write_may_build_on_one_that_waits(self, store: Store) -> None:
        created = asyncio.ensure_future(store.create("/a", value()))
        await asyncio.sleep(0)
        deleted = asyncio.ensure_future(store.delete("/a", 1))
        await asyncio.sleep(0)
        again = asyncio.ensure_future(store.create("/a", value("again")))
        assert list(await asyncio.gather(created, deleted, again)) == [1, 2, 3]
        assert await keys(store, "/") == ["/a"]

    async def test_a_cancelled_writer_spoils_nothing(self, store: Store) -> None:
        tasks = [asyncio.ensure_future(store.create(f"/{i}", value())) for i in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(done[1], asyncio.CancelledError)
        assert [done[0], done[2], done[3]] == [1, 3, 4]
        assert await store.create("/4", value()) == 5
        assert await keys(store, "/") == ["/0", "/1", "/2", "/3", "/4"]

    async def test_a_writer_finds_its_own_write(self, store: Store) -> None:
        watch = store.watch("/", 0)

        async def write(i: int) -> None:
            revision = await store.create(f"/{i}", value())
            record = await store.get(f"/{i}")
            assert record is not None
            assert record.revision == revision <= store.revision

        await asyncio.gather(*(write(i) for i in range(20)))
        assert [c.revision for c in await take(watch, 20)] == list(range(1, 21))

    async def test_list_is_sorted_and_keeps_to_the_prefix(self, store: Store) -> None:
        for key in ("/b/2", "/a", "/b", "/b/1", "/c", "/b/10", "/bc"):
            await store.create(key, value())
        assert await keys(store, "/b/") == ["/b/1", "/b/10", "/b/2"]
        assert await keys(store, "/b") == ["/b", "/b/1", "/b/10", "/b/2", "/bc"]
        assert len(await keys(store, "")) == 7
        assert await keys(store, "/x") == []

    async def test_list_as_of_a_past_revision(self, store: Store) -> None:
        await store.create("/a", value("1"))
        await store.create("/b", value("2"))
        await store.update("/a", value("3"), 1)
        await store.delete("/b", 2)
        await store.create("/x", value("5"))

        async def at(revision: int) -> dict[str, bytes]:
            return {r.key: r.value.data for r in await store.list("/", revision)}

        assert await at(0) == {}
        assert await at(1) == {"/a": b"1"}
        assert await at(2) == {"/a": b"1", "/b": b"2"}
        assert await at(3) == {"/a": b"3", "/b": b"2"}
        assert await at(4) == {"/a": b"3"}
        assert await at(5) == {"/a": b"3", "/x": b"5"}
        assert await keys(store, "/b", 3) == ["/b"]

    async def test_pages_of_the_present_and_of_the_past(self, store: Store) -> None:
        for name in "dbace":
            await store.create(f"/p/{name}", value())
        await store.create("/q/a", value())
        began = store.revision
        first = await store.page("/p/", "", 2)
        assert [r.key for r in first.records] == ["/p/a", "/p/b"]
        assert first.remaining == 3
        await store.delete("/p/c", 4)
        await store.create("/p/cc", value())
        then = await store.page("/p/", "/p/b", 2, began)
        assert [r.key for r in then.records] == ["/p/c", "/p/d"]
        assert then.remaining == 1
        now = await store.page("/p/", "/p/b", 0)
        assert [r.key for r in now.records] == ["/p/cc", "/p/d", "/p/e"]
        assert now.remaining == 0
        for after in ("/p/e", "/q", "/z"):
            assert (await store.page("/p/", after, 1)).records == []
        assert len((await store.page("/p/", "/a", 0)).records) == 5
        for _ in range(HISTORY_CHANGES_MAX):
            revision = (await store.get("/q/a")).revision  # type: ignore[union-attr]
            await store.update("/q/a", value(), revision)
        with pytest.raises(RevisionCompacted):
            await store.page("/p/", "", 1, began)

    async def test_list_refuses_the_future(self, store: Store) -> None:
        with pytest.raises(ValueError, match="newer"):
            await store.list("/", 1)

    async def test_history_older_than_kept_is_compacted(self, store: Store) -> None:
        for i in range(HISTORY_CHANGES_MAX + 2):
            await store.create(f"/{i:02}", value())
        with pytest.raises(RevisionCompacted):
            await store.list("/", 1)
        assert await keys(store, "/", 2) == ["/00", "/01"]
        with pytest.raises(RevisionCompacted):
            await anext(store.watch("/", 1))
        assert len(await take(store.watch("/", 2), 1)) == HISTORY_CHANGES_MAX

    async def test_watch_gives_history_first_then_live(self, store: Store) -> None:
        await store.create("/a", value("1"))
        await store.create("/b", value("2"))
        watch = store.watch("/", 1)
        await store.update("/a", value("3"), 1)
        changes = await take(watch, 2)
        assert [change.revision for change in changes] == [2, 3]
        await store.delete("/a", 3)
        changes += await take(watch, 1)
        created, updated, deleted = changes
        assert created.record is not None
        assert created.previous is None
        assert updated.previous is not None
        assert updated.previous.revision == 1
        assert deleted.record is None
        assert deleted.previous == updated.record

    async def test_watch_is_registered_when_called(self, store: Store) -> None:
        watch = store.watch("/", store.revision)
        await store.create("/a", value())
        assert [change.key for change in await take(watch, 1)] == ["/a"]

    async def test_watch_hands_over_all_that_waits_at_once(self, store: Store) -> None:
        watch = store.watch("/", 0)
        for i in range(5):
            await store.create(f"/{i}", value())
        assert len(await anext(watch)) == 5

    async def test_watch_keeps_to_its_prefix(self, store: Store) -> None:
        watches = [store.watch(prefix, 0) for prefix in ("/a/", "/a", "", "/b/", "/a/1/longer")]
        for key in ("/a/1", "/ab", "/b/1", "/b"):
            await store.create(key, value())
        await store.close()
        seen = [[change.key for change in await rest(watch)] for watch in watches]
        assert seen == [["/a/1"], ["/a/1", "/ab"], ["/a/1", "/ab", "/b/1", "/b"], ["/b/1"], []]

    async def test_watch_from_the_future_waits_for_it(self, store: Store) -> None:
        watch = store.watch("/", 2)
        for i in range(4):
            await store.create(f"/{i}", value())
        assert [change.revision for change in await take(watch, 2)] == [3, 4]

    async def test_every_watcher_sees_every_change_once_in_order(self, store: Store) -> None:
        async def read() -> list[int]:
            return [change.revision for change in await rest(watches.pop())]

        watches = [store.watch("/", 0) for _ in range(3)]
        readers = [asyncio.ensure_future(read()) for _ in range(3)]
        await asyncio.gather(*(store.create(f"/{i}", value()) for i in range(50)))
        await store.close()
        assert await asyncio.gather(*readers) == [list(range(1, 51))] * 3

    async def test_a_watcher_too_slow_is_told(self, store: Store) -> None:
        slow = store.watch("/", 0, buffer_max=2)
        quick = store.watch("/", 0)
        for i in range(2):
            await store.create(f"/{i}", value())
        assert len(await anext(slow)) == 2
        for i in range(2, 5):
            await store.create(f"/{i}", value())
        with pytest.raises(WatcherTooSlow):
            await anext(slow)
        assert await rest(slow) == []
        assert len(await take(quick, 5)) == 5

    async def test_history_does_not_make_a_watcher_slow(self, store: Store) -> None:
        for i in range(5):
            await store.create(f"/{i}", value())
        watch = store.watch("/", 0, buffer_max=1)
        await store.create("/5", value())
        assert len(await anext(watch)) == 6

    async def test_close_ends_watches_after_what_waits(self, store: Store) -> None:
        waiting = store.watch("/", 0)
        idle = store.watch("/x", 0)
        reader = asyncio.ensure_future(rest(idle))
        writer = asyncio.ensure_future(store.create("/a", value()))
        await asyncio.sleep(0)
        await store.close()
        assert await writer == 1
        assert [change.key for change in await rest(waiting)] == ["/a"]
        assert await reader == []
        assert await rest(store.watch("/", store.revision)) == []
        await store.close()

    async def test_no_write_after_close(self, store: Store) -> None:
        await store.create("/a", value())
        await store.close()
        for write in (
            store.create("/b", value()),
            store.update("/a", value(), 1),
            store.delete("/a", 1),
        ):
            with pytest.raises(StoreUnavailable):
                await write
        assert await keys(store, "/") == ["/a"]

    async def test_aclose_ends_a_watch(self, store: Store) -> None:
        watch = store.watch("/", 0)
        reader = asyncio.ensure_future(rest(watch))
        await asyncio.sleep(0)
        await watch.aclose()
        assert await reader == []
        await store.create("/a", value())
        assert await rest(watch) == []

    async def test_a_cancelled_reader_loses_nothing(self, store: Store) -> None:
        watch = store.watch("/", 0)
        reader = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        reader.cancel()
        await store.create("/a", value())
        assert [change.key for change in await take(watch, 1)] == ["/a"]

    async def test_a_reader_nobody_holds_still_reads(self, store: Store) -> None:
        async def read(watch: AsyncIterator[Sequence[Change]]) -> None:
            done.set_result((await anext(watch))[0].key)

        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.ensure_future(read(store.watch("/", 0)))  # noqa: RUF006 - that is the point
        await asyncio.sleep(0)
        gc.collect()
        await store.create("/a", value())
        assert await asyncio.wait_for(done, 5) == "/a"


class DurableStoreSuite(StoreSuite):
    """Subclasses also provide `reopen`: closes the store and opens another one on its data."""

    async def test_everything_is_there_after_reopening(self, store: Store, reopen: Reopen) -> None:
        for i in range(10):
            await store.create(f"/{i}", value(str(i)))
        await store.update("/3", value("new"), 4)
        await store.delete("/5", 6)
        before = [(r.key, r.value.data, r.revision) for r in await store.list("")]
        again = await reopen()
        assert [(r.key, r.value.data, r.revision) for r in await again.list("")] == before
        assert again.revision == 12
        assert all(a < b for a, b in pairwise(await keys(again, "")))

    async def test_the_counter_survives_deleting_everything(
        self, store: Store, reopen: Reopen
    ) -> None:
        await store.create("/a", value())
        await store.delete("/a", 1)
        again = await reopen()
        assert again.revision == 2
        assert await again.create("/a", value()) == 3

    async def test_history_ends_at_a_restart(self, store: Store, reopen: Reopen) -> None:
        await store.create("/a", value())
        await store.create("/b", value())
        again = await reopen()
        with pytest.raises(RevisionCompacted):
            await anext(again.watch("/", 1))
        with pytest.raises(RevisionCompacted):
            await again.list("/", 1)
        watch = again.watch("/", 2)
        await again.create("/c", value())
        assert [change.key for change in await take(watch, 1)] == ["/c"]

    async def test_writes_that_wait_survive_closing(self, store: Store, reopen: Reopen) -> None:
        tasks = [asyncio.ensure_future(store.create(f"/{i}", value())) for i in range(5)]
        await asyncio.sleep(0)
        again = await reopen()
        assert await asyncio.gather(*tasks) == [1, 2, 3, 4, 5]
        assert len(await keys(again, "/")) == 5
