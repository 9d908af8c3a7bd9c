"""What is refused inside a pod's containers, with its exact words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.registry.kinds.making import CONTAINER, container_errors, pod_errors

PROBE = {"exec": {"command": ["a"]}}
IN_CONTAINER: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": None}, ["name: Required value"]),
    (
        {"name": "A_b"},
        [
            'name: Invalid value: "A_b": a lowercase RFC 1123 label must consist of lower case '
            "alphanumeric characters or '-', and must start and end with an alphanumeric character "
            "(e.g. 'my-name',  or '123-abc', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        ],
    ),
    ({"image": None}, ["image: Required value"]),
    (
        {"image": " a"},
        ['image: Invalid value: " a": must not have leading or trailing whitespace'],
    ),
    (
        {"imagePullPolicy": "X"},
        [
            'imagePullPolicy: Unsupported value: "X": supported values: "Always", '
            '"IfNotPresent", "Never"'
        ],
    ),
    (
        {"terminationMessagePolicy": "X"},
        [
            'terminationMessagePolicy: Unsupported value: "X": supported values: "File", '
            '"FallbackToLogsOnError"'
        ],
    ),
    ({"ports": [{"name": "a"}]}, ["ports[0].containerPort: Required value"]),
    (
        {"ports": [{"containerPort": 70000, "hostPort": -1, "protocol": "X", "name": "1--"}]},
        [
            'ports[0].name: Invalid value: "1--": must contain at least one letter (a-z)',
            'ports[0].name: Invalid value: "1--": must not contain consecutive hyphens',
            'ports[0].name: Invalid value: "1--": must not begin or end with a hyphen',
            "ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "ports[0].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
            'ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
        ],
    ),
    (
        {"ports": [{"containerPort": 1, "hostPort": 5}, {"containerPort": 2, "hostPort": 5}]},
        ['ports[1].hostPort: Duplicate value: "TCP//5"'],
    ),
    ({"env": [{"value": "a"}]}, ["env[0].name: Required value"]),
    (
        {"env": [{"name": "a=b"}]},
        [
            'env[0].name: Invalid value: "a=b": a valid environment variable name must consist '
            "only of printable ASCII characters other than '='"
        ],
    ),
    ({"env": [{"name": "1 odd-name!"}]}, []),
    (
        {"env": [{"name": "A", "valueFrom": {}}]},
        [
            'env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, '
            "`resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        ],
    ),
    (
        {
            "env": [
                {
                    "name": "A",
                    "value": "b",
                    "valueFrom": {"secretKeyRef": {"name": "s", "key": "a b"}},
                }
            ]
        },
        [
            'env[0].valueFrom.secretKeyRef.key: Invalid value: "a b": a valid config key must '
            "consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            'env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        ],
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.foo"}}}]},
        [
            'env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.foo": error converting '
            "fieldPath: field label not supported: spec.foo"
        ],
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}]},
        [
            'env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported '
            'values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", '
            '"spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", '
            '"status.podIPs"'
        ],
    ),
    (
        {
            "env": [
                {
                    "name": "A",
                    "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}},
                }
            ]
        },
        [
            'env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only '
            "divisor's values 1m and 1 are supported with the cpu resource"
        ],
    ),
    (
        {
            "restartPolicy": "Never",
            "restartPolicyRules": [
                {"action": action, "exitCodes": {"operator": "In", "values": [1]}}
                for action in ("Restart", "RestartAllContainers", "Stop")
            ],
        },
        [
            'restartPolicyRules[2].action: Unsupported value: "Stop": supported values: "Restart", '
            '"RestartAllContainers"'
        ],
    ),
    (
        {"envFrom": [{}]},
        ['envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'],
    ),
    ({"envFrom": [{"configMapRef": {}}]}, ["envFrom[0].configMapRef.name: Required value"]),
    (
        {"volumeMounts": [{"name": "v", "mountPath": "/a"}]},
        ['volumeMounts[0].name: Not found: "v"'],
    ),
    (
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
        ['resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ),
    (
        {"resources": {"requests": {"cpu": "-1"}}},
        ['resources.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
    ),
    (
        {"resources": {"requests": {"foo": "1"}}},
        [
            'resources.requests[foo]: Invalid value: "foo": must be a standard resource type or '
            "fully qualified",
            'resources.requests[foo]: Invalid value: "foo": must be a standard resource for '
            "containers",
        ],
    ),
    (
        {"resources": {"requests": {"a.b/gpu": "1"}}},
        ["resources.limits: Required value: Limit must be set for non overcommitable resources"],
    ),
    ({"resources": {"limits": {"a.b/gpu": "1"}}}, []),
    (
        {"resources": {"limits": {"hugepages-2Mi": "2Mi"}}},
        ["resources: Forbidden: HugePages require cpu or memory"],
    ),
    ({"livenessProbe": {}}, ["livenessProbe: Required value: must specify a handler type"]),
    (
        {"livenessProbe": {**PROBE, "tcpSocket": {"port": 1}, "successThreshold": 2}},
        [
            "livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ],
    ),
    (
        {"readinessProbe": {**PROBE, "terminationGracePeriodSeconds": 1, "periodSeconds": -1}},
        [
            "readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
            "readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for "
            "readinessProbes",
        ],
    ),
    (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        [
            "lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than "
            "terminationGracePeriodSeconds (30)"
        ],
    ),
    (
        {"securityContext": {"runAsUser": -1}},
        [
            "securityContext.runAsUser: Invalid value: -1: must be between 0 and 4294967295, "
            "inclusive"
        ],
    ),
    (
        {"securityContext": {"seccompProfile": {"type": "Localhost"}}},
        [
            "securityContext.seccompProfile.localhostProfile: Required value: must be set when "
            "seccomp type is Localhost"
        ],
    ),
    (
        {"restartPolicy": "X"},
        ['restartPolicy: Unsupported value: "X": supported values: "Always", "Never", "OnFailure"'],
    ),
]


@pytest.mark.parametrize(("change", "errors"), IN_CONTAINER)
def test_containers(change: dict[str, Any], errors: list[str]) -> None:
    expected = [
        f"spec.containers{e}" if e.startswith(":") else f"spec.containers[0].{e}" for e in errors
    ]
    assert container_errors(**change) == expected


def mounts(*mounted: dict[str, Any]) -> list[str]:
    volumes = [{"name": "v", "emptyDir": {}}]
    return pod_errors(volumes=volumes, containers=[{**CONTAINER, "volumeMounts": list(mounted)}])


@pytest.mark.parametrize(
    ("mount", "error"),
    [
        ({"subPath": "a/b"}, None),
        ({"subPath": "../b"}, "subPath: Invalid value: \"../b\": must not contain '..'"),
        ({"subPath": "/b"}, 'subPath: Invalid value: "/b": must be a relative path'),
        (
            {"recursiveReadOnly": "Enabled"},
            "recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
        ),
        (
            {"mountPropagation": "Bidirectional"},
            "mountPropagation: Forbidden: Bidirectional mount propagation is available only to "
            "privileged containers",
        ),
    ],
)
def test_mounts(mount: dict[str, Any], error: str | None) -> None:
    found = mounts({"name": "v", "mountPath": "/a", **mount})
    assert found == ([] if error is None else [f"spec.containers[0].volumeMounts.{error}"])


def test_mounting_twice_in_one_place() -> None:
    twice = {"name": "v", "mountPath": "/a"}
    assert mounts(twice, twice) == [
        'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique'
    ]


def test_an_image_volume_has_no_parts() -> None:
    volumes = [{"name": "v", "image": {"reference": "a:1"}}]
    mount = {"name": "v", "mountPath": "/a", "subPath": "b"}
    assert pod_errors(volumes=volumes, containers=[{**CONTAINER, "volumeMounts": [mount]}]) == [
        'spec.containers[0].volumeMounts[0].subPath: Invalid value: "b": not allowed in image '
        "volume sources"
    ]
