"""One sync of a CronJob, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import cron
from kubatch.api import models as m
from kubatch.api.resource import CRONJOBS, JOBS
from kubatch.controllers import cronjob as cronjobs
from kubatch.controllers.cronjob import jobs
from kubatch.controllers.cronjob.facts import JOBS_BY_CRONJOB, Memory, read
from kubatch.controllers.cronjob.plan import answer
from kubatch.controllers.cronjob.settle import settle
from kubatch.controllers.cronjob.slots import Due, Missed
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Create, Decision, Emit, Note
from tests.unit.controllers.cronjob.cases import (
    at,
    cronjob,
    facts,
    job,
    shown,
    sync,
    template,
    wakes_in,
)
from tests.unit.controllers.static_view import StaticView

SLOT = "cj-24394200"  # 10:00
BEFORE = "cj-24394140"  # 09:00


def notes(decision: Decision) -> list[Note]:
    writes = (w for stage in decision.stages for w in stage.writes)
    return [w.note for w in writes if isinstance(w, Emit)]


def created(decision: Decision) -> m.Job:
    writes = (w for stage in decision.stages for w in stage.writes)
    [found] = [w.obj for w in writes if isinstance(w, Create)]
    return found  # type: ignore[no-any-return]


# ----- when to start


@pytest.mark.parametrize(
    ("words", "now", "expected", "wakes"),
    [
        ({}, "09:59", [], 60.1),
        ({}, "10:01", [f"create {SLOT}"], 59 * 60 + 0.1),
        ({"suspend": True}, "10:01", [], None),
        ({"deleting": True}, "10:01", [], None),
        ({"schedule": "bad"}, "10:01", ["Warning UnparseableSchedule"], None),
        ({"timeZone": "Nope/Z"}, "10:01", ["Warning UnknownTimeZone"], None),
        ({"schedule": "59 23 31 2 *"}, "10:01", ["Warning InvalidSchedule"], None),
        # Past the deadline nothing is said.
        ({"startingDeadlineSeconds": 10}, "10:01", [], 59 * 60 + 0.1),
        ({"startingDeadlineSeconds": 2000}, "10:01", [f"create {SLOT}"], 59 * 60 + 0.1),
        ({"startingDeadlineSeconds": 0}, "10:00", [], 3600.1),
        ({"startingDeadlineSeconds": 2**62}, "10:01", [f"create {SLOT}"], 59 * 60 + 0.1),
        ({"last": "10:00"}, "10:01", [], 59 * 60 + 0.1),
        ({"schedule": "@every 1h", "created": "09:59"}, "10:00", [], 59 * 60 + 0.1),
        ({"schedule": "@every 1h", "created": "08:59"}, "09:59", ["create cj-24394199"], 3600.1),
    ],
)
def test_a_cronjob_without_jobs(
    words: dict[str, Any], now: str, expected: list[str], wakes: float | None
) -> None:
    decision = sync(cronjob(**words), now)
    assert shown(decision) == expected
    assert wakes_in(decision, now) == wakes


@pytest.mark.parametrize("policy", ["Allow", "Forbid", "Replace"])
@pytest.mark.parametrize(
    ("deadline", "warns"), [(None, True), (99 * 3600, False), (200 * 3600, True)]
)
def test_a_week_is_made_up_for_by_one_job(policy: str, deadline: int | None, warns: bool) -> None:
    made = cronjob(last="09:01", policy=policy, startingDeadlineSeconds=deadline)
    decision = sync(made, "26 10:01")
    warning = ["Warning TooManyMissedTimes"] if warns else []
    assert shown(decision) == [*warning, "create cj-24404280"]
    if warns:
        assert notes(decision)[0].message == (
            "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check "
            "clock skew"
        )


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("Allow", [f"create {SLOT}"]),
        ("Forbid", ["Normal JobAlreadyActive"]),
        ("Replace", [f"delete {BEFORE} Background", "status 09:00 []", f"create {SLOT}"]),
    ],
)
def test_a_job_still_runs(policy: str, expected: list[str]) -> None:
    running = job("09:00")
    made = cronjob(policy=policy, active=[running], last="09:00")
    decision = sync(made, "10:01", running)
    assert shown(decision) == expected
    assert wakes_in(decision, "10:01") == 59 * 60 + 0.1


def test_a_forbidden_time_starts_when_the_job_before_it_ends() -> None:
    over = job("09:00", ended="Complete", completed="10:30")
    made = cronjob(policy="Forbid", active=[over], last="09:00")
    decision = sync(made, "10:30", over)
    assert shown(decision) == ["status 09:00 []", "Normal SawCompletedJob", f"create {SLOT}"]


def test_no_job_is_made_twice() -> None:
    """The status names this slot's Job, which the cache does not have, and no last time."""
    made = job("10:00")
    decision = sync(cronjob(active=[made]), "10:01", made)
    assert shown(decision) == []
    decision = sync(cronjob(active=[made]), "10:01")
    # Gone, unless the API says otherwise; then the whole turn is void.
    assert shown(decision)[0] == f"Absent {SLOT}"


