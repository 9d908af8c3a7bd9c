"""When a Job ends, and how: the criteria in their order, and what they are called.

A Job first gets an interim condition (FailureTarget or SuccessCriteriaMet), which is never taken
back, and the terminal one (Failed or Complete) once no pod is left to account for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from kubatch.controllers.job import conditions, failure_policy, names, success_policy
from kubatch.controllers.job.facts import JobFacts
from kubatch.controllers.job.tally import Tally
from kubatch.reconcile.decision import Note


@dataclass(frozen=True, slots=True)
class Finish:
    """Why a Job ends: the content of its interim condition."""

    type: str  # FailureTarget or SuccessCriteriaMet
    reason: str
    message: str

    @property
    def is_failure(self) -> bool:
        """Whether the Job fails; else it completes."""
        return self.type == names.FAILURE_TARGET

    @property
    def terminal_type(self) -> str:
        """The condition that follows the interim one."""
        return names.FAILED if self.is_failure else names.COMPLETE


def criteria(facts: JobFacts, tally: Tally, now: datetime) -> Finish | None:
    """The first criterion that is met, in the order of syncJob; None: the Job goes on."""
    for rule in CRITERIA:
        finish = rule(facts, tally, now)
        if finish is not None:
            return finish
    return None


def _already_successful(facts: JobFacts, tally: Tally, now: datetime) -> Finish | None:
    return _from_condition(facts, names.SUCCESS_CRITERIA_MET)


def _already_failing(facts: JobFacts, tally: Tally, now: datetime) -> Finish | None:
    return _from_condition(facts, names.FAILURE_TARGET)


def _from_condition(facts: JobFacts, type: str) -> Finish | None:
    condition = conditions.true(facts.status.conditions, type)
    if condition is None:
        return None
    return Finish(type, condition.reason or "", condition.message or "")


def _fail_job_rule(facts: JobFacts, tally: Tally, now: datetime) -> Finish | None:
    """A failed pod that podFailurePolicy takes as the Job's end."""
    rules = facts.spec.failure_rules
    if not rules:
        return None
    for pod in facts.pods:
        if pod.failed:
            verdict = failure_policy.judge(rules, pod.pod)
            if verdict.action == failure_policy.FAIL_JOB:
                return Finish(names.FAILURE_TARGET, "PodFailurePolicy", verdict.message)
    return None


def _backoff_limit(facts: JobFacts, tally: Tally, now: datetime) -> Finish | None:
    if tally.failed > facts.spec.backoff_limit or _restarted_too_often(facts):
        return Finish(
            names.FAILURE_TARGET,
            "BackoffLimitExceeded",
            "Job has reached the specified backoff limit",
        )
    return None


def _restarted_too_often(facts: JobFacts) -> bool:
    """With OnFailure the node agent retries, so restarts count (pastBackoffLimitOnFailure)."""
    if not facts.spec.restart_on_failure:
        return False
    restarts = 0
    for pod in facts.pods:
        if pod.phase in ("Pending", "Running") and pod.pod.status is not None:
            status = pod.pod.status
            restarts += sum(one.restartCount for one in status.initContainerStatuses or ())
            restarts += sum(one.restartCount for one in status.containerStatuses or ())
    limit = facts.spec.backoff_limit
    return restarts > 0 if limit == 0 else restarts >= limit


def deadline(facts: JobFacts, start_time: datetime | None) -> datetime | None:
    """When activeDeadlineSeconds ends a Job that started then; a suspended Job has no deadline."""
    limit = facts.spec.active_deadline
    if limit is None or start_time is None or facts.spec.suspended:
        return None
    return start_time + limit


def _active_deadline(facts: JobFacts, tally: Tally, now: datetime) -> Finish | None:
    end = deadline(facts, tally.start_time)
    if end is not None and now >= end:
        return Finish(
            names.FAILURE_TARGET,
            "DeadlineExceeded",
            "Job was active longer than specified deadline",
        )
    return None


def _failed_indexes(facts: JobFacts, tally: Tally, now: datetime) -> Finish | None:
    if tally.failed_indexes is None:
        return None
    failed = len(tally.failed_indexes)
    limit = facts.spec.max_failed_indexes
    if limit is not None and failed > limit:
        return Finish(
            names.FAILURE_TARGET,
            "MaxFailedIndexesExceeded",
            "Job has exceeded the specified maximal number of failed indexes",
        )
    if failed > 0 and failed + len(tally.completed) >= (facts.spec.completions or 0):
        return Finish(names.FAILURE_TARGET, "FailedIndexes", "Job has failed indexes")
    return None


def _success_policy(facts: JobFacts, tally: Tally, now: datetime) -> Finish | None:
    if not facts.spec.indexed:
        return None
    rule = success_policy.matched_rule(
        facts.spec.success_rules, facts.spec.completions or 0, tally.completed
    )
    if rule is None:
        return None
    return Finish(names.SUCCESS_CRITERIA_MET, "SuccessPolicy", f"Matched rules at index {rule}")


Criterion = Callable[[JobFacts, Tally, datetime], Finish | None]
# What was decided once stays; failure wins over success within one turn.
CRITERIA: tuple[Criterion, ...] = (
    _already_successful,
    _already_failing,
    _fail_job_rule,
    _backoff_limit,
    _active_deadline,
    _failed_indexes,
    _success_policy,
)


def completion(facts: JobFacts, tally: Tally, active: int) -> Finish | None:
    """Whether all the work is done, given how many pods are active after this turn's changes.

    Suspension does not matter: a Job of zero completions is complete even so.
    """
    wanted = facts.spec.completions
    enough = tally.succeeded > 0 if wanted is None else tally.succeeded >= wanted
    if not enough or active:
        return None
    return Finish(
        names.SUCCESS_CRITERIA_MET,
        "CompletionsReached",
        "Reached expected number of succeeded pods",
    )


def finishing_notes(facts: JobFacts, finish: Finish, succeeded: int) -> list[Note]:
    """The events of a Job's end, recorded after the terminal status is written."""
    if finish.is_failure:
        return [Note("Warning", finish.reason, finish.message)]
    notes = [Note("Normal", "Completed", "Job completed")]
    completions = facts.spec.completions
    if completions is not None and succeeded > completions:
        too_many = "Too many succeeded pods running after completion count reached"
        notes.insert(0, Note("Warning", "TooManySucceededPods", too_many))
    return notes
