"""Roles and bindings (pkg/registry/rbac; pkg/apis/rbac).

Whether the writer may grant what is written is not asked here: the server does, before it writes
(server/access/escalation.py), since only there it is known who asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from kubatch.api.resource import CLUSTERROLEBINDINGS, CLUSTERROLES, RBAC, ROLEBINDINGS, ROLES
from kubatch.registry.age import age
from kubatch.registry.kinds.rbac import validation
from kubatch.registry.strategy import Column, Row, Strategy

Bound = TypeVar("Bound", RoleBinding, ClusterRoleBinding)


class RoleStrategy(Strategy[Role]):
    resource = ROLES

    def validate_name(self, name: str) -> list[str]:
        return validation.name_errors(name)

    def validate_create(self, obj: Role) -> list[Cause]:
        return validation.rules_causes(obj.rules or (), namespaced=True)

    def validate_update(self, new: Role, old: Role) -> list[Cause]:
        return self.validate_create(new)


class ClusterRoleStrategy(Strategy[ClusterRole]):
    resource = CLUSTERROLES

    def validate_name(self, name: str) -> list[str]:
        return validation.name_errors(name)

    def validate_create(self, obj: ClusterRole) -> list[Cause]:
        out = validation.rules_causes(obj.rules or (), namespaced=False)
        if obj.aggregationRule is not None:
            out += validation.aggregation_causes(obj.aggregationRule)
        return out

    def validate_update(self, new: ClusterRole, old: ClusterRole) -> list[Cause]:
        return self.validate_create(new)


def _columns(kind: str) -> tuple[Column, ...]:
    role = (
        "RoleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot "
        "be resolved, the Authorizer must return an error. This field is immutable."
        if kind == "clusterRoleBinding"
        else "RoleRef can reference a Role in the current namespace or a ClusterRole in the global "
        "namespace. If the RoleRef cannot be resolved, the Authorizer must return an error. This "
        "field is immutable."
    )
    return (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Role", description=role),
        Column("Age", description=f"Time since the {kind} was created."),
        Column("Users", description=f"Users in the {kind}", priority=1),
        Column("Groups", description=f"Groups in the {kind}", priority=1),
        Column("ServiceAccounts", description=f"ServiceAccounts in the {kind}", priority=1),
    )


class _BindingStrategy(Strategy[Bound]):
    """What the two kinds of bindings share."""

    role_kinds: Sequence[str]

    def validate_name(self, name: str) -> list[str]:
        return validation.name_errors(name)

    def default(self, obj: Bound) -> None:
        """The group of what a binding names (pkg/apis/rbac/v1/defaults.go)."""
        obj.roleRef.apiGroup = obj.roleRef.apiGroup or RBAC
        for subject in obj.subjects or ():
            if not subject.apiGroup and subject.kind in ("User", "Group"):
                subject.apiGroup = RBAC

    def validate_create(self, obj: Bound) -> list[Cause]:
        out = validation.role_ref_causes(obj.roleRef, self.role_kinds)
        for i, subject in enumerate(obj.subjects or ()):
            out += validation.subject_causes(
                subject, f"subjects[{i}]", namespaced=self.resource.namespaced
            )
        return out

    def validate_update(self, new: Bound, old: Bound) -> list[Cause]:
        out = self.validate_create(new)
        if new.roleRef != old.roleRef:
            shown = fields.Members(
                APIGroup=new.roleRef.apiGroup, Kind=new.roleRef.kind, Name=new.roleRef.name
            )
            out.append(fields.invalid("roleRef", shown, "cannot change roleRef"))
        return out

    def row(self, obj: Bound, now: datetime) -> Row:
        assert obj.metadata is not None
        role = f"{obj.roleRef.kind}/{obj.roleRef.name}"
        named: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
        for subject in obj.subjects or ():
            space = f"{subject.namespace}/" if subject.namespace else ""
            if subject.kind in named:
                prefix = space if subject.kind == "ServiceAccount" else ""
                named[subject.kind].append(prefix + subject.name)
        listed: list[Any] = [", ".join(names) for names in named.values()]
        created = obj.metadata.creationTimestamp
        return Row((obj.metadata.name, role, age(created, now), *listed))


class RoleBindingStrategy(_BindingStrategy[RoleBinding]):
    resource = ROLEBINDINGS
    role_kinds = ("Role", "ClusterRole")
    columns: tuple[Column, ...] = _columns("roleBinding")


class ClusterRoleBindingStrategy(_BindingStrategy[ClusterRoleBinding]):
    resource = CLUSTERROLEBINDINGS
    role_kinds = ("ClusterRole",)
    columns: tuple[Column, ...] = _columns("clusterRoleBinding")