# ----- what becomes of the Job it made


def test_a_new_job_is_taken_into_the_status() -> None:
    made = job("10:00")
    decision = sync(cronjob(), "10:00:01", made)
    assert shown(decision) == [f"status 10:00 [{SLOT}]"]
    assert wakes_in(decision, "10:00:01") == 3599.1


def test_so_is_one_forgotten_in_a_crash() -> None:
    """The policy lets one Job run, and one runs, though the status does not know it."""
    made = job("09:00")
    decision = sync(cronjob(policy="Forbid", created="08:30"), "10:01", made)
    assert shown(decision) == ["Normal JobAlreadyActive", f"status 09:00 [{BEFORE}]"]


def test_one_that_is_over_already_only_moves_the_time_on() -> None:
    made = job("10:00", ended="Failed")
    decision = sync(cronjob(), "10:00:05", made)
    assert shown(decision) == ["status 10:00 []", "Normal SawCompletedJob"]
    assert notes(decision)[0].message == f"Saw completed job: {SLOT}, condition: Failed"


def test_a_job_of_somebody_else_is_said_once() -> None:
    manual = job(name="manual")
    decision = sync(cronjob(), "09:30", manual)
    assert [n.message for n in notes(decision)] == [
        "Saw a job that the controller did not create or forgot: manual"
    ]
    again = sync(cronjob(), "09:31", manual, remembered=decision.remember)
    assert shown(again) == []
    other = sync(cronjob(), "09:32", manual, job(name="second"), remembered=again.remember)
    assert shown(other) == ["Warning UnexpectedJob"]


def test_the_name_and_the_time_must_agree() -> None:
    liar = job("10:00", name="cj-1")
    assert shown(sync(cronjob(), "09:59", liar)) == ["Warning UnexpectedJob"]


def test_an_active_job_that_is_gone() -> None:
    decision = sync(cronjob(active=[job("09:00")], last="09:00"), "09:30")
    assert shown(decision) == [f"Absent {BEFORE}", "status 09:00 []", "Normal MissingJob"]
    assert notes(decision)[0].message == f"Active job went missing: {BEFORE}"


def test_a_status_somebody_wrote_nonsense_into() -> None:
    made = cronjob(last="09:00")
    assert made.status is not None
    made.status.active = [m.ObjectReference(), m.ObjectReference(name="x")]
    decision = sync(made, "09:30")
    assert shown(decision) == ["status 09:00 []", "Normal MissingJob", "Normal MissingJob"]


def test_the_last_success_is_the_latest() -> None:
    done = [
        job(name="a", ended="Complete", completed="09:10"),
        job(name="b", ended="Complete", completed="09:20"),
        job(name="c", ended="Failed", completed="09:30"),
    ]
    decision = sync(cronjob(), "09:40", *done)
    [write] = decision.stages[0].writes
    status: m.CronJobStatus = write.obj.status  # type: ignore[union-attr]
    assert status.lastSuccessfulTime is not None
    assert f"{status.lastSuccessfulTime:%H:%M}" == "09:20"


def test_one_that_is_being_deleted_still_has_a_status() -> None:
    over = job("09:00", ended="Complete")
    decision = sync(cronjob(active=[over], last="09:00", deleting=True), "12:00", over)
    assert shown(decision) == ["status 09:00 []", "Normal SawCompletedJob"]
    assert decision.wake_at is None


# ----- history


