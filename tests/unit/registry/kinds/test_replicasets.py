"""ReplicaSets and PodTemplates."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import PODTEMPLATES, REPLICASETS
from tests.unit.registry.kinds.making import (
    CONTAINER,
    NOW,
    create_errors,
    created,
    decode,
    merged,
    rules,
    status_errors,
    update_errors,
)

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [CONTAINER]},
}
SET: dict[str, Any] = {
    "metadata": {"name": "web"},
    "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE},
}
NATURAL = "must be greater than or equal to 0"


def replicaset(**spec: Any) -> dict[str, Any]:
    return merged(SET, {"spec": spec})


def test_the_simplest_replica_set() -> None:
    shown = codec.to_dict(REPLICASETS, created(REPLICASETS, SET))
    assert shown["metadata"]["generation"] == 1
    assert shown["spec"]["replicas"] == 1
    assert shown["spec"]["template"]["spec"]["restartPolicy"] == "Always"
    assert shown["status"] == {"replicas": 0}


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        ({"selector": None}, ["spec.selector: Required value"]),
        ({"replicas": 0}, []),
        (
            {"replicas": -1, "minReadySeconds": -1},
            [
                f"spec.replicas: Invalid value: -1: {NATURAL}",
                f"spec.minReadySeconds: Invalid value: -1: {NATURAL}",
            ],
        ),
        (
            {"selector": {"matchLabels": {"app": "other"}}},
            [
                'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not '
                "match template `labels`"
            ],
        ),
        (
            {"selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}},
            [
                'spec.selector.matchExpressions[0].operator: Invalid value: "Near": not a valid '
                "selector operator",
                'spec.selector: Invalid value: {"matchLabels":{"app":"web"},"matchExpressions":'
                '[{"key":"a","operator":"Near"}]}: invalid label selector',
            ],
        ),
        (
            {"template": {"spec": {"restartPolicy": "Never", "activeDeadlineSeconds": 5}}},
            [
                'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: '
                '"Always"',
                "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in "
                "ReplicaSet is not Supported",
            ],
        ),
        (
            {"template": {"spec": {"containers": []}}},
            ["spec.template.spec.containers: Required value"],
        ),
    ],
)
def test_replica_sets_refused(spec: dict[str, Any], errors: list[str]) -> None:
    assert create_errors(REPLICASETS, replicaset(**spec)) == errors


def test_the_selector_is_fixed() -> None:
    old = created(REPLICASETS, SET)
    both = {"app": "web", "b": "c"}
    change = {
        "selector": {"matchLabels": both},
        "template": {"metadata": {"labels": both}},
    }
    new = decode(REPLICASETS, merged(codec.to_dict(REPLICASETS, old), {"spec": change}))
    assert update_errors(REPLICASETS, new, old) == [
        'spec.selector: Invalid value: {"matchLabels":{"app":"web","b":"c"}}: field is immutable'
    ]
    more = decode(REPLICASETS, merged(codec.to_dict(REPLICASETS, old), {"spec": {"replicas": 5}}))
    assert update_errors(REPLICASETS, more, old) == []


def test_the_status_must_add_up() -> None:
    old = created(REPLICASETS, SET)
    status = {
        "replicas": 2,
        "readyReplicas": 1,
        "availableReplicas": 3,
        "fullyLabeledReplicas": 3,
        "observedGeneration": -1,
    }
    new = decode(REPLICASETS, merged(codec.to_dict(REPLICASETS, old), {"status": status}))
    assert status_errors(REPLICASETS, new, old) == [
        f"status.observedGeneration: Invalid value: -1: {NATURAL}",
        "status.fullyLabeledReplicas: Invalid value: 3: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas",
    ]


def test_replica_sets_in_a_table() -> None:
    made = created(REPLICASETS, replicaset(replicas=3))
    assert list(rules(REPLICASETS).row(made, NOW).cells) == [
        "web", 3, 0, 0, "0s", "c", "busybox", "app=web",
    ]  # fmt: skip


# ----- pod templates


def test_pod_templates() -> None:
    body = {"metadata": {"name": "t"}, "template": TEMPLATE}
    made = created(PODTEMPLATES, body)
    assert list(rules(PODTEMPLATES).row(made, NOW).cells) == ["t", "c", "busybox", "app=web"]
    shown = codec.to_dict(PODTEMPLATES, made)
    assert shown["template"]["spec"]["dnsPolicy"] == "ClusterFirst"
    assert create_errors(PODTEMPLATES, {"metadata": {"name": "t"}}) == [
        "template.spec.containers: Required value"
    ]
    other = created(PODTEMPLATES, merged(body, {"template": {"metadata": {"labels": {"a": "b"}}}}))
    assert rules(PODTEMPLATES).spec_changed(other, made)
    assert update_errors(PODTEMPLATES, other, made) == []
