"""What the Jobs there are mean: which are active, which are over, and which are too many.

cronjob_controllerv2.go: cleanupFinishedJobs and the first half of syncCronJob. One rule is ours: a
Job that bears the name and the time of a slot after the last one was made by this controller, and
is taken for active. So a crash between a Job and the status that names it changes nothing, also not
for a policy that lets only one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kubatch.api import models as m
from kubatch.controllers.cronjob import jobs
from kubatch.controllers.cronjob.facts import CronFacts, JobFacts
from kubatch.reconcile.decision import Note


@dataclass(frozen=True, slots=True)
class Settled:
    """The CronJob's status as its Jobs would have it, and what happened."""

    active: tuple[m.ObjectReference, ...]
    last_schedule: datetime | None
    last_successful: datetime | None
    surplus: tuple[JobFacts, ...]  # over the limits of history: to be deleted
    missing: tuple[m.ObjectReference, ...]  # active, said the status, and there is no such Job
    happened: tuple[Note, ...]
    unexpected: tuple[Note, ...]  # true for as long as the Job runs


def settle(facts: CronFacts) -> Settled:
    """Go through the Jobs."""
    surplus = _surplus(facts)
    going = {job.uid for job in surplus}
    known = {job.uid: job for job in facts.jobs}
    listed = [ref for ref in facts.active if ref.uid not in going]
    missing = [ref for ref in listed if ref.uid not in known]
    ended = [known[ref.uid or ""] for ref in listed if ref.uid in known and known[ref.uid].ended]
    new = [job for job in facts.jobs if _is_forgotten(facts, job)]
    over = {job.uid for job in ended} | {ref.uid for ref in missing}
    active = [ref for ref in listed if ref.uid not in over]
    active += [jobs.reference(job.job) for job in new if not (job.ended or job.deleting)]
    happened = [_saw_completed(job) for job in [*ended, *(job for job in new if job.ended)]]
    happened += [
        Note("Normal", "MissingJob", f"Active job went missing: {ref.name}") for ref in missing
    ]
    expected = {ref.uid for ref in (*facts.active, *active)}
    return Settled(
        tuple(active),
        max((job.slot for job in new if job.slot), default=facts.last_schedule),
        _last_successful(facts),
        surplus,
        tuple(missing),
        tuple(happened),
        tuple(
            _unexpected(job)
            for job in facts.jobs
            if not (job.ended or job.deleting or job.uid in expected)
        ),
    )


def _is_forgotten(facts: CronFacts, job: JobFacts) -> bool:
    """Whether the controller made a Job that the status does not know yet."""
    if job.slot is None or any(ref.uid == job.uid for ref in facts.active):
        return False
    return facts.last_schedule is None or job.slot > facts.last_schedule


def _last_successful(facts: CronFacts) -> datetime | None:
    done = [j.completion_time for j in facts.jobs if j.ended == "Complete" and j.completion_time]
    return (
        max(done, default=None)
        if facts.last_successful is None
        else max([facts.last_successful, *done])
    )


def _saw_completed(job: JobFacts) -> Note:
    message = f"Saw completed job: {job.name}, condition: {job.ended}"
    return Note("Normal", "SawCompletedJob", message)


def _unexpected(job: JobFacts) -> Note:
    message = f"Saw a job that the controller did not create or forgot: {job.name}"
    return Note("Warning", "UnexpectedJob", message)


def _surplus(facts: CronFacts) -> tuple[JobFacts, ...]:
    found: list[JobFacts] = []
    for ended, kept in (("Complete", facts.successful_kept), ("Failed", facts.failed_kept)):
        if kept is not None:
            found += _oldest([job for job in facts.jobs if job.ended == ended], kept)
    return tuple(found)


def _oldest(ended: Sequence[JobFacts], kept: int) -> list[JobFacts]:
    """Those past the limit; the ones that never started go last (byJobStartTime)."""
    ranked = sorted(ended, key=_rank)
    return [job for job in ranked[: max(0, len(ranked) - kept)] if not job.deleting]


def _rank(job: JobFacts) -> tuple[bool, float, str]:
    started = job.start_time
    return (started is None, started.timestamp() if started else 0.0, job.name)
