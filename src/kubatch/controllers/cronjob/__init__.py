"""Jobs on a schedule: facts.py reads, slots.py counts, decide.py decides, jobs.py makes the Job."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from kubatch.api import models as m
from kubatch.api.resource import CRONJOBS, JOBS
from kubatch.controllers.cronjob.decide import decide
from kubatch.controllers.cronjob.facts import JOBS_BY_CRONJOB, CronFacts, cronjob_of, ending, read
from kubatch.controllers.cronjob.metrics import MEASURES
from kubatch.reconcile.controller import Controller, Key


def controller(local_zone: str | None = None) -> Controller[CronFacts]:
    """The record for the engine; schedules that name no zone are in `local_zone`, or in UTC."""
    return Controller(
        name="cronjob-controller",
        watches={CRONJOBS: _cronjob_keys, JOBS: _job_keys},
        read=partial(read, local_zone=local_zone),
        decide=decide,
        indexes=(JOBS_BY_CRONJOB,),
        about=CRONJOBS,
        queue="cronjob",
        # Many are due in the same second, and each waits for its Job to be on disk; those that
        # wait at the same time share one commit (kube-controller-manager has 5, and the skew).
        workers=256,
        measures=MEASURES,
    )


def _cronjob_keys(_old: m.CronJob | None, new: m.CronJob | None) -> Iterable[Key]:
    if new is not None and new.metadata is not None:
        yield Key(new.metadata.namespace or "", new.metadata.name or "")


def _job_keys(old: m.Job | None, new: m.Job | None) -> Iterable[Key]:
    """The CronJobs whose Job came, went, ended or changed hands.

    What a Job says of itself while it runs is nothing to them.
    """
    if old is not None and new is not None and _as_seen_from_above(old) == _as_seen_from_above(new):
        return ()
    found = (_key(job) for job in (old, new) if job is not None)
    return dict.fromkeys(key for key in found if key is not None)


def _as_seen_from_above(job: m.Job) -> tuple[object, ...]:
    meta = job.metadata or m.ObjectMeta()
    return (cronjob_of(job), ending(job), meta.deletionTimestamp, meta.uid)


def _key(job: m.Job) -> Key | None:
    owner = cronjob_of(job)
    if owner is None or job.metadata is None:
        return None
    return Key(job.metadata.namespace or "", owner.name)
