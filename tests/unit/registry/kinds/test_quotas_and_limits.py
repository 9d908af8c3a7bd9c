"""ResourceQuotas and LimitRanges: what may be stored, and what a LimitRange does to pods."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.models import LimitRange, Pod
from kubatch.api.resource import LIMITRANGES, PERSISTENTVOLUMECLAIMS, PODS, RESOURCEQUOTAS
from kubatch.registry.kinds.limitrange import bounds
from tests.unit.registry.kinds.making import (
    NOW,
    create_errors,
    created,
    decode,
    merged,
    pod,
    rules,
    status_errors,
    update_errors,
)


def quota(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "q"}, "spec": spec}


def limits(*items: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "l"}, "spec": {"limits": list(items)}}


NATURAL = "must be greater than or equal to 0"
NOT_STANDARD = "must be a standard resource type or fully qualified"
ONLY_EXISTS = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
    "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
    "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def requirement(**change: Any) -> dict[str, Any]:
    base = {"scopeName": "PriorityClass", "operator": "Exists"}
    return {"scopeSelector": {"matchExpressions": [{**base, **change}]}}


WHERE = "spec.scopeSelector.matchExpressions"


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        ({"hard": {"pods": "5", "requests.cpu": "1500m", "count/jobs.batch": "3"}}, []),
        ({"hard": {"requests.nvidia.com/gpu": "1", "hugepages-2Mi": "4Mi"}}, []),
        (
            {"hard": {"pods": "1500m", "cpu": "-1"}},
            [
                'spec.hard[pods]: Invalid value: "1500m": must be an integer',
                f'spec.hard[cpu]: Invalid value: "-1": {NATURAL}',
            ],
        ),
        (
            {"hard": {"storage": "1", "cows": "1"}},
            [
                'spec.hard[storage]: Invalid value: "storage": must be a standard resource for '
                "quota",
                f'spec.hard[cows]: Invalid value: "cows": {NOT_STANDARD}',
                'spec.hard[cows]: Invalid value: "cows": must be a standard resource for quota',
            ],
        ),
        (
            {"hard": {"services": "1"}, "scopes": ["BestEffort", "NotBestEffort", "Some"]},
            [
                'spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Some"]: unsupported '
                "scope applied to resource",
                'spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Some"]: unsupported '
                "scope applied to resource",
                'spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Some"]: unsupported '
                "scope",
                'spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Some"]: conflicting '
                "scopes",
            ],
        ),
        (requirement(), []),
        (
            requirement(scopeName="Terminating", operator="In", values=["x"]),
            [f'{WHERE}.operator: Invalid value: "In": {ONLY_EXISTS}'],
        ),
        (
            requirement(operator="In"),
            [
                f"{WHERE}.values: Required value: must be at least one value when `operator` is "
                "'In' or 'NotIn' for scope selector"
            ],
        ),
        (
            requirement(values=["x"]),
            [
                f'{WHERE}.values: Invalid value: ["x"]: must be no value when `operator` is '
                "'Exist' or 'DoesNotExist' for scope selector"
            ],
        ),
        (
            requirement(scopeName="X", operator="Near"),
            [
                f'{WHERE}.scopeName: Invalid value: "X": unsupported scope',
                f'{WHERE}.operator: Invalid value: "Near": not a valid selector operator',
            ],
        ),
    ],
)
def test_quotas_refused(spec: dict[str, Any], errors: list[str]) -> None:
    assert create_errors(RESOURCEQUOTAS, quota(**spec)) == errors


def test_the_scopes_of_a_quota_are_fixed() -> None:
    old = created(RESOURCEQUOTAS, quota(hard={"pods": "1"}))
    new = decode(RESOURCEQUOTAS, quota(hard={"pods": "2"}, scopes=["Terminating"]))
    new.metadata = old.metadata
    assert update_errors(RESOURCEQUOTAS, new, old) == [
        'spec.scopes: Invalid value: ["Terminating"]: field is immutable'
    ]


def test_the_status_of_a_quota() -> None:
    made = created(RESOURCEQUOTAS, {**quota(hard={"pods": "1"}), "status": {"used": {"pods": "9"}}})
    assert codec.to_dict(RESOURCEQUOTAS, made)["status"] == {}
    status = {"hard": {"pods": "1", "limits.cpu": "2"}, "used": {"pods": "-1"}}
    new = decode(RESOURCEQUOTAS, {**codec.to_dict(RESOURCEQUOTAS, made), "status": status})
    assert status_errors(RESOURCEQUOTAS, new, made) == [
        f'status.used[pods]: Invalid value: "-1": {NATURAL}'
    ]
    row = rules(RESOURCEQUOTAS).row(new, NOW)
    assert list(row.cells) == ["q", "pods: -1/1", "limits.cpu: 0/2", "0s"]


# ----- limit ranges


def test_bounds_are_defaults_too() -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}
    shown = codec.to_dict(LIMITRANGES, created(LIMITRANGES, limits(item)))
    assert shown["spec"]["limits"] == [
        {
            "type": "Container",
            "default": {"cpu": "2"},
            "defaultRequest": {"cpu": "2", "memory": "1Mi"},
            "max": {"cpu": "2"},
            "min": {"memory": "1Mi"},
        }
    ]


@pytest.mark.parametrize(
    ("item", "errors"),
    [
        ({"type": "Pod", "max": {"cpu": "2"}}, []),
        (
            {"type": "Node"},
            [
                'spec.limits[0].type: Invalid value: "Node": must be a standard limit type or '
                "fully qualified"
            ],
        ),
        (
            {"type": "Pod", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}},
            [
                "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
                "spec.limits[0].defaultRequest: Forbidden: may not be specified when `type` is "
                "'Pod'",
            ],
        ),
        (
            {"type": "PersistentVolumeClaim", "max": {"cpu": "1"}},
            [
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is "
                "required, but neither was provided"
            ],
        ),
        (
            {"type": "Pod", "min": {"cpu": "2", "cows": "1"}, "max": {"cpu": "1"}},
            [
                f'spec.limits[0].min[cows]: Invalid value: "cows": {NOT_STANDARD}',
                'spec.limits[0].min[cows]: Invalid value: "cows": must be a standard resource for '
                "containers",
                'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max '
                "value 1",
            ],
        ),
        (
            {
                "type": "Container",
                "min": {"cpu": "500m"},
                "max": {"cpu": "1"},
                "default": {"cpu": "2"},
                "defaultRequest": {"cpu": "100m"},
            },
            [
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "100m": min value 500m is '
                "greater than default request value 100m",
                'spec.limits[0].default[cpu]: Invalid value: "1": default value 2 is greater than '
                "max value 1",
            ],
        ),
        (
            {
                "type": "Pod",
                "min": {"cpu": "1"},
                "max": {"cpu": "2"},
                "maxLimitRequestRatio": {"cpu": "3", "memory": "500m"},
            },
            [
                'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater '
                "than max/min = 2.000000",
                'spec.limits[0].maxLimitRequestRatio[memory]: Invalid value: "500m": ratio 500m is '
                "less than 1",
            ],
        ),
        (
            {
                "type": "Container",
                "default": {"a.b/gpu": "2"},
                "defaultRequest": {"a.b/gpu": "1"},
            },
            [
                'spec.limits[0].defaultRequest[a.b/gpu]: Invalid value: "1": default value 2 must '
                "equal to defaultRequest value 1 in a.b/gpu"
            ],
        ),
    ],
)
def test_limit_ranges_refused(item: dict[str, Any], errors: list[str]) -> None:
    assert create_errors(LIMITRANGES, limits(item)) == errors


def test_each_type_once() -> None:
    item = {"type": "Pod", "max": {"cpu": "2"}}
    assert create_errors(LIMITRANGES, limits(item, item)) == [
        'spec.limits[1].type: Duplicate value: "Pod"'
    ]


# ----- what they do to pods


def range_of(*items: dict[str, Any]) -> LimitRange:
    return created(LIMITRANGES, limits(*items))


def pod_with(*resources: dict[str, Any], init: dict[str, Any] | None = None) -> Pod:
    containers = [
        {"name": f"c{i}", "image": "i", "resources": res} for i, res in enumerate(resources)
    ]
    spec: dict[str, Any] = {"containers": containers}
    if init is not None:
        spec["initContainers"] = [{"name": "i0", "image": "i", "resources": init}]
    return created(PODS, merged(pod(), {"spec": spec}))


def test_containers_get_their_defaults_and_the_pod_says_so() -> None:
    lr = range_of(
        {
            "type": "Container",
            "default": {"memory": "512Mi", "cpu": "1"},
            "defaultRequest": {"cpu": "100m"},
        }
    )
    made = pod_with({}, {"limits": {"cpu": "2"}}, init={"requests": {"cpu": "50m"}})
    bounds.fill(made, lr)
    assert made.metadata is not None
    assert made.metadata.annotations == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu, memory request for container "
        "c0; cpu, memory limit for container c0; memory request for container c1; memory limit for "
        "container c1; memory request for init container i0; cpu, memory limit for init container "
        "i0"
    }
    assert made.spec is not None
    shown = [codec.to_plain(c.resources) for c in made.spec.containers]
    assert shown == [
        {
            "requests": {"cpu": "100m", "memory": "512Mi"},
            "limits": {"memory": "512Mi", "cpu": "1"},
        },
        {
            "requests": {"cpu": "2", "memory": "512Mi"},
            "limits": {"cpu": "2", "memory": "512Mi"},
        },
    ]


def test_a_range_without_defaults_leaves_pods_alone() -> None:
    made = pod_with({})
    before = codec.encode(made)
    bounds.fill(made, range_of({"type": "Pod", "max": {"cpu": "1"}}))
    assert codec.encode(made) == before


MIN, MAX = {"min": {"cpu": "50m"}}, {"max": {"cpu": "500m"}}


@pytest.mark.parametrize(
    ("item", "resources", "errors"),
    [
        (MIN, [{"requests": {"cpu": "50m"}}], []),
        (
            MIN,
            [{"requests": {"cpu": "10m"}}],
            ["minimum cpu usage per Container is 50m, but request is 10m"],
        ),
        (
            MIN,
            [{"limits": {"cpu": "20m"}, "requests": {"cpu": "10m"}}],
            [
                "minimum cpu usage per Container is 50m, but request is 10m",
                "minimum cpu usage per Container is 50m, but limit is 20m",
            ],
        ),
        (MIN, [{}], ["minimum cpu usage per Container is 50m.  No request is specified"]),
        (MAX, [{}], ["maximum cpu usage per Container is 500m.  No limit is specified"]),
        (
            MAX,
            [{"limits": {"cpu": "2"}}],
            [
                "maximum cpu usage per Container is 500m, but limit is 2",
                "maximum cpu usage per Container is 500m, but request is 2",
            ],
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "4"}},
            [{"requests": {"cpu": "120m"}, "limits": {"cpu": "1"}}],
            ["cpu max limit to request ratio per Container is 4, but provided ratio is 8.333333"],
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "4"}},
            [{}],
            [
                "cpu max limit to request ratio per Container is 4, but no request is specified or "
                "request is 0"
            ],
        ),
        (
            {"type": "Pod", "max": {"cpu": "1"}},
            [{"limits": {"cpu": "800m"}}, {"limits": {"cpu": "400m"}}],
            [
                "maximum cpu usage per Pod is 1, but limit is 1200m",
                "maximum cpu usage per Pod is 1, but request is 1200m",
            ],
        ),
        (
            {"type": "Pod", "max": {"cpu": "1"}},
            [{"limits": {"cpu": "800m"}}, {}],
            ["maximum cpu usage per Pod is 1.  No limit is specified"],
        ),
    ],
)
def test_pods_out_of_bounds(
    item: dict[str, Any], resources: list[dict[str, Any]], errors: list[str]
) -> None:
    lr = decode(LIMITRANGES, limits({"type": "Container", **item}))
    assert bounds.pod_errors(pod_with(*resources), lr) == errors


def test_init_containers_count_as_the_most_they_take() -> None:
    lr = range_of({"type": "Pod", "max": {"cpu": "1"}})
    made = pod_with({"limits": {"cpu": "100m"}}, init={"limits": {"cpu": "3"}})
    assert bounds.pod_errors(made, lr) == [
        "maximum cpu usage per Pod is 1, but limit is 3",
        "maximum cpu usage per Pod is 1, but request is 3",
    ]


@pytest.mark.parametrize(
    ("size", "errors"),
    [
        ("1Gi", []),
        ("1Mi", ["minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"]),
        ("3Gi", ["maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"]),
    ],
)
def test_claims_out_of_bounds(size: str, errors: list[str]) -> None:
    bound = {"min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}
    lr = range_of({"type": "PersistentVolumeClaim", **bound})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    claim = created(PERSISTENTVOLUMECLAIMS, {"metadata": {"name": "c"}, "spec": spec})
    assert bounds.claim_errors(claim, lr) == errors
