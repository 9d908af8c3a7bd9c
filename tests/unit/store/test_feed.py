from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from kubatch.store.feed import Feed
from kubatch.store.protocol import Change, Record, RevisionCompacted, Value, WatcherTooSlow


def change(key: str, revision: int = 1) -> Change:
    return Change(key, revision, Record(key, Value(b""), revision), None)


async def test_a_dropped_watcher_unregisters_itself() -> None:
    feed = Feed()
    kept = feed.watch("/a/", 0, 10)
    for _ in range(3):
        feed.watch("/b/", 0, 10)
    gc.collect()
    assert len(feed) == 1
    feed.publish([change("/b/1"), change("/a/1", 2)])
    assert [c.key for c in await anext(kept)] == ["/a/1"]


async def test_watchers_may_be_collected_in_another_thread() -> None:
    feed = Feed()
    watchers = [feed.watch("/", 0, 10) for _ in range(3)]
    thread = threading.Thread(target=watchers.clear)
    thread.start()
    thread.join()
    feed.publish([change("/a")])
    assert len(feed) == 0


async def test_a_task_waiting_in_a_dropped_watcher_unregisters_when_cancelled() -> None:
    feed = Feed()
    reader = asyncio.ensure_future(anext(feed.watch("/", 0, 10)))
    await asyncio.sleep(0)
    gc.collect()
    assert len(feed) == 1
    reader.cancel()
    await asyncio.wait([reader])
    del reader
    gc.collect()
    assert len(feed) == 0


async def test_aclose_unregisters_and_can_be_repeated() -> None:
    feed = Feed()
    one, two = feed.watch("/", 0, 10), feed.watch("/", 0, 10)
    await one.aclose()
    await one.aclose()
    assert len(feed) == 1
    feed.publish([change("/a")])
    assert len(await anext(two)) == 1
    with pytest.raises(StopAsyncIteration):
        await anext(one)


async def test_too_slow_unregisters_and_drops_what_waited() -> None:
    feed = Feed()
    watcher = feed.watch("/", 0, 1)
    feed.publish([change("/a", 1), change("/b", 2)])
    assert len(feed) == 0
    feed.publish([change("/c", 3)])
    with pytest.raises(WatcherTooSlow):
        await anext(watcher)


async def test_a_refused_watcher_is_never_registered() -> None:
    feed = Feed()
    watcher = feed.refuse("/", RevisionCompacted("too old"))
    assert len(feed) == 0
    with pytest.raises(RevisionCompacted, match="too old"):
        await anext(watcher)
    with pytest.raises(StopAsyncIteration):
        await anext(watcher)


async def test_a_key_shorter_than_a_prefix_arrives_once() -> None:
    feed = Feed()
    short, long = feed.watch("/a", 0, 10), feed.watch("/abc", 0, 10)
    feed.publish([change("/a")])
    feed.close()
    assert len(await anext(short)) == 1
    with pytest.raises(StopAsyncIteration):
        await anext(long)


async def test_only_one_task_may_wait() -> None:
    feed = Feed()
    watcher = feed.watch("/", 0, 10)
    reader = asyncio.ensure_future(anext(watcher))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task"):
        await anext(watcher)
    feed.publish([change("/a")])
    assert len(await reader) == 1


async def test_batches_of_one_group_are_not_shared() -> None:
    feed = Feed()
    one, two = feed.watch("/", 0, 10), feed.watch("/", 0, 10)
    feed.publish([change("/a", 1)])
    batch = await anext(one)
    feed.publish([change("/b", 2)])
    assert len(batch) == 1
    assert len(await anext(two)) == 2
