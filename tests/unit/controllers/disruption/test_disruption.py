"""The status of disruption budgets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import PODDISRUPTIONBUDGETS, PODS, REPLICASETS, Resource
from kubatch.controllers import disruption
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Decision, Emit, PutStatus
from tests.unit.controllers.static_view import StaticView

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CONTROLLER = disruption.controller()
KEY = Key("default", "")


def made(
    resource: Resource[Any], name: str, meta: dict[str, Any] | None = None, **parts: Any
) -> Any:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", **(meta or {})}
    obj: Any = codec.from_dict(resource, {"metadata": metadata, **parts})[0]
    obj.apiVersion, obj.kind = resource.api_version, resource.kind
    return obj


def pod(name: str, ready: bool = True, phase: str = "Running", **meta: Any) -> Any:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    conditions = [{"type": "Ready", "status": str(ready)}]
    meta = {"labels": {"app": "a"}, **meta}
    return made(PODS, name, meta, spec=spec, status={"phase": phase, "conditions": conditions})


def budget(status: dict[str, Any] | None = None, **spec: Any) -> Any:
    spec = {"selector": {"matchLabels": {"app": "a"}}, **spec}
    return made(PODDISRUPTIONBUDGETS, "b", {"generation": 2}, spec=spec, status=status)


def decided(*objects: Any, remembered: Any = None) -> Decision | None:
    facts = CONTROLLER.read(StaticView(*objects), KEY, remembered)
    return None if facts is None else CONTROLLER.decide(facts, NOW)


def status(*objects: Any) -> Any:
    decision = decided(*objects)
    assert decision is not None
    [write] = [w for s in decision.stages for w in s.writes if isinstance(w, PutStatus)]
    return write.obj.status


def numbers(*objects: Any) -> tuple[int, int, int, int]:
    """Healthy, desired, allowed, expected."""
    found = status(*objects)
    return (
        found.currentHealthy, found.desiredHealthy, found.disruptionsAllowed, found.expectedPods
    )  # fmt: skip


def shown(found: Any) -> dict[str, Any]:
    """A status as the API shows it."""
    whole = budget()
    whole.status = found
    plain: dict[str, Any] = codec.to_dict(PODDISRUPTIONBUDGETS, whole)["status"]
    return plain


THREE = (pod("p1"), pod("p2"), pod("p3", ready=False))


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"minAvailable": 1}, (2, 1, 1, 3)),
        ({"minAvailable": 2}, (2, 2, 0, 3)),
        ({"minAvailable": 9}, (2, 9, 0, 3)),
        ({"minAvailable": "50%"}, (2, 2, 0, 3)),
        ({"maxUnavailable": 2}, (2, 1, 1, 3)),
        ({"maxUnavailable": "100%"}, (2, 0, 2, 3)),
        ({}, (2, 0, 2, 3)),
    ],
)
def test_numbers(spec: dict[str, Any], found: tuple[int, int, int, int]) -> None:
    assert numbers(budget(**spec), *THREE) == found


def test_a_replica_set_says_how_many_there_should_be() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "uid-r"}
    owned = [pod("p1", ownerReferences=[{**owner, "controller": True}])]
    replicas = made(REPLICASETS, "r", spec={"replicas": 4, "selector": {}})
    assert numbers(budget(maxUnavailable=1), *owned, replicas) == (1, 3, 0, 4)
    assert numbers(budget(maxUnavailable=1), *owned) == (1, 0, 1, 1), (
        "one that is gone says nothing"
    )


def test_who_does_not_count() -> None:
    others = [
        pod("done", phase="Succeeded"),
        pod("other", labels={"app": "b"}),
    ]
    going = pod("going", deletionTimestamp="2026-05-01T12:00:00Z")
    assert numbers(budget(minAvailable=0), *others, going) == (0, 0, 0, 1)


def test_conditions() -> None:
    found = status(budget(minAvailable=1), *THREE)
    [condition] = found.conditions
    assert (found.observedGeneration, condition.observedGeneration) == (2, 2)
    assert (condition.type, condition.status) == ("DisruptionAllowed", "True")
    assert (condition.reason, condition.message) == ("SufficientPods", "")
    assert condition.lastTransitionTime == NOW
    [condition] = status(budget(minAvailable=3), *THREE).conditions
    assert (condition.status, condition.reason) == ("False", "InsufficientPods")


def test_a_right_status_is_left_alone() -> None:
    right = shown(status(budget(minAvailable=1), *THREE))
    right["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    decision = decided(budget(right, minAvailable=1), *THREE)
    assert decision is not None
    assert decision.stages == ()
    was = status(budget(right, minAvailable=1), pod("p1"), pod("p2"), pod("p3"))
    assert was.conditions[0].lastTransitionTime.month == 1, "still allowed: no transition"


def test_granted_evictions_are_not_healthy_for_two_minutes() -> None:
    at = "2026-05-01T11:59:00Z"
    granted = {"disruptedPods": {"p1": at, "gone": at, "p2": "2026-05-01T11:00:00Z"}}
    decision = decided(budget(granted, minAvailable=1), *THREE)
    assert decision is not None
    assert decision.wake_at == NOW + timedelta(minutes=1)
    found = status(budget(granted, minAvailable=1), *THREE)
    assert (found.disruptedPods, found.currentHealthy) == ({"p1": NOW - timedelta(minutes=1)}, 1)


def test_no_pods_is_told_once() -> None:
    decision = decided(budget(minAvailable=1))
    assert decision is not None
    [note] = [w.note for s in decision.stages for w in s.writes if isinstance(w, Emit)]
    assert (note.type, note.reason, note.message) == ("Normal", "NoPods", "No matching pods found")
    again = decided(budget(minAvailable=1), remembered=decision.remember)
    assert again is not None
    assert not [w for s in again.stages for w in s.writes if isinstance(w, Emit)]


def test_a_namespace_without_budgets_is_not_looked_at() -> None:
    assert decided(*THREE) is None


@pytest.mark.parametrize(
    ("resource", "before", "after", "concerned"),
    [
        (PODS, None, pod("p"), True),
        (PODS, pod("p"), pod("p", ready=False), True),
        (PODS, pod("p"), pod("p", annotations={"a": "b"}), False),
        (PODS, pod("p"), None, True),
        (PODDISRUPTIONBUDGETS, None, budget(), True),
        (PODDISRUPTIONBUDGETS, budget(), None, False),
        (REPLICASETS, made(REPLICASETS, "r"), made(REPLICASETS, "r"), False),
        (REPLICASETS, made(REPLICASETS, "r"), made(REPLICASETS, "r", spec={"replicas": 2}), True),
    ],
)
def test_what_wakes_it(resource: Any, before: Any, after: Any, concerned: bool) -> None:
    assert list(CONTROLLER.watches[resource](before, after)) == ([KEY] if concerned else [])
