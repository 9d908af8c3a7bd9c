"""Pods that leave nodes with NoExecute taints."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubatch.api import models as m
from kubatch.api.resource import EVENTS, NODES, PODS
from kubatch.api.taints import tolerates
from kubatch.controllers import eviction
from kubatch.controllers.eviction.decide import decide, patience
from kubatch.controllers.eviction.facts import read
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Decision, Delete, Emit, Patch
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time
from tests.unit.controllers.static_view import StaticView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TAINT = m.Taint(key="k", value="v", effect="NoExecute")
OTHER = m.Taint(key="o", effect="NoExecute")


def bears(key: str = "k", seconds: int | None = None, **words: Any) -> m.Toleration:
    words.setdefault("operator", "Exists")
    words.setdefault("effect", "NoExecute")
    return m.Toleration(key=key or None, tolerationSeconds=seconds, **words)


def pod(
    name: str, *tolerations: m.Toleration, phase: str = "Running", going: bool = False
) -> m.Pod:
    return m.Pod(
        metadata=m.ObjectMeta(
            name=name, namespace="default", uid=name, deletionTimestamp=NOW if going else None
        ),
        spec=m.PodSpec(
            containers=[m.Container(name="c", image="busybox")],
            nodeName="n",
            tolerations=list(tolerations) or None,
        ),
        status=m.PodStatus(phase=phase),
    )


def node(*taints: m.Taint) -> m.Node:
    return m.Node(metadata=m.ObjectMeta(name="n"), spec=m.NodeSpec(taints=list(taints) or None))


def look(now: datetime, *objects: Any, remembered: Any = None) -> Decision | None:
    facts = read(StaticView(*objects), Key("", "n"), remembered)
    return None if facts is None else decide(facts, now)


def shown(decision: Decision | None) -> list[str]:
    out = []
    for write in (w for s in (decision.stages if decision else ()) for w in s.writes):
        match write:
            case Emit():
                out.append(write.note.message)
            case Patch():
                out.append(f"{write.patch['status']['conditions'][0]['type']} {write.name}")
            case Delete():
                assert write.grace_period_seconds is None
                out.append(f"delete {write.name}")
    return out


@pytest.mark.parametrize(
    ("tolerations", "taints", "expected"),
    [
        ([], [TAINT], 0),
        ([bears()], [TAINT], None),
        ([bears(seconds=5)], [TAINT], 5),
        ([bears(seconds=-5)], [TAINT], 0),
        ([bears(seconds=0)], [TAINT], 0),
        ([bears(seconds=5)], [TAINT, OTHER], 0),
        ([bears(seconds=5), bears("o", 3)], [TAINT, OTHER], 3),
        ([bears(seconds=5), bears("o")], [TAINT, OTHER], 5),
        ([bears(""), bears(seconds=5)], [TAINT], None),  # the first that matches
        ([bears(seconds=2**62)], [TAINT], None),
        ([bears(operator="Equal", value="v")], [TAINT], None),
        ([bears(operator="Equal", value="w")], [TAINT], 0),
        ([bears(effect="NoSchedule")], [TAINT], 0),
    ],
)
def test_patience(
    tolerations: list[m.Toleration], taints: list[m.Taint], expected: int | None
) -> None:
    found = patience(pod("p", *tolerations), tuple(taints))
    assert found == (None if expected is None else timedelta(seconds=expected))


def test_an_empty_key_tolerates_everything_only_with_exists() -> None:
    assert tolerates(m.Toleration(operator="Exists"), TAINT)
    assert not tolerates(m.Toleration(operator="Equal", value="v"), TAINT)
    assert not tolerates(m.Toleration(key="k", operator="Other", value="v"), TAINT)


EVICTED = ["Marking for deletion Pod default/p", "DisruptionTarget p", "delete p"]


def test_a_pod_without_patience_goes_at_once() -> None:
    decision = look(NOW, node(TAINT), pod("p"), pod("done", phase="Failed"), pod("g", going=True))
    assert shown(decision) == EVICTED


def test_a_timer_runs_from_the_first_look_and_is_not_set_anew() -> None:
    first = look(NOW, node(TAINT), pod("p", bears(seconds=10)), pod("q", bears()))
    assert first is not None
    assert (shown(first), first.wake_at) == ([], NOW + timedelta(seconds=10))
    later = NOW + timedelta(seconds=6)
    again = look(later, node(TAINT), pod("p", bears(seconds=60)), remembered=first.remember)
    assert again is not None
    assert again.wake_at == first.wake_at
    due = look(first.wake_at or NOW, node(TAINT), pod("p"), remembered=again.remember)
    assert shown(due) == EVICTED
    assert due is not None
    assert (due.remember, due.wake_at) == (None, None)


def test_another_taint_ends_all_patience() -> None:
    first = look(NOW, node(TAINT), pod("p", bears(seconds=10)))
    assert first is not None
    both = look(NOW, node(TAINT, OTHER), pod("p", bears(seconds=10)), remembered=first.remember)
    assert shown(both) == EVICTED


def test_a_taint_that_goes_spares_the_pod() -> None:
    first = look(NOW, node(TAINT), pod("p", bears(seconds=10)))
    assert first is not None
    spared = look(NOW, node(), pod("p", bears(seconds=10)), remembered=first.remember)
    assert shown(spared) == ["Cancelling deletion of Pod default/p"]
    assert spared is not None
    assert (spared.remember, spared.wake_at) == (None, None)
    assert look(NOW, node(), pod("p")) is None
    assert look(NOW, pod("p")) is None


# ----- in the engine


async def set_taints(on: Engine, *taints: str) -> None:
    patch = {"spec": {"taints": [{"key": t, "effect": "NoExecute"} for t in taints] or None}}
    await on.client.patch(NODES, None, "n", patch)


async def going(on: Engine) -> list[str]:
    listing = await on.client.list(PODS)
    metas = [p.metadata or m.ObjectMeta() for p in listing.items]
    return sorted(meta.name or "" for meta in metas if meta.deletionTimestamp is not None)


@virtual_time
async def test_pods_go_one_after_the_other() -> None:
    """Tolerations of 5 and 25 seconds: evicted in that order, and only while the taint is there."""
    async with engine(eviction.controller()) as on:
        await on.client.create(NODES, m.Node(metadata=m.ObjectMeta(name="n")))
        for name, seconds in (("five", 5), ("later", 25), ("never", None)):
            made = pod(name, bears("t", seconds))
            made.metadata = m.ObjectMeta(name=name, namespace="default")
            await on.client.create(PODS, made)
        await asyncio.sleep(1)
        await set_taints(on, "t")
        await asyncio.sleep(4.9)
        assert await going(on) == []
        await asyncio.sleep(0.2)
        assert await going(on) == ["five"]
        await asyncio.sleep(10)
        await set_taints(on)
        await asyncio.sleep(60)
        assert await going(on) == ["five"]
        await set_taints(on, "t")
        await asyncio.sleep(26)
        assert await going(on) == ["five", "later"]
        await set_taints(on, "t", "u")
        await asyncio.sleep(1)
        assert await going(on) == ["five", "later", "never"]
        events = await on.client.list(EVENTS, "default")
        said = [e.message for e in events.items if e.involvedObject.name == "later"]
        assert sorted(message or "" for message in said) == [
            "Cancelling deletion of Pod default/later",
            "Marking for deletion Pod default/later",
        ]


@virtual_time
async def test_a_pod_that_comes_to_a_tainted_node() -> None:
    async with engine(eviction.controller()) as on:
        await on.client.create(NODES, m.Node(metadata=m.ObjectMeta(name="n")))
        await set_taints(on, "t")
        made = pod("p", bears("t", 3))
        made.metadata = m.ObjectMeta(name="p", namespace="default")
        await on.client.create(PODS, made)
        await asyncio.sleep(2.9)
        assert await going(on) == []
        await asyncio.sleep(0.2)
        assert await going(on) == ["p"]
