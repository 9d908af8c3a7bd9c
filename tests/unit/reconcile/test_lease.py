"""Leader election: the rules by tables and laws, the shell on virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kubatch.api.errors import ApiError
from kubatch.api.models import Lease, LeaseSpec, ObjectMeta
from kubatch.api.resource import LEASES, Resource
from kubatch.client.local import LocalClient
from kubatch.reconcile.lease import (
    Candidate,
    Elector,
    LeadershipLost,
    Seen,
    claim,
    given_up,
    look,
)
from kubatch.registry.api import Registry
from kubatch.world import World
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import EPOCH, virtual_time

T = TypeVar("T")

ME = Candidate("me", "test", "default")
NOW = EPOCH + timedelta(hours=1)
LATER = NOW + timedelta(seconds=5)


def lease(holder: str | None, duration: int = 15, transitions: int = 3) -> Lease:
    spec = LeaseSpec(
        holderIdentity=holder,
        leaseDurationSeconds=duration,
        leaseTransitions=transitions,
        acquireTime=NOW,
        renewTime=NOW,
    )
    return Lease(metadata=ObjectMeta(name="test", resourceVersion="7"), spec=spec)


def claimed(seen: Seen, clock: float) -> LeaseSpec | None:
    made = claim(ME, seen, clock, LATER)
    return None if made is None else made.spec


def test_the_first_one_makes_the_lease() -> None:
    made = claim(ME, Seen(None, 0.0), 0.0, NOW)
    assert made is not None
    assert made.metadata is not None
    assert (made.metadata.name, made.metadata.namespace) == ("test", "default")
    assert made.spec == LeaseSpec(
        holderIdentity="me",
        leaseDurationSeconds=15,
        acquireTime=NOW,
        renewTime=NOW,
        leaseTransitions=0,
    )


def test_renewing_keeps_when_it_was_acquired() -> None:
    spec = claimed(Seen(lease("me"), 0.0), 2.0)
    assert spec is not None
    assert (spec.acquireTime, spec.renewTime, spec.leaseTransitions) == (NOW, LATER, 3)


@pytest.mark.parametrize(
    ("holder", "duration", "clock", "taken"),
    [
        ("other", 15, 0.0, False),
        ("other", 15, 14.9, False),
        ("other", 15, 15.0, True),
        ("other", 60, 15.0, False),  # the record's duration counts, not one's own
        ("other", 60, 60.0, True),
        ("", 15, 0.0, True),
        (None, 15, 0.0, True),
    ],
)
def test_when_a_lease_is_taken_over(
    holder: str | None, duration: int, clock: float, taken: bool
) -> None:
    spec = claimed(Seen(lease(holder, duration), 0.0), clock)
    assert (spec is not None) == taken
    if spec is not None:
        assert (spec.acquireTime, spec.leaseTransitions) == (LATER, 4)


def test_a_claim_says_which_version_it_replaces() -> None:
    made = claim(ME, Seen(lease(""), 0.0), 0.0, NOW)
    assert made is not None
    assert made.metadata is not None
    assert made.metadata.resourceVersion == "7"


def test_what_is_given_up_is_free_at_once() -> None:
    left = given_up(lease("me"), LATER)
    assert left.spec is not None
    assert (left.spec.holderIdentity, left.spec.leaseDurationSeconds) == ("", 1)
    assert left.spec.leaseTransitions == 3
    assert claim(ME, Seen(left, 0.0), 0.0, LATER) is not None


def test_only_a_change_of_the_record_starts_the_time_anew() -> None:
    first = look(None, lease("other"), 1.0)
    assert first.since == 1.0
    touched = replace(lease("other"), metadata=ObjectMeta(name="test", resourceVersion="8"))
    assert look(first, touched, 5.0).since == 1.0
    assert look(first, lease("other", transitions=4), 5.0).since == 5.0
    assert look(first, None, 5.0) == Seen(None, 5.0)


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ((15, 10, 2), ""),
        ((10, 10, 2), "the lease duration must be greater than the renew deadline"),
        ((15, 10, 9), "must be greater than 1.2 times the retry period"),
        ((0.5, 0.4, 0.1), "at least one second"),
        ((15, 10, 0), "the retry period must be greater than zero"),
    ],
)
def test_times_that_do_not_fit_are_told(times: tuple[float, float, float], says: str) -> None:
    problem = Candidate("me", "test", "default", *times).problem()
    assert says in problem
    assert bool(says) == bool(problem)


# ----- the shell


class ShakyClient(LocalClient):
    """Refuses, or is slow, when told to."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.broken = False
        self.delay = 0.0

    async def get(self, resource: Resource[T], namespace: str | None, name: str) -> T:
        await self._trouble()
        return await super().get(resource, namespace, name)

    async def update(self, resource: Resource[T], obj: T, subresource: str = "") -> T:
        await self._trouble()
        return await super().update(resource, obj, subresource)

    async def _trouble(self) -> None:
        await asyncio.sleep(self.delay)
        if self.broken:
            raise ApiError(503, "ServiceUnavailable", "down")


