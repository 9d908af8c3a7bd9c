"""How many requests at once, and who comes next."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.server import request
from kubatch.server.auth import User
from kubatch.server.limits import Budget, Lane, Limits, too_many
from kubatch.settings import Settings

ANN, BEN, CAT = (User(name) for name in ("ann", "ben", "cat"))
ROOT = User("root", "", ("system:masters",))
NODE = User("system:node:n1", "", ("system:nodes",))


def lane(most: int = 4, share: float = 0.5, queue: int = 10, patience: float = 60.0) -> Lane:
    return Lane(most, share, queue, patience)


def test_one_user_gets_a_share_and_the_others_the_rest() -> None:
    one = lane()
    assert [one.enter(ANN) for _ in range(3)] == [True, True, False]
    assert [one.enter(BEN) for _ in range(3)] == [True, True, False]
    assert not one.enter(CAT)


def test_administrators_are_held_to_nothing_and_nodes_to_the_whole() -> None:
    one = lane()
    assert [one.enter(NODE) for _ in range(5)] == [True] * 4 + [False]
    assert one.enter(ROOT)
    assert one.inside == 5


async def test_who_waits_comes_in_when_somebody_leaves_and_users_take_turns() -> None:
    one = lane(most=1, share=1.0)
    assert one.enter(ROOT)
    order: list[str] = []

    async def come(user: User) -> None:
        assert not one.enter(user)
        assert await one.wait(user)
        order.append(user.name)
        one.leave(user)

    coming = [asyncio.create_task(come(u)) for u in (ANN, ANN, ANN, BEN, CAT)]
    await asyncio.sleep(0)
    one.leave(ROOT)
    await asyncio.gather(*coming)
    assert order == ["ann", "ben", "cat", "ann", "ann"]
    assert one.inside == 0


async def test_a_full_queue_turns_away_and_so_does_a_long_wait() -> None:
    one = lane(most=1, share=1.0, queue=1, patience=0.01)
    assert one.enter(ANN)
    first = asyncio.create_task(one.wait(BEN))
    await asyncio.sleep(0)
    assert not await one.wait(BEN)
    assert not await first
    one.leave(ANN)
    assert one.enter(BEN)


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    one = lane(most=1, share=1.0)
    assert one.enter(ANN)
    waiting = [asyncio.create_task(one.wait(BEN)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    one.leave(ANN)
    assert await waiting[1]
    one.leave(BEN)
    assert one.inside == 0
    assert one.enter(CAT)


async def test_a_turn_that_comes_as_one_gives_up_goes_to_the_next() -> None:
    one = lane(most=1, share=1.0)
    assert one.enter(ANN)
    given_up, next_one = (asyncio.create_task(one.wait(u)) for u in (BEN, CAT))
    await asyncio.sleep(0)
    one.leave(ANN)  # it is Ben's turn, who does not know yet
    given_up.cancel()
    assert await next_one
    assert given_up.cancelled()
    assert one.inside == 1


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([ANN, BEN, CAT])), max_size=60))
def test_never_more_than_allowed_are_inside(steps: list[tuple[bool, User]]) -> None:
    one, inside = lane(most=5, share=0.4), Counter[str]()
    for enters, user in steps:
        if enters:
            room = inside.total() < 5 and inside[user.name] < 2
            assert one.enter(user) == room
            inside[user.name] += room
        elif inside[user.name]:
            one.leave(user)
            inside[user.name] -= 1
        assert one.inside == inside.total()


@pytest.mark.parametrize(
    ("method", "target", "counts"),
    [
        ("GET", "/api/v1/pods", "reads"),
        ("HEAD", "/api/v1/pods", "reads"),
        ("GET", "/version", "reads"),
        ("GET", "/", "reads"),
        ("POST", "/api/v1/namespaces/a/pods", "writes"),
        ("DELETE", "/api/v1/namespaces/a/pods", "writes"),
        ("GET", "/api/v1/pods?watch=1", None),
        ("GET", "/api/v1/namespaces/a/pods/p/log", None),
        ("POST", "/api/v1/namespaces/a/pods/p/exec", None),
        ("GET", "/api/v1/namespaces/a/pods/p/portforward", None),
        ("GET", "/readyz", None),
        ("GET", "/livez/ping", None),
        ("GET", "/readyzz", "reads"),
    ],
)
def test_where_a_request_counts(method: str, target: str, counts: str | None) -> None:
    limits = Limits(Settings(Path(), reads_inflight_max=2, writes_inflight_max=4))
    found = limits.lane(request.parse(method, target))
    users = {None: None, "reads": 1, "writes": 2}[counts]
    assert (None if found is None else sum(found.enter(ANN) for _ in range(9))) == users


def test_room_for_long_answers_is_shared_but_one_always_fits() -> None:
    room = Budget(10)
    assert room.take(25)
    assert not room.take(1)
    room.give(25)
    assert room.take(4)
    assert room.take(6)
    assert not room.take(1)


def test_the_refusal_is_text_with_a_time_to_come_back() -> None:
    reply = too_many()
    assert (reply.status, reply.headers["Retry-After"]) == (429, "1")
    assert reply.body == b"Too many requests, please try again later.\n"
