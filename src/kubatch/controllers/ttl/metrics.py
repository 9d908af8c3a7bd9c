"""How late finished Jobs are deleted (pkg/controller/ttlafterfinished/metrics)."""

from __future__ import annotations

from collections.abc import Iterator

from kubatch.controllers.ttl.decide import LATE
from kubatch.meters import Count, Metric, exponential
from kubatch.reconcile.decision import Decision, Delete
from kubatch.reconcile.measures import Measures, Wrote

DELETIONS = Metric(
    "ttl_after_finished_controller_job_deletion_duration_seconds",
    "The time it took to delete the job since it became eligible for deletion",
    (),
    "histogram",
    exponential(0.1, 2, 14),
)


def wrote(decision: Decision, done: Wrote) -> Iterator[Count]:
    """A Job was asked to go, so long after it could have been."""
    if isinstance(done.write, Delete) and done.error is None:
        yield Count(DELETIONS, (), decision.facts[LATE])


MEASURES = Measures(declared=(DELETIONS,), wrote=wrote)
