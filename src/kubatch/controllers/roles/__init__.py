"""ClusterRoles that gather the rules of others, such as admin, edit and view.

The rules are pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubatch.api import codec, selectors
from kubatch.api.models import ClusterRole, PolicyRule
from kubatch.api.resource import CLUSTERROLES
from kubatch.reconcile.controller import Controller, Index, Key, View
from kubatch.reconcile.decision import Decision, Patch, stage


def _aggregates(role: ClusterRole) -> Iterable[str]:
    if role.aggregationRule is not None:
        yield "yes"


AGGREGATED = Index("aggregated", CLUSTERROLES, _aggregates)


@dataclass(frozen=True, slots=True)
class AggregationFacts:
    """A role that gathers rules: those it has, and those it should have."""

    name: str
    present: tuple[PolicyRule, ...]
    wanted: tuple[PolicyRule, ...]


def controller() -> Controller[tuple[AggregationFacts, ...]]:
    """The record for the engine. There is one key, since any role may belong to any other."""
    return Controller(
        name="clusterrole-aggregation-controller",
        watches={CLUSTERROLES: _keys},
        read=read,
        decide=decide,
        indexes=(AGGREGATED,),
        workers=1,
    )


ALL = Key("", "")


def _keys(_before: ClusterRole | None, _after: ClusterRole | None) -> Iterable[Key]:
    yield ALL


def read(view: View, _key: Key, _remembered: object = None) -> tuple[AggregationFacts, ...]:
    """The facts about every role that gathers rules."""
    return tuple(_facts(role, view) for role in view.indexed(AGGREGATED, "yes"))


def _facts(role: ClusterRole, view: View) -> AggregationFacts:
    assert role.metadata is not None
    assert role.aggregationRule is not None
    wanted: list[PolicyRule] = []
    for selector in role.aggregationRule.clusterRoleSelectors or ():
        chosen = selectors.from_selector(selector)
        for other in view.list(CLUSTERROLES):
            assert other.metadata is not None
            if other.metadata.name == role.metadata.name:
                continue
            if chosen.matches(other.metadata.labels or {}):
                wanted += [r for r in other.rules or () if r not in wanted]
    return AggregationFacts(role.metadata.name or "", tuple(role.rules or ()), tuple(wanted))


def decide(facts: tuple[AggregationFacts, ...], _now: datetime) -> Decision:
    """Write the rules of each role whose rules are not what it gathers.

    One role may gather from another (admin from edit, edit from view): the write of the first
    brings the key back, and the next turn finds the rest.
    """
    writes = [
        Patch(CLUSTERROLES, None, role.name, {"rules": _plain(role.wanted)})
        for role in facts
        if role.present != role.wanted
    ]
    if not writes:
        return Decision("every role has the rules that it gathers")
    return Decision("roles that others gather from have changed", (stage(*writes),))


def _plain(rules: Iterable[PolicyRule]) -> list[Any]:
    return [codec.to_plain(rule) for rule in rules]
