"""Roles and bindings for tests, and a View over them in the plainest way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from kubatch.api.models import (
    ClusterRole,
    ClusterRoleBinding,
    ObjectMeta,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)
from kubatch.api.resource import RBAC, Resource
from kubatch.reconcile.controller import Index
from kubatch.registry import rbac_policy
from kubatch.server.access.attributes import User
from kubatch.server.access.policy import Policy

T = TypeVar("T")


class RoleView:
    """Objects that change only when a test changes them."""

    def __init__(self, *objects: Any) -> None:
        self.objects = list(objects)

    def list(self, resource: Resource[T]) -> Sequence[T]:
        return [o for o in self.objects if type(o) is resource.model]

    def get(self, resource: Resource[T], namespace: str | None, name: str) -> T | None:
        for obj in self.list(resource):
            meta = cast(Any, obj).metadata
            if (meta.namespace or "", meta.name) == (namespace or "", name):
                return obj
        return None

    def indexed(self, index: Index, key: str) -> Sequence[Any]:
        return [o for o in self.list(index.resource) if key in index.keys(o)]


def rule(verbs: str, groups: str = "", resources: str = "", names: str = "") -> PolicyRule:
    """A rule in words; `core` is the group without a name."""
    return PolicyRule(
        verbs=verbs.split(),
        apiGroups=["" if g == "core" else g for g in groups.split()],
        resources=resources.split(),
        resourceNames=names.split() or None,
    )


def paths(verbs: str, *urls: str) -> PolicyRule:
    return PolicyRule(verbs=verbs.split(), nonResourceURLs=list(urls))


def role(name: str, *rules: PolicyRule, namespace: str = "d") -> Role:
    return Role(metadata=ObjectMeta(name=name, namespace=namespace), rules=list(rules))


def cluster_role(name: str, *rules: PolicyRule) -> ClusterRole:
    return ClusterRole(metadata=ObjectMeta(name=name), rules=list(rules))


def subject(text: str) -> Subject:
    """`User:bob`, `Group:dev`, `ServiceAccount:d/robot`, `ServiceAccount:robot`."""
    kind, _, name = text.partition(":")
    if kind != "ServiceAccount":
        return Subject(kind=kind, name=name, apiGroup=RBAC)
    space, _, name = name.rpartition("/")
    return Subject(kind=kind, name=name, namespace=space or None)


def binding(name: str, to: str, *subjects: str, namespace: str = "d") -> RoleBinding:
    kind, _, of = to.partition(":")
    return RoleBinding(
        metadata=ObjectMeta(name=name, namespace=namespace),
        roleRef=RoleRef(kind=kind, name=of, apiGroup=RBAC),
        subjects=[subject(s) for s in subjects] or None,
    )


def cluster_binding(name: str, to: str, *subjects: str) -> ClusterRoleBinding:
    return ClusterRoleBinding(
        metadata=ObjectMeta(name=name),
        roleRef=RoleRef(kind="ClusterRole", name=to, apiGroup=RBAC),
        subjects=[subject(s) for s in subjects] or None,
    )


def user(name: str, *groups: str) -> User:
    return User(name, "", (*groups, "system:authenticated"))


def aggregated() -> list[ClusterRole]:
    """The roles of every cluster, with admin, edit and view as their controller leaves them."""
    found = {r.metadata.name: r for r in rbac_policy.cluster_roles() if r.metadata is not None}
    parts = {"view": ["view"], "edit": ["view", "edit"], "admin": ["view", "edit", "admin"]}
    for name, gathered in parts.items():
        rules = [r for p in gathered for r in found[f"system:aggregate-to-{p}"].rules or ()]
        found[name].rules = rules
    return list(found.values())


def policy(*objects: Any) -> Policy:
    """A Policy of a whole cluster, and these objects."""
    return Policy(RoleView(*aggregated(), *rbac_policy.cluster_role_bindings(), *objects))
