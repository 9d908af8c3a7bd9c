"""What is wrong with roles and bindings (pkg/apis/rbac/validation/validation.go)."""

from __future__ import annotations

from collections.abc import Sequence

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import AggregationRule, PolicyRule, RoleRef, Subject
from kubatch.api.resource import RBAC
from kubatch.registry.kinds.rules import selector_causes
from kubatch.registry.metadata import dns_subdomain_errors


def name_errors(name: str) -> list[str]:
    """Why a name cannot be part of a path (apimachinery/pkg/api/validation/path)."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{c}'" for c in "/%" if c in name]


def rules_causes(rules: Sequence[PolicyRule], *, namespaced: bool) -> list[Cause]:
    """Everything wrong with a role's rules (ValidatePolicyRule)."""
    out: list[Cause] = []
    for i, rule in enumerate(rules):
        path = f"rules[{i}]"
        if not rule.verbs:
            out.append(fields.required(f"{path}.verbs", "verbs must contain at least one value"))
        if rule.nonResourceURLs:
            where, urls = f"{path}.nonResourceURLs", rule.nonResourceURLs
            if namespaced:
                why = "namespaced rules cannot apply to non-resource URLs"
                out.append(fields.invalid(where, urls, why))
            if rule.apiGroups or rule.resources or rule.resourceNames:
                why = "rules cannot apply to both regular resources and non-resource URLs"
                out.append(fields.invalid(where, urls, why))
            continue
        if not rule.apiGroups:
            why = "resource rules must supply at least one api group"
            out.append(fields.required(f"{path}.apiGroups", why))
        if not rule.resources:
            why = "resource rules must supply at least one resource"
            out.append(fields.required(f"{path}.resources", why))
    return out


def aggregation_causes(rule: AggregationRule) -> list[Cause]:
    """Everything wrong with an aggregation (ValidateClusterRole)."""
    path = "aggregationRule.clusterRoleSelectors"
    if not rule.clusterRoleSelectors:
        why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        return [fields.required(path, why)]
    out: list[Cause] = []
    for i, selector in enumerate(rule.clusterRoleSelectors):
        out += selector_causes(selector, f"{path}[{i}]")
    return out


def role_ref_causes(ref: RoleRef, kinds: Sequence[str]) -> list[Cause]:
    """Everything wrong with the role a binding names."""
    out: list[Cause] = []
    if ref.apiGroup != RBAC:
        out.append(fields.not_supported("roleRef.apiGroup", ref.apiGroup or "", [RBAC]))
    if ref.kind not in kinds:
        out.append(fields.not_supported("roleRef.kind", ref.kind, kinds))
    if not ref.name:
        out.append(fields.required("roleRef.name"))
    out += [fields.invalid("roleRef.name", ref.name, why) for why in name_errors(ref.name)]
    return out


def subject_causes(subject: Subject, path: str, *, namespaced: bool) -> list[Cause]:
    """Everything wrong with whom a binding names (ValidateRoleBindingSubject)."""
    out: list[Cause] = []
    if not subject.name:
        out.append(fields.required(f"{path}.name"))
    group = subject.apiGroup or ""
    match subject.kind:
        case "ServiceAccount":
            if subject.name:
                why_not = dns_subdomain_errors(subject.name)
                out += [fields.invalid(f"{path}.name", subject.name, why) for why in why_not]
            if group:
                out.append(fields.not_supported(f"{path}.apiGroup", group, [""]))
            if not namespaced and not subject.namespace:
                out.append(fields.required(f"{path}.namespace"))
        case "User" | "Group":
            if group != RBAC:
                out.append(fields.not_supported(f"{path}.apiGroup", group, [RBAC]))
        case _:
            choices = ["ServiceAccount", "User", "Group"]
            out.append(fields.not_supported(f"{path}.kind", subject.kind, choices))
    return out
