"""What the CronJob rules look at: one CronJob, and the Jobs it controls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kubatch.api import models as m
from kubatch.api import times
from kubatch.api.conditions import is_true
from kubatch.api.owners import controller_of
from kubatch.api.resource import CRONJOBS, JOBS
from kubatch.controllers.cronjob import jobs
from kubatch.reconcile.controller import Index, Key, View

# A longer deadline is none, and one that no arithmetic can overflow.
DEADLINE_MAX = timedelta(days=36_500)
_NO_META = m.ObjectMeta()


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A Job of the CronJob."""

    job: m.Job
    name: str
    uid: str
    ended: str  # the condition that says so, Complete or Failed; "" while it runs
    deleting: bool
    start_time: datetime | None
    completion_time: datetime | None
    slot: datetime | None  # the time it was made for; None when somebody else made it


@dataclass(frozen=True, slots=True)
class Memory:
    """What one turn tells the next."""

    uid: str
    schedule: str
    time_zone: str | None
    # Events that stay true are recorded when they begin to be, not in every turn.
    said: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CronFacts:
    """Everything a decision about one CronJob depends on, but for the time."""

    cronjob: m.CronJob
    namespace: str
    name: str
    uid: str
    deleting: bool
    schedule: str
    time_zone: str | None
    suspended: bool
    policy: str  # Allow, Forbid or Replace
    deadline: timedelta | None
    successful_kept: int | None
    failed_kept: int | None
    created: datetime
    last_schedule: datetime | None
    last_successful: datetime | None
    active: tuple[m.ObjectReference, ...]
    jobs: tuple[JobFacts, ...] = ()  # by name
    edited: bool = False  # the schedule is not the one of the last turn
    said: frozenset[str] = field(default=frozenset())
    clock: str | None = None  # the zone that the schedule is about; None: UTC


def cronjob_of(job: m.Job) -> m.OwnerReference | None:
    """The reference to the CronJob that controls a Job."""
    owner = controller_of(job.metadata)
    if owner is not None and owner.kind == CRONJOBS.kind and owner.apiVersion.startswith("batch/"):
        return owner
    return None


def ending(job: m.Job) -> str:
    """Complete or Failed; "" while it runs (cronjob/utils.go: getFinishedStatus)."""
    conditions = job.status.conditions if job.status else None
    return next((t for t in ("Complete", "Failed") if is_true(conditions, t)), "")


def _by_cronjob(job: m.Job) -> Iterable[str]:
    owner = cronjob_of(job)
    return () if owner is None else (owner.uid,)


JOBS_BY_CRONJOB = Index("jobs-by-cronjob", JOBS, _by_cronjob)


def read(
    view: View, key: Key, remembered: object, local_zone: str | None = None
) -> CronFacts | None:
    """The facts about a CronJob; None when there is none."""
    cronjob = view.get(CRONJOBS, key.namespace, key.name)
    if cronjob is None or cronjob.metadata is None or cronjob.spec is None:
        return None
    meta, spec = cronjob.metadata, cronjob.spec
    status = cronjob.status or m.CronJobStatus()
    assert meta.creationTimestamp is not None, "a stored object has one"
    uid = meta.uid or ""
    memory = remembered if isinstance(remembered, Memory) and remembered.uid == uid else None
    now_asked = (spec.schedule, spec.timeZone)
    return CronFacts(
        cronjob,
        key.namespace,
        key.name,
        uid,
        meta.deletionTimestamp is not None,
        spec.schedule,
        spec.timeZone,
        bool(spec.suspend),
        spec.concurrencyPolicy or "Allow",
        _deadline(spec.startingDeadlineSeconds),
        spec.successfulJobsHistoryLimit,
        spec.failedJobsHistoryLimit,
        meta.creationTimestamp,
        status.lastScheduleTime,
        status.lastSuccessfulTime,
        tuple(status.active or ()),
        tuple(_read_job(job, key.name) for job in view.indexed(JOBS_BY_CRONJOB, uid)),
        memory is not None and (memory.schedule, memory.time_zone) != now_asked,
        memory.said if memory is not None else frozenset(),
        spec.timeZone or local_zone,
    )


def _deadline(seconds: int | None) -> timedelta | None:
    if seconds is None:
        return None
    return timedelta(seconds=min(seconds, int(DEADLINE_MAX.total_seconds())))


def _read_job(job: m.Job, cronjob: str) -> JobFacts:
    meta, status = job.metadata or _NO_META, job.status or m.JobStatus()
    return JobFacts(
        job,
        meta.name or "",
        meta.uid or "",
        ending(job),
        meta.deletionTimestamp is not None,
        status.startTime,
        status.completionTime,
        _slot_of(meta, cronjob),
    )


def _slot_of(meta: m.ObjectMeta, cronjob: str) -> datetime | None:
    """The time a Job was made for, when name and annotation agree about it."""
    text = (meta.annotations or {}).get(jobs.SCHEDULED)
    if text is None:
        return None
    try:
        slot = times.parse_time(text)
    except ValueError:
        return None
    return slot if jobs.name_of(cronjob, slot) == meta.name else None
