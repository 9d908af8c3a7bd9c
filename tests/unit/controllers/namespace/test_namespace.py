from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api.models import (
    ConfigMap,
    Event,
    Namespace,
    NamespaceSpec,
    ObjectMeta,
    ObjectReference,
    Pod,
    PodStatus,
)
from kubatch.api.resource import CONFIGMAPS, EVENTS, EVENTS_V1, NAMESPACES, PODS, by_kind
from kubatch.controllers.namespace import controller
from kubatch.controllers.namespace.decide import DELETES_PER_TURN_MAX, decide
from kubatch.controllers.namespace.facts import BY_NAMESPACE, read
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Absent, Decision, Delete, Patch, PutStatus, stage
from tests.unit.controllers.static_view import StaticView

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def space(*, deleting: bool = True, finalizers: Sequence[str] = ("kubernetes",)) -> Namespace:
    return Namespace(
        metadata=ObjectMeta(name="q", uid="uid-q", deletionTimestamp=NOW if deleting else None),
        spec=NamespaceSpec(finalizers=list(finalizers) or None),
    )


def meta(name: str, namespace: str = "q", **words: Any) -> ObjectMeta:
    return ObjectMeta(name=name, namespace=namespace, uid=f"uid-{name}", **words)


def pod(name: str, namespace: str = "q", **words: Any) -> Pod:
    return Pod(metadata=meta(name, namespace, **words))


def config(name: str, namespace: str = "q", **words: Any) -> ConfigMap:
    return ConfigMap(metadata=meta(name, namespace, **words))


def event(name: str) -> Event:
    return Event(metadata=meta(name), involvedObject=ObjectReference())


def turn(*objects: Any) -> Decision | None:
    found = read(StaticView(*objects), Key("", "q"))
    return decide(found, NOW) if found is not None else None


def decided(*objects: Any) -> Decision:
    """A decision without what it says in the status, about which there are other tests."""
    decision = turn(*objects)
    assert decision is not None
    stages = (
        dataclasses.replace(one, after_error=None)
        for one in decision.stages
        if not isinstance(one.writes[0], PutStatus)
    )
    return dataclasses.replace(decision, stages=tuple(stages))


@pytest.mark.parametrize(
    "objects",
    [
        (),
        (space(deleting=False), pod("a")),
        (space(finalizers=()),),
        (space(finalizers=("example.com/other",)),),
    ],
)
def test_only_a_namespace_that_is_going_needs_a_turn(objects: tuple[Any, ...]) -> None:
    assert turn(*objects) is None


def test_pods_go_first_and_alone() -> None:
    decision = decided(space(), config("c"), pod("a"), pod("b"), pod("elsewhere", "default"))
    assert decision.stages == (
        stage(Delete(PODS, "q", "a", "uid-a"), Delete(PODS, "q", "b", "uid-b")),
    )
    assert decision.because == "2 pods left: deletes 2"


def test_everything_else_waits_for_the_last_pod() -> None:
    leaving = pod("a", deletionTimestamp=NOW, deletionGracePeriodSeconds=30)
    decision = decided(space(), config("c"), leaving)
    assert decision.stages == ()
    assert decision.because == "1 pod left: waits for their end"


def held(name: str, phase: str, **meta: Any) -> Pod:
    """A pod that a Job keeps by a finalizer."""
    finalizers = ["batch.kubernetes.io/job-tracking"]
    kept = pod(name, finalizers=finalizers, **meta)
    return replace(kept, status=PodStatus(phase=phase))


LEAVING: dict[str, Any] = {"deletionTimestamp": NOW, "deletionGracePeriodSeconds": 0}


def test_pods_that_have_ended_and_are_held_are_not_waited_for() -> None:
    """Its Job may keep a failed pod until it has a successor, and here it never gets one."""
    decision = decided(space(), config("c"), held("a", "Failed", **LEAVING))
    assert Delete(CONFIGMAPS, "q", "c", "uid-c") in decision.stages[0].writes
    waiting = decided(space(), config("c"), held("a", "Failed", **LEAVING), pod("b", **LEAVING))
    assert waiting.stages == ()


@pytest.mark.parametrize(
    ("before", "after", "matters"),
    [
        (held("a", "Running"), held("a", "Running", **LEAVING), False),
        (held("a", "Running", **LEAVING), held("a", "Failed", **LEAVING), True),
        (held("a", "Failed"), held("a", "Failed", **LEAVING), True),
        (held("a", "Failed", **LEAVING), held("a", "Failed", **LEAVING), False),
        (None, held("a", "Running"), True),
        (held("a", "Failed", **LEAVING), None, True),
    ],
)
def test_which_changes_of_pods_matter(before: Any, after: Any, matters: bool) -> None:
    keys = list(controller().watches[PODS](before, after))
    assert keys == ([Key("", "q")] if matters else [])


def test_then_everything_else_goes_events_too() -> None:
    decision = decided(space(), config("c"), event("e"))
    assert decision.stages == (
        stage(Delete(CONFIGMAPS, "q", "c", "uid-c"), Delete(EVENTS, "q", "e", "uid-e")),
    )


@pytest.mark.parametrize(
    ("finalizers", "grace", "deleted"),
    [
        (None, None, False),
        (["x/y"], None, False),
        (["orphan"], None, True),
        (["foregroundDeletion", "x/y"], None, True),
        (["foregroundDeletion"], 30, False),
    ],
)
def test_a_deletion_under_way_is_repeated_only_to_take_its_finalizers_off(
    finalizers: list[str] | None, grace: int | None, deleted: bool
) -> None:
    leaving = config(
        "c", deletionTimestamp=NOW, finalizers=finalizers, deletionGracePeriodSeconds=grace
    )
    assert bool(decided(space(), leaving).stages) is deleted


@pytest.mark.parametrize(
    ("finalizers", "kept"), [(("kubernetes",), None), (("kubernetes", "x/y"), ["x/y"])]
)
def test_an_empty_namespace_goes_once_the_api_agrees(
    finalizers: tuple[str, ...], kept: list[str] | None
) -> None:
    checks, finalize = decided(space(finalizers=finalizers), pod("a", "default")).stages
    assert Absent(PODS, "q") in checks.writes
    assert len(checks.writes) == len(BY_NAMESPACE)
    patch = {"spec": {"finalizers": kept}}
    assert finalize == stage(Patch(NAMESPACES, None, "q", patch, subresource="finalize"))


def test_a_full_namespace_is_emptied_in_several_turns() -> None:
    many = [config(f"c{number}") for number in range(DELETES_PER_TURN_MAX + 1)]
    decision = decided(space(), *many)
    assert [len(s.writes) for s in decision.stages] == [DELETES_PER_TURN_MAX]
    assert decision.wake_at == NOW
    assert decided(space(), *many[1:]).wake_at is None


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        (None, space(), [Key("", "q")]),
        (space(deleting=False), space(), [Key("", "q")]),
        (None, space(deleting=False), []),
        (space(), None, []),
        (None, pod("a"), [Key("", "q")]),
        (pod("a"), None, [Key("", "q")]),
        (pod("a"), pod("a"), []),
    ],
)
def test_a_change_concerns_its_namespace(before: Any, after: Any, keys: list[Key]) -> None:
    obj = after if before is None else before
    resource = by_kind(obj.apiVersion, obj.kind)
    assert resource is not None
    assert list(controller().watches[resource](before, after)) == keys


def test_events_are_watched_once() -> None:
    watched = controller().watches
    assert EVENTS in watched
    assert EVENTS_V1 not in watched