@dataclass
class Member:
    """One of several that want to lead."""

    client: ShakyClient
    elector: Elector
    said: list[str] = field(default_factory=list)
    led: list[tuple[float, float]] = field(default_factory=list)  # from when to when
    lost: str = ""

    async def serve(self) -> None:
        await self.elector.acquire()
        since = asyncio.get_running_loop().time()
        try:
            await self.elector.hold()
        except LeadershipLost as error:
            self.lost = str(error)
        finally:
            self.led.append((since, asyncio.get_running_loop().time()))


def member(on: Engine, name: str) -> Member:
    client = ShakyClient(on.registry)
    said: list[str] = []

    class Recorder:
        def record(
            self, about: Any, type: str, reason: str, message: str, *, field_path: str = ""
        ) -> None:
            said.append(f"{type} {reason} {message}")

    candidate = Candidate(name, "test", "default")
    world = World(on.world.clock, on.world.rng)
    return Member(client, Elector(candidate, client, world, Recorder()), said)


async def holder(on: Engine) -> str | None:
    found = await on.client.get(LEASES, "default", "test")
    return found.spec.holderIdentity if found.spec else None


@virtual_time
async def test_one_leads_and_goes_on_leading() -> None:
    async with engine() as on:
        one, two = member(on, "one"), member(on, "two")
        tasks = [asyncio.create_task(m.serve()) for m in (one, two)]
        await on.quiet(300)
        assert await holder(on) == "one"
        assert one.said == ["Normal LeaderElection one became leader"]
        assert not two.said
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@virtual_time
async def test_what_is_given_back_is_taken_soon() -> None:
    async with engine() as on:
        one, two = member(on, "one"), member(on, "two")
        first = asyncio.create_task(one.serve())
        await on.quiet(1)
        second = asyncio.create_task(two.serve())
        await on.quiet(20)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await one.elector.release()
        await on.quiet(5)
        assert await holder(on) == "two"
        assert one.said[-1] == "Normal LeaderElection one stopped leading"
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


@virtual_time
async def test_a_dead_leader_is_followed_after_its_lease() -> None:
    async with engine() as on:
        one, two = member(on, "one"), member(on, "two")
        first = asyncio.create_task(one.serve())
        second = asyncio.create_task(two.serve())
        await on.quiet(60)
        first.cancel()  # dead: gives nothing back
        await asyncio.gather(first, return_exceptions=True)
        await on.quiet(10)
        assert await holder(on) == "one"
        await on.quiet(12)
        assert await holder(on) == "two"
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


@virtual_time
async def test_a_leader_that_cannot_renew_gives_up_before_another_may_lead() -> None:
    async with engine() as on:
        one, two = member(on, "one"), member(on, "two")
        first = asyncio.create_task(one.serve())
        await on.quiet(1)
        second = asyncio.create_task(two.serve())
        await on.quiet(29)
        one.client.broken = True
        await on.quiet(60)
        assert first.done()
        assert "could not be renewed in time" in one.lost
        assert await holder(on) == "two"
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        [(_, ended)], [(began, _)] = one.led, two.led
        assert ended < began


@virtual_time
async def test_an_answer_that_never_comes_is_not_waited_for() -> None:
    async with engine() as on:
        one = member(on, "one")
        first = asyncio.create_task(one.serve())
        await on.quiet(10)
        one.client.delay = 1000.0
        await on.quiet(15)
        assert first.done()
        assert one.led[0][1] <= 10 + 10


@virtual_time
async def test_a_short_trouble_is_survived() -> None:
    async with engine() as on:
        one = member(on, "one")
        first = asyncio.create_task(one.serve())
        await on.quiet(10)
        one.client.broken = True
        await on.quiet(5)
        one.client.broken = False
        await on.quiet(60)
        assert not first.done()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


@virtual_time
async def test_a_lease_taken_away_is_noticed() -> None:
    async with engine() as on:
        one = member(on, "one")
        first = asyncio.create_task(one.serve())
        await on.quiet(10)
        patch = {"spec": {"holderIdentity": "thief"}}
        await on.client.patch(LEASES, "default", "test", patch)
        await on.quiet(3)
        assert first.done()
        assert "taken by somebody else" in one.lost


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["break", "mend", "slow", "fast"])),
        max_size=8,
    )
)
def test_there_are_never_two_leaders(troubles: list[tuple[int, str]]) -> None:
    @virtual_time
    async def scenario() -> None:
        async with engine() as on:
            members = [member(on, name) for name in ("a", "b", "c")]
            tasks = [asyncio.create_task(m.serve()) for m in members]
            for which, trouble in troubles:
                client = members[which].client
                client.broken = {"break": True, "mend": False}.get(trouble, client.broken)
                client.delay = {"slow": 7.0, "fast": 0.0}.get(trouble, client.delay)
                await on.quiet(11)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            spans = sorted(span for m in members for span in m.led)
            for (_, ended), (began, _) in pairwise(spans):
                assert ended <= began

    scenario()


@virtual_time
async def test_only_what_is_held_is_given_back() -> None:
    async with engine() as on:
        one = member(on, "one")
        await one.elector.release()
        assert not one.said
        await one.elector.acquire()
        one.client.broken = True
        await one.elector.release()
        assert await holder(on) == "one"
        assert one.said == ["Normal LeaderElection one became leader"]
