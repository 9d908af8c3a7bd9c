"""What the Job controller counts (pkg/controller/job/metrics/metrics.go), from what it wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kubatch.api import models as m
from kubatch.api.resource import JOBS, PODS
from kubatch.controllers.job import conditions, failure_policy, indexes, names
from kubatch.controllers.job.facts import is_finished, is_tracked, read_job
from kubatch.meters import Count, Labels, Metric, exponential
from kubatch.reconcile.decision import Create, Decision, PutStatus, RemoveFinalizer
from kubatch.reconcile.measures import Measures, Wrote

# What a turn did about pods, kept among a decision's facts; a turn without it is not counted.
ACTION = "action"
RECONCILING, TRACKING = "reconciling", "tracking"
PODS_CREATED, PODS_DELETED = "pods_created", "pods_deleted"

_TURN = ("completion_mode", "result", "action")
SYNCS = Metric("job_controller_job_syncs_total", "The number of job syncs", _TURN)
SYNC_SECONDS = Metric(
    "job_controller_job_sync_duration_seconds",
    "The time it took to sync a job",
    _TURN,
    "histogram",
    exponential(0.004, 2, 15),
)
JOBS_FINISHED = Metric(
    "job_controller_jobs_finished_total",
    "The number of finished jobs",
    ("completion_mode", "result", "reason"),
)
PODS_FINISHED = Metric(
    "job_controller_job_pods_finished_total",
    "The number of finished Pods that are fully tracked",
    ("completion_mode", "result"),
)
INDEXES_FINISHED = Metric(
    "job_controller_job_finished_indexes_total",
    "The number of finished indexes",
    ("status", "backoffLimit"),
)
PODS_CREATION = Metric(
    "job_controller_job_pods_creation_total",
    "The number of Pods created by the Job controller",
    ("reason", "status"),
)
FAILURES_HANDLED = Metric(
    "job_controller_pod_failures_handled_by_failure_policy_total",
    "The number of failed Pods handled by failure policy",
    ("action",),
)
FINALIZERS = Metric(
    "job_controller_terminated_pods_tracking_finalizer_total",
    "The number of terminated pods (phase=Failed|Succeeded) that have the finalizer "
    "batch.kubernetes.io/job-tracking",
    ("event",),
)
EXTERNAL = Metric(
    "job_controller_jobs_by_external_controller_total",
    "The number of Jobs managed by an external controller",
    ("controller_name",),
)
STALE = Metric(
    "job_controller_stale_sync_skips_total",
    "Total number of syncs skipped because the caches were older than the last writes",
    ("group", "resource"),
)


def measures(ours: frozenset[str]) -> Measures:
    """For a controller of the Jobs whose spec.managedBy is one of these."""
    return Measures(
        declared=(
            JOBS_FINISHED, PODS_FINISHED, INDEXES_FINISHED, PODS_CREATION, FAILURES_HANDLED,
            FINALIZERS, EXTERNAL,
        ),
        seen={PODS: pod_seen, JOBS: job_seen(ours)},
        wrote=wrote,
        turn=turn,
        turns=SYNCS,
        turn_seconds=SYNC_SECONDS,
        rests=STALE,
    )  # fmt: skip


def turn(decision: Decision, result: str) -> Labels | None:
    """The labels of a turn; None for one that only found out that there is nothing to do."""
    action = decision.facts.get(ACTION)
    return None if action is None else (_mode(decision.subject), result, action)


def wrote(decision: Decision, done: Wrote) -> Iterator[Count]:
    """What one write means."""
    match done.write:
        case Create():
            status = "succeeded" if done.error is None else "failed"
            yield Count(PODS_CREATION, (_creation_reason(decision), status))
        case PutStatus() if done.error is None:
            yield from _progress(done.before, done.after)
        case RemoveFinalizer() if done.after is not None:
            yield from _failure(decision.subject, done.after)


def _creation_reason(decision: Decision) -> str:
    """job_controller.go: recordJobPodsCreationTotal."""
    spec = decision.subject.spec
    failed, terminating = decision.facts.get("failed", 0), decision.facts.get("terminating", 0)
    if spec.podReplacementPolicy == "Failed" and failed:
        return "recreate_failed"
    return "recreate_terminating_or_failed" if failed or terminating else "new"


def _progress(before: m.Job, after: m.Job) -> Iterator[Count]:
    """What a status counts that the one before it did not (recordJobPodFinished)."""
    old, new = before.status or m.JobStatus(), after.status or m.JobStatus()
    mode, spec = _mode(after), after.spec or m.JobSpec(template=m.PodTemplateSpec())
    succeeded = (new.succeeded or 0) - (old.succeeded or 0)
    if spec.completionMode == "Indexed":
        limit = "global" if spec.backoffLimitPerIndex is None else "perIndex"
        size = spec.completions or 0
        succeeded = _more(old.completedIndexes, new.completedIndexes, size)
        failed = _more(old.failedIndexes, new.failedIndexes, size)
        yield from _some(INDEXES_FINISHED, ("succeeded", limit), succeeded)
        yield from _some(INDEXES_FINISHED, ("failed", limit), failed)
    yield from _some(PODS_FINISHED, (mode, "succeeded"), succeeded)
    yield from _some(PODS_FINISHED, (mode, "failed"), (new.failed or 0) - (old.failed or 0))
    for type, result in ((names.COMPLETE, "succeeded"), (names.FAILED, "failed")):
        ended = conditions.true(tuple(new.conditions or ()), type)
        if ended is not None and conditions.true(tuple(old.conditions or ()), type) is None:
            yield Count(JOBS_FINISHED, (mode, result, ended.reason or ""))


def _some(metric: Metric, labels: Labels, amount: int) -> Iterator[Count]:
    if amount > 0:
        yield Count(metric, labels, amount)


def _more(old: str | None, new: str | None, size: int) -> int:
    if (old or "") == (new or ""):
        return 0
    return len(indexes.parse(new or "", size)) - len(indexes.parse(old or "", size))


def _failure(job: m.Job, pod: m.Pod) -> Iterator[Count]:
    """A failed pod that is now accounted for, and what the Job's policy made of it."""
    policy = job.spec.podFailurePolicy if job.spec else None
    if policy is None or pod.status is None or pod.status.phase != names.FAILED:
        return
    uncounted = job.status.uncountedTerminatedPods if job.status else None
    known = (uncounted.failed or ()) if uncounted else ()
    action = failure_policy.judge(policy.rules, pod).action
    if action and (pod.metadata is None or pod.metadata.uid not in known):
        yield Count(FAILURES_HANDLED, (action,))


def pod_seen(before: m.Pod | None, after: m.Pod | None) -> Iterable[Count]:
    """Ended pods that carry the tracking finalizer, and those that lose it."""
    held = before is not None and is_finished(before) and is_tracked(before)
    holds = after is not None and is_finished(after) and is_tracked(after)
    if held == holds:
        return ()
    return (Count(FINALIZERS, ("add" if holds else "delete",)),)


def job_seen(
    ours: frozenset[str],
) -> Callable[[m.Job | None, m.Job | None], Iterable[Count]]:
    """Jobs that appear and are somebody else's."""

    def seen(before: m.Job | None, after: m.Job | None) -> Iterable[Count]:
        if before is not None or after is None:
            return ()
        manager = read_job(after, ours).managed_elsewhere
        return (Count(EXTERNAL, (manager,)),) if manager else ()

    return seen


def _mode(job: m.Job) -> str:
    return (job.spec.completionMode if job.spec else None) or "NonIndexed"