def test_the_oldest_go_and_those_that_never_started_go_last() -> None:
    done = [
        job(name="a", ended="Complete"),
        job(name="b", ended="Complete", started="09:20"),
        job(name="c", ended="Complete", started="09:10"),
        job(name="d", ended="Complete", started="09:10"),
        job(name="e", ended="Failed", started="09:01"),
        job(name="f", ended="Failed", started="09:02"),
        job(name="g"),
    ]
    decision = sync(cronjob(kept=(2, 1)), "09:30", *done)
    assert shown(decision) == [
        "Warning UnexpectedJob",
        "delete c Background",
        "delete d Background",
        "delete e Background",
    ]
    unlimited = sync(cronjob(kept=(None, None)), "09:30", *done)
    assert shown(unlimited) == ["Warning UnexpectedJob"]


def test_no_job_goes_before_the_status_says_that_it_was_started() -> None:
    """Without either the controller would take its time for one that was missed, and start anew."""
    over = job("09:00", ended="Complete", completed="09:30")
    decision = sync(cronjob(active=[], last="08:00", kept=(0, 0)), "09:31", over)
    assert shown(decision)[:2] == ["status 09:00 []", f"delete {BEFORE} Background"]


def test_history_comes_before_new_jobs_and_stops_nothing() -> None:
    """A quota on Jobs must leave a way out; and a Job that cannot be deleted is not in the way."""
    done = [job(name=n, ended="Complete", started="09:10") for n in "ab"]
    decision = sync(cronjob(kept=(1, 1)), "10:01", *done)
    assert shown(decision) == ["delete a Background", f"create {SLOT}"]
    otherwise = decision.stages[0].otherwise
    assert otherwise is not None
    assert otherwise(0) == decision.stages[1:]


def test_a_job_deleted_at_first_sight_is_not_announced() -> None:
    over = job("09:00", ended="Complete", completed="09:30")
    decision = sync(cronjob(active=[over], last="09:00", kept=(0, 0)), "09:31", over)
    assert shown(decision) == ["status 09:00 []", f"delete {BEFORE} Background"]
    [write] = decision.stages[0].writes
    assert write.obj.status.lastSuccessfulTime is not None  # type: ignore[union-attr]


def test_one_deleted_already_counts_and_is_left_alone() -> None:
    done = [
        job(name="a", ended="Complete", started="09:10", deleting=True, finalizers=["x/y"]),
        job(name="b", ended="Complete", started="09:20"),
    ]
    assert shown(sync(cronjob(kept=(1, 1)), "09:30", *done)) == []


# ----- the Job


def test_the_job_bears_the_marks_of_its_template() -> None:
    owner = cronjob(
        timeZone="Europe/Rome",
        jobTemplate=template(labels={"a": "b"}, annotations={"x": "y", "z": "w"}),
    )
    made = created(sync(owner, "10:01"))
    assert made.metadata is not None
    assert made.metadata.labels == {"a": "b"}
    assert made.metadata.annotations == {
        "x": "y",
        "z": "w",
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2016-05-19T12:00:00+02:00",
    }
    [reference] = made.metadata.ownerReferences or []
    assert (reference.kind, reference.name, reference.uid) == ("CronJob", "cj", "uid-cj")
    assert reference.controller
    assert reference.blockOwnerDeletion


def test_a_mark_that_somebody_has_spoiled() -> None:
    spoiled = job("10:00")
    assert spoiled.metadata is not None
    spoiled.metadata.annotations = {jobs.SCHEDULED: "soon"}
    assert shown(sync(cronjob(), "09:59", spoiled)) == ["Warning UnexpectedJob"]


def test_which_changes_matter() -> None:
    """What a Job says of itself while it runs is nothing to its CronJob."""
    keys = cronjobs.controller().watches[JOBS]
    ours, over = job("10:00"), job("10:00", ended="Complete")
    stranger = m.Job(metadata=m.ObjectMeta(name="x", namespace="default"))
    found = [
        list(keys(before, after))
        for before, after in (
            (None, ours),
            (ours, job("10:00", started="10:01")),
            (ours, over),
            (over, job("10:00", ended="Complete", deleting=True)),
            (over, None),
            (ours, stranger),
            (None, stranger),
            (stranger, None),
        )
    ]
    key = [Key("default", "cj")]
    assert found == [key, [], key, key, key, key, [], []]
    assert list(JOBS_BY_CRONJOB.keys(stranger)) == []
    assert list(cronjobs.controller().watches[CRONJOBS](cronjob(), None)) == []
    gone = read(StaticView(), Key("default", "cj"), None)
    assert gone is None


