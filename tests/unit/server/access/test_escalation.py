"""Nobody grants what they do not have."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api.errors import ApiError
from kubatch.api.models import AggregationRule, LabelSelector, PolicyRule
from kubatch.api.resource import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES, Resource
from kubatch.server.access import escalation
from kubatch.server.access.attributes import User
from tests.unit.server.access.roles import (
    binding,
    cluster_binding,
    cluster_role,
    paths,
    policy,
    role,
    rule,
    user,
)

R = "rbac.authorization.k8s.io"
POLICY = policy(
    role("giver", rule("create update", R, "roles rolebindings"), rule("get list", "core", "pods")),
    binding("giver", "Role:giver", "User:bob"),
    role("secrets", rule("get", "core", "secrets")),
    role("binder", rule("bind", R, "roles", "secrets")),
    binding("binder", "Role:binder", "User:ben"),
    role("escalator", rule("escalate", R, "roles")),
    binding("escalator", "Role:escalator", "User:es"),
    cluster_role("all", rule("*", "*", "*"), paths("*", "*")),
    cluster_binding("all", "all", "User:boss"),
)
BOB, BOSS = user("bob"), user("boss")
GRANT = "is attempting to grant RBAC permissions not currently held:\n"


def told(who: User, resource: Resource[Any], new: Any, old: Any = None) -> str:
    try:
        escalation.check(POLICY, who, resource, new, old)
    except ApiError as error:
        return f"{error.code} {error.message}"
    return ""


def test_what_one_has_may_be_given() -> None:
    assert told(BOB, ROLES, role("x", rule("get", "core", "pods"))) == ""
    assert told(BOB, ROLES, role("x", rule("list", "core", "pods", "p q"))) == ""
    assert told(BOB, ROLEBINDINGS, binding("x", "Role:giver", "User:jim")) == ""
    assert told(BOSS, CLUSTERROLES, cluster_role("x", rule("*", "*", "*"))) == ""
    assert told(BOSS, CLUSTERROLEBINDINGS, cluster_binding("x", "cluster-admin", "User:jim")) == ""


def test_what_one_has_not_may_not() -> None:
    wanted = role("x", rule("get watch delete", "core", "pods"), rule("get", "batch", "jobs", "j"))
    assert told(BOB, ROLES, wanted) == (
        f'403 roles.{R} "x" is forbidden: user "bob" (groups=["system:authenticated"]) {GRANT}'
        '{APIGroups:[""], Resources:["pods"], Verbs:["watch" "delete"]}\n'
        '{APIGroups:["batch"], Resources:["jobs"], ResourceNames:["j"], Verbs:["get"]}'
    )
    assert told(BOB, ROLES, role("x", rule("get", "core", "pods"), namespace="other")) != ""
    assert told(BOB, ROLEBINDINGS, binding("x", "Role:secrets", "User:bob")) == (
        f'403 rolebindings.{R} "x" is forbidden: user "bob" (groups=["system:authenticated"]) '
        f'{GRANT}{{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}}'
    )
    paths_role = cluster_role("x", paths("get", "/metrics"))
    assert told(BOB, CLUSTERROLES, paths_role).endswith(
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}'
    )


def test_a_role_that_nobody_knows() -> None:
    missing = binding("x", "ClusterRole:nope", "User:bob")
    assert told(BOB, ROLEBINDINGS, missing) == f'404 clusterrole.{R} "nope" not found'


def test_bind_and_escalate() -> None:
    assert told(user("ben"), ROLEBINDINGS, binding("x", "Role:secrets", "User:ben")) == ""
    assert told(user("ben"), ROLEBINDINGS, binding("x", "Role:giver", "User:ben")) != ""
    assert told(user("es"), ROLES, role("x", rule("*", "*", "*"))) == ""


def test_masters_may_give_anything() -> None:
    root = user("root", "system:masters")
    assert told(root, ROLES, role("x", rule("*", "*", "*"))) == ""
    assert told(root, ROLEBINDINGS, binding("x", "ClusterRole:nope", "User:bob")) == ""


@pytest.mark.parametrize("part", ["finalizers", "ownerReferences", "resourceVersion"])
def test_garbage_collection_needs_no_rights(part: str) -> None:
    old = role("x", rule("*", "*", "*"))
    value: Any = "9" if part == "resourceVersion" else []
    new = replace(old, metadata=replace(old.metadata, **{part: value}))  # type: ignore[type-var]
    assert told(BOB, ROLES, new, old) == ""
    assert told(BOB, ROLES, replace(new, rules=[*(old.rules or []), rule("x", "y", "z")]), old)


def test_gathering_rules_is_for_those_who_have_all() -> None:
    gathers = AggregationRule(clusterRoleSelectors=[LabelSelector(matchLabels={"a": "b"})])
    wanted = replace(cluster_role("x"), aggregationRule=gathers)
    assert told(BOSS, CLUSTERROLES, wanted) == ""
    assert told(BOB, CLUSTERROLES, wanted) == (
        f'403 clusterroles.{R} "x" is forbidden: must have cluster-admin privileges to use the '
        "aggregationRule"
    )


def test_a_refusal_tells_of_roles_that_are_missing() -> None:
    lost = policy(binding("lost", "Role:gone", "User:bob"))
    with pytest.raises(ApiError) as raised:
        escalation.check(
            lost, BOB, ROLES, role("x", PolicyRule(["get"], [""], None, None, ["a"])), None
        )
    assert raised.value.message.endswith(f'; resolution errors: [role.{R} "gone" not found]')
