"""Jobs and CronJobs as table rows, and what may be selected by."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import codec
from kubatch.api.resource import CRONJOBS, JOBS
from kubatch.registry.kinds.job.indexes import count_indexes, overlap
from tests.unit.registry.kinds.making import (
    NOW,
    UID,
    decode,
    merged,
    new_cronjob,
    new_job,
    rules,
)


def cells(spec: dict[str, Any], status: dict[str, Any], **meta: Any) -> list[Any]:
    body = merged(codec.to_dict(JOBS, new_job(**spec)), {"metadata": meta})
    return list(rules(JOBS).row(decode(JOBS, {**body, "status": status}), NOW).cells)


def true(*names: str) -> dict[str, Any]:
    return {"conditions": [{"type": name, "status": "True"} for name in names]}


def test_a_new_job() -> None:
    assert cells({}, {}) == [
        "q",
        "Running",
        "0/1",
        "",
        "0s",
        "c",
        "busybox",
        f"batch.kubernetes.io/controller-uid={UID}",
    ]
    assert [c.name for c in rules(JOBS).columns] == [
        "Name",
        "Status",
        "Completions",
        "Duration",
        "Age",
        "Containers",
        "Images",
        "Selector",
    ]
    assert [c.priority for c in rules(JOBS).columns] == [0, 0, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (true("SuccessCriteriaMet"), "SuccessCriteriaMet"),
        (true("SuccessCriteriaMet", "FailureTarget"), "FailureTarget"),
        (true("FailureTarget", "Suspended"), "Suspended"),
        (true("FailureTarget", "Failed"), "Failed"),
        (true("Complete", "Failed"), "Complete"),
        ({"conditions": [{"type": "Failed", "status": "False"}]}, "Running"),
    ],
)
def test_status(status: dict[str, Any], shown: str) -> None:
    assert cells({}, status)[1] == shown


def test_status_while_deleted() -> None:
    deleted = "2026-05-01T12:00:00Z"
    assert cells({}, true("Suspended"), deletionTimestamp=deleted)[1] == "Terminating"
    assert cells({}, true("Failed"), deletionTimestamp=deleted)[1] == "Failed"


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ({"completions": 5}, "2/5"),
        ({"parallelism": 3}, "2/1 of 3"),
        ({"parallelism": 1}, "2/1"),
        ({"completions": 0}, "2/0"),
    ],
)
def test_completions(spec: dict[str, Any], shown: str) -> None:
    assert cells(spec, {"succeeded": 2})[2] == shown


def test_duration() -> None:
    start, end = "2026-05-01T11:57:00Z", "2026-05-01T11:58:05Z"
    assert cells({}, {"startTime": start})[3] == "3m"
    assert cells({}, {"startTime": start, "completionTime": end})[3] == "65s"


def test_job_fields() -> None:
    fields = rules(JOBS).fields
    assert list(fields) == ["status.successful"]
    old = new_job()
    assert fields["status.successful"](old) == "0"
    done = decode(JOBS, {**codec.to_dict(JOBS, old), "status": {"succeeded": 3}})
    assert fields["status.successful"](done) == "3"
    assert rules(JOBS).unknown_field_message("status.active") == (
        'field label "status.active" not supported for Job'
    )


def test_cronjob_row() -> None:
    row = rules(CRONJOBS).row(new_cronjob(), NOW)
    assert list(row.cells) == [
        "n", "* * * * *", "<none>", "False", 0, "<none>", "0s", "c", "busybox", "<none>",
    ]  # fmt: skip
    body = codec.to_dict(CRONJOBS, new_cronjob(timeZone="Etc/UTC", suspend=True))
    body["status"] = {"lastScheduleTime": "2026-05-01T11:59:00Z", "active": [{"name": "a"}]}
    row = rules(CRONJOBS).row(decode(CRONJOBS, body), NOW)
    assert list(row.cells)[2:6] == ["Etc/UTC", "True", 1, "60s"]


# ----- lists of indexes against a slow obvious twin


def as_text(indexes: set[int]) -> str:
    return ",".join(str(i) for i in sorted(indexes))


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_overlap_is_the_first_common_index(one: set[int], other: set[int]) -> None:
    assert overlap(as_text(one), as_text(other), 31) == min(one & other, default=None)


@given(st.sets(st.integers(0, 30)))
def test_counting_single_indexes(indexes: set[int]) -> None:
    assert count_indexes(as_text(indexes), 31) == len(indexes)
