"""What to do about one Job.

The order of the stages is what makes a crash harmless:

1. pods change hands: adopted or released;
2. pods are created or deleted. A created pod that the status does not show yet is found by its
   owner; a deleted one that must not count has lost its finalizer before;
3. the status notes the ended pods, and how the Job will end, before
4. their finalizers go, so that each end is either in the list or still visible;
5. the status counts them. It presumes that all finalizers of 4 went. When one did not, the turn
   ended there, and the next one counts the uids in the list whose finalizer is gone;
6. the events of the Job's end follow its terminal condition.

No pod is created twice and none counted twice, since a Job is decided again only when the cache has
seen what its last turn wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.owners import owner_reference
from kubatch.api.resource import JOBS, PODS
from kubatch.controllers.job import accounting, finish, manage, metrics, names, status, tally
from kubatch.controllers.job.facts import JobFacts, PodFacts
from kubatch.controllers.job.finish import Finish
from kubatch.controllers.job.manage import Plan
from kubatch.controllers.job.status import PodCounts
from kubatch.controllers.job.tally import Tally
from kubatch.reconcile.decision import (
    Create,
    Decision,
    Delete,
    Emit,
    Note,
    Patch,
    Present,
    PutStatus,
    RemoveFinalizer,
    Stage,
    Write,
    stage,
)


def decide(facts: JobFacts, now: datetime) -> Decision:
    """The next step towards what a Job asks for (job_controller.go: syncJob)."""
    left_alone = _left_alone(facts)
    if left_alone is not None:
        return left_alone
    counts = tally.count(facts, now)
    ending = finish.criteria(facts, counts, now)
    plan = manage.manage(facts, counts, now) if ending is None else manage.stop(counts, ending)
    turn = _Turn(facts, counts, ending, plan, now)
    outcome = turn.outcome(created=len(plan.creations))
    return Decision(
        because=_because(plan, outcome),
        stages=(*_change_hands(facts), *_change_pods(turn), *outcome.stages),
        wake_at=_wake_at(facts, counts, plan, outcome, now),
        subject=facts.job,
        remember=None if outcome.ended or facts.spec.per_index else counts.backoff,
        facts={
            "active": outcome.pods.active,
            "terminating": outcome.pods.terminating,
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            metrics.ACTION: _action(facts, plan),
        },
    )


def _left_alone(facts: JobFacts) -> Decision | None:
    """Jobs that are none of our business, or no longer."""
    if facts.managed_elsewhere:
        return Decision(because=f"is managed by {facts.managed_elsewhere}", subject=facts.job)
    if facts.finished is not None:
        word = "complete" if facts.finished.type == names.COMPLETE else "failed"
        because = f"is {word}: {facts.finished.message or facts.finished.reason}"
        return Decision(because=because, subject=facts.job)
    if not facts.spec.mode_known:
        message = "Skipped Job sync because completion mode is unknown"
        note = Note("Warning", "UnknownCompletionMode", message)
        return Decision(because=message, stages=(stage(Emit(note)),), subject=facts.job)
    return None


# ----- the turn's outcome


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a turn makes of a Job's status."""

    stages: tuple[Stage, ...]
    pods: PodCounts
    finish: Finish | None
    ended: bool
    full: bool


@dataclass(frozen=True, slots=True)
class _Turn:
    """Everything found out about a Job in this turn, before it is turned into writes."""

    facts: JobFacts
    tally: Tally
    ending: Finish | None
    plan: Plan
    now: datetime

    def outcome(self, created: int) -> _Outcome:
        """The rest of the turn when deletions were made and that many pods created."""
        deleted = self.plan.deletions
        living = PodCounts(
            active=len(self.tally.active) - len(deleted) + created,
            ready=self.tally.ready - sum(pod.ready for pod in deleted),
            terminating=self.tally.terminating + len(deleted),
        )
        ending = self.ending or finish.completion(self.facts, self.tally, living.active)
        return self._settle(living, ending, self.plan.managed)

    def setback(self) -> _Outcome:
        """The rest of the turn when a deletion failed: the Job neither ends nor shows progress.

        Which deletions took effect is seen in the next turn.
        """
        living = PodCounts(len(self.tally.active), self.tally.ready, self.tally.terminating)
        return self._settle(living, None, managed=False)

    def _settle(self, living: PodCounts, ending: Finish | None, managed: bool) -> _Outcome:
        facts = self.facts
        victims = {pod.uid for pod in self.plan.deletions} if self.plan.untrack else set()
        account = accounting.account(facts, self.tally, ending, victims)
        # A Job that is complete is not marked as suspended or resumed any more.
        start = status.suspension(facts, self.tally, managed and ending is None, self.now)
        interim = status.interim(facts, self.tally, living, account, start, ending, self.now)
        final = status.final(facts, interim, living, account, ending, self.now)
        ended = ending is not None and status.may_end(living, account)
        stages: list[Stage] = []
        if interim != facts.job.status:
            stages.append(_put_status(facts, interim))
        if start.note is not None:
            stages.append(stage(Emit(start.note)))
        if account.release:
            stages.append(stage(*(_untrack(facts, pod) for pod in account.release)))
        if final != interim:
            stages.append(_put_status(facts, final))
        if ended and ending is not None:
            notes = finish.finishing_notes(facts, ending, final.succeeded or 0)
            stages.extend(stage(Emit(note)) for note in notes)
        return _Outcome(tuple(stages), living, ending, ended, account.full)


