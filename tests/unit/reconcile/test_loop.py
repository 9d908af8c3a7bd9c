"""The engine's promises to the rules, with rules made for the purpose."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from kubatch.api.models import ConfigMap, ObjectMeta, Secret
from kubatch.api.resource import CONFIGMAPS, EVENTS, SECRETS
from kubatch.reconcile import loop
from kubatch.reconcile.controller import Controller, Index, Key, View
from kubatch.reconcile.decision import Create, Decision, Emit, Note, Patch, Stage, stage
from kubatch.reconcile.explanation import EXPLANATIONS_MAX
from kubatch.reconcile.loop import Caches, Runner
from kubatch.sim.faults import Faults, FaultyClient
from kubatch.world import seeded
from tests.suites.engine import engine
from tests.suites.virtual_time import virtual_time

KEY = Key("default", "a")


def config(name: str = "a", **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data=data or None)


def secret(name: str) -> Secret:
    return Secret(metadata=ObjectMeta(name=name, namespace="default"))


def own_key(before: Any, after: Any) -> Iterable[Key]:
    meta = (after or before).metadata
    return [Key(meta.namespace, meta.name)]


@dataclass
class Rules:
    """Rules that note when they were asked, and answer as a test says."""

    answer: Callable[[Any, datetime], Decision] = lambda _facts, _now: Decision("nothing")
    turns: list[tuple[str, float]] = field(default_factory=list)
    remembered: list[Any] = field(default_factory=list)

    def read(self, view: View, key: Key, remembered: Any) -> Any:
        self.turns.append((key.name, asyncio.get_running_loop().time()))
        self.remembered.append(remembered)
        return view.get(CONFIGMAPS, key.namespace, key.name)

    def times(self, name: str = "a") -> list[float]:
        return [at for turn, at in self.turns if turn == name]

    def controller(self, **words: Any) -> Controller[Any]:
        return Controller(
            "tester", {CONFIGMAPS: own_key}, self.read, lambda f, n: self.answer(f, n), **words
        )


def patch(number: int, resource: Any = CONFIGMAPS, name: str = "a") -> Patch:
    return Patch(resource, "default", name, {"metadata": {"labels": {"n": str(number)}}})


@virtual_time
async def test_a_change_gives_its_key_a_turn() -> None:
    rules = Rules()
    async with engine(rules.controller()) as on:
        await on.client.create(CONFIGMAPS, config("a"))
        await on.client.create(CONFIGMAPS, config("b"))
        await on.quiet()
        assert sorted(name for name, _ in rules.turns) == ["a", "b"]


@virtual_time
async def test_what_is_there_at_the_start_gets_a_turn() -> None:
    rules = Rules()
    async with engine() as on:
        await on.client.create(CONFIGMAPS, config("a"))
        on.run(rules.controller())
        await on.quiet()
        assert len(rules.turns) == 1


@virtual_time
async def test_a_burst_of_changes_melts_into_few_turns() -> None:
    rules = Rules()
    async with engine(rules.controller()) as on:
        await on.quiet()
        on.client.hold(CONFIGMAPS)
        await on.client.create(CONFIGMAPS, config("a"))
        for number in range(50):
            await on.client.patch(CONFIGMAPS, "default", "a", patch(number).patch)
        on.client.release(CONFIGMAPS)
        await on.quiet()
        assert len(rules.turns) <= 2


@virtual_time
async def test_a_rule_never_decides_without_having_seen_its_own_writes() -> None:
    """Each turn adds one to a number it reads, five times: a stale read would repeat itself."""
    seen: list[str] = []

    def count_up(facts: ConfigMap, _now: datetime) -> Decision:
        number = ((facts.metadata.labels if facts.metadata else None) or {}).get("n", "0")
        seen.append(number)
        if int(number) >= 5:
            return Decision("done")
        return Decision("goes on", (stage(patch(int(number) + 1)),))

    rules = Rules(count_up)
    async with engine(rules.controller()) as on:
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet()
        assert seen == ["0", "1", "2", "3", "4", "5"]


@virtual_time
async def test_a_key_rests_while_the_cache_is_behind() -> None:
    rules = Rules(lambda _f, now: Decision("w", (stage(patch(1)),), now + timedelta(seconds=1)))
    async with engine(rules.controller()) as on:
        await on.client.create(CONFIGMAPS, config("a"))
        await on.until(lambda: on.caches.of(CONFIGMAPS))
        on.client.hold(CONFIGMAPS)
        await on.quiet(100)
        assert len(rules.turns) == 1
        on.client.release(CONFIGMAPS)
        await on.quiet(2)
        assert len(rules.turns) >= 2


@virtual_time
async def test_a_key_may_write_what_its_controller_does_not_watch() -> None:
    """The rest ends with the news of another controller's cache."""
    rules = Rules(
        lambda f, now: Decision(
            "writes a secret", (stage(patch(1, SECRETS, "s")),), now + timedelta(seconds=10)
        )
    )
    watcher = Controller[Any]("other", {SECRETS: own_key}, lambda *_: None, lambda *_: Decision(""))
    async with engine(rules.controller(), watcher) as on:
        await on.client.create(SECRETS, secret("s"))
        await on.quiet(1)
        on.client.hold(SECRETS)
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet(60)
        assert len(rules.turns) == 1
        on.client.release(SECRETS)
        await on.quiet(15)
        assert len(rules.turns) > 1


