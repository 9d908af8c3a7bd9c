"""CronJobs: defaults, and every refusal with its exact words."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import CRONJOBS
from tests.unit.registry.kinds.making import (
    CRONJOB,
    create_errors,
    cronjob_errors,
    decode,
    merged,
    new_cronjob,
    prepared,
    rules,
    update_errors,
)

USE_FIELD = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"


def schedule_error(schedule: str, error: str) -> str:
    return f'spec.schedule: Invalid value: "{schedule}": {error}'


CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"schedule": ""}, ["spec.schedule: Required value"]),
    (
        {"schedule": "error"},
        [schedule_error("error", "expected exactly 5 fields, found 1: [error]")],
    ),
    (
        {"schedule": "TZ=UTC 0 * * * *"},
        [schedule_error("TZ=UTC 0 * * * *", USE_FIELD)],
    ),
    (
        {"schedule": "TZ=0"},
        [
            schedule_error(
                "TZ=0", "invalid schedule format: runtime error: slice bounds out of range [:-1]"
            ),
            schedule_error("TZ=0", USE_FIELD),
        ],
    ),
    (
        {"timeZone": ""},
        ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string'],
    ),
    (
        {"timeZone": "Local"},
        [
            'spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as '
            "defined in https://www.iana.org/time-zones"
        ],
    ),
    (
        {"timeZone": "local"},
        [
            'spec.timeZone: Invalid value: "local": timeZone must be an explicit time zone as '
            "defined in https://www.iana.org/time-zones",
            'spec.timeZone: Invalid value: "local": unknown time zone local',
        ],
    ),
    *[
        ({"timeZone": zone}, [f'spec.timeZone: Invalid value: "{zone}": unknown time zone {zone}'])
        for zone in ("Nope/Z", "../etc", "a//b", "-x", "utc", "America/NewYorkButTooLong", "GMT+5")
    ],
    *[({"timeZone": zone}, []) for zone in ("UTC", "Etc/UTC", "EST5EDT", "Etc/GMT+5")],
    (
        {"concurrencyPolicy": "Foo"},
        [
            'spec.concurrencyPolicy: Unsupported value: "Foo": supported values: "Allow", '
            '"Forbid", "Replace"'
        ],
    ),
    *[
        ({name: -1}, [f"spec.{name}: Invalid value: -1: must be greater than or equal to 0"])
        for name in (
            "startingDeadlineSeconds",
            "successfulJobsHistoryLimit",
            "failedJobsHistoryLimit",
        )
    ],
    (
        {"jobTemplate": {"spec": {"selector": {"matchLabels": {"a": "b"}}}}},
        [
            'spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` '
            "will be auto-generated"
        ],
    ),
    (
        {"jobTemplate": {"spec": {"manualSelector": True}}},
        [
            "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "
            '"nil", "false"'
        ],
    ),
    (
        {"jobTemplate": {"spec": {"backoffLimit": -1}}},
        [
            "spec.jobTemplate.spec.backoffLimit: Invalid value: -1: must be greater than or equal "
            "to 0"
        ],
    ),
]


@pytest.mark.parametrize(("spec", "errors"), CASES)
def test_refusals(spec: dict[str, Any], errors: list[str]) -> None:
    assert cronjob_errors(**spec) == errors


def test_names() -> None:
    body = merged(CRONJOB, {"metadata": {"name": "a" * 53}})
    assert create_errors(CRONJOBS, body) == [
        f'metadata.name: Invalid value: "{"a" * 53}": must be no more than 52 characters'
    ]
    body = merged(CRONJOB, {"metadata": {"name": "a.b"}})
    assert create_errors(CRONJOBS, body) == []
    assert rules(CRONJOBS).warnings_create(prepared(CRONJOBS, body)) == [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising "
        "behavior; a DNS label is recommended: [must not contain dots]"
    ]


def test_defaults_stop_at_the_job() -> None:
    made = codec.to_dict(CRONJOBS, new_cronjob())
    spec = made["spec"]
    assert made["status"] == {}
    assert spec["concurrencyPolicy"] == "Allow"
    assert spec["suspend"] is False
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 1)
    job = spec["jobTemplate"]["spec"]
    assert set(job) == {"template"}
    assert job["template"]["spec"]["dnsPolicy"] == "ClusterFirst"


def change(schedule: str, to: str, zone: str | None) -> tuple[list[str], list[str]]:
    """The errors and warnings of a change of schedule and zone."""
    old = new_cronjob()
    assert old.spec is not None
    old.spec.schedule = schedule
    new = codec.copy(old)
    assert new.spec is not None
    new.spec.schedule, new.spec.timeZone = to, zone
    return update_errors(CRONJOBS, new, old), rules(CRONJOBS).warnings_update(new, old)


def test_schedules_that_name_a_zone_already() -> None:
    zoned = "TZ=UTC 0 * * * *"
    assert change("0 * * * *", zoned, None)[0] == [schedule_error(zoned, USE_FIELD)]
    other = "TZ=UTC 1 * * * *"
    assert change(zoned, other, None) == ([], [f"spec.spec.schedule: {USE_FIELD}"])
    assert change(zoned, other, "UTC")[0] == [
        schedule_error(other, "cannot use both timeZone field and TZ or CRON_TZ in schedule")
    ]


def test_an_old_zone_is_not_looked_at_again() -> None:
    old = new_cronjob()
    assert old.spec is not None
    old.spec.timeZone = "Gone/Away"
    new = codec.copy(old)
    assert new.spec is not None
    new.spec.suspend = True
    assert update_errors(CRONJOBS, new, old) == []


def test_status_is_not_validated() -> None:
    old = new_cronjob()
    body = {**codec.to_dict(CRONJOBS, old), "status": {"lastScheduleTime": "1999-01-01T00:00:00Z"}}
    assert rules(CRONJOBS).validate_status_update(decode(CRONJOBS, body), old) == []