@pytest.mark.parametrize(
    ("zone", "expected"),
    [(None, "10:00:00Z"), ("Africa/Abidjan", "10:00:00Z"), ("America/St_Johns", "07:30:00-02:30")],
)
def test_the_time_it_was_made_for(zone: str | None, expected: str) -> None:
    made = created(
        sync(
            cronjob(
                "0 * * * *" if zone is None else "*/30 * * * *",
                timeZone=zone,
                created="09:30" if zone else "09:00",
            ),
            "10:01",
        )
    )
    assert made.metadata is not None
    [stamp] = (made.metadata.annotations or {}).values()
    assert stamp == f"2016-05-19T{expected}"


# ----- what is said, and how often


def test_messages() -> None:
    said = [
        [note.message for note in notes(sync(made, "10:01"))]
        for made in (
            cronjob("bad"),
            cronjob(timeZone="Nope/Z"),
            cronjob("59 23 31 2 *"),
            cronjob("TZ=UTC 30 * * * *", last="09:30"),
        )
    ]
    assert said == [
        ['unparseable schedule: "bad" : expected exactly 5 fields, found 1: [bad]'],
        ['invalid timeZone: "Nope/Z": unknown time zone Nope/Z'],
        [
            "invalid schedule: 59 23 31 2 * : time difference between two schedules is less than "
            "1 second"
        ],
        [
            'CRON_TZ or TZ used in schedule "TZ=UTC 30 * * * *" is not officially supported, see '
            "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        ],
    ]


def test_a_forbidden_time_is_said_once_each() -> None:
    running = job("09:00")
    made = cronjob(policy="Forbid", active=[running], last="09:00")
    first = sync(made, "10:00:01", running)
    again = sync(made, "10:20", running, remembered=first.remember)
    later = sync(made, "11:00:01", running, remembered=again.remember)
    assert [len(notes(d)) for d in (first, again, later)] == [1, 0, 1]


def test_a_time_that_is_past_its_deadline() -> None:
    """The times looked at never are; should one be all the same, this is what is said."""
    found = facts(cronjob(startingDeadlineSeconds=30))
    parsed = cron.parse(found.schedule)
    late = Due(at("09:59:30"), at("10:00"), Missed.NONE)
    planned = answer(found, settle(found), parsed, late, (), at("10:01"))
    [(_, note)] = planned.notices
    assert (note.type, note.reason) == ("Warning", "MissSchedule")
    assert note.message == ("Missed scheduled time to start a job: Thu, 19 May 2016 10:00:00 +0000")
    assert planned.start is None


# ----- edits


def memory(schedule: str, zone: str | None = None, uid: str = "uid-cj") -> Memory:
    return Memory(uid, schedule, zone)


@pytest.mark.parametrize(
    ("before", "after", "wakes"),
    [
        ("30 * * * *", "*/1 * * * *", 1.1),
        ("@every 1m", "@every 3m", 121.1),
        ("0 0 1 1 *", "0 3 * * *", 17 * 3600 + 1.1),
        ("30 * * * *", "59 23 31 2 *", 0),
    ],
)
def test_a_new_schedule_waits_for_its_next_time(before: str, after: str, wakes: float) -> None:
    made = cronjob(after, last="09:59")
    decision = sync(made, "09:59:59", remembered=memory(before))
    assert shown(decision) == []
    assert wakes_in(decision, "09:59:59") == wakes
    settled = sync(made, "10:02", remembered=decision.remember)
    assert "changed" not in settled.because


def test_a_new_schedule_makes_up_for_nothing_at_once() -> None:
    made = cronjob("*/5 * * * *", created="09:01")
    assert shown(sync(made, "09:58", remembered=memory("0 0 1 1 *"))) == []
    # A namesake that was made anew is not an edit.
    fresh = sync(made, "09:58", remembered=memory("0 0 1 1 *", uid="another"))
    assert shown(fresh) == ["create cj-24394195"]


def test_a_new_schedule_that_cannot_be_read() -> None:
    decision = sync(cronjob("bad", last="09:59"), "10:30", remembered=memory("@hourly"))
    assert [n.message for n in notes(decision)] == ["unparseable schedule for cronjob: bad"]
    assert notes(decision)[0].reason == "UnParseableCronJobSchedule"
    assert decision.wake_at is None


def test_another_time_zone_is_an_edit_too() -> None:
    made = cronjob(timeZone="Asia/Kolkata", last="09:00")
    decision = sync(made, "10:01", remembered=memory("0 * * * ?"))
    assert shown(decision) == []
    assert wakes_in(decision, "10:01") == 29 * 60 + 0.1
