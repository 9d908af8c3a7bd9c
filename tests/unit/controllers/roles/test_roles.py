"""Roles that gather the rules of others."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from kubatch.api.models import AggregationRule, ClusterRole, LabelSelector, ObjectMeta, PolicyRule
from kubatch.api.resource import CLUSTERROLES
from kubatch.controllers import roles
from kubatch.registry.rbac_policy import ensure_policy
from kubatch.world import World
from tests.suites.engine import engine
from tests.suites.virtual_time import virtual_time
from tests.unit.controllers.static_view import StaticView

NOW = World().now()
PODS = PolicyRule(verbs=["get"], apiGroups=[""], resources=["pods"])
JOBS = PolicyRule(verbs=["get"], apiGroups=["batch"], resources=["jobs"])


def role(name: str, *rules: PolicyRule, gathers: str = "", **labels: str) -> ClusterRole:
    rule = None
    if gathers:
        selector = LabelSelector(matchLabels={gathers: "yes"})
        rule = AggregationRule(clusterRoleSelectors=[selector])
    return ClusterRole(
        metadata=ObjectMeta(name=name, labels=labels or None),
        rules=list(rules),
        aggregationRule=rule,
    )


def written(*objects: Any) -> dict[str, Any]:
    facts = roles.read(StaticView(*objects), roles.ALL)
    stages = roles.decide(facts, NOW).stages
    return {w.name: w.patch["rules"] for stage in stages for w in stage.writes}  # type: ignore[union-attr]


def test_rules_are_gathered_by_name_and_once() -> None:
    found = written(
        role("all", gathers="a"),
        role("z", PODS, a="yes"),
        role("b", JOBS, PODS, a="yes"),
        role("other", PODS, a="no"),
    )
    jobs = {"verbs": ["get"], "apiGroups": ["batch"], "resources": ["jobs"]}
    assert found == {"all": [jobs, {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}


def test_nothing_to_do() -> None:
    assert written(role("all", PODS, gathers="a"), role("b", PODS, a="yes")) == {}
    assert written(role("plain", PODS)) == {}


def test_what_no_role_gives_any_more_goes() -> None:
    assert written(role("all", PODS, gathers="a")) == {"all": []}


def test_a_role_does_not_gather_from_itself() -> None:
    assert written(role("all", PODS, gathers="a", a="yes")) == {"all": []}


@virtual_time
async def test_the_roles_of_every_cluster() -> None:
    async with engine(roles.controller()) as on:
        await ensure_policy(on.registry)
        await on.quiet()

        async def rules(name: str) -> list[PolicyRule]:
            return (await on.client.get(CLUSTERROLES, None, name)).rules or []

        view, edit, admin = [await rules(n) for n in ("view", "edit", "admin")]
        assert view == await rules("system:aggregate-to-view")
        assert all(r in edit for r in view)
        assert all(r in admin for r in edit)
        assert len(view) < len(edit) < len(admin)
        mine = role("mine", JOBS)
        assert mine.metadata is not None
        labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
        await on.client.create(
            CLUSTERROLES, replace(mine, metadata=replace(mine.metadata, labels=labels))
        )
        await on.quiet()
        assert JOBS in await rules("admin")
        revision = on.registry.revision
        await on.quiet(3600)
        assert on.registry.revision == revision
