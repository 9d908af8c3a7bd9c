"""Changing a Job: what may change and when, and what its status may say."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.models import Job
from kubatch.api.resource import JOBS
from tests.unit.registry.kinds.making import (
    CONTAINER,
    UID,
    decode,
    merged,
    new_job,
    rules,
    update_errors,
)

INDEXED: dict[str, Any] = {"completionMode": "Indexed", "completions": 5, "parallelism": 5}
FIXED = "field is immutable"


def changed(old: Job, **spec: Any) -> Job:
    """The Job with its spec patched."""
    body = merged(codec.to_dict(JOBS, old), {"spec": spec})
    return decode(JOBS, body)


def with_status(old: Job, status: dict[str, Any]) -> Job:
    """The Job with this status and no other."""
    return decode(JOBS, {**codec.to_dict(JOBS, old), "status": status})


def spec_errors(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old = new_job(**before)
    return update_errors(JOBS, changed(old, **after), old)


@pytest.mark.parametrize(
    "after",
    [
        {"parallelism": 3},
        {"backoffLimit": 0},
        {"activeDeadlineSeconds": 5},
        {"ttlSecondsAfterFinished": 5},
        {"suspend": True},
        {"podReplacementPolicy": "Failed"},
        {"manualSelector": True},
    ],
)
def test_changes_allowed_any_time(after: dict[str, Any]) -> None:
    assert spec_errors({}, after) == []


POLICY = {"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}}]}
POLICY_SHOWN = (
    '{"Rules":[{"Action":"Count","OnExitCodes":{"ContainerName":null,"Operator":"In",'
    '"Values":[1]},"OnPodConditions":null}]}'
)
SUCCESS = {"rules": [{"succeededIndexes": "0"}]}


@pytest.mark.parametrize(
    ("before", "after", "errors"),
    [
        ({}, {"completions": 5}, [f"spec.completions: Invalid value: 5: {FIXED}"]),
        (
            {"parallelism": 1, "completions": 2},
            {"completions": None},
            [f'spec.completions: Invalid value: "null": {FIXED}'],
        ),
        (INDEXED, {"completions": 7, "parallelism": 7}, []),
        ({**INDEXED, "parallelism": 2}, {"completions": 7, "parallelism": 7}, []),
        (INDEXED, {"parallelism": 3}, []),
        (
            INDEXED,
            {"completions": 4},
            [
                "spec.completions: Invalid value: 4: can only be modified in tandem with "
                "spec.parallelism"
            ],
        ),
        (
            {"completions": 5},
            {"completionMode": "Indexed"},
            [f'spec.completionMode: Invalid value: "Indexed": {FIXED}'],
        ),
        (
            {},
            {"managedBy": "kubernetes.io/job-controller"},
            [f'spec.managedBy: Invalid value: "kubernetes.io/job-controller": {FIXED}'],
        ),
        (
            {"managedBy": "a.b/c"},
            {"managedBy": None},
            [f'spec.managedBy: Invalid value: "null": {FIXED}'],
        ),
        (
            INDEXED,
            {"backoffLimitPerIndex": 1},
            [f"spec.backoffLimitPerIndex: Invalid value: 1: {FIXED}"],
        ),
        (
            {},
            {"podFailurePolicy": POLICY, "podReplacementPolicy": "Failed"},
            [f"spec.podFailurePolicy: Invalid value: {POLICY_SHOWN}: {FIXED}"],
        ),
        (
            INDEXED,
            {"successPolicy": SUCCESS},
            [
                'spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":"0",'
                f'"SucceededCount":null}}]}}: {FIXED}'
            ],
        ),
        (
            {**INDEXED, "successPolicy": SUCCESS},
            {"successPolicy": None},
            [f'spec.successPolicy: Invalid value: "null": {FIXED}'],
        ),
        (
            {"backoffLimit": 1},
            {"backoffLimit": -1},
            ["spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"],
        ),
    ],
)
def test_changes_of_the_spec(
    before: dict[str, Any], after: dict[str, Any], errors: list[str]
) -> None:
    assert spec_errors(before, after) == errors


def test_the_selector_is_fixed() -> None:
    old = new_job()
    selector = {"matchLabels": {"job-name": "q"}}
    assert update_errors(JOBS, changed(old, selector=selector), old) == [
        'spec.selector: Invalid value: {"matchLabels":{"batch.kubernetes.io/controller-uid":'
        f'"{UID}","job-name":"q"}}}}: {FIXED}'
    ]


# ----- the template

TERM = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
NODE_AFFINITY = {
    "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]},
}
POD_AFFINITY = {
    "requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}
    ]
}


def template_errors(old: Job, template: dict[str, Any], **spec: Any) -> list[str]:
    found = update_errors(JOBS, changed(old, template=template, **spec), old)
    return [error.partition(": ")[0] for error in found]


FREE: list[dict[str, Any]] = [
    {"spec": {"nodeSelector": {"a": "b"}}},
    {"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}},
    {"spec": {"affinity": {"nodeAffinity": NODE_AFFINITY}}},
    {"spec": {"schedulingGates": [{"name": "a.b/c"}]}},
    {"metadata": {"labels": {"a": "b"}}},
    {"metadata": {"annotations": {"a": "b"}}},
    {"metadata": {"finalizers": ["a.b/c"]}},
    {"spec": {"containers": [{**CONTAINER, "resources": {"requests": {"cpu": "1"}}}]}},
]
NEVER_FREE: list[dict[str, Any]] = [
    {"spec": {"containers": [{**CONTAINER, "image": "other"}]}},
    {"spec": {"containers": [{**CONTAINER, "name": "d", "resources": {"limits": {"cpu": "1"}}}]}},
    {"spec": {"containers": [CONTAINER, {**CONTAINER, "name": "d"}]}},
    {"spec": {"restartPolicy": "OnFailure"}},
    {"spec": {"affinity": {"podAffinity": POD_AFFINITY}}},
]


@pytest.mark.parametrize("template", FREE)
def test_what_a_suspended_job_may_change(template: dict[str, Any]) -> None:
    suspended, running = new_job(suspend=True), new_job()
    assert template_errors(suspended, template) == []
    # Resuming in the same request is fine, suspending in the same request comes too late.
    assert template_errors(suspended, template, suspend=False) == []
    assert template_errors(running, template) == ["spec.template"]
    assert template_errors(running, template, suspend=True) == ["spec.template"]


@pytest.mark.parametrize("template", NEVER_FREE)
def test_what_nobody_may_change(template: dict[str, Any]) -> None:
    assert template_errors(new_job(suspend=True), template) == ["spec.template.spec"]
    assert template_errors(new_job(), template) == ["spec.template"]


def test_affinity_may_be_cleared_when_it_was_about_nodes_alone() -> None:
    gone = {"spec": {"affinity": None}}
    only_nodes = {"nodeAffinity": NODE_AFFINITY}
    both = {"nodeAffinity": NODE_AFFINITY, "podAffinity": POD_AFFINITY}
    old = new_job(suspend=True, template={"spec": {"affinity": only_nodes}})
    assert template_errors(old, gone) == []
    old = new_job(suspend=True, template={"spec": {"affinity": both}})
    assert template_errors(old, gone) == ["spec.template.spec"]
    assert template_errors(old, {"spec": {"affinity": {"nodeAffinity": None}}}) == []


SUSPENDED = {"type": "Suspended", "status": "True"}
START = "2026-05-01T10:00:00Z"


@pytest.mark.parametrize(
    ("status", "mutable"),
    [
        ({}, True),
        ({"startTime": START}, False),
        ({"startTime": START, "conditions": [SUSPENDED]}, True),
        ({"conditions": [SUSPENDED], "active": 1}, False),
        ({"conditions": [SUSPENDED], "terminating": 1}, True),
    ],
)
def test_when_a_suspended_job_is_quiet_enough(status: dict[str, Any], mutable: bool) -> None:
    old = with_status(new_job(suspend=True), status)
    assert template_errors(old, FREE[0]) == ([] if mutable else ["spec.template"])


def test_old_jobs_need_no_prefixed_labels() -> None:
    old = new_job()
    assert old.spec is not None
    meta = old.spec.template.metadata
    assert meta is not None
    meta.labels = {"job-name": "q", "controller-uid": UID}
    assert old.spec.selector is not None
    old.spec.selector.matchLabels = {"controller-uid": UID}
    assert update_errors(JOBS, changed(old, parallelism=2), old) == []


def test_the_main_resource_keeps_the_status_and_status_the_spec() -> None:
    strategy = rules(JOBS)
    old = with_status(new_job(), {"active": 1})
    new = with_status(changed(old, parallelism=2), {"active": 5})
    strategy.prepare_update(new, old)
    assert new.status == old.status
    new = with_status(changed(old, parallelism=2), {"active": 5})
    strategy.prepare_status_update(new, old)
    assert new.spec == old.spec
    assert new.status is not None
    assert new.status.active == 5


def test_what_generation_follows() -> None:
    strategy = rules(JOBS)
    old = new_job()
    assert strategy.tracks_generation
    assert strategy.spec_changed(changed(old, parallelism=2), old)
    assert not strategy.spec_changed(with_status(old, {"active": 5}), old)
