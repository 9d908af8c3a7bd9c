"""What the rule looks at: a finished Job with a time to live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kubatch.api import models as m
from kubatch.api.resource import JOBS
from kubatch.reconcile.controller import Key, View

_ENDS = ("Complete", "Failed")


@dataclass(frozen=True, slots=True)
class TtlFacts:
    """A Job that is over, and for how long it may still be looked at."""

    job: m.Job
    namespace: str
    name: str
    uid: str
    resource_version: str
    finished: datetime | None  # None: the condition does not say when
    time_to_live: timedelta


def needs_cleanup(job: m.Job) -> bool:
    """Finished, with a time to live, and not being deleted (needsCleanup, processJob)."""
    return (
        job.spec is not None
        and job.spec.ttlSecondsAfterFinished is not None
        and job.metadata is not None
        and job.metadata.deletionTimestamp is None
        and _end(job) is not None
    )


def _end(job: m.Job) -> m.JobCondition | None:
    """The condition that ended the Job; those that only announce the end start no clock."""
    conditions = (job.status.conditions if job.status else None) or ()
    return next((c for c in conditions if c.type in _ENDS and c.status == "True"), None)


def read(view: View, key: Key, _remembered: object = None) -> TtlFacts | None:
    """The facts about a Job; None when it is not to be deleted for its age."""
    job = view.get(JOBS, key.namespace, key.name)
    if job is None or not needs_cleanup(job):
        return None
    end = _end(job)
    assert job.metadata is not None
    assert job.spec is not None
    assert end is not None
    return TtlFacts(
        job,
        key.namespace,
        key.name,
        job.metadata.uid or "",
        job.metadata.resourceVersion or "",
        end.lastTransitionTime,
        timedelta(seconds=job.spec.ttlSecondsAfterFinished or 0),
    )
