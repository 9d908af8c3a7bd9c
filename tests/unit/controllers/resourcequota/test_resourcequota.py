"""The status of quotas, as objects come and go."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import CONFIGMAPS, JOBS, PODS, RESOURCEQUOTAS, Resource
from kubatch.controllers import resourcequota
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import PutStatus
from tests.unit.controllers.static_view import StaticView

NOW = datetime(2026, 5, 1, tzinfo=UTC)
CONTROLLER = resourcequota.controller()


def made(resource: Resource[Any], name: str = "x", **parts: Any) -> Any:
    metadata = {"name": name, "namespace": "default"}
    obj: Any = codec.from_dict(resource, {"metadata": metadata, **parts})[0]
    obj.apiVersion, obj.kind = resource.api_version, resource.kind
    return obj


def quota(name: str = "q", hard: dict[str, str] | None = None, **parts: Any) -> Any:
    return made(RESOURCEQUOTAS, name, spec={"hard": hard or {"pods": "5"}}, **parts)


def pod(name: str = "p", phase: str = "Running") -> Any:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return made(PODS, name, spec=spec, status={"phase": phase})


def statuses(*objects: Any) -> list[tuple[str, Any, Any]] | None:
    """What is written about the namespace's quotas; None when nothing is looked at."""
    facts = CONTROLLER.read(StaticView(*objects), Key("default", ""), None)
    if facts is None:
        return None
    writes = [w for stage in CONTROLLER.decide(facts, NOW).stages for w in stage.writes]
    assert all(isinstance(w, PutStatus) for w in writes)
    return [(w.obj.metadata.name, w.obj.status.hard, w.obj.status.used) for w in writes]  # type: ignore[union-attr]


def test_a_namespace_without_quotas_is_not_looked_at() -> None:
    assert statuses(pod(), made(CONFIGMAPS)) is None


def test_each_quota_says_what_is_used() -> None:
    hard = {"configmaps": "1", "count/jobs.batch": "2"}
    found = statuses(
        quota("a"), quota("b", hard), pod("p"), pod("q", "Failed"), made(JOBS), made(CONFIGMAPS)
    )
    assert found == [
        ("a", {"pods": "5"}, {"pods": "1"}),
        ("b", hard, {"configmaps": "1", "count/jobs.batch": "1"}),
    ]


def test_a_status_that_is_right_is_left_alone() -> None:
    right = quota(status={"hard": {"pods": "5"}, "used": {"pods": "1"}})
    assert statuses(right, pod()) == []
    assert statuses(right) == [("q", {"pods": "5"}, {"pods": "0"})]


@pytest.mark.parametrize(
    ("resource", "before", "after", "concerned"),
    [
        (PODS, None, pod(), True),
        (PODS, pod(), None, True),
        (PODS, pod(phase="Pending"), pod(), False),
        (PODS, pod(), pod(phase="Succeeded"), True),
        (CONFIGMAPS, made(CONFIGMAPS), made(CONFIGMAPS, data={"a": "b"}), False),
        (CONFIGMAPS, None, made(CONFIGMAPS), True),
        (JOBS, made(JOBS), made(JOBS, status={"active": 1}), False),
        (JOBS, made(JOBS), made(JOBS, spec={"suspend": True}), True),
        (RESOURCEQUOTAS, quota(), quota(hard={"pods": "9"}), True),
        (RESOURCEQUOTAS, quota(), None, False),
    ],
)
def test_what_wakes_it(resource: Any, before: Any, after: Any, concerned: bool) -> None:
    keys = list(CONTROLLER.watches[resource](before, after))
    assert keys == ([Key("default", "")] if concerned else [])
