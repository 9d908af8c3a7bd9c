"""The status of a Job: what it may say, and how it may change."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.models import Job
from kubatch.api.resource import JOBS
from tests.unit.registry.kinds.making import decode, new_job, status_errors

INDEXED: dict[str, Any] = {"completionMode": "Indexed", "completions": 5, "parallelism": 5}
FIXED = "field is immutable"
SUCCESS = {"rules": [{"succeededIndexes": "0"}]}
START = "2026-05-01T10:00:00Z"


def with_status(old: Job, status: dict[str, Any]) -> Job:
    """The Job with this status and no other."""
    return decode(JOBS, {**codec.to_dict(JOBS, old), "status": status})


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
