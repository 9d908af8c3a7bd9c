"""Nobody grants what they do not have, unless they may `escalate` or `bind`.

Pure, given a Policy. pkg/registry/rbac/*/policybased/storage.go;
pkg/registry/rbac/validation/rule.go: ConfirmNoEscalation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from kubatch.api import errors
from kubatch.api.errors import ApiError
from kubatch.api.fields import show
from kubatch.api.models import PolicyRule
from kubatch.api.resource import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    RBAC,
    ROLEBINDINGS,
    ROLES,
    Resource,
)
from kubatch.server.access import rbac
from kubatch.server.access.attributes import Attributes, User
from kubatch.server.access.policy import MASTERS, Policy

_ROLES = (ROLES, CLUSTERROLES)
GUARDED = frozenset((*_ROLES, ROLEBINDINGS, CLUSTERROLEBINDINGS))
_EVERYTHING = (
    PolicyRule(apiGroups=["*"], resources=["*"], verbs=["*"]),
    PolicyRule(nonResourceURLs=["*"], verbs=["*"]),
)


def check(policy: Policy, user: User, resource: Resource[Any], new: Any, old: Any) -> None:
    """Whether the user may store a role or binding; `old` is None for a new one.

    Raises ApiError 403, and 404 for a binding to a role that nobody knows.
    """
    if MASTERS in user.groups or (old is not None and _only_bookkeeping(new, old)):
        return
    name, namespace = new.metadata.name or "", new.metadata.namespace or ""
    if resource in _ROLES:
        _check_role(policy, user, resource, new, "" if old is None else name)
        return
    ref = new.roleRef
    role = CLUSTERROLES if ref.kind == "ClusterRole" else ROLES
    bind = Attributes("bind", RBAC, role.plural, "", namespace, ref.name)
    if policy.verdict(user, bind).allowed:
        return
    rules = policy.rules_of(ref.kind, ref.name, namespace)
    if rules is None:
        raise errors.not_found(RBAC, role.singular, ref.name)
    _confirm(policy, user, resource, name, namespace, rules)


def _only_bookkeeping(new: Any, old: Any) -> bool:
    """Whether a change is what garbage collection needs (IsOnlyMutatingGCFields)."""
    meta = replace(
        new.metadata,
        ownerReferences=old.metadata.ownerReferences,
        finalizers=old.metadata.finalizers,
        managedFields=old.metadata.managedFields,
        resourceVersion=old.metadata.resourceVersion,
    )
    return bool(replace(new, metadata=meta) == old)


def _check_role(policy: Policy, user: User, resource: Resource[Any], new: Any, name: str) -> None:
    own, namespace = new.metadata.name or "", new.metadata.namespace or ""
    escalate = Attributes("escalate", RBAC, resource.plural, "", namespace, name)
    if policy.verdict(user, escalate).allowed:
        return
    _confirm(policy, user, resource, own, namespace, new.rules or ())
    if resource is CLUSTERROLES and new.aggregationRule is not None:
        held = policy.grants(user, "").rules
        if rbac.uncovered(held, _EVERYTHING):
            why = "must have cluster-admin privileges to use the aggregationRule"
            raise errors.forbidden(RBAC, resource.plural, own, why)


def _confirm(
    policy: Policy,
    user: User,
    resource: Resource[Any],
    name: str,
    namespace: str,
    rules: Sequence[PolicyRule],
) -> None:
    held = policy.grants(user, namespace)
    missing = rbac.uncovered(held.rules, rules)
    if missing:
        raise _refusal(user, resource, name, missing, held.errors)


def _refusal(
    user: User,
    resource: Resource[Any],
    name: str,
    missing: Sequence[PolicyRule],
    failed: Sequence[str],
) -> ApiError:
    lines = "\n".join(sorted({describe(rule) for rule in compact(missing)}))
    why = (
        f"user {show(user.name)} (groups={_quoted(user.groups)}) is attempting to grant RBAC "
        f"permissions not currently held:\n{lines}"
    )
    if failed:
        why += f"; resolution errors: [{' '.join(failed)}]"
    return errors.forbidden(RBAC, resource.plural, name, why)


def compact(rules: Sequence[PolicyRule]) -> list[PolicyRule]:
    """Rules about the same resource, without names, as one with all their verbs (CompactRules)."""
    simple: dict[tuple[str, str], list[str]] = {}
    out: list[PolicyRule] = []
    for rule in rules:
        if rule.apiGroups and rule.resources and not rule.resourceNames:
            verbs = simple.setdefault((rule.apiGroups[0], rule.resources[0]), [])
            verbs += [v for v in rule.verbs if v not in verbs]
        else:
            out.append(rule)
    for (group, resource), verbs in simple.items():
        out.append(PolicyRule(apiGroups=[group], resources=[resource], verbs=verbs))
    return out


def describe(rule: PolicyRule) -> str:
    """A rule in one line (pkg/apis/rbac/v1/helpers.go: CompactString)."""
    parts = {
        "APIGroups": rule.apiGroups,
        "Resources": rule.resources,
        "NonResourceURLs": rule.nonResourceURLs,
        "ResourceNames": rule.resourceNames,
        "Verbs": rule.verbs,
    }
    return "{" + ", ".join(f"{k}:{_quoted(v)}" for k, v in parts.items() if v) + "}"


def _quoted(values: Sequence[str]) -> str:
    """A slice as Go's %q shows it."""
    return "[" + " ".join(show(v) for v in values) + "]"