def _put_status(facts: JobFacts, value: m.JobStatus) -> Stage:
    return stage(PutStatus(JOBS, replace(facts.job, status=value)))


def _untrack(facts: JobFacts, pod: PodFacts) -> RemoveFinalizer:
    return RemoveFinalizer(PODS, facts.namespace, pod.name, names.TRACKING_FINALIZER)


# ----- writes to pods


def _change_hands(facts: JobFacts) -> list[Stage]:
    """Adopt and release pods (controller_ref_manager.go: AdoptPod, ReleasePod).

    The uid in each patch makes it fail rather than meet a new pod of an old name. A pod that is
    gone is not adopted: the rest of the turn would count it. And a Job adopts only if the API says
    that it is there, since pods of an owner that is gone are deleted.
    """
    adoptions = [
        _patch(
            facts,
            pod,
            {"ownerReferences": [_owner(facts)], "finalizers": [_TRACKING]},
            required=True,
        )
        for pod in facts.adopt
    ]
    releases = [
        _patch(
            facts,
            pod,
            {
                "ownerReferences": [{"$patch": "delete", "uid": facts.uid}],
                "$deleteFromPrimitiveList/finalizers": [_TRACKING],
            },
        )
        for pod in facts.release
    ]
    stages: list[Stage] = []
    if adoptions:
        stages.append(stage(Present(JOBS, facts.namespace, facts.name, facts.uid)))
    if adoptions or releases:
        stages.append(stage(*adoptions, *releases))
    return stages


_TRACKING = names.TRACKING_FINALIZER


def _patch(
    facts: JobFacts, pod: PodFacts, metadata: dict[str, Any], *, required: bool = False
) -> Patch:
    body = {"metadata": {"uid": pod.uid, **metadata}}
    return Patch(PODS, facts.namespace, pod.name, body, type="strategic", required=required)


def _owner(facts: JobFacts) -> Any:
    return msgspec.to_builtins(owner_reference(facts.job, JOBS))


def _change_pods(turn: _Turn) -> list[Stage]:
    facts, plan = turn.facts, turn.plan
    stages: list[Stage] = []
    otherwise = _keep_accounting(turn)
    if plan.untrack and (tracked := [pod for pod in plan.deletions if pod.tracked]):
        writes: tuple[Write, ...] = tuple(_untrack(facts, pod) for pod in tracked)
        stages.append(Stage(writes, otherwise=otherwise))
    if plan.deletions:
        writes = tuple(_delete(facts, pod) for pod in plan.deletions)
        stages.append(Stage(writes, otherwise=otherwise))
    if plan.creations:
        writes = tuple(_create(pod) for pod in plan.creations)
        stages.append(
            Stage(writes, slow_start=True, otherwise=lambda created: turn.outcome(created).stages)
        )
    return stages


def _keep_accounting(turn: _Turn) -> Callable[[int], tuple[Stage, ...]]:
    return lambda done: turn.setback().stages


def _create(pod: m.Pod) -> Create:
    return Create(
        PODS,
        pod,
        done=Note("Normal", "SuccessfulCreate", "Created pod: {name}"),
        failed=Note("Warning", "FailedCreate", "Error creating: {error}"),
        # A namespace that is going away takes the Job with it: not worth an event each second.
        ignore_causes=("NamespaceTerminating",),
    )


def _delete(facts: JobFacts, pod: PodFacts) -> Delete:
    return Delete(
        PODS,
        facts.namespace,
        pod.name,
        pod.uid,
        done=Note("Normal", "SuccessfulDelete", "Deleted pod: {name}"),
        failed=Note("Warning", "FailedDelete", "Error deleting: {error}"),
    )


def _action(facts: JobFacts, plan: Plan) -> str:
    """What a turn is counted as (manageJob's second answer)."""
    if not plan.managed:
        return metrics.RECONCILING
    if plan.deletions or facts.spec.suspended:
        return metrics.PODS_DELETED
    return metrics.PODS_CREATED if plan.creations else metrics.TRACKING


# ----- when and why


def _wake_at(
    facts: JobFacts, counts: Tally, plan: Plan, outcome: _Outcome, now: datetime
) -> datetime | None:
    if outcome.full:
        return now
    if outcome.finish is not None:
        return None  # a pod's end is an event
    moments = [plan.wake_at, finish.deadline(facts, counts.start_time)]
    return min((moment for moment in moments if moment is not None), default=None)


def _because(plan: Plan, outcome: _Outcome) -> str:
    if outcome.finish is None:
        return plan.because
    because = plan.because
    if not because.startswith(outcome.finish.reason):
        because = f"{outcome.finish.reason}: {outcome.finish.message}"
    terminating = outcome.pods.terminating
    if not outcome.ended and terminating:
        because += "; waits for " + manage.count_of(terminating, "terminating pod")
    return because
