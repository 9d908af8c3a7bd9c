"""Each pod's end is counted exactly once, whatever crashes in between.

The protocol (job_controller.go: trackJobStatusAndRemoveFinalizers):

1. write the uids of ended pods into status.uncountedTerminatedPods;
2. take the tracking finalizer off these pods;
3. move the uids from the list into the counters, and write the status again.

A crash before 1 changes nothing. After it, a uid in the list whose pod has no finalizer any more
(or is gone) is counted at the start of the next turn; one whose pod still has it is taken through
2 and 3. The succeeded pods of Indexed Jobs do without the list: an index in completedIndexes cannot
be counted twice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from kubatch.controllers.job import failure_policy, names
from kubatch.controllers.job.facts import JobFacts, PodFacts
from kubatch.controllers.job.finish import Finish
from kubatch.controllers.job.indexes import Indexes
from kubatch.controllers.job.tally import Tally


@dataclass(frozen=True, slots=True)
class Counters:
    """The part of a Job's status that counts ended pods."""

    succeeded: int
    failed: int
    uncounted_succeeded: tuple[str, ...]
    uncounted_failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """What to write before finalizers go, which go, and what to write after."""

    before: Counters
    release: tuple[PodFacts, ...]
    after: Counters
    completed: Indexes
    full: bool  # more pods may be waiting to be counted: the Job cannot end in this turn


def account(
    facts: JobFacts, tally: Tally, finish: Finish | None, without: Collection[str]
) -> Account:
    """Account for ended pods, and for all pods of a Job that ends.

    `without` are uids whose finalizer this turn removes elsewhere. `after` presumes that every
    removal succeeds: should one fail, the turn ends before `after` is written, and the next turn
    finds the uids whose finalizer did go and counts them.
    """
    tracked = {pod.uid for pod in facts.pods if pod.tracked and pod.uid not in without}
    recovered = _move_into_counters(facts, _counters(facts), tracked)
    walk = _Walk(facts, tally, finish, recovered)
    candidates = [pod for pod in facts.pods if pod.uid in tracked]
    if facts.spec.indexed:
        candidates.sort(key=lambda pod: -1 if pod.index is None else pod.index)
    for pod in candidates:
        if _may_go(facts, tally, finish, pod):
            walk.take(pod)
            if walk.size >= names.MAX_UNCOUNTED:
                break
    completed = tally.recorded.union(walk.indexes)
    before = Counters(
        len(completed) if facts.spec.indexed else recovered.succeeded,
        recovered.failed,
        tuple(walk.succeeded),
        tuple(walk.failed),
    )
    still = tracked - {pod.uid for pod in walk.release}
    after = _move_into_counters(facts, before, still)
    full = walk.size >= names.MAX_UNCOUNTED
    return Account(before, tuple(walk.release), after, completed, full)


def _counters(facts: JobFacts) -> Counters:
    status = facts.status
    return Counters(
        status.succeeded, status.failed, status.uncounted_succeeded, status.uncounted_failed
    )


def _move_into_counters(facts: JobFacts, counters: Counters, tracked: set[str]) -> Counters:
    """Count the uids whose finalizer is gone (cleanUncountedPodsWithoutFinalizers)."""
    succeeded = tuple(uid for uid in counters.uncounted_succeeded if uid in tracked)
    failed = tuple(uid for uid in counters.uncounted_failed if uid in tracked)
    return Counters(
        counters.succeeded + len(counters.uncounted_succeeded) - len(succeeded),
        counters.failed + len(counters.uncounted_failed) - len(failed),
        succeeded,
        failed,
    )


def _may_go(facts: JobFacts, tally: Tally, finish: Finish | None, pod: PodFacts) -> bool:
    """Whether a pod's finalizer may be taken off (canRemoveFinalizer)."""
    if facts.deleting or finish is not None or pod.phase == names.SUCCEEDED:
        return True
    if not pod.failed:
        return False
    kept = tally.kept.get(pod.index) if pod.index is not None else None
    return kept is None or kept.uid != pod.uid


class _Walk:
    """Goes over pods, and notes how each is to be counted."""

    def __init__(
        self, facts: JobFacts, tally: Tally, finish: Finish | None, start: Counters
    ) -> None:
        self.facts = facts
        self.tally = tally
        # Of a Job that failed every remaining pod counts as failed, running or not.
        self.all_fail = finish is not None and finish.is_failure
        self.succeeded = list(start.uncounted_succeeded)
        self.failed = list(start.uncounted_failed)
        self.known_succeeded = set(self.succeeded)
        self.known_failed = set(self.failed)
        self.indexes: list[int] = []
        self.release: list[PodFacts] = []

    @property
    def size(self) -> int:
        """How many ends this turn adds to the status."""
        return len(self.indexes) + len(self.succeeded) + len(self.failed)

    def take(self, pod: PodFacts) -> None:
        """Note a pod's end, and that its finalizer may go."""
        self.release.append(pod)
        # A pod noted as failed that turns out to have succeeded stays a failure.
        if pod.phase == names.SUCCEEDED and pod.uid not in self.known_failed:
            self._succeeded(pod)
        elif pod.failed or self.all_fail:
            self._failed(pod)

    def _succeeded(self, pod: PodFacts) -> None:
        if self.facts.spec.indexed:
            index = pod.index
            tally = self.tally
            if index is not None and index in tally.completed and index not in tally.recorded:
                self.indexes.append(index)
        elif pod.uid not in self.known_succeeded:
            self.succeeded.append(pod.uid)

    def _failed(self, pod: PodFacts) -> None:
        spec = self.facts.spec
        if pod.uid in self.known_failed or (spec.indexed and not spec.valid_index(pod.index)):
            return
        rules = spec.failure_rules
        if not rules or failure_policy.judge(rules, pod.pod).counts:
            self.failed.append(pod.uid)


def failed_indexes_text(tally: Tally) -> str | None:
    """status.failedIndexes: there, if empty, exactly when backoffLimitPerIndex is set."""
    return None if tally.failed_indexes is None else str(tally.failed_indexes)


def completed_indexes_text(completed: Indexes) -> str | None:
    """status.completedIndexes: absent while no index has succeeded."""
    return str(completed) or None