@virtual_time
async def test_a_key_that_writes_what_nobody_caches_goes_on() -> None:
    rules = Rules(
        lambda f, now: Decision(
            "writes a secret", (stage(patch(now.second, SECRETS, "s")),), now + timedelta(seconds=9)
        )
    )
    async with engine(rules.controller()) as on:
        await on.client.create(SECRETS, secret("s"))
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet(30)
        assert rules.times() == [0.0, 9.0, 18.0, 27.0]


@virtual_time
async def test_errors_back_off_and_success_forgets_them() -> None:
    failing = True

    def answer(_facts: Any, now: datetime) -> Decision:
        # A name that is taken: 409 until the test makes room.
        return Decision("creates", (stage(Create(SECRETS, secret("s"))),) if failing else ())

    rules = Rules(answer)
    async with engine(rules.controller(error_backoff_base=1.0, error_backoff_max=5.0)) as on:
        await on.client.create(SECRETS, secret("s"))
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet(20)
        assert rules.times() == [0.0, 1.0, 3.0, 7.0, 12.0, 17.0]
        failing = False
        await on.quiet(20)
        assert rules.times()[6:] == [22.0]
        failing = True
        await on.client.patch(CONFIGMAPS, "default", "a", patch(1).patch)
        await on.quiet(2.5)
        assert rules.times()[7:] == [40.0, 41.0]


@virtual_time
async def test_a_rule_that_raises_does_not_stop_others(caplog: pytest.LogCaptureFixture) -> None:
    def answer(facts: ConfigMap, _now: datetime) -> Decision:
        if facts.metadata is not None and facts.metadata.name == "bad":
            raise ZeroDivisionError("a bug")
        return Decision("fine")

    rules = Rules(answer)
    async with engine(rules.controller(workers=1)) as on:
        await on.client.create(CONFIGMAPS, config("bad"))
        await on.client.create(CONFIGMAPS, config("good"))
        with caplog.at_level(logging.CRITICAL, logger=loop.__name__):
            await on.quiet(4)
        assert len(rules.times("good")) == 1
        assert rules.times("bad") == [0.0, 1.0, 3.0]


@virtual_time
async def test_a_key_wakes_when_it_asked_to() -> None:
    rules = Rules(lambda _f, now: Decision("waits", wake_at=now + timedelta(seconds=7)))
    async with engine(rules.controller()) as on:
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet(30)
        assert rules.times() == [0.0, 7.0, 14.0, 21.0, 28.0]


@virtual_time
async def test_what_a_decision_remembers_comes_back() -> None:
    rules = Rules()

    def answer(_facts: Any, now: datetime) -> Decision:
        turn = len(rules.turns)
        taken = stage(Create(SECRETS, secret("s")))
        stages = (taken,) if turn == 2 else ()
        return Decision("", stages, now + timedelta(seconds=10), remember=turn)

    rules.answer = answer
    async with engine(rules.controller()) as on:
        await on.client.create(SECRETS, secret("s"))
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet(12)
        # The second turn failed: what it wanted to remember is not stored.
        assert rules.remembered == [None, 1, 1]
        await on.client.delete(CONFIGMAPS, "default", "a")
        await on.quiet(1)
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet(1)
        assert rules.remembered[3:] == [3, None]


@virtual_time
async def test_no_key_has_two_turns_at_once() -> None:
    """Every turn takes a while, because its writes do, and every write wakes the key again."""
    rules = Rules(lambda _f, now: Decision("", (stage(patch(now.second)), stage(patch(61)))))
    async with engine(rules.controller(workers=8)) as on:
        create = on.client.patch
        running = running_max = 0

        async def slow(*args: Any, **words: Any) -> Any:
            nonlocal running, running_max
            running += 1
            running_max = max(running_max, running)
            await asyncio.sleep(1)
            running -= 1
            return await create(*args, **words)

        on.client.patch = slow  # type: ignore[method-assign]
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet(20)
        assert running_max == 1
        assert len(rules.turns) > 3


