"""Creating a Pod: defaults, admission, classes of service, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import PODS
from kubatch.registry.kinds.podspec.defaults import default_pull_policy
from tests.unit.registry.kinds.making import (
    CONTAINER,
    POD,
    container,
    create_errors,
    created,
    merged,
    new_pod,
    pod,
    pod_errors,
    prepared,
    rules,
)

# ----- defaults


def test_a_minimal_pod() -> None:
    made = codec.to_dict(PODS, new_pod())
    assert made["spec"] == {
        "containers": [
            {
                "name": "c",
                "image": "busybox",
                "imagePullPolicy": "Always",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccount": "default",
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 30,
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{key}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
            for key in ("not-ready", "unreachable")
        ],
    }
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("busybox", "Always"),
        ("busybox:latest", "Always"),
        ("busybox:1", "IfNotPresent"),
        ("host:5000/busybox", "Always"),
        ("host:5000/busybox:1", "IfNotPresent"),
        ("busybox@sha256:abc", "IfNotPresent"),
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert default_pull_policy(image) == policy


def shown_container(**change: Any) -> dict[str, Any]:
    made = codec.to_dict(PODS, created(PODS, container(**change)))
    shown: dict[str, Any] = made["spec"]["containers"][0]
    return shown


def test_defaults_inside_containers() -> None:
    assert shown_container(ports=[{"containerPort": 80}])["ports"] == [
        {"containerPort": 80, "protocol": "TCP"}
    ]
    probe = shown_container(livenessProbe={"httpGet": {"port": 80}})["livenessProbe"]
    assert probe == {
        "failureThreshold": 3,
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "periodSeconds": 10,
        "successThreshold": 1,
        "timeoutSeconds": 1,
    }
    ref = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    shown = shown_container(env=[ref])["env"][0]["valueFrom"]["fieldRef"]
    assert shown == {"apiVersion": "v1", "fieldPath": "metadata.name"}
    resources = {"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "0.5"}}
    assert shown_container(resources=resources)["resources"]["requests"] == {
        "cpu": "500m",
        "memory": "1Gi",
    }


def test_defaults_of_volumes() -> None:
    volumes = [
        {"name": "a"},
        {"name": "b", "secret": {"secretName": "s"}},
        {"name": "c", "configMap": {"name": "m"}},
        {"name": "d", "hostPath": {"path": "/tmp"}},
        {
            "name": "e",
            "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]},
        },
        {
            "name": "f",
            "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]},
        },
    ]
    shown = codec.to_dict(PODS, new_pod(volumes=volumes))["spec"]["volumes"]
    assert shown[0] == {"name": "a", "emptyDir": {}}
    assert shown[1]["secret"]["defaultMode"] == 420
    assert shown[2]["configMap"]["defaultMode"] == 420
    assert shown[3]["hostPath"] == {"path": "/tmp", "type": ""}
    token = shown[4]["projected"]["sources"][0]["serviceAccountToken"]
    assert token == {"path": "token", "expirationSeconds": 3600}
    assert shown[5]["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] == "v1"


def test_tolerations_given_are_kept() -> None:
    everything = {"operator": "Exists"}
    assert new_pod(tolerations=[everything]).spec.tolerations is not None  # type: ignore[union-attr]
    shown = codec.to_dict(PODS, new_pod(tolerations=[everything]))["spec"]["tolerations"]
    assert shown == [everything]
    mine = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    shown = codec.to_dict(PODS, new_pod(tolerations=[mine]))["spec"]["tolerations"]
    assert [t["key"] for t in shown] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    assert shown[0] == mine


def test_gated_pods() -> None:
    made = codec.to_dict(PODS, new_pod(schedulingGates=[{"name": "a.b/c"}]))
    assert made["status"]["conditions"] == [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }
    ]
    assert pod_errors(schedulingGates=[{"name": "a.b/c"}], nodeName="n") == [
        "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"
    ]


# ----- class of service

CPU, BOTH = {"cpu": "1"}, {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "0"}}], "BestEffort"),
        ([{"requests": {"ephemeral-storage": "1Gi"}}], "BestEffort"),
        ([{"limits": BOTH}], "Guaranteed"),
        ([{"limits": BOTH, "requests": {"cpu": "1000m", "memory": "1024Mi"}}], "Guaranteed"),
        ([{"limits": BOTH, "requests": {"cpu": "500m"}}], "Burstable"),
        ([{"limits": CPU}], "Burstable"),
        ([{"requests": CPU}], "Burstable"),
        ([{"limits": BOTH}, {}], "Burstable"),
        ([{"limits": BOTH}, {"limits": BOTH}], "Guaranteed"),
    ],
)
def test_quality_of_service(resources: list[dict[str, Any]], qos: str) -> None:
    containers = [
        {**CONTAINER, "name": f"c{i}", "resources": res} for i, res in enumerate(resources)
    ]
    made = new_pod(containers=containers)
    assert made.status is not None
    assert made.status.qosClass == qos
    # Init containers count as well.
    made = new_pod(containers=containers[:1], initContainers=containers[1:])
    assert made.status is not None
    assert made.status.qosClass == qos


# ----- refusals

PROBE = {"exec": {"command": ["a"]}}

IN_SPEC: list[tuple[dict[str, Any], list[str]]] = [
    ({"containers": []}, ["spec.containers: Required value"]),
    (
        {"containers": [CONTAINER, CONTAINER]},
        ['spec.containers[1].name: Duplicate value: "c"'],
    ),
    (
        {"initContainers": [{**CONTAINER, "livenessProbe": PROBE}]},
        [
            'spec.initContainers[0].name: Duplicate value: "c"',
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers "
            "without restartPolicy=Always",
        ],
    ),
    (
        {
            "initContainers": [
                {**CONTAINER, "name": "i", "livenessProbe": PROBE, "restartPolicy": "Always"}
            ]
        },
        [],
    ),
    (
        {"ephemeralContainers": [{**CONTAINER, "name": "e"}]},
        ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
    ),
    (
        {"restartPolicy": "X", "dnsPolicy": "Y"},
        [
            'spec.restartPolicy: Unsupported value: "X": supported values: "Always", "OnFailure", '
            '"Never"',
            'spec.dnsPolicy: Unsupported value: "Y": supported values: "ClusterFirstWithHostNet", '
            '"ClusterFirst", "Default", "None"',
        ],
    ),
    (
        {"dnsPolicy": "None"},
        ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
    ),
    (
        {"activeDeadlineSeconds": 0},
        [
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, "
            "inclusive"
        ],
    ),
    (
        {"tolerations": [{"effect": "X"}]},
        [
            'spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` '
            'is empty, which means "match all values and all keys"',
            'spec.tolerations[0].effect: Unsupported value: "X": supported values: "NoSchedule", '
            '"PreferNoSchedule", "NoExecute"',
        ],
    ),
    (
        {"tolerations": [{"key": "a", "operator": "Exists", "value": "b", "tolerationSeconds": 1}]},
        [
            "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when "
            "`tolerationSeconds` is set",
            'spec.tolerations[0].operator: Invalid value: "b": value must be empty when '
            "`operator` is 'Exists'",
        ],
    ),
    (
        {"schedulingGates": [{"name": "a.b/c"}, {"name": "a.b/c"}]},
        ['spec.schedulingGates[1]: Duplicate value: "a.b/c"'],
    ),
    (
        {"hostUsers": False, "hostNetwork": True, "hostPID": True},
        [
            "spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false",
            "spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false",
        ],
    ),
    (
        {"volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/../x"}}]},
        ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
    ),
    (
        {"volumes": [{"name": "a", "hostPath": {"path": "/../x", "type": "X"}}]},
        [
            "spec.volumes[0].hostPath.path: Invalid value: \"/../x\": must not contain '..'",
            'spec.volumes[0].hostPath.type: Unsupported value: "X": supported values: "", '
            '"BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", '
            '"FileOrCreate", "Socket"',
        ],
    ),
    (
        {
            "volumes": [
                {
                    "name": "a",
                    "configMap": {"items": [{"key": "k", "path": "/x"}], "defaultMode": 512},
                }
            ]
        },
        [
            "spec.volumes[0].configMap.name: Required value",
            "spec.volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 "
            "and 0777 (octal), both inclusive",
            'spec.volumes[0].configMap.items[0].path: Invalid value: "/x": must be a relative path',
        ],
    ),
    (
        {"volumes": [{"name": "a"}, {"name": "a"}]},
        ['spec.volumes[1].name: Duplicate value: "a"'],
    ),
    (
        {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "a", "operator": "In"}]}
                        ]
                    }
                }
            }
        },
        [
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."
            "nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified "
            "when `operator` is 'In' or 'NotIn'"
        ],
    ),
    (
        {
            "topologySpreadConstraints": [
                {"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "X"}
            ]
        },
        [
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than "
            "zero",
            "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
            'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": '
            'supported values: "DoNotSchedule", "ScheduleAnyway"',
        ],
    ),
]


@pytest.mark.parametrize(("spec", "errors"), IN_SPEC)
def test_specs(spec: dict[str, Any], errors: list[str]) -> None:
    assert pod_errors(**spec) == errors


def test_a_pod_as_the_job_controller_makes_it() -> None:
    key = "batch.kubernetes.io/job-completion-index"
    env = {
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{key}']"}},
    }
    body = merged(container(env=[env]), {"metadata": {"labels": {key: "0"}}})
    assert create_errors(PODS, body) == []


def test_warnings() -> None:
    strategy = rules(PODS)
    assert strategy.warnings_create(prepared(PODS, POD)) == []
    grace = prepared(
        PODS, merged(pod(terminationGracePeriodSeconds=-1), {"metadata": {"name": "a.b"}})
    )
    assert strategy.warnings_create(grace) == [
        "metadata.name: this is used in the Pod's hostname, which can result in surprising "
        "behavior; a DNS label is recommended: [must not contain dots]",
        "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will "
        "be treated as 1",
    ]
    memory = prepared(PODS, container(resources={"requests": {"memory": "100m"}}))
    assert strategy.warnings_create(memory) == [
        'spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, '
        "must be an integer"
    ]
