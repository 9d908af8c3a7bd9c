"""What objects count for in quotas."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import codec, quantity, usage
from kubatch.api.models import ResourceQuota
from kubatch.api.resource import (
    CONFIGMAPS,
    CRONJOBS,
    JOBS,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    RESOURCEQUOTAS,
    SERVICES,
    Resource,
)


def decoded(resource: Resource[Any], **parts: Any) -> Any:
    return codec.from_dict(resource, {"metadata": {"name": "x"}, **parts})[0]


def container(name: str = "c", **resources: Any) -> dict[str, Any]:
    return {"name": name, "image": "i", "resources": resources}


def pod(*containers: dict[str, Any], status: Any = None, **spec: Any) -> Any:
    return decoded(PODS, spec={"containers": list(containers), **spec}, status=status or {})


def quota(hard: dict[str, str], **spec: Any) -> ResourceQuota:
    made: ResourceQuota = decoded(RESOURCEQUOTAS, spec={"hard": hard, **spec})
    assert made.metadata is not None
    made.metadata.name = "rq"
    return made


# ----- sums


@pytest.mark.parametrize(
    ("texts", "total"),
    [
        ([], "0"),
        (["0", "100Mi"], "100Mi"),
        (["100Mi", "1Gi"], "1124Mi"),
        (["1Gi", "1Gi"], "2Gi"),
        (["500m", "1"], "1500m"),
        (["500m", "500m"], "1"),
        (["1k", "1Ki"], "2024"),
        (["512", "512"], "1024"),
        (["1Ki", "-1Ki"], "0"),
        (["1e3", "1e3"], "2e3"),
        (["1Ki", "500m"], "1024500m"),
    ],
)
def test_sums_keep_the_units_they_began_with(texts: list[str], total: str) -> None:
    assert quantity.summed(texts) == total


@given(st.lists(st.sampled_from(["1", "250m", "3Ki", "2Mi", "5k", "1e3", "0", "-1", "1.5Gi"])))
def test_sums_add_up(texts: list[str]) -> None:
    total = quantity.parse(quantity.summed(texts))
    assert total == sum(map(quantity.parse, texts), Decimal(0))


# ----- one object


@pytest.mark.parametrize(
    ("resource", "obj", "counted"),
    [
        (CONFIGMAPS, {}, {"count/configmaps": "1", "configmaps": "1"}),
        (CRONJOBS, {"spec": {"schedule": "@daily"}}, {"count/cronjobs.batch": "1"}),
        (
            SERVICES,
            {"spec": {"type": "ClusterIP", "ports": [{"port": 1}]}},
            {
                "count/services": "1",
                "services": "1",
                "services.nodeports": "0",
                "services.loadbalancers": "0",
            },
        ),
        (
            SERVICES,
            {"spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}},
            {
                "count/services": "1",
                "services": "1",
                "services.nodeports": "2",
                "services.loadbalancers": "1",
            },
        ),
        (
            PERSISTENTVOLUMECLAIMS,
            {"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}},
            {
                "count/persistentvolumeclaims": "1",
                "persistentvolumeclaims": "1",
                "requests.storage": "2Gi",
                "fast.storageclass.storage.k8s.io/requests.storage": "2Gi",
                "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
            },
        ),
    ],
)
def test_what_counts(resource: Any, obj: dict[str, Any], counted: dict[str, str]) -> None:
    assert usage.of(resource, decoded(resource, **obj)) == counted


def test_what_pods_count_for() -> None:
    one = container(requests={"cpu": "500m", "a.b/gpu": "1"}, limits={"memory": "1Gi"})
    assert usage.of(PODS, pod(one, container("d", requests={"cpu": "1"}))) == {
        "count/pods": "1",
        "pods": "1",
        "cpu": "1500m",
        "requests.cpu": "1500m",
        "requests.a.b/gpu": "1",
        "limits.memory": "1Gi",
    }
    assert usage.of(PODS, pod(one, status={"phase": "Succeeded"})) == {"count/pods": "1"}


def test_init_containers_and_sidecars() -> None:
    greedy = container("i", requests={"cpu": "3"})
    sidecar = {**container("s", requests={"cpu": "1"}), "restartPolicy": "Always"}
    last = container("j", requests={"cpu": "1500m"})
    made = pod(container(requests={"cpu": "1"}), initContainers=[greedy, sidecar, last])
    assert usage.effective(made.spec, "requests") == {"cpu": "3"}
    made = pod(container(requests={"cpu": "1"}), initContainers=[sidecar, greedy])
    assert usage.effective(made.spec, "requests") == {"cpu": "4"}
    made = pod(container(requests={"cpu": "1"}), overhead={"cpu": "100m", "memory": "1Mi"})
    assert usage.effective(made.spec, "requests") == {"cpu": "1100m", "memory": "1Mi"}
    assert usage.effective(made.spec, "limits") == {}


@pytest.mark.parametrize(
    ("resource", "hard", "touched"),
    [
        (PODS, "pods", True),
        (PODS, "cpu", True),
        (PODS, "limits.memory", True),
        (PODS, "requests.a.b/gpu", True),
        (PODS, "count/pods", True),
        (PODS, "count/jobs.batch", False),
        (PODS, "services.nodeports", False),
        (JOBS, "count/jobs.batch", True),
        (JOBS, "count/jobs", False),
        (JOBS, "cpu", False),
        (SERVICES, "services.nodeports", True),
        (PERSISTENTVOLUMECLAIMS, "requests.storage", True),
        (PERSISTENTVOLUMECLAIMS, "x.storageclass.storage.k8s.io/requests.storage", True),
        (CONFIGMAPS, "secrets", False),
    ],
)
def test_which_kinds_a_name_is_about(resource: Any, hard: str, touched: bool) -> None:
    assert usage.touches(resource, [hard]) is touched


# ----- scopes


def requirement(scope: str, operator: str = "Exists", *values: str) -> dict[str, Any]:
    one = {"scopeName": scope, "operator": operator, "values": list(values)}
    return {"scopeSelector": {"matchExpressions": [one]}}


ELSEWHERE = {
    "podAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "x", "namespaces": ["other"]}
        ]
    }
}


@pytest.mark.parametrize(
    ("scopes", "spec", "status", "seen"),
    [
        ({}, {}, {}, True),
        ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 5}, {}, True),
        ({"scopes": ["Terminating"]}, {}, {}, False),
        ({"scopes": ["NotTerminating"]}, {}, {}, True),
        ({"scopes": ["BestEffort"]}, {}, {"qosClass": "BestEffort"}, True),
        ({"scopes": ["NotBestEffort"]}, {}, {"qosClass": "BestEffort"}, False),
        (requirement("PriorityClass"), {"priorityClassName": "high"}, {}, True),
        (requirement("PriorityClass", "In", "high"), {"priorityClassName": "high"}, {}, True),
        (requirement("PriorityClass", "In", "low"), {"priorityClassName": "high"}, {}, False),
        (requirement("PriorityClass", "NotIn", "low"), {"priorityClassName": "high"}, {}, True),
        (requirement("PriorityClass", "DoesNotExist"), {}, {}, True),
        (requirement("CrossNamespacePodAffinity"), {"affinity": ELSEWHERE}, {}, True),
        (requirement("CrossNamespacePodAffinity"), {}, {}, False),
        (requirement("VolumeAttributesClass"), {}, {}, False),
    ],
)
def test_scopes(
    scopes: dict[str, Any], spec: dict[str, Any], status: dict[str, Any], seen: bool
) -> None:
    made = pod(container(), status=status, **spec)
    assert usage.in_scope(quota({"pods": "1"}, **scopes), PODS, made) is seen


def test_scopes_of_pods_leave_other_kinds_alone() -> None:
    limited = quota({"count/configmaps": "0"}, scopes=["BestEffort"])
    assert usage.refusal(limited, CONFIGMAPS, decoded(CONFIGMAPS), []) == ""


# ----- one too many

SMALL = container(requests={"cpu": "100m"}, limits={"memory": "100Mi"})


@pytest.mark.parametrize(
    ("hard", "new", "others", "why"),
    [
        ({"pods": "2"}, pod(container()), [pod(container())], ""),
        (
            {"pods": "1"},
            pod(container()),
            [pod(container())],
            "exceeded quota: rq, requested: pods=1, used: pods=1, limited: pods=1",
        ),
        (
            {"limits.memory": "1Gi", "pods": "1", "requests.cpu": "1"},
            pod(container(requests={"cpu": "2"}, limits={"memory": "2Gi"})),
            [pod(container(requests={"cpu": "600m"}, limits={"memory": "100Mi"}))],
            "exceeded quota: rq, requested: limits.memory=2Gi,pods=1,requests.cpu=2, used: "
            "limits.memory=100Mi,pods=1,requests.cpu=600m, limited: "
            "limits.memory=1Gi,pods=1,requests.cpu=1",
        ),
        (
            {"limits.memory": "1Gi", "requests.cpu": "1"},
            pod(container()),
            [],
            "failed quota: rq: must specify limits.memory for: c; requests.cpu for: c",
        ),
        (
            {"cpu": "1"},
            pod(container("b"), container("a"), initContainers=[SMALL]),
            [],
            "failed quota: rq: must specify cpu for: a,b",
        ),
        ({"pods": "1"}, pod(SMALL), [pod(SMALL, status={"phase": "Failed"})], ""),
        (
            {"count/pods": "1"},
            pod(SMALL),
            [pod(SMALL, status={"phase": "Failed"})],
            "exceeded quota: rq, requested: count/pods=1, used: count/pods=1, limited: "
            "count/pods=1",
        ),
        ({"secrets": "0"}, pod(SMALL), [], ""),
    ],
)
def test_one_too_many(hard: dict[str, str], new: Any, others: list[Any], why: str) -> None:
    assert usage.refusal(quota(hard), PODS, new, others) == why


def test_totals() -> None:
    limited = quota({"pods": "5", "requests.cpu": "1", "count/jobs.batch": "3", "secrets": "1"})
    contents: list[tuple[Resource[Any], list[Any]]] = [
        (PODS, [pod(SMALL), pod(SMALL)]),
        (JOBS, [decoded(JOBS)]),
    ]
    assert usage.total(limited, contents) == {
        "count/jobs.batch": "1",
        "pods": "2",
        "requests.cpu": "200m",
        "secrets": "0",
    }
