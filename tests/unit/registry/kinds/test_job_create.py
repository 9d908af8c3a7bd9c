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


def restart(policy: str | None) -> dict[str, Any]:
    return {"template": {"spec": {"restartPolicy": policy}}}


@pytest.mark.parametrize(
    "name",
    [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ],
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
            "spec.maxFailedIndexes: Required value: must be specified when completions is above "
            "100000"
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
    assert spec_of(podFailurePolicy={"rules": []})["podReplacementPolicy"] == "Failed"
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
