"""How late CronJobs make their Jobs (pkg/controller/cronjob/metrics)."""

from __future__ import annotations

from collections.abc import Iterator

from kubatch.api.times import parse_time
from kubatch.controllers.cronjob.jobs import SCHEDULED
from kubatch.meters import Count, Metric, exponential
from kubatch.reconcile.decision import Create, Decision
from kubatch.reconcile.measures import Measures, Wrote

SKEW = Metric(
    "cronjob_controller_job_creation_skew_duration_seconds",
    "Time between when a cronjob is scheduled to be run, and when the corresponding job is created",
    (),
    "histogram",
    exponential(1, 2, 10),
)


def wrote(decision: Decision, done: Wrote) -> Iterator[Count]:
    """A Job was made, so long after its time. One that was there already counts for nobody."""
    if isinstance(done.write, Create) and done.after is not None:
        meta = done.after.metadata
        slot = parse_time(meta.annotations[SCHEDULED])
        yield Count(SKEW, (), (meta.creationTimestamp - slot).total_seconds())


MEASURES = Measures(declared=(SKEW,), wrote=wrote)
