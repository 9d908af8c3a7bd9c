from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.reconcile.queue import Queue
from tests.suites.virtual_time import NothingToWaitFor, VirtualLoop, virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


async def take(queue: Queue[str]) -> tuple[str, float]:
    """Give the next key a turn that ends at once; the key and the time."""
    key = await queue.get()
    queue.done(key)
    return key, now()


async def turn_within_an_hour(queue: Queue[str]) -> tuple[str, float] | None:
    try:
        async with asyncio.timeout(3600):
            return await take(queue)
    except TimeoutError:
        return None


@virtual_time
async def test_keys_come_in_the_order_they_were_added() -> None:
    queue: Queue[str] = Queue()
    for key in ("b", "a", "c"):
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == ["b", "a", "c"]


@virtual_time
async def test_a_key_added_twice_has_one_turn() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    queue.add("a")
    await take(queue)
    assert queue.idle


@virtual_time
async def test_a_key_added_during_its_turn_comes_back_after_it() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.add("b")
    assert await queue.get() == "b"
    queue.done(key)
    assert await queue.get() == "a"


@virtual_time
async def test_a_waiting_worker_is_woken() -> None:
    queue: Queue[str] = Queue()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await worker == "a"


@virtual_time
async def test_a_worker_cancelled_as_it_is_woken_passes_the_turn_on() -> None:
    queue: Queue[str] = Queue()
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await second == "a"
    assert first.cancelled()


@virtual_time
async def test_a_cancelled_worker_is_not_waited_for() -> None:
    queue: Queue[str] = Queue()
    first = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    queue.add("a")
    assert await queue.get() == "a"


@pytest.mark.parametrize(
    ("delays", "turns"),
    [
        ((5.0,), [5.0]),
        ((0.0,), [0.0]),
        ((-3.0,), [0.0]),
        ((5.0, 9.0), [5.0]),  # a later wake-up never postpones an earlier one
        ((9.0, 5.0), [5.0]),
        ((5.0, 5.0), [5.0]),
    ],
)
def test_the_earliest_wake_up_counts(delays: Sequence[float], turns: list[float]) -> None:
    @virtual_time
    async def scenario() -> None:
        queue: Queue[str] = Queue()
        for delay in delays:
            queue.add_after("a", delay)
        seen = []
        while (turn := await turn_within_an_hour(queue)) is not None:
            seen.append(turn[1])
        assert seen == turns

    scenario()


@virtual_time
async def test_timers_of_many_keys_fire_in_order_of_time() -> None:
    queue: Queue[str] = Queue()
    for key, delay in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        queue.add_after(key, delay)
    assert [await take(queue) for _ in range(3)] == [("a", 1.0), ("b", 2.0), ("c", 3.0)]


@virtual_time
async def test_an_addition_does_not_cancel_a_wake_up() -> None:
    queue: Queue[str] = Queue()
    queue.add_after("a", 5.0)
    queue.add("a")
    assert await take(queue) == ("a", 0.0)
    assert await take(queue) == ("a", 5.0)


@virtual_time
async def test_errors_back_off_twice_as_long_each_time_up_to_a_limit() -> None:
    queue: Queue[str] = Queue(backoff_base=1.0, backoff_max=6.0)
    assert [queue.retry("a") for _ in range(5)] == [1.0, 2.0, 4.0, 6.0, 6.0]
    assert queue.retry("b") == 1.0
    queue.forget("a")
    assert queue.retry("a") == 1.0
    queue.close()


@virtual_time
async def test_errors_without_end_stay_at_the_limit() -> None:
    queue: Queue[str] = Queue(backoff_base=1.0, backoff_max=60.0)
    assert {queue.retry("a") for _ in range(5000)} == {1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0}
    queue.close()


def test_closing_cancels_the_timer() -> None:
    async def scenario() -> None:
        queue: Queue[str] = Queue()
        queue.add_after("a", 5.0)
        queue.close()
        queue.close()
        await queue.get()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(NothingToWaitFor):
        runner.run(scenario())


class Twin:
    """The queue's promises in the slowest words: what is wanted, what runs."""

    def __init__(self) -> None:
        self.wanted: list[str] = []
        self.running: set[str] = set()

    def add(self, key: str) -> None:
        if key not in self.wanted:
            self.wanted.append(key)

    def takeable(self) -> list[str]:
        return [key for key in self.wanted if key not in self.running]


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "get", "done"]), st.sampled_from("abcd")), max_size=60
)


@given(STEPS)
def test_no_key_is_lost_doubled_or_run_beside_itself(steps: list[tuple[str, str]]) -> None:
    @virtual_time
    async def scenario() -> None:
        queue: Queue[str] = Queue()
        twin = Twin()
        for verb, key in steps:
            if verb == "add":
                queue.add(key)
                twin.add(key)
            elif verb == "get" and twin.takeable():
                got = await queue.get()
                assert got in twin.takeable()
                twin.wanted.remove(got)
                twin.running.add(got)
            elif verb == "done" and key in twin.running:
                queue.done(key)
                twin.running.discard(key)
            assert queue.idle == (not twin.takeable() and not twin.running)
        left = {await queue.get() for _ in twin.takeable()}
        assert left == set(twin.takeable())

    scenario()
