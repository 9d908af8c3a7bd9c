"""The authorizer: roles and bindings as they are now, asked for one request.

Bindings are found by subject, through indexes, so that a question costs the same however many
roles there are. What a user may do in a namespace is remembered until any role or binding changes.
plugin/pkg/auth/authorizer/rbac/rbac.go; pkg/registry/rbac/validation/rule.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from kubatch.api.errors import ApiError
from kubatch.api.models import ClusterRoleBinding, PolicyRule, RoleBinding
from kubatch.api.resource import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    ROLEBINDINGS,
    ROLES,
    Resource,
)
from kubatch.reconcile.controller import Index, View
from kubatch.server.access import attributes, nodes, rbac
from kubatch.server.access.attributes import Attributes, User

T = TypeVar("T")

MASTERS = "system:masters"
# Health and version are everybody's, whatever becomes of system:public-info-viewer: somebody who
# waits for a server to be ready has no other way to ask.
PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version")
# Users whose rules are remembered at a time. Beyond that memory would grow with strangers.
USERS_MAX = 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What authorization says; the reason goes into reviews, audit log and refusals."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A rule that somebody has, and by which binding."""

    rule: PolicyRule
    source: str


@dataclass(frozen=True, slots=True)
class Grants:
    """All that a user may do in a namespace, and which roles could not be found."""

    grants: tuple[Grant, ...]
    errors: tuple[str, ...]

    @property
    def rules(self) -> list[PolicyRule]:
        """The rules alone, each once."""
        found: list[PolicyRule] = []
        for grant in self.grants:
            if grant.rule not in found:
                found.append(grant.rule)
        return found

    @property
    def error(self) -> str:
        """The errors as one (apimachinery's Aggregate)."""
        return self.errors[0] if len(self.errors) == 1 else f"[{', '.join(self.errors)}]"


def _cluster_keys(binding: ClusterRoleBinding) -> Iterable[str]:
    keys = (rbac.subject_key(s, "") for s in binding.subjects or ())
    return dict.fromkeys(k for k in keys if k)


def _namespaced_keys(binding: RoleBinding) -> Iterable[str]:
    assert binding.metadata is not None
    space = binding.metadata.namespace or ""
    keys = (rbac.subject_key(s, space) for s in binding.subjects or ())
    return dict.fromkeys(f"{space}/{k}" for k in keys if k)


CLUSTER_BINDINGS = Index("rbac-by-subject", CLUSTERROLEBINDINGS, _cluster_keys)
BINDINGS = Index("rbac-by-subject", ROLEBINDINGS, _namespaced_keys)
# What a Policy reads: whoever makes one gives it a View of these, with these indexes.
WATCHED: tuple[Resource[Any], ...] = (CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES)
INDEXES = (CLUSTER_BINDINGS, BINDINGS, *nodes.INDEXES)


class Nothing:
    """A View without any role: only system:masters may do anything."""

    def get(self, resource: Resource[T], namespace: str | None, name: str) -> T | None:
        return None

    def list(self, resource: Resource[T]) -> Sequence[T]:
        return ()

    def indexed(self, index: Index, key: str) -> Sequence[Any]:
        return ()


class Policy:
    """Answers whether a user may do something."""

    def __init__(self, view: View | None = None) -> None:
        self.view: View = view or Nothing()
        self._known: dict[tuple[str, tuple[str, ...], str], Grants] = {}

    def forget(self, *_: object) -> None:
        """Some role or binding has changed: a listener for the caches behind the View."""
        self._known.clear()

    def verdict(self, user: User, asked: Attributes) -> Verdict:
        """Whether the user may, and why."""
        if MASTERS in user.groups:
            return Verdict(True)
        if not asked.is_resource and asked.verb in ("get", "head") and _is_public(asked.path):
            return Verdict(True)
        node, objection = nodes.node_of(user), ""
        if node:
            objection = nodes.objection(self.view, node, asked)
            if not objection:
                return Verdict(True)
        found = self.grants(user, asked.namespace)
        for grant in found.grants:
            if rbac.rule_allows(grant.rule, asked):
                return Verdict(True, f"RBAC: allowed by {grant.source}")
        reasons = [objection, f"RBAC: {found.error}" if found.errors else ""]
        return Verdict(False, "\n".join(r for r in reasons if r))

    def require(self, user: User, asked: Attributes) -> Verdict:
        """The verdict. Raises ApiError 403 when it is no."""
        said = self.verdict(user, asked)
        if not said.allowed:
            raise attributes.forbidden(user, asked, said.reason)
        return said

    def refusal(self, user: User, asked: Attributes) -> ApiError | None:
        """The error to raise, None when the user may."""
        said = self.verdict(user, asked)
        return None if said.allowed else attributes.forbidden(user, asked, said.reason)

    def grants(self, user: User, namespace: str) -> Grants:
        """Everything a user may do in a namespace; what holds everywhere when it is ""."""
        key = (user.name, user.groups, namespace)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= USERS_MAX:
                self._known.clear()
            found = self._known[key] = self._find(user, namespace)
        return found

    def _find(self, user: User, namespace: str) -> Grants:
        """Bindings of the cluster before those of the namespace, each by name (VisitRulesFor)."""
        keys = rbac.keys_of(user)
        grants: list[Grant] = []
        errors: list[str] = []
        for binding in self._bindings(CLUSTER_BINDINGS, keys):
            source = f'ClusterRoleBinding "{binding.metadata.name}"'
            self._add(binding, "", source, keys, grants, errors)
        if namespace:
            for binding in self._bindings(BINDINGS, [f"{namespace}/{k}" for k in keys]):
                source = f'RoleBinding "{binding.metadata.name}/{namespace}"'
                self._add(binding, namespace, source, keys, grants, errors)
        return Grants(tuple(grants), tuple(errors))

    def _bindings(self, index: Index, keys: Sequence[str]) -> list[Any]:
        found = {b.metadata.name: b for key in keys for b in self.view.indexed(index, key)}
        return [found[name] for name in sorted(found)]

    def _add(
        self,
        binding: Any,
        namespace: str,
        source: str,
        keys: Sequence[str],
        grants: list[Grant],
        errors: list[str],
    ) -> None:
        ref = binding.roleRef
        rules = self.rules_of(ref.kind, ref.name, namespace)
        if rules is None:
            errors.append(f'{ref.kind.lower()}.rbac.authorization.k8s.io "{ref.name}" not found')
            return
        subject = next(s for s in binding.subjects if rbac.subject_key(s, namespace) in keys)
        who = rbac.describe_subject(subject, namespace)
        source = f'{source} of {ref.kind} "{ref.name}" to {who}'
        grants += [Grant(rule, source) for rule in rules]

    def rules_of(self, kind: str, name: str, namespace: str) -> Sequence[PolicyRule] | None:
        """A role's rules; None when there is no such role."""
        if kind == "ClusterRole":
            cluster_role = self.view.get(CLUSTERROLES, None, name)
            return None if cluster_role is None else cluster_role.rules or ()
        role = self.view.get(ROLES, namespace, name)
        return None if role is None else role.rules or ()


def _is_public(path: str) -> bool:
    return any(path == public or path.startswith(public + "/") for public in PUBLIC_PATHS)
