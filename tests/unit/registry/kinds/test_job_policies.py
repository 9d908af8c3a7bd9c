"""Policies of a Job: what is refused with its exact words, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.registry.kinds.making import job_errors

NEGATIVE = "must be greater than or equal to 0"
INDEXED: dict[str, Any] = {"completionMode": "Indexed", "completions": 5}


def failure_rule(**rule: Any) -> dict[str, Any]:
    return {"podFailurePolicy": {"rules": [rule]}}


def exit_codes(**codes: Any) -> dict[str, Any]:
    return failure_rule(action="Ignore", onExitCodes={"operator": "In", "values": [1], **codes})


def success_rule(**rule: Any) -> dict[str, Any]:
    return {**INDEXED, "successPolicy": {"rules": [rule]}}


def restart(policy: str | None) -> dict[str, Any]:
    return {"template": {"spec": {"restartPolicy": policy}}}


CASES: list[tuple[dict[str, Any], list[str]]] = [
    (
        success_rule(succeededCount=-1),
        [f"spec.successPolicy.rules[0].succeededCount: Invalid value: -1: {NEGATIVE}"],
    ),
    (
        {**restart("OnFailure"), **exit_codes()},
        [
            'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is '
            "supported when podFailurePolicy is specified"
        ],
    ),
    (
        {"podReplacementPolicy": "X"},
        [
            'spec.podReplacementPolicy: Unsupported value: "X": supported values: "Failed", '
            '"TerminatingOrFailed"'
        ],
    ),
    (
        {"podReplacementPolicy": "TerminatingOrFailed", **exit_codes()},
        [
            'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported '
            'values: "Failed"'
        ],
    ),
    (
        {"successPolicy": {"rules": [{"succeededCount": 1}]}},
        [
            'spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":null,'
            '"SucceededCount":1}]}: requires indexed completion mode'
        ],
    ),
    (
        {**INDEXED, "successPolicy": {"rules": []}},
        [
            "spec.successPolicy.rules: Required value: at least one rules must be specified when "
            "the successPolicy is specified"
        ],
    ),
    (
        {**INDEXED, "successPolicy": {"rules": [{"succeededCount": 1}] * 21}},
        ["spec.successPolicy.rules: Too many: 21: must have at most 20 items"],
    ),
    (
        success_rule(),
        [
            "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or "
            "succeededIndexes must be specified"
        ],
    ),
    (
        success_rule(succeededCount=6),
        [
            "spec.successPolicy.rules[0].succeededCount: Invalid value: 6: must be less than or "
            "equal to 5 (the number of specified completions)"
        ],
    ),
    (
        success_rule(succeededCount=3, succeededIndexes="0,2"),
        [
            "spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or "
            "equal to 2 (the number of indexes in the specified succeededIndexes field)"
        ],
    ),
    (
        {
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1]}}]
                * 21
            }
        },
        ["spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items"],
    ),
    (
        exit_codes(values=list(range(1, 257))),
        [
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Too many: 256: must have at most "
            "255 items"
        ],
    ),
    (
        failure_rule(action="Ignore", onPodConditions=[{"type": "A", "status": "True"}] * 21),
        [
            "spec.podFailurePolicy.rules[0].onPodConditions: Too many: 21: must have at most 20 "
            "items"
        ],
    ),
    (
        failure_rule(action="", onExitCodes={"operator": "In", "values": [1]}),
        [
            'spec.podFailurePolicy.rules[0].action: Required value: valid values: ["Count" '
            '"FailIndex" "FailJob" "Ignore"]'
        ],
    ),
    (
        failure_rule(action="X", onExitCodes={"operator": "In", "values": [1]}),
        [
            'spec.podFailurePolicy.rules[0].action: Unsupported value: "X": supported values: '
            '"Count", "FailIndex", "FailJob", "Ignore"'
        ],
    ),
    (
        failure_rule(action="FailIndex", onExitCodes={"operator": "In", "values": [1]}),
        [
            'spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the '
            "backoffLimitPerIndex to be set"
        ],
    ),
    (
        failure_rule(action="Count"),
        [
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and "
            "OnPodConditions is required"
        ],
    ),
    (
        failure_rule(
            action="Count",
            onExitCodes={"operator": "In", "values": [1]},
            onPodConditions=[{"type": "A", "status": "True"}],
        ),
        [
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying both OnExitCodes and "
            "OnPodConditions is not supported"
        ],
    ),
    (
        exit_codes(operator=""),
        [
            "spec.podFailurePolicy.rules[0].onExitCodes.operator: Required value: valid values: "
            '["In" "NotIn"]'
        ],
    ),
    (
        exit_codes(operator="X"),
        [
            'spec.podFailurePolicy.rules[0].onExitCodes.operator: Unsupported value: "X": '
            'supported values: "In", "NotIn"'
        ],
    ),
    (
        exit_codes(values=[]),
        [
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: []: at least one "
            "value is required"
        ],
    ),
    (
        exit_codes(values=[0]),
        [
            "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be "
            "0 for the In operator"
        ],
    ),
    (
        exit_codes(values=[1, 1]),
        ["spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Duplicate value: 1"],
    ),
    (
        exit_codes(values=[2, 1]),
        [
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1]: must be "
            "ordered"
        ],
    ),
    (
        exit_codes(containerName="zz"),
        [
            'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "zz": must '
            "be one of the container or initContainer names in the pod template"
        ],
    ),
    (
        failure_rule(action="Count", onPodConditions=[{"type": "A", "status": "x"}]),
        [
            "spec.podFailurePolicy.rules[0].onPodConditions[0].status: Unsupported value: "
            '"x": supported values: "False", "True", "Unknown"'
        ],
    ),
    (
        failure_rule(action="Count", onPodConditions=[{"type": "", "status": "True"}]),
        [
            "spec.podFailurePolicy.rules[0].onPodConditions[0].type: Invalid value: "
            '"": name part must be non-empty',
            "spec.podFailurePolicy.rules[0].onPodConditions[0].type: Invalid value: "
            "\"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "
            "'123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ],
    ),
]


@pytest.mark.parametrize(("spec", "errors"), CASES)
def test_refusals(spec: dict[str, Any], errors: list[str]) -> None:
    assert job_errors(**spec) == errors


@pytest.mark.parametrize(
    ("indexes", "error"),
    [
        ("5", 'too large index: "5"'),
        ("1-7", 'too large index: "7"'),
        ("a", 'cannot convert string to integer for index: "a"'),
        ("1-", 'cannot convert string to integer for index: ""'),
        ("1,0", "non-increasing order, previous: 1, current: 0"),
        ("2-2", "non-increasing order, previous: 2, current: 2"),
        ("0-2,2", "non-increasing order, previous: 2, current: 2"),
        (
            "1-2-3",
            'the fragment "1-2-3" violates the requirement that an index interval can have at '
            "most two parts separated by '-'",
        ),
    ],
)
def test_indexes_that_do_not_parse(indexes: str, error: str) -> None:
    assert job_errors(**success_rule(succeededIndexes=indexes)) == [
        f'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "{indexes}": error '
        f"parsing succeededIndexes: {error}"
    ]


def test_long_lists_of_indexes() -> None:
    assert job_errors(**success_rule(succeededIndexes="0," * 32769))[0] == (
        "spec.successPolicy.rules[0].succeededIndexes: Too long: may not be more than 65536 bytes"
    )


@pytest.mark.parametrize(
    "spec",
    [
        success_rule(succeededIndexes=""),
        success_rule(succeededCount=0),
        success_rule(succeededIndexes="0-2,4", succeededCount=4),
        {**INDEXED, "backoffLimitPerIndex": 1, **restart("OnFailure")},
        {**INDEXED, "parallelism": 7},
        {"activeDeadlineSeconds": 0},
        {"completions": 0},
        {"podFailurePolicy": {"rules": []}},
        {"managedBy": "acme.io/foo"},
        exit_codes(operator="NotIn", values=[0, 1]),
        exit_codes(containerName="c"),
    ],
)
def test_accepted(spec: dict[str, Any]) -> None:
    assert job_errors(**spec) == []
