"""Which time of a schedule is due, and when to look again.

The arithmetic is pkg/controller/cronjob/utils.go: mostRecentScheduleTime and
cronjob_controllerv2.go: nextScheduleTimeDuration, to the letter: how many times were missed is an
estimate from the first gap, and an estimate that overshoots finds no time at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from kubatch.api.cron import Schedule

MANY = 100  # more missed times than this are worth a warning
# So that a time lies in the past when it is looked at (nextScheduleDelta).
PAD = timedelta(milliseconds=100)


class Missed(Enum):
    """How many times lie between the last one and now."""

    NONE = "none"  # or the one that is due now
    FEW = "few"
    MANY = "many"


class NeverDue(ValueError):
    """A schedule that parses and has no times."""


@dataclass(frozen=True, slots=True)
class Due:
    """What has become due since a moment."""

    since: datetime
    slot: datetime | None  # the last of them: only this one is made up for
    missed: Missed


def due(schedule: Schedule, since: datetime, now: datetime) -> Due:
    """What has become due after `since`. Raises NeverDue."""
    first = schedule.next(since)
    second = schedule.next(first) if first is not None else None
    if first is not None and now < first:
        return Due(since, None, Missed.NONE)
    if first is not None and second is not None and now < second:
        return Due(since, first, Missed.NONE)
    # Go's zero time stands for "never" there, so that a schedule which ends fails here, too.
    gap = round((second - first).total_seconds()) if first and second else 0
    if first is None or gap < 1:
        raise NeverDue("time difference between two schedules is less than 1 second")
    count = int((now - first).total_seconds()) // gap + 1
    slot = schedule.latest(first + timedelta(seconds=(count - 2) * gap), now)
    return Due(since, slot, Missed.MANY if count > MANY else Missed.FEW)


def wake_at(schedule: Schedule, since: datetime, now: datetime) -> datetime | None:
    """When the next time has come, if there is one. No deadline is looked at here."""
    try:
        found = due(schedule, since, now)
    except NeverDue:
        return _padded(schedule.next(now))
    return wake_after(schedule, found, now)


def wake_after(schedule: Schedule, found: Due, now: datetime) -> datetime | None:
    """The same, for whoever knows what is due."""
    base = found.slot or (found.since if found.missed is Missed.NONE else now)
    return _padded(schedule.next(base))


def _padded(moment: datetime | None) -> datetime | None:
    return moment + PAD if moment is not None else None
