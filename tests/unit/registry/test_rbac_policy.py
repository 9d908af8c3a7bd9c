"""The roles every cluster has, and how they are put right at each start."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from kubatch.api.models import ObjectMeta, PolicyRule, RoleRef, Subject
from kubatch.api.resource import CLUSTERROLEBINDINGS, CLUSTERROLES, RBAC, Resource
from kubatch.registry.api import Registry
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.registry.rbac_policy import cluster_role_bindings, cluster_roles, ensure_policy
from kubatch.registry.values import DeleteRequest, ListRequest
from tests.unit.registry.conftest import context


async def get(registry: Registry, resource: Resource[Any], name: str) -> Any:
    return (await registry.get(resource, None, name)).obj


def test_they_are_valid_and_bind_roles_that_exist() -> None:
    roles = {r.metadata.name: r for r in cluster_roles() if r.metadata is not None}
    for role in roles.values():
        assert STRATEGIES[CLUSTERROLES].validate_create(role) == []
    for binding in cluster_role_bindings():
        assert STRATEGIES[CLUSTERROLEBINDINGS].validate_create(binding) == []
        assert binding.roleRef.name in roles
    # Kubernetes' own tools look for these by name.
    assert {"cluster-admin", "admin", "edit", "view", "system:discovery", "system:node"} <= set(
        roles
    )


async def test_a_second_start_writes_nothing(registry: Registry) -> None:
    await ensure_policy(registry)
    page = await registry.list(CLUSTERROLES, None, ListRequest())
    assert len(page.entries) == len(cluster_roles())
    before = registry.revision
    await ensure_policy(registry)
    assert registry.revision == before


async def test_what_is_missing_is_added_and_nothing_is_taken_away(registry: Registry) -> None:
    await ensure_policy(registry)
    mine = PolicyRule(verbs=["get"], nonResourceURLs=["/mine"])
    discovery = await get(registry, CLUSTERROLES, "system:discovery")
    wanted = list(discovery.rules)
    changed = replace(discovery, rules=[mine])
    await registry.update(CLUSTERROLES, None, "system:discovery", changed, context(), owned=False)
    binding = await get(registry, CLUSTERROLEBINDINGS, "system:discovery")
    robot = Subject(kind="User", name="robot", apiGroup=RBAC)
    await registry.update(
        CLUSTERROLEBINDINGS, None, "system:discovery",
        replace(binding, subjects=[robot]), context(), owned=False,
    )  # fmt: skip
    await ensure_policy(registry)
    assert (await get(registry, CLUSTERROLES, "system:discovery")).rules == [mine, *wanted]
    again = await get(registry, CLUSTERROLEBINDINGS, "system:discovery")
    assert [s.name for s in again.subjects] == ["robot", "system:authenticated"]


async def test_who_says_no_is_left_alone(registry: Registry) -> None:
    await ensure_policy(registry)
    view = await get(registry, CLUSTERROLES, "system:basic-user")
    key = "rbac.authorization.kubernetes.io/autoupdate"
    meta = replace(view.metadata, annotations={key: "false"})
    mine = replace(view, metadata=meta, rules=None)
    await registry.update(CLUSTERROLES, None, "system:basic-user", mine, context(), owned=False)
    await ensure_policy(registry)
    assert not (await get(registry, CLUSTERROLES, "system:basic-user")).rules


async def test_a_binding_to_another_role_is_made_anew(registry: Registry) -> None:
    await ensure_policy(registry)
    name = "system:basic-user"
    old = await get(registry, CLUSTERROLEBINDINGS, name)
    await registry.delete(CLUSTERROLEBINDINGS, None, name, DeleteRequest(), context())
    other = replace(
        old,
        metadata=ObjectMeta(name=name),
        roleRef=RoleRef(apiGroup=RBAC, kind="ClusterRole", name="cluster-admin"),
    )
    await registry.create(CLUSTERROLEBINDINGS, None, other, context())
    await ensure_policy(registry)
    assert (await get(registry, CLUSTERROLEBINDINGS, name)).roleRef == old.roleRef
