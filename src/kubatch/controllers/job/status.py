"""A Job's next status, in the two steps in which it is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.controllers.job import accounting, conditions, names
from kubatch.controllers.job.accounting import Account, Counters
from kubatch.controllers.job.conditions import Conditions
from kubatch.controllers.job.facts import JobFacts
from kubatch.controllers.job.finish import Finish
from kubatch.controllers.job.tally import Tally
from kubatch.reconcile.decision import Note
from kubatch.world import whole_seconds


@dataclass(frozen=True, slots=True)
class PodCounts:
    """Living pods as the status shows them after this turn's changes."""

    active: int
    ready: int
    terminating: int


@dataclass(frozen=True, slots=True)
class Suspension:
    """The Suspended condition, the start time, and the event if the condition changed."""

    conditions: Conditions
    start_time: datetime | None
    note: Note | None = None


def suspension(facts: JobFacts, tally: Tally, managed: bool, now: datetime) -> Suspension:
    """Say that a Job is suspended, or that it is no longer.

    The deadline's clock is reset: no start time while suspended, a new one on resumption.
    """
    before = facts.status.conditions
    unchanged = Suspension(before, tally.start_time)
    if not managed:
        return unchanged
    if facts.spec.suspended:
        after = conditions.ensure(
            before, names.SUSPENDED, "True", "JobSuspended", "Job suspended", now
        )
        if after is before:
            return unchanged
        return Suspension(after, None, Note("Normal", "Suspended", "Job suspended"))
    after = conditions.ensure(before, names.SUSPENDED, "False", "JobResumed", "Job resumed", now)
    if after is before:
        return unchanged
    return Suspension(after, whole_seconds(now), Note("Normal", "Resumed", "Job resumed"))


def interim(
    facts: JobFacts,
    tally: Tally,
    pods: PodCounts,
    account: Account,
    start: Suspension,
    finish: Finish | None,
    now: datetime,
) -> m.JobStatus:
    """The status before finalizers are taken off: uids of ended pods, and how the Job will end."""
    listed = start.conditions
    if finish is not None:
        listed = conditions.ensure(listed, finish.type, "True", finish.reason, finish.message, now)
    before = facts.job.status or m.JobStatus()
    return replace(
        _with_counters(before, account.before),
        startTime=start.start_time,
        active=pods.active or None,
        ready=pods.ready,
        terminating=pods.terminating,
        completedIndexes=accounting.completed_indexes_text(account.completed),
        failedIndexes=accounting.failed_indexes_text(tally),
        conditions=list(listed) or None,
    )


def final(
    facts: JobFacts,
    before: m.JobStatus,
    pods: PodCounts,
    account: Account,
    finish: Finish | None,
    now: datetime,
) -> m.JobStatus:
    """The status after: ended pods counted, and the terminal condition if nothing is left.

    A Job ends only when every uid is counted and no pod terminates any more (enactJobFinished).
    """
    after = _with_counters(before, account.after)
    if finish is None or not may_end(pods, account):
        return after
    listed = conditions.ensure(
        tuple(after.conditions or ()),
        finish.terminal_type,
        "True",
        finish.reason,
        finish.message,
        now,
    )
    completed = after.completionTime if finish.is_failure else whole_seconds(now)
    started = after.startTime
    if started is None and not (facts.spec.suspended and facts.spec.completions == 0):
        # Suspended since before it was seen to run, and ended by the pods it had: a finished Job
        # needs a start time (pkg/apis/batch/validation: RejectFinishedJobWithoutStartTime).
        started = whole_seconds(now)
    return replace(after, conditions=list(listed), startTime=started, completionTime=completed)


def may_end(pods: PodCounts, account: Account) -> bool:
    """Whether all of the Job's pods are over and counted."""
    counters = account.after
    uncounted = counters.uncounted_succeeded or counters.uncounted_failed
    return not uncounted and not account.full and pods.terminating == 0


def _with_counters(status: m.JobStatus, counters: Counters) -> m.JobStatus:
    return replace(
        status,
        succeeded=counters.succeeded or None,
        failed=counters.failed or None,
        uncountedTerminatedPods=m.UncountedTerminatedPods(
            failed=list(counters.uncounted_failed) or None,
            succeeded=list(counters.uncounted_succeeded) or None,
        ),
    )
