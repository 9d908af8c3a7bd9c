"""Roles and bindings: defaults, validation, tables."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api.models import ClusterRoleBinding, RoleBinding
from kubatch.api.resource import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    RBAC,
    ROLEBINDINGS,
    ROLES,
    Resource,
)
from tests.unit.registry.kinds.making import (
    NOW,
    create_errors,
    created,
    decode,
    merged,
    rules,
    update_errors,
)

RULE: dict[str, Any] = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
PATHS: dict[str, Any] = {"verbs": ["get"], "nonResourceURLs": ["/metrics"]}
REF = {"kind": "Role", "name": "r"}
CLUSTER_REF = {"kind": "ClusterRole", "name": "r"}


def role(*given: Any, name: str = "r") -> dict[str, Any]:
    return {"metadata": {"name": name}, "rules": list(given)}


def binding(ref: Any = REF, *subjects: Any) -> dict[str, Any]:
    return {"metadata": {"name": "b"}, "roleRef": ref, "subjects": list(subjects)}


def without(base: dict[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in base.items() if k not in names}


@pytest.mark.parametrize(
    ("resource", "value", "expected"),
    [
        (ROLES, role(RULE), []),
        (ROLES, role(), []),
        (ROLES, role(RULE, name="system:a:B_c"), []),
        (CLUSTERROLES, role(RULE, PATHS), []),
        (
            ROLES,
            role({}),
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api "
                "group",
                "rules[0].resources: Required value: resource rules must supply at least one "
                "resource",
            ],
        ),
        (
            ROLES,
            role(PATHS),
            [
                'rules[0].nonResourceURLs: Invalid value: ["/metrics"]: namespaced rules cannot '
                "apply to non-resource URLs"
            ],
        ),
        (
            CLUSTERROLES,
            role(RULE, {**RULE, **PATHS}),
            [
                'rules[1].nonResourceURLs: Invalid value: ["/metrics"]: rules cannot apply to both '
                "regular resources and non-resource URLs"
            ],
        ),
        (
            CLUSTERROLES,
            {**role(), "aggregationRule": {}},
            [
                "aggregationRule.clusterRoleSelectors: Required value: at least one "
                "clusterRoleSelector required if aggregationRule is non-nil"
            ],
        ),
        (
            CLUSTERROLES,
            {**role(), "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"-": "x"}}]}},
            ["aggregationRule.clusterRoleSelectors[0].matchLabels: Invalid value: "],
        ),
        (ROLES, role(name="a/b"), ["metadata.name: Invalid value: \"a/b\": may not contain '/'"]),
        (ROLES, role(name="a%b"), ["metadata.name: Invalid value: \"a%b\": may not contain '%'"]),
        (ROLES, role(name=".."), ["metadata.name: Invalid value: \"..\": may not be '..'"]),
        (ROLEBINDINGS, binding(), []),
        (ROLEBINDINGS, binding(CLUSTER_REF, {"kind": "User", "name": "bob"}), []),
        (ROLEBINDINGS, binding(REF, {"kind": "ServiceAccount", "name": "a"}), []),
        (CLUSTERROLEBINDINGS, binding(CLUSTER_REF, {"kind": "Group", "name": "dev"}), []),
        (
            CLUSTERROLEBINDINGS,
            binding(),
            ['roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'],
        ),
        (
            ROLEBINDINGS,
            binding({"kind": "Thing", "apiGroup": "x"}),
            [
                f'roleRef.apiGroup: Unsupported value: "x": supported values: "{RBAC}"',
                'roleRef.kind: Unsupported value: "Thing": supported values: "Role", "ClusterRole"',
                "roleRef.name: Required value",
            ],
        ),
        (
            CLUSTERROLEBINDINGS,
            binding(CLUSTER_REF, {"kind": "ServiceAccount", "name": "A", "apiGroup": "x"}),
            [
                'subjects[0].name: Invalid value: "A": a lowercase RFC 1123 subdomain',
                'subjects[0].apiGroup: Unsupported value: "x": supported values: ""',
                "subjects[0].namespace: Required value",
            ],
        ),
        (
            ROLEBINDINGS,
            binding(REF, {"kind": "User", "apiGroup": "x"}, {"kind": "Robot", "name": "r"}),
            [
                "subjects[0].name: Required value",
                f'subjects[0].apiGroup: Unsupported value: "x": supported values: "{RBAC}"',
                'subjects[1].kind: Unsupported value: "Robot": supported values: "ServiceAccount", '
                '"User", "Group"',
            ],
        ),
    ],
)
def test_create(resource: Resource[Any], value: dict[str, Any], expected: list[str]) -> None:
    found = create_errors(resource, value)
    assert len(found) == len(expected), found
    for text, start in zip(found, expected, strict=True):
        assert text.startswith(start)


@pytest.mark.parametrize("resource", [ROLEBINDINGS, CLUSTERROLEBINDINGS])
def test_defaults(resource: Resource[Any]) -> None:
    subjects = [
        {"kind": "User", "name": "u"},
        {"kind": "Group", "name": "g"},
        {"kind": "ServiceAccount", "name": "a", "namespace": "d"},
    ]
    made: RoleBinding | ClusterRoleBinding = created(resource, binding(CLUSTER_REF, *subjects))
    assert made.roleRef.apiGroup == RBAC
    assert [s.apiGroup for s in made.subjects or ()] == [RBAC, RBAC, None]


def test_a_bindings_role_stays() -> None:
    old = created(ROLEBINDINGS, binding())
    assert update_errors(ROLEBINDINGS, old, old) == []
    other = decode(ROLEBINDINGS, merged(binding(), {"roleRef": {"name": "other"}}))
    assert old.metadata is not None
    other.metadata = old.metadata
    assert update_errors(ROLEBINDINGS, other, old) == [
        f'roleRef: Invalid value: {{"APIGroup":"{RBAC}","Kind":"Role","Name":"other"}}: '
        "cannot change roleRef"
    ]


def test_updates_are_judged_like_creates() -> None:
    old = created(CLUSTERROLES, role(RULE))
    assert len(update_errors(CLUSTERROLES, decode(CLUSTERROLES, role({})), old)) >= 3
    namespaced = created(ROLES, role(RULE))
    assert update_errors(ROLES, namespaced, namespaced) == []


def test_rows() -> None:
    subjects = [
        {"kind": "User", "name": "u"},
        {"kind": "User", "name": "v"},
        {"kind": "ServiceAccount", "name": "a"},
        {"kind": "ServiceAccount", "name": "b", "namespace": "d"},
    ]
    made = created(ROLEBINDINGS, binding(REF, *subjects))
    assert rules(ROLEBINDINGS).row(made, NOW).cells == ("b", "Role/r", "0s", "u, v", "", "a, d/b")
