"""Creating a Job: defaults, generated parts, and every refusal with its exact words."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import JOBS
from tests.unit.registry.kinds.making import (
    CONTAINER,
    JOB,
    UID,
    create_errors,
    created,
    job,
    job_errors,
    merged,
    new_job,
    prepared,
    rules,
)

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


@pytest.mark.parametrize(
    "name",
    ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit"]
    + ["ttlSecondsAfterFinished"],
)
def test_numbers_must_not_be_negative(name: str) -> None:
    assert job_errors(**{name: -1}) == [f"spec.{name}: Invalid value: -1: {NEGATIVE}"]
    assert job_errors(**{name: 0}) == []


CASES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {**INDEXED, "backoffLimitPerIndex": -1},
        [f"spec.backoffLimitPerIndex: Invalid value: -1: {NEGATIVE}"],
    ),
    (
        {**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": -1},
        [f"spec.maxFailedIndexes: Invalid value: -1: {NEGATIVE}"],
    ),
    (
        success_rule(succeededCount=-1),
        [f"spec.successPolicy.rules[0].succeededCount: Invalid value: -1: {NEGATIVE}"],
    ),
    (
        {**INDEXED, "maxFailedIndexes": 1},
        ["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"],
    ),
    (
        {"backoffLimitPerIndex": 1, "maxFailedIndexes": 2},
        [
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
            "spec.maxFailedIndexes: Invalid value: 2: requires indexed completion mode",
        ],
    ),
    (
        {"completionMode": "Foo"},
        [
            'spec.completionMode: Unsupported value: "Foo": supported values: "NonIndexed", '
            '"Indexed"'
        ],
    ),
    (
        {"completionMode": "Indexed", "parallelism": 1},
        ["spec.completions: Required value: when completion mode is Indexed"],
    ),
    (
        {**INDEXED, "parallelism": 100_001},
        [
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when "
            "completion mode is Indexed"
        ],
    ),
    (
        {**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 6},
        [
            "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions",
        ],
    ),
    (
        {
            "completionMode": "Indexed",
            "completions": 100_000,
            "backoffLimitPerIndex": 1,
            "maxFailedIndexes": 100_001,
        },
        [
            "spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to "
            "completions",
            "spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to 100000",
        ],
    ),
    (
        {"completionMode": "Indexed", "completions": 100_001, "backoffLimitPerIndex": 1},
        [
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000"
        ],
    ),
    (
        {
            "completionMode": "Indexed",
            "completions": 100_001,
            "backoffLimitPerIndex": 1,
            "parallelism": 10_001,
            "maxFailedIndexes": 10_002,
        },
        [
            f"spec.{name}: Invalid value: {value}: must be less than or equal to 10000 when "
            "completions are above 100000 and used with backoff limit per index"
            for name, value in (("parallelism", 10_001), ("maxFailedIndexes", 10_002))
        ],
    ),
    ({"managedBy": ""}, ["spec.managedBy: Required value"]),
    (
        {"managedBy": "foo"},
        [
            'spec.managedBy: Invalid value: "foo": must be a domain-prefixed path (such as '
            '"acme.io/foo")'
        ],
    ),
    (
        {"managedBy": "acme.io/" + "x" * 56},
        ["spec.managedBy: Too long: may not be more than 63 bytes"],
    ),
    (
        {"managedBy": "acme.io/f o"},
        [
            'spec.managedBy: Invalid value: "f o": Invalid path (regex used for validation is '
            "'[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
        ],
    ),
    (
        restart("Always"),
        ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ),
    (
        restart(None),
        ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ),
    (
        restart("X"),
        [
            'spec.template.spec.restartPolicy: Unsupported value: "X": supported values: "Always", '
            '"OnFailure", "Never"',
            'spec.template.spec.restartPolicy: Unsupported value: "X": supported values: '
            '"OnFailure", "Never"',
        ],
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
    (
        {"selector": {"matchLabels": {"app": "x"}}},
        [
            'spec.selector: Invalid value: {"matchLabels":{"app":"x",'
            f'"batch.kubernetes.io/controller-uid":"{UID}"}}}}: `selector` not auto-generated',
            "spec.template.metadata.labels: Invalid value: "
            f'{{"batch.kubernetes.io/controller-uid":"{UID}",'
            f'"batch.kubernetes.io/job-name":"q","controller-uid":"{UID}","job-name":"q"}}: '
            "`selector` does not match template `labels`",
        ],
    ),
    (
        {"manualSelector": True},
        [
            "spec.selector: Required value",
            "spec.template.metadata.labels: Invalid value: null: `selector` does not match "
            "template `labels`",
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


def test_a_name_of_more_than_63_bytes_is_no_label_value() -> None:
    name = "a" * 64
    errors = create_errors(JOBS, merged(JOB, {"metadata": {"name": name}}))
    # The Job's own labels are the template's, and are refused with them.
    assert (
        errors[-2:]
        == [f'spec.template.labels: Invalid value: "{name}": must be no more than 63 bytes'] * 2
    )
    assert errors[0] == f'metadata.labels: Invalid value: "{name}": must be no more than 63 bytes'


def test_indexed_pods_need_host_names() -> None:
    body = merged(job(**INDEXED), {"metadata": {"name": "a.b"}})
    assert create_errors(JOBS, body) == [
        'metadata.name: Invalid value: "a.b": will not able to create pod with invalid DNS label: '
        "a.b-4"
    ]
    assert create_errors(JOBS, merged(body, {"spec": {"completions": 0}})) == []


def test_labels_in_the_way_of_generated_ones() -> None:
    body = job(template={"metadata": {"labels": {"controller-uid": "x"}}})
    assert create_errors(JOBS, body) == [
        "spec.template.metadata.labels[controller-uid]: Invalid value: "
        f'{{"batch.kubernetes.io/controller-uid":"{UID}","batch.kubernetes.io/job-name":"q",'
        f'"controller-uid":"x","job-name":"q"}}: must be \'{UID}\''
    ]


def test_names() -> None:
    assert create_errors(JOBS, {**JOB, "metadata": {"name": "Bad_Name"}})[0] == (
        'metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of '
        "lower case alphanumeric characters, '-' or '.', and must start and end with an "
        "alphanumeric character (e.g. 'example.com', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    )
    assert create_errors(JOBS, {**JOB, "metadata": {}})[0] == (
        "metadata.name: Required value: name or generateName is required"
    )


# ----- what a create makes of it


def spec_of(**spec: Any) -> dict[str, Any]:
    shown: dict[str, Any] = codec.to_dict(JOBS, new_job(**spec))["spec"]
    return shown


@pytest.mark.parametrize(
    ("given", "completions", "parallelism"),
    [({}, 1, 1), ({"parallelism": 3}, None, 3), ({"completions": 3}, 3, 1)],
)
def test_counts_by_default(
    given: dict[str, Any], completions: int | None, parallelism: int
) -> None:
    spec = spec_of(**given)
    assert (spec.get("completions"), spec["parallelism"]) == (completions, parallelism)


def test_defaults() -> None:
    spec = spec_of()
    del spec["template"]
    assert spec == {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "completions": 1,
        "manualSelector": False,
        "parallelism": 1,
        "podReplacementPolicy": "TerminatingOrFailed",
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}},
        "suspend": False,
    }
    assert spec_of(**INDEXED, backoffLimitPerIndex=1)["backoffLimit"] == 2**31 - 1
    assert spec_of(**exit_codes())["podReplacementPolicy"] == "Failed"
    rule = {"action": "Count", "onPodConditions": [{"type": "A", "status": ""}]}
    shown = spec_of(podFailurePolicy={"rules": [rule]})["podFailurePolicy"]["rules"][0]
    assert shown["onPodConditions"] == [{"type": "A", "status": "True"}]


GENERATED = {
    "batch.kubernetes.io/controller-uid": UID,
    "batch.kubernetes.io/job-name": "q",
    "controller-uid": UID,
    "job-name": "q",
}


@pytest.mark.parametrize(
    ("own", "template", "shown", "in_template"),
    [
        ({}, {}, GENERATED, GENERATED),
        ({"a": "b"}, {}, {"a": "b"}, GENERATED),
        ({}, {"t": "1"}, {**GENERATED, "t": "1"}, {**GENERATED, "t": "1"}),
        ({"t": "1"}, {"t": "1"}, {"t": "1"}, {**GENERATED, "t": "1"}),
    ],
)
def test_generated_labels(
    own: dict[str, str],
    template: dict[str, str],
    shown: dict[str, str],
    in_template: dict[str, str],
) -> None:
    body = merged(JOB, {"metadata": {"labels": own}})
    body = merged(body, {"spec": {"template": {"metadata": {"labels": template}}}})
    made = codec.to_dict(JOBS, created(JOBS, body))
    assert made["metadata"]["labels"] == shown
    assert made["spec"]["template"]["metadata"]["labels"] == in_template
    assert made["status"] == {}


def test_manual_selectors_generate_nothing() -> None:
    labels = {"app": "x"}
    spec = spec_of(
        manualSelector=True,
        selector={"matchLabels": labels},
        template={"metadata": {"labels": labels}},
    )
    assert spec["selector"] == {"matchLabels": labels}
    assert spec["template"]["metadata"]["labels"] == labels


def test_a_status_sent_along_is_erased() -> None:
    body = {**JOB, "status": {"succeeded": 3}}
    assert codec.to_dict(JOBS, created(JOBS, body))["status"] == {}


# ----- warnings


def warnings(body: dict[str, Any]) -> list[str]:
    return rules(JOBS).warnings_create(prepared(JOBS, body))


def test_warnings() -> None:
    assert warnings(JOB) == []
    assert warnings(merged(JOB, {"metadata": {"name": "a.b"}})) == [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising "
        "behavior; a DNS label is recommended: [must not contain dots]"
    ]
    big = {"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001}
    assert warnings(job(**big)) == [
        "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism "
        "higher than 10^4, Kubernetes might not be able to track completedIndexes when a big "
        "number of indexes fail"
    ]
    doubled = {**CONTAINER, "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
    assert warnings(job(template={"spec": {"containers": [doubled]}})) == [
        'spec.template.spec.containers[0].env[1]: hides previous definition of "A", which may be '
        "dropped when using apply"
    ]


def test_deleting_warns_of_orphans() -> None:
    strategy = rules(JOBS)
    assert strategy.default_propagation == "Orphan"
    assert strategy.warnings_delete(True) == []
    assert strategy.warnings_delete(False) == [
        "child pods are preserved by default when jobs are deleted; set "
        "propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress "
        "this warning"
    ]
