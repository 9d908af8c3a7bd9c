"""Which time is due, and when to look again."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubatch.api import cron
from kubatch.controllers.cronjob.slots import Due, Missed, NeverDue, due, wake_at
from tests.unit.controllers.cronjob.cases import at


def when(slot: datetime | None) -> str | None:
    return f"{slot:%d %H:%M}" if slot is not None else None


CASES = [
    # schedule, since, now, the slot, how many, seconds until the next look
    ("0 * * * ?", "09:00", "09:59", None, "none", 60),
    ("0 * * * ?", "09:00", "10:00", "19 10:00", "none", 3600),
    ("0 * * * ?", "09:00", "10:01", "19 10:00", "none", 3540),
    ("0 * * * ?", "10:00", "10:00", None, "none", 3600),  # strictly after
    ("0 * * * ?", "09:00", "12:30", "19 12:00", "few", 1800),
    ("0 * * * ?", "09:01", "26 10:01", "26 10:00", "many", 3540),
    ("@every 1h", "08:59", "09:59", "19 09:59", "none", 3600),
    ("@every 1h", "09:59", "10:00", None, "none", 3540),
    ("@every 1h", "10:01", "26 10:00", "26 09:01", "many", 60),
    ("@every 1m", "09:59", "09:59:59", None, "none", 1),
    ("@every 3m", "09:59", "09:59:59", None, "none", 121),
    # The first gap is small, the estimate overshoots: nothing is due, and it is not looked for
    # before the next time.
    ("30 10,11,12 * * 1-5", "10:30", "20 16:30", None, "few", 66 * 3600),
    ("30 6-16/4 * * 1-5", "10:30", "20 10:31", "20 10:30", "few", 3600 * 4 - 60),
    ("* * * * *", "09:00", "10:39", "19 10:39", "few", 60),  # 99 times
    ("* * * * *", "09:00", "10:40", "19 10:40", "few", 60),  # 100 times
    ("* * * * *", "09:00", "10:41", "19 10:41", "many", 60),
]


@pytest.mark.parametrize(("schedule", "since", "now", "slot", "missed", "wakes"), CASES)
def test_what_is_due(
    schedule: str, since: str, now: str, slot: str | None, missed: str, wakes: int
) -> None:
    parsed = cron.parse(schedule)
    found = due(parsed, at(since), at(now))
    assert (when(found.slot), found.missed) == (slot, Missed(missed))
    wake = wake_at(parsed, at(since), at(now))
    assert wake is not None
    assert (wake - at(now)).total_seconds() == wakes + 0.1


@pytest.mark.parametrize("schedule", ["59 23 31 2 *", ", * * * *"])
def test_schedules_that_are_never_due(schedule: str) -> None:
    parsed = cron.parse(schedule)
    with pytest.raises(NeverDue, match="time difference between two schedules is less than 1"):
        due(parsed, at("09:00"), at("10:00"))
    assert wake_at(parsed, at("09:00"), at("10:00")) is None


def test_a_gap_of_months_costs_no_more() -> None:
    """Every minute of most of a year lies between; only the last one is asked for."""
    parsed = cron.parse("* * * 5-12 *")
    since, now = datetime.fromisoformat("2014-12-31T23:59Z"), at("10:00")
    assert due(parsed, since, now) == Due(since, at("10:00"), Missed.MANY)


# ----- a slow twin: walk through all the times


def walk(schedule: cron.Schedule, since: datetime, now: datetime) -> tuple[datetime | None, str]:
    first = schedule.next(since)
    second = schedule.next(first) if first else None
    assert first is not None
    assert second is not None
    if now < first:
        return None, "none"
    if now < second:
        return first, "none"
    gap = int((second - first).total_seconds())
    count = int((now - first).total_seconds()) // gap + 1
    slot, step = None, schedule.next(first + timedelta(seconds=(count - 2) * gap))
    while step is not None and step <= now:
        slot, step = step, schedule.next(step)
    return slot, "many" if count > 100 else "few"


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        ["*/7 * * * *", "30 6-16/4 * * 1-5", "0 0 13 * 5", "@every 90m", "15 10,11,12 * * 1-5"]
    ),
    st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]),
    st.integers(0, 30 * 86_400),
    st.integers(0, 20 * 86_400),
)
def test_the_last_time_is_that_of_a_walk(
    schedule: str, zone: str, offset: int, elapsed: int
) -> None:
    parsed = cron.parse(schedule, zone)
    since = datetime.fromisoformat("2026-10-20T00:00Z") + timedelta(seconds=offset)
    now = since + timedelta(seconds=elapsed)
    found = due(parsed, since, now)
    assert (found.slot, found.missed.value) == walk(parsed, since, now)
