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
    status_errors,
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


# ----- the status

END = "2026-05-01T11:00:00Z"
DURING = "2026-05-01T09:00:00Z"


def conditions(*true: str, false: tuple[str, ...] = ()) -> dict[str, Any]:
    listed = [{"type": name, "status": "True"} for name in true]
    listed += [{"type": name, "status": "False"} for name in false]
    return {"conditions": listed}


COMPLETE = {
    **conditions("SuccessCriteriaMet", "Complete"),
    "startTime": START,
    "completionTime": END,
    "succeeded": 1,
}
FAILED = {**conditions("FailureTarget", "Failed"), "startTime": START, "failed": 1}
PER_INDEX = {**INDEXED, "backoffLimitPerIndex": 1}
ON_CONDITIONS = "status.conditions: Invalid value: "
ON_TIME = "status.completionTime: "

STATUS_CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[str]]] = [
    ({}, {}, {"active": 1, "startTime": START, "ready": 1, "terminating": 0}, []),
    ({}, {}, COMPLETE, []),
    ({}, {}, FAILED, []),
    *[
        (
            {},
            {},
            {name: -1},
            [f"status.{name}: Invalid value: -1: must be greater than or equal to 0"],
        )
        for name in ("active", "ready", "terminating")
    ],
    (
        {},
        {},
        {"failed": -1},
        [
            "status.failed: Invalid value: -1: must be greater than or equal to 0",
            "status.failed: Invalid value: -1: cannot decrease the failed counter",
        ],
    ),
    (
        INDEXED,
        {},
        {"succeeded": -1},
        ["status.succeeded: Invalid value: -1: must be greater than or equal to 0"],
    ),
    (
        {},
        {},
        {"uncountedTerminatedPods": {"succeeded": ["a", "b"], "failed": ["a", ""]}},
        [
            'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
            'status.uncountedTerminatedPods.failed[1]: Invalid value: "": must not be empty',
        ],
    ),
    (
        {},
        {},
        {**COMPLETE, **conditions("FailureTarget", "Failed", "Complete")},
        [
            f"{ON_CONDITIONS}cannot set Complete=True and Failed=true conditions",
            f"{ON_CONDITIONS}cannot set Complete=True and FailureTarget=true conditions",
            f"{ON_CONDITIONS}cannot set Complete=True condition without the "
            "SuccessCriteriaMet=true condition",
        ],
    ),
    (
        {},
        {},
        {**conditions("Failed"), "startTime": START},
        [
            f"{ON_CONDITIONS}cannot set Failed=True condition without the FailureTarget=true "
            "condition"
        ],
    ),
    (
        {},
        {},
        conditions("SuccessCriteriaMet", "FailureTarget"),
        [f"{ON_CONDITIONS}cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"],
    ),
    (
        {},
        {},
        {**conditions("SuccessCriteriaMet", "FailureTarget", "Failed"), "startTime": START},
        [
            f"{ON_CONDITIONS}cannot set SuccessCriteriaMet=True and Failed=true conditions",
            f"{ON_CONDITIONS}cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
        ],
    ),
    (
        {**INDEXED, "successPolicy": SUCCESS},
        {},
        {**COMPLETE, **conditions("Complete")},
        [
            f"{ON_CONDITIONS}cannot set Complete=True condition without the "
            "SuccessCriteriaMet=true condition",
            f"{ON_CONDITIONS}cannot set Complete=True for Job with SuccessPolicy unless "
            "SuccessCriteriaMet=True",
        ],
    ),
    (
        {},
        FAILED,
        {**FAILED, "conditions": []},
        [
            f"{ON_CONDITIONS}cannot disable the terminal Failed=True condition",
            f"{ON_CONDITIONS}cannot disable the terminal FailureTarget=True condition",
        ],
    ),
    (
        {},
        COMPLETE,
        {"startTime": START, "succeeded": 1},
        [
            f"{ON_CONDITIONS}cannot disable the terminal Complete=True condition",
            f"{ON_CONDITIONS}cannot disable the SuccessCriteriaMet=True condition",
        ],
    ),
    (
        {},
        {**COMPLETE, **conditions("Complete")},
        COMPLETE,
        [
            f"{ON_CONDITIONS}cannot set SuccessCriteriaMet=True for Job already has "
            "Complete=true conditions"
        ],
    ),
    (
        {},
        {},
        {"startTime": START, "completionTime": END},
        [
            f'{ON_TIME}Invalid value: "{END}": cannot set completionTime when there is no '
            "Complete=True condition"
        ],
    ),
    (
        {},
        {},
        {**COMPLETE, "completionTime": None},
        [f"{ON_TIME}Required value: completionTime is required for Complete jobs"],
    ),
    (
        {},
        {},
        {**COMPLETE, "completionTime": DURING},
        [f'{ON_TIME}Invalid value: "{DURING}": must be equal to or after `startTime`'],
    ),
    (
        {},
        COMPLETE,
        {**COMPLETE, "completionTime": "2026-05-01T11:30:00Z"},
        [f'{ON_TIME}Invalid value: "2026-05-01T11:30:00Z": {FIXED}'],
    ),
    (
        {},
        {},
        {**FAILED, "startTime": None},
        ["status.startTime: Required value: startTime is required for finished job"],
    ),
    (
        {"suspend": True, "completions": 0},
        {},
        {**conditions("SuccessCriteriaMet", "Complete"), "completionTime": END},
        [],
    ),
    (
        {},
        {"startTime": START},
        {"startTime": END},
        [
            f'status.startTime: Invalid value: "{END}": field is immutable for unsuspended job '
            "once set"
        ],
    ),
    (
        {},
        {"startTime": START},
        {"active": 1},
        [
            'status.startTime: Invalid value: "null": field is immutable for unsuspended job once '
            "set"
        ],
    ),
    ({"suspend": True}, {"startTime": START}, conditions("Suspended"), []),
    (
        {},
        {"startTime": START, **conditions("Suspended")},
        {"startTime": END, **conditions(false=("Suspended",))},
        [],
    ),
    (
        {},
        {},
        {**FAILED, "active": 1},
        ["status.active: Invalid value: 1: active>0 is invalid for finished job"],
    ),
    (
        {},
        {},
        {**FAILED, "terminating": 1},
        ["status.terminating: Invalid value: 1: terminating>0 is invalid for finished job"],
    ),
    (
        {},
        {},
        {**FAILED, "uncountedTerminatedPods": {"failed": ["a"]}},
        [
            'status.uncountedTerminatedPods: Invalid value: {"Succeeded":null,"Failed":["a"]}: '
            "must be empty for finished job"
        ],
    ),
    (
        {},
        {},
        {"active": 1, "ready": 2},
        ["status.ready: Invalid value: 2: cannot set more ready pods than active"],
    ),
    # Nothing about ready or active changes, so an old mistake does not get in the way.
    ({}, {"active": 1, "ready": 2}, {"active": 1, "ready": 2, "failed": 1}, []),
    (
        {},
        {"failed": 2},
        {"failed": 1},
        ["status.failed: Invalid value: 1: cannot decrease the failed counter"],
    ),
    (
        {},
        {"succeeded": 2},
        {"active": 1},
        ["status.succeeded: Invalid value: 0: cannot decrease the succeeded counter"],
    ),
    (INDEXED, {"succeeded": 2, "completedIndexes": "0,1"}, {"succeeded": 1}, []),
    (
        {},
        {},
        {"completedIndexes": "0"},
        [
            'status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes '
            "when non-indexed completion mode"
        ],
    ),
    (
        INDEXED,
        {},
        {"failedIndexes": ""},
        [
            'status.failedIndexes: Invalid value: "": cannot set non-null failedIndexes when '
            "backoffLimitPerIndex is null"
        ],
    ),
    (PER_INDEX, {}, {"failedIndexes": "", "completedIndexes": "0,2-4"}, []),
    (
        PER_INDEX,
        {},
        {"failedIndexes": "5", "completedIndexes": "2,1"},
        [
            'status.completedIndexes: Invalid value: "2,1": error parsing completedIndexes: '
            "non-increasing order, previous: 2, current: 1",
            'status.failedIndexes: Invalid value: "5": error parsing failedIndexes: too large '
            'index: "5"',
        ],
    ),
    (
        PER_INDEX,
        {},
        {"failedIndexes": "1", "completedIndexes": "0-2"},
        [
            'status.failedIndexes: Invalid value: "1": failedIndexes and completedIndexes overlap '
            "at index: 1"
        ],
    ),
    ({}, {}, conditions("example.com/Mine"), []),
]


@pytest.mark.parametrize(("spec", "before", "after", "errors"), STATUS_CASES)
def test_changes_of_the_status(
    spec: dict[str, Any], before: dict[str, Any], after: dict[str, Any], errors: list[str]
) -> None:
    old = with_status(new_job(**spec), {k: v for k, v in before.items() if v is not None})
    new = with_status(old, {k: v for k, v in after.items() if v is not None})
    assert status_errors(JOBS, new, old) == errors
