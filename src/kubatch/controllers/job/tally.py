"""Where a Job stands: its pods sorted into classes and counted.

Pure arithmetic over facts; what follows from the numbers is said in finish.py and manage.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubatch.controllers.job import backoff, failure_policy, indexes, names
from kubatch.controllers.job.backoff import BackoffRecord
from kubatch.controllers.job.facts import JobFacts, PodFacts
from kubatch.controllers.job.indexes import Indexes
from kubatch.world import whole_seconds


@dataclass(frozen=True, slots=True)
class Tally:
    """The numbers of one turn. Counts include what the status does not count yet."""

    active: tuple[PodFacts, ...]
    ready: int
    terminating: int
    succeeded: int  # Indexed: different indexes
    failed: int
    recorded: Indexes  # completed indexes that the status has already
    completed: Indexes  # and those of pods that succeeded since
    failed_indexes: Indexes | None  # None without backoffLimitPerIndex
    # The failed pod per index that stays until its replacement is seen: it carries the counts.
    kept: Mapping[int, PodFacts]
    start_time: datetime | None
    backoff: BackoffRecord


def count(facts: JobFacts, now: datetime) -> Tally:
    """Count a Job's pods (job_controller.go: syncJob, up to the first decision)."""
    spec, status = facts.spec, facts.status
    active = tuple(pod for pod in facts.pods if pod.active)
    fresh = _not_counted_yet(facts)
    new_failed = [pod for pod in fresh if pod.failed]
    new_succeeded = [pod for pod in fresh if pod.phase == names.SUCCEEDED]
    recorded = completed = indexes.NONE
    failed_indexes = None
    if spec.indexed:
        recorded = indexes.parse(status.completed_indexes, spec.completions or 0)
        lost = indexes.parse(status.failed_indexes, spec.completions or 0)
        completed = recorded.union(i for i in _newly_completed(facts) if i not in lost)
        if spec.per_index:
            newly_lost = (i for i in _newly_failed(facts) if i not in completed)
            failed_indexes = lost.union(newly_lost)
    return Tally(
        active=active,
        ready=sum(pod.ready for pod in active),
        terminating=sum(pod.terminating for pod in facts.pods),
        succeeded=len(completed)
        if spec.indexed
        else status.succeeded + len(new_succeeded) + len(status.uncounted_succeeded),
        failed=status.failed + _counted(facts, new_failed) + len(status.uncounted_failed),
        recorded=recorded,
        completed=completed,
        failed_indexes=failed_indexes,
        kept={} if failed_indexes is None else _kept(active, new_failed, completed, failed_indexes),
        start_time=whole_seconds(now)
        if status.start_time is None and not spec.suspended
        else status.start_time,
        backoff=_record(facts),
    )


def _not_counted_yet(facts: JobFacts) -> list[PodFacts]:
    """Pods valid for counting: tracked, not in the status yet, and with an index if need be."""
    status = facts.status
    known = {*status.uncounted_succeeded, *status.uncounted_failed}
    return [
        pod
        for pod in facts.pods
        if pod.tracked
        and (pod.finished or pod.deleting)
        and pod.uid not in known
        and (not facts.spec.indexed or facts.spec.valid_index(pod.index))
    ]


def _counted(facts: JobFacts, failed: Sequence[PodFacts]) -> int:
    rules = facts.spec.failure_rules
    if not rules:
        return len(failed)
    return sum(failure_policy.judge(rules, pod.pod).counts for pod in failed)


def _newly_completed(facts: JobFacts) -> list[int]:
    return [
        pod.index
        for pod in facts.pods
        if pod.index is not None
        and pod.phase == names.SUCCEEDED
        and pod.tracked
        and facts.spec.valid_index(pod.index)
    ]


def _newly_failed(facts: JobFacts) -> list[int]:
    """Indexes out of retries (indexed_job_utils.go: calculateFailedIndexes).

    An index that has both ends, since a pod that was deleted succeeds after all, keeps the first
    one, and success if both come together: a status in which they overlap is refused.
    """
    return [
        pod.index
        for pod in facts.pods
        if pod.index is not None
        and pod.tracked
        and pod.failed
        and facts.spec.valid_index(pod.index)
        and _ends_index(facts, pod)
    ]


def _ends_index(facts: JobFacts, pod: PodFacts) -> bool:
    verdict = failure_policy.judge(facts.spec.failure_rules, pod.pod)
    if verdict.action == failure_policy.FAIL_INDEX:
        return True
    limit = facts.spec.backoff_limit_per_index
    assert limit is not None, "asked for Jobs with a limit per index only"
    return verdict.counts and backoff.index_failures(pod.pod) >= limit


def _kept(
    active: Sequence[PodFacts],
    failed: Sequence[PodFacts],
    completed: Indexes,
    failed_indexes: Indexes,
) -> dict[int, PodFacts]:
    """Failed pods whose index has no other pod to carry the failure count on.

    Of several the one with most failures and the latest end stays
    (indexed_job_utils.go: getPodsWithDelayedDeletionPerIndex).
    """
    settled = {pod.index for pod in active}
    kept: dict[int, PodFacts] = {}
    for pod in failed:
        index = pod.index
        if index is None or index in settled or index in completed or index in failed_indexes:
            continue
        other = kept.get(index)
        if other is None or _outranks(pod, other):
            kept[index] = pod
    return kept


def _outranks(pod: PodFacts, other: PodFacts) -> bool:
    return backoff.absolute_failures(pod.pod) >= backoff.absolute_failures(
        other.pod
    ) and backoff.finish_time(pod.pod) >= backoff.finish_time(other.pod)


def _record(facts: JobFacts) -> BackoffRecord:
    """The back-off record with the ends of pods that it has not seen yet.

    Ignored failures count here too: a replacement waits whatever the reason.
    """
    if facts.spec.per_index:
        return backoff.NO_FAILURES
    before = facts.backoff
    ended = [
        pod
        for pod in facts.pods
        if pod.tracked
        and (pod.failed or pod.phase == names.SUCCEEDED)
        and (not facts.spec.indexed or facts.spec.valid_index(pod.index))
    ]
    if not ended and not before.seen:
        return before
    new = [pod for pod in ended if pod.uid not in before.seen]
    return before.after(
        facts.uid,
        [backoff.finish_time(pod.pod) for pod in new if pod.phase == names.SUCCEEDED],
        [backoff.finish_time(pod.pod) for pod in new if pod.failed],
        frozenset(pod.uid for pod in ended),
    )