@virtual_time
async def test_decisions_are_kept_for_whoever_asks_why() -> None:
    rules = Rules(lambda _f, _n: Decision("it is so"))
    async with engine(rules.controller()) as on:
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet()
        assert on.runners[0].explanations[KEY].because == "it is so"


@virtual_time
async def test_events_of_a_decision_are_written() -> None:
    note = Note("Normal", "Told", "so")
    rules = Rules(lambda f, _n: Decision("", (stage(Emit(note)),), subject=f))
    async with engine(rules.controller()) as on:
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet()
        [event] = (await on.client.list(EVENTS)).items
        assert (event.reason, event.involvedObject.name) == ("Told", "a")


@virtual_time
async def test_rules_look_through_indexes() -> None:
    by_colour = Index("by-colour", CONFIGMAPS, lambda o: [(o.data or {}).get("colour", "")])
    found: list[int] = []

    def read(view: View, key: Key, _remembered: Any) -> None:
        found.append(len(view.indexed(by_colour, "red")))
        assert len(view.list(CONFIGMAPS)) >= found[-1]

    record = Controller[Any](
        "tester", {CONFIGMAPS: own_key}, read, lambda *_: Decision(""), indexes=(by_colour,)
    )
    async with engine(record) as on:
        for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
            await on.client.create(CONFIGMAPS, config(name, colour=colour))
        await on.quiet()
        assert found[-1] == 2


@virtual_time
async def test_a_failure_that_was_covered_is_remembered() -> None:
    rules = Rules()

    def answer(_facts: Any, _now: datetime) -> Decision:
        taken = Stage((Create(SECRETS, secret("s")),), otherwise=lambda _: (stage(patch(1)),))
        return Decision("", (taken,) if len(rules.turns) == 1 else (), remember=len(rules.turns))

    rules.answer = answer
    async with engine(rules.controller()) as on:
        await on.client.create(SECRETS, secret("s"))
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet()
        assert rules.remembered[:2] == [None, 1]


@virtual_time
async def test_controllers_share_one_cache_per_resource() -> None:
    one, two = Rules(), Rules()
    async with engine() as on:
        lists = 0
        ask = on.client.list

        async def counting(*args: Any, **words: Any) -> Any:
            nonlocal lists
            lists += 1
            return await ask(*args, **words)

        on.client.list = counting  # type: ignore[method-assign]
        on.run(one.controller(), two.controller())
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet()
        assert len(one.turns) == len(two.turns) == 1
        assert lists == 1


@virtual_time
async def test_only_so_many_decisions_are_kept() -> None:
    rules = Rules(lambda _f, _n: Decision("it is so"))
    async with engine(rules.controller()) as on:
        explanations = on.runners[0].explanations
        for number in range(EXPLANATIONS_MAX):
            explanations.note(Key("old", str(number)), Decision(""), on.world.now())
        await on.client.create(CONFIGMAPS, config("a"))
        await on.quiet()
        assert len(explanations) == EXPLANATIONS_MAX
        assert KEY in explanations
        assert Key("old", "0") not in explanations


@virtual_time
async def test_a_write_that_failed_only_in_name_is_waited_for() -> None:
    """Decided from a cache that is behind it, a turn would make a second one."""

    def make_one(made: list[Any], _now: datetime) -> Decision:
        new = ConfigMap(metadata=ObjectMeta(generateName="made-", namespace="default"))
        return Decision("has one") if made else Decision("makes one", (stage(create_of(new)),))

    def read(view: View, _key: Key, _remembered: Any) -> list[Any]:
        names = [c.metadata.name or "" for c in view.list(CONFIGMAPS) if c.metadata]
        return [name for name in names if name.startswith("made-")]

    record = Controller[Any](
        "maker", {CONFIGMAPS: lambda *_: [KEY], SECRETS: lambda *_: [KEY]}, read, make_one
    )
    async with engine() as on:
        faults = Faults()
        client = FaultyClient(on.client, faults, seeded("doubt"), lambda _: None, lambda _: None)
        caches = Caches(client)
        runner = Runner(record, client, caches, on.world)
        on.tasks += [asyncio.create_task(caches.run()), asyncio.create_task(runner.run())]
        await on.quiet()
        on.client.hold(CONFIGMAPS)
        faults.doubtful, faults.misread = 1.0, 1.0  # nor does the API tell what became of it
        await on.client.create(SECRETS, secret("wakes-the-key"))
        await on.quiet(100)
        faults.stop()
        await on.quiet(100)
        on.client.release(CONFIGMAPS)
        await on.quiet()
        assert len(await on.names(CONFIGMAPS, "default")) == 1
        assert read(caches, KEY, None) == await on.names(CONFIGMAPS)


def create_of(obj: ConfigMap) -> Create:
    return Create(CONFIGMAPS, obj)
