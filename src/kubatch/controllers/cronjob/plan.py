"""Whether to start a Job now, and when to look again.

cronjob_controllerv2.go: the second half of syncCronJob. A plan that stops has no wake_at: only a
change of the CronJob, or of one of its Jobs, can help.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from kubatch.api import cron
from kubatch.api.cron import Schedule
from kubatch.controllers.cronjob import jobs, slots
from kubatch.controllers.cronjob.facts import CronFacts
from kubatch.controllers.cronjob.settle import Settled
from kubatch.controllers.cronjob.slots import Due, Missed, NeverDue
from kubatch.reconcile.decision import Note

_TOO_MANY = (
    "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
)
_STILL_ACTIVE = (
    "Not starting job because prior execution is running and concurrency policy is Forbid"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about the schedule."""

    because: str
    wake_at: datetime | None = None
    start: datetime | None = None  # the slot to make a Job for
    replace: bool = False  # ... once those that are active are deleted
    # What there is to say, each with a name that changes when it has to be said again.
    notices: tuple[tuple[str, Note], ...] = ()


def plan(facts: CronFacts, settled: Settled, now: datetime) -> Plan:
    """What to do now."""
    if facts.deleting:
        return Plan("is being deleted: starts nothing")
    if facts.time_zone is not None and (error := _zone_error(facts.time_zone)):
        message = f'invalid timeZone: "{facts.time_zone}": {error}'
        return Plan("the time zone is not known", notices=(_warning("UnknownTimeZone", message),))
    if facts.suspended:
        return Plan("is suspended")
    notices = _about_zone_in(facts.schedule)
    try:
        schedule = cron.parse(facts.schedule, facts.clock)
    except ValueError as error:
        message = f'unparseable schedule: "{facts.schedule}" : {error}'
        notice = _warning("UnparseableSchedule", message)
        return Plan("the schedule cannot be read", notices=(*notices, notice))
    try:
        found = slots.due(schedule, _since(facts, settled, now), now)
    except NeverDue as error:
        message = f"invalid schedule: {facts.schedule} : {error}"
        notice = _warning("InvalidSchedule", message)
        return Plan("the schedule has no times", notices=(*notices, notice))
    if found.missed is Missed.MANY:
        notices = (*notices, _warning("TooManyMissedTimes", _TOO_MANY))
    return answer(facts, settled, schedule, found, notices, now)


def after_edit(facts: CronFacts, now: datetime) -> Plan:
    """A new schedule is looked at when its next time comes: none of its past is made up for now."""
    try:
        schedule = cron.parse(facts.schedule, facts.clock)
    except ValueError:
        message = f"unparseable schedule for cronjob: {facts.schedule}"
        notice = _warning("UnParseableCronJobSchedule", message)
        return Plan("the new schedule cannot be read", notices=(notice,))
    wake = slots.wake_at(schedule, facts.last_schedule or facts.created, now)
    # One without times is looked at now: the warning is due.
    return Plan(f"the schedule was changed: next at {_shown(wake)}", wake or now)


def answer(
    facts: CronFacts,
    settled: Settled,
    schedule: Schedule,
    found: Due,
    notices: tuple[tuple[str, Note], ...],
    now: datetime,
) -> Plan:
    """What to do about what has become due."""
    since = settled.last_schedule or facts.created
    if found.since == since:
        wake = slots.wake_after(schedule, found, now)
    else:
        wake = slots.wake_at(schedule, since, now)  # no deadline keeps a turn from being taken
    slot = found.slot
    if slot is None:
        return Plan(f"nothing is due: next at {_shown(wake)}", wake, notices=notices)
    if facts.deadline is not None and slot + facts.deadline < now:
        missed = (
            f"Missed scheduled time to start a job: {slot.astimezone(UTC):%a, %d %b %Y %H:%M:%S}"
        )
        notice = _warning("MissSchedule", f"{missed} +0000")
        return Plan(f"{_shown(slot)} is past its deadline", wake, notices=(*notices, notice))
    name = jobs.name_of(facts.name, slot)
    if settled.last_schedule == slot or any(ref.name == name for ref in settled.active):
        return Plan(f"{name} was started: next at {_shown(wake)}", wake, notices=notices)
    running = len(settled.active)
    if running and facts.policy == "Forbid":
        because = f"{_shown(slot)} is due, and a Job still runs, which the policy forbids"
        note = Note("Normal", "JobAlreadyActive", _STILL_ACTIVE)
        return Plan(because, wake, notices=(*notices, (f"{note.reason} {slot}", note)))
    # The status does not name this slot before the Job does: woken for the slot after it.
    following = schedule.next(slot)
    wake = following + slots.PAD if following is not None else None
    replacing = running > 0 and facts.policy == "Replace"
    because = f"{_shown(slot)} is due: starts {name}"
    if replacing:
        because += f" in place of {running} other{'s' if running > 1 else ''}"
    return Plan(because, wake, slot, replacing, notices)


def _since(facts: CronFacts, settled: Settled, now: datetime) -> datetime:
    """Nothing before this moment is started any more."""
    since = settled.last_schedule or facts.created
    return since if facts.deadline is None else max(since, now - facts.deadline)


def _zone_error(time_zone: str) -> str:
    try:
        cron.zone_of(time_zone)
    except ValueError as error:
        return str(error)
    return ""


def _about_zone_in(schedule: str) -> tuple[tuple[str, Note], ...]:
    if "TZ" not in schedule:
        return ()
    message = (
        f'CRON_TZ or TZ used in schedule "{schedule}" is not officially supported, see '
        "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
    )
    return (_warning("UnsupportedSchedule", message),)


def _warning(reason: str, message: str) -> tuple[str, Note]:
    return (f"{reason} {message}", Note("Warning", reason, message))


def _shown(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}" if moment is not None else "no time"
