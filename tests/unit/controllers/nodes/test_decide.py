"""Conditions and taints."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubatch.api.models import Node, NodeCondition, NodeSpec, NodeStatus, ObjectMeta, Taint
from kubatch.controllers.nodes.decide import decide
from kubatch.controllers.nodes.facts import NodeFacts, read
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Patch
from tests.unit.controllers.static_view import StaticView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PREFIX = "node.kubernetes.io/"


def facts(
    conditions: dict[str, str], taints: list[str], *, unschedulable: bool = False
) -> NodeFacts:
    node = Node(
        metadata=ObjectMeta(name="n", resourceVersion="5"),
        spec=NodeSpec(
            taints=[Taint(key=k, effect="NoSchedule") for k in taints],
            unschedulable=unschedulable or None,
        ),
        status=NodeStatus(
            conditions=[NodeCondition(type=t, status=s) for t, s in conditions.items()]
        ),
    )
    found = read(StaticView(node), Key("", "n"), None)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("conditions", "taints", "unschedulable", "expected"),
    [
        ({}, [PREFIX + "not-ready"], False, None),
        ({"Ready": "True"}, [], False, None),
        ({"Ready": "True"}, [PREFIX + "not-ready"], False, []),
        ({"Ready": "True"}, [PREFIX + "not-ready", "mine"], False, ["mine"]),
        ({"Ready": "False"}, [], False, [PREFIX + "not-ready"]),
        ({"Ready": "Unknown"}, [PREFIX + "not-ready"], False, [PREFIX + "unreachable"]),
        ({"Ready": "True"}, [], True, [PREFIX + "unschedulable"]),
        ({"Ready": "True", "DiskPressure": "True"}, [], False, [PREFIX + "disk-pressure"]),
        ({"Ready": "True", "PIDPressure": "Unknown"}, [], False, None),
    ],
)
def test_taints_follow_conditions(
    conditions: dict[str, str], taints: list[str], unschedulable: bool, expected: list[str] | None
) -> None:
    decision = decide(facts(conditions, taints, unschedulable=unschedulable), NOW)
    writes: list[Any] = [w for s in decision.stages for w in s.writes]
    if expected is None:
        assert writes == []
        return
    [write] = writes
    assert isinstance(write, Patch)
    assert write.patch["metadata"] == {"resourceVersion": "5"}
    assert [t["key"] for t in write.patch["spec"]["taints"] or []] == expected


def test_a_node_that_is_gone_has_no_facts() -> None:
    assert read(StaticView(), Key("", "n"), None) is None
