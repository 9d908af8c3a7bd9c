"""A key rests until its own writes are seen, also those whose answers tell no revision."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from kubatch.api.models import ConfigMap, ObjectMeta, Secret
from kubatch.api.resource import CONFIGMAPS, PODS, SECRETS, Resource
from kubatch.meters import Metric
from kubatch.reconcile.apply import NOT_CACHED, Applied
from kubatch.reconcile.controller import Controller, Key
from kubatch.reconcile.decision import Decision, Delete, Stage, stage
from kubatch.reconcile.explanation import EARLIER_MAX, Explanations
from kubatch.reconcile.measures import (
    QUEUE_ADDS,
    QUEUE_DEPTH,
    QUEUE_RETRIES,
    QUEUE_WORK,
    Measures,
)
from tests.suites.engine import Engine, LaggingClient, engine
from tests.suites.virtual_time import EPOCH, virtual_time
from tests.unit.controllers.static_view import StaticView

T = TypeVar("T")

RESTS = Metric("rests_total", "Rests.", ("group", "resource"))


class StatusClient(LaggingClient):
    """Answers a deletion as most kinds' is answered over HTTP: without the object."""

    async def delete(self, resource: Resource[T], *args: Any, **words: Any) -> Any:
        await super().delete(resource, *args, **words)


def keys(before: Any, after: Any) -> Iterable[Key]:
    meta = (after or before).metadata
    return [Key(meta.namespace, meta.name)]


def config(name: str, uid: str | None = None) -> ConfigMap:
    meta = ObjectMeta(name=name, namespace="default", uid=uid)
    return ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=meta)


async def deleting(on: Engine, turns: list[float]) -> None:
    """A controller that deletes the secret beside each config map, whenever it sees it."""
    on.client = StatusClient(on.registry)
    on.caches._client = on.client

    def read(view: Any, key: Key, _: Any) -> Any:
        return view.get(SECRETS, key.namespace, key.name)

    def decide(found: Any, now: datetime) -> Decision:
        turns.append((now - EPOCH).total_seconds())
        delete = Delete(SECRETS, "default", found.metadata.name, found.metadata.uid)
        return Decision("deletes", (stage(delete),), now + timedelta(seconds=1))

    measures = Measures(rests=RESTS)
    on.run(
        Controller("deleter", {CONFIGMAPS: keys, SECRETS: keys}, read, decide, measures=measures)
    )
    await on.client.create(SECRETS, Secret(metadata=ObjectMeta(name="a", namespace="default")))
    await on.quiet(1)


@virtual_time
async def test_a_key_rests_until_a_deletion_is_seen() -> None:
    turns: list[float] = []
    async with engine() as on:
        await deleting(on, turns)
        assert len(turns) == 1
        on.client.hold(SECRETS)
        await on.client.create(CONFIGMAPS, config("a"))
        await on.client.create(SECRETS, Secret(metadata=ObjectMeta(name="b", namespace="default")))
        await on.quiet(60)
        assert len(turns) == 1
        on.client.release(SECRETS)
        await on.quiet(60)
        assert len(turns) == 2  # b, once


@virtual_time
async def test_rests_are_counted() -> None:
    turns: list[float] = []
    async with engine() as on:
        on.client = StatusClient(on.registry)
        await deleting(on, turns)
        on.client.hold(SECRETS)
        await on.client.create(SECRETS, Secret(metadata=ObjectMeta(name="b", namespace="default")))
        await on.client.create(CONFIGMAPS, config("b"))
        on.client.release(SECRETS)
        await on.quiet(5)
        meters = on.runners[0].meters
        assert meters.value(QUEUE_ADDS, "deleter") >= 2
        assert meters.value(QUEUE_RETRIES, "deleter") >= 1
        assert meters.histograms[QUEUE_WORK]["deleter",].cumulative()[-1] >= 2
        depths = [read() for metric, read in meters.gauges if metric is QUEUE_DEPTH]
        assert depths == [[(("deleter",), 0)]]


@pytest.mark.parametrize(
    ("cached", "held", "seen"),
    [
        (5, [config("a", "u")], False),
        (5, [config("a", "another")], True),
        (5, [], True),
        (NOT_CACHED, [config("a", "u")], True),
    ],
)
def test_what_counts_as_seen(cached: int, held: list[Any], seen: bool) -> None:
    applied = Applied(gone=[(CONFIGMAPS, "default", "a", "u")])
    assert applied.seen_by(StaticView(*held), lambda _: cached) is seen
    assert not applied.empty


def test_which_caches_are_behind() -> None:
    applied = Applied(
        revisions={CONFIGMAPS: 5, SECRETS: 9},
        bound=[("default", "p", "u")],
        gone=[(CONFIGMAPS, "default", "a", "u")],
    )
    revisions: dict[Any, int] = {CONFIGMAPS: 5, SECRETS: 8, PODS: 1}
    assert applied.behind(lambda r: revisions[r]) == [SECRETS, PODS, CONFIGMAPS]
    assert Applied().empty


def test_an_explanation_tells_what_was_before() -> None:
    told = Explanations()
    key = Key("default", "a")
    for number in range(EARLIER_MAX + 3):
        for repeated in range(2):
            now = EPOCH + timedelta(minutes=number, seconds=repeated)
            told.note(key, Decision(f"reason {number}", (Stage(()),)), now)
    last = told[key]
    assert last.because == f"reason {EARLIER_MAX + 2}"
    assert [because for _, because in last.earlier] == [
        f"reason {number}" for number in range(2, EARLIER_MAX + 2)
    ]
    retry = EPOCH + timedelta(hours=1)
    told.failed(key, "no luck", retry)
    assert (told[key].because, told[key].error) == (last.because, "no luck")
    assert told[key].retry_at == retry
    told.note(key, Decision("better"), EPOCH)
    assert told[key].error == ""
    told.failed(Key("default", "unknown"), "x", retry)
