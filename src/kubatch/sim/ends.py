"""What must be so in the end: once faults have stopped and people have gone home, all work ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubatch.api import models as m
from kubatch.controllers.job import names
from kubatch.sim.checks import Complaints
from kubatch.sim.shapes import Fate
from kubatch.sim.truth import JobTruth, PodTruth, Truth, index_set, uncounted


def unsettled(truth: Truth, namespaces: list[m.Namespace]) -> Iterator[str]:
    """What is still under way; nothing, when the cluster has come to rest."""
    for job in truth.living_jobs():
        if job.deleting:
            yield f"job {job.name} is being deleted"
        elif job.cron and job.cron not in truth.crons:
            yield f"job {job.name} outlives its CronJob"
        elif not job.finished and not _may_wait(job):
            yield f"job {job.name} has not ended"
        elif job.finished and job.spec.ttlSecondsAfterFinished is not None:
            yield f"job {job.name} has not been cleared away"
        elif any(pod.active or pod.terminating for pod in job.own):
            yield f"job {job.name} has pods that have not ended"
    for pod in truth.living_pods():
        if _is_kept(truth, pod):
            continue
        if pod.deleting:
            yield f"pod {pod.name} is being deleted"
        elif pod.active:
            yield f"pod {pod.name} has not ended"
        elif pod.meta.ownerReferences and _owners_gone(truth, pod.owner):
            yield f"pod {pod.name} outlives its owner"
        elif pod.tracked:
            yield f"pod {pod.name} is tracked"
    for space in namespaces:
        if space.metadata is not None and space.metadata.deletionTimestamp is not None:
            yield f"namespace {space.metadata.name} is being deleted"


def _may_wait(job: JobTruth) -> bool:
    """Whether a Job may stay as it is for ever: somebody has to let it go on."""
    if job.spec.completions == 0:
        return False
    return bool(job.spec.suspend) or job.spec.parallelism == 0


def _is_kept(truth: Truth, pod: PodTruth) -> bool:
    """A failed pod that carries its index's count until it has a successor."""
    job = truth.jobs.get(pod.controller)
    if job is None or job.gone or job.deleting or job.finished or not pod.ended:
        return False
    return job.spec.backoffLimitPerIndex is not None and _may_wait(job)


def _owners_gone(truth: Truth, uid: str) -> bool:
    return uid not in truth.jobs or truth.jobs[uid].gone


# ----- once all is at rest

EndCheck = Callable[[Truth], Complaints]


def every_end_is_in_a_counter(truth: Truth) -> Complaints:
    """Nothing stays in the lists, and the counters are the uids that were ever in them."""
    for job in truth.living_jobs():
        if any(uncounted(job.job)):
            yield f"job {job.name} has uncounted pods"
        if (job.status.failed or 0) != len(job.noted_failed):
            yield f"job {job.name} counts {job.status.failed} failures of {len(job.noted_failed)}"
        succeeded = job.status.succeeded or 0
        if not job.indexed and succeeded != len(job.noted_succeeded):
            yield f"job {job.name} counts {succeeded} successes of {len(job.noted_succeeded)}"


def a_status_tells_the_truth(truth: Truth) -> Complaints:
    """active, ready and terminating are the pods that are there: none, when all is at rest."""
    for job in truth.living_jobs():
        status = job.status
        if status.active or status.ready or status.terminating:
            yield f"job {job.name} shows pods that are not there"
        suspended = any(c.type == names.SUSPENDED for c in status.conditions or ())
        if not job.finished and job.spec.suspend and not suspended:
            yield f"job {job.name} does not say that it is suspended"


def nothing_runs_without_a_pod(truth: Truth) -> Complaints:
    """A container whose pod is gone has been ended."""
    for pod in truth.pods.values():
        if (pod.gone or pod.ended) and truth.running(pod.uid):
            yield f"pod {pod.name} is over, and {truth.running(pod.uid)[0].container} runs"


def a_known_fate_is_met(truth: Truth) -> Complaints:
    """A Job whose pods behave in a known way, and with which nobody interfered, ends as it must.

    Faults are no excuse: conflicts, lost answers, crashes and late news change when, not how.
    """
    for job in truth.living_jobs():
        if job.fate is not None and not job.disturbed:
            yield from (f"job {job.name} {text}" for text in _misses(job, job.fate))


def _misses(job: JobTruth, fate: Fate) -> Iterator[str]:
    status = job.status
    end = next((c for c in status.conditions or () if c.type == job.finished), None)
    if end is None or end.type != fate.type or (fate.reason and end.reason != fate.reason):
        yield f"had to be {fate.type} {fate.reason}, is {job.finished} {end.reason if end else ''}"
    for what, must, does in (
        ("succeeded", fate.succeeded, status.succeeded or 0),
        ("failed", fate.failed, status.failed or 0),
        ("completed", fate.completed_indexes, tuple(sorted(index_set(status.completedIndexes)))),
        ("failed indexes", fate.failed_indexes, tuple(sorted(index_set(status.failedIndexes)))),
    ):
        if must is not None and must != does:
            yield f"had to have {what} {must}, has {does}"


END_CHECKS: tuple[EndCheck, ...] = (
    every_end_is_in_a_counter,
    a_status_tells_the_truth,
    nothing_runs_without_a_pod,
    a_known_fate_is_met,
)


def look_at_the_end(truth: Truth) -> Complaints:
    """Every complaint about a cluster at rest."""
    for check in END_CHECKS:
        for complaint in check(truth):
            yield f"{complaint} [{check.__name__}]"
