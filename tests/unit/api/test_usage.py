"""What objects count for in quotas."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

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
    limited = usage.of(PODS, pod(container(limits={"a.b/gpu": "1", "hugepages-2Mi": "2Mi"})))
    assert limited == {"count/pods": "1", "pods": "1"}, "only requests of these are limited"
    huge = usage.of(PODS, pod(container(requests={"hugepages-2Mi": "2Mi"})))
    assert huge["hugepages-2Mi"] == huge["requests.hugepages-2Mi"] == "2Mi"


@pytest.mark.parametrize("resource", [PODS, SERVICES, PERSISTENTVOLUMECLAIMS])
def test_an_object_without_a_spec_counts_as_an_object(resource: Any) -> None:
    counted = usage.of(resource, replace(decoded(resource), spec=None))
    assert set(counted) <= {f"count/{resource.plural}", resource.plural}
    assert set(counted.values()) == {"1"}


def test_services_and_claims_that_ask_for_little() -> None:
    ports = {"ports": [{"port": 1}], "allocateLoadBalancerNodePorts": False}
    closed = usage.of(SERVICES, decoded(SERVICES, spec={"type": "LoadBalancer", **ports}))
    assert (closed["services.nodeports"], closed["services.loadbalancers"]) == ("0", "1")
    opened = usage.of(SERVICES, decoded(SERVICES, spec={**ports, "type": "NodePort"}))
    assert (opened["services.nodeports"], opened["services.loadbalancers"]) == ("1", "0")
    claim = usage.of(PERSISTENTVOLUMECLAIMS, decoded(PERSISTENTVOLUMECLAIMS, spec={}))
    assert claim == {
        "count/persistentvolumeclaims": "1",
        "persistentvolumeclaims": "1",
        "requests.storage": "0",
    }


def test_what_the_pod_itself_asks_for_comes_first() -> None:
    made = pod(container(requests={"cpu": "1"}), resources={"requests": {"cpu": "3"}})
    assert usage.effective(made.spec, "requests") == {"cpu": "3"}


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
        (PERSISTENTVOLUMECLAIMS, "requests.cpu", False),
        (CONFIGMAPS, "secrets", False),
    ],
)
def test_which_kinds_a_name_is_about(resource: Any, hard: str, touched: bool) -> None:
    assert usage.touches(resource, [hard]) is touched


# ----- scopes


def requirement(scope: str, operator: str = "Exists", *values: str) -> dict[str, Any]:
    one = {"scopeName": scope, "operator": operator, "values": list(values)}
    return {"scopeSelector": {"matchExpressions": [one]}}


def near(**term: Any) -> dict[str, Any]:
    terms = [{"topologyKey": "x", **term}]
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def rather_far(**term: Any) -> dict[str, Any]:
    weighted = [{"weight": 1, "podAffinityTerm": {"topologyKey": "x", **term}}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": weighted}}


ELSEWHERE = near(namespaces=["other"])


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
        (requirement("CrossNamespacePodAffinity"), {"affinity": near()}, {}, False),
        (
            requirement("CrossNamespacePodAffinity"),
            {"affinity": rather_far(namespaceSelector={})},
            {},
            True,
        ),
        (
            requirement("CrossNamespacePodAffinity"),
            {"affinity": {**near(), **rather_far()}},
            {},
            False,
        ),
        ({"scopes": ["SomethingLater"]}, {}, {}, False),
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


def test_scopes_of_claims() -> None:
    named = decoded(PERSISTENTVOLUMECLAIMS, spec={"volumeAttributesClassName": "gold"})
    limited = quota({"requests.storage": "1"}, **requirement("VolumeAttributesClass", "In", "gold"))
    assert usage.in_scope(limited, PERSISTENTVOLUMECLAIMS, named)
    assert not usage.in_scope(limited, PERSISTENTVOLUMECLAIMS, decoded(PERSISTENTVOLUMECLAIMS))
    assert not usage.in_scope(quota({}, scopes=["BestEffort"]), PERSISTENTVOLUMECLAIMS, named)


def test_a_quota_without_a_spec_looks_at_nothing() -> None:
    empty = replace(quota({}), spec=None)
    assert not usage.in_scope(empty, PODS, pod(container()))
    assert usage.refusal(empty, PODS, pod(container()), []) == ""
    assert usage.total(empty, [(PODS, [pod(container())])]) == {}


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


def test_a_pod_without_a_spec_leaves_nothing_out() -> None:
    bare = replace(pod(container()), spec=None)
    assert usage.refusal(quota({"cpu": "1"}), PODS, bare, []) == ""


def test_a_total_counts_what_is_in_scope() -> None:
    limited = quota({"pods": "5"}, scopes=["BestEffort"])
    idle = pod(container(), status={"qosClass": "BestEffort"})
    assert usage.total(limited, [(PODS, [idle, pod(SMALL)])]) == {"pods": "1"}


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
