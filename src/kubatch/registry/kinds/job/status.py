"""What a Job's status may say, and how it may change.

Follows pkg/apis/batch/validation/validation.go: validateJobStatus, ValidateJobStatusUpdate, and
pkg/registry/batch/job/strategy.go: getStatusValidationOptions, which switches most checks on only
when the thing they are about changes, so that no old status gets stuck.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Job, JobCondition, JobSpec, JobStatus
from kubatch.registry.kinds.job.indexes import count_indexes, overlap
from kubatch.registry.kinds.rules import bare_invalid, non_negative, pointer
from kubatch.registry.metadata import IMMUTABLE

_CONDITIONS = "status.conditions"


class Conditions:
    """Which of the conditions that matter are True."""

    def __init__(self, conditions: Sequence[JobCondition] | None) -> None:
        self.true = {c.type for c in conditions or () if c.status == "True"}
        self.suspended_false = any(
            c.type == "Suspended" and c.status == "False" for c in conditions or ()
        )

    @property
    def complete(self) -> bool:
        return "Complete" in self.true

    @property
    def failed(self) -> bool:
        return "Failed" in self.true

    @property
    def finished(self) -> bool:
        return self.complete or self.failed

    @property
    def failure_target(self) -> bool:
        return "FailureTarget" in self.true

    @property
    def success_met(self) -> bool:
        return "SuccessCriteriaMet" in self.true


def validate_job_status(new: Job, old: Job) -> list[Cause]:
    """Everything wrong with a change of status."""
    out: list[Cause] = []
    spec = new.spec
    assert spec is not None
    status, was = new.status or JobStatus(), old.status or JobStatus()
    if status == was:
        return out
    now, before = Conditions(status.conditions), Conditions(was.conditions)
    _counters(status, out)
    _uncounted(status, out)
    _terminal_pairs(now, before, out)
    _completion_time(status, was, now, before, out)
    _terminal_needs(now, before, out)
    _finished(spec, status, was, now, before, out)
    _indexes(spec, status, was, out)
    _finished_pods(status, was, now, before, out)
    _success_criteria(spec, now, out)
    _transitions(spec, status, was, now, before, out)
    return out


def _counters(status: JobStatus, out: list[Cause]) -> None:
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        non_negative(getattr(status, name), f"status.{name}", out)


def _uncounted(status: JobStatus, out: list[Cause]) -> None:
    uncounted = status.uncountedTerminatedPods
    if uncounted is None:
        return
    seen: set[str] = set()
    for name in ("succeeded", "failed"):
        for i, uid in enumerate(getattr(uncounted, name) or ()):
            path = f"status.uncountedTerminatedPods.{name}[{i}]"
            if not uid:
                out.append(fields.invalid(path, uid, "must not be empty"))
            elif uid in seen:
                out.append(fields.duplicate(path, uid))
            seen.add(uid)


def _terminal_pairs(now: Conditions, before: Conditions, out: list[Cause]) -> None:
    completed, failed = now.complete != before.complete, now.failed != before.failed
    targeted = now.failure_target != before.failure_target
    if (completed or failed) and now.complete and now.failed:
        why = "cannot set Complete=True and Failed=true conditions"
        out.append(bare_invalid(_CONDITIONS, why))
    if (completed or targeted) and now.complete and now.failure_target:
        why = "cannot set Complete=True and FailureTarget=true conditions"
        out.append(bare_invalid(_CONDITIONS, why))


def _completion_time(
    status: JobStatus, was: JobStatus, now: Conditions, before: Conditions, out: list[Cause]
) -> None:
    path, time = "status.completionTime", status.completionTime
    completed, changed = now.complete != before.complete, time != was.completionTime
    if (completed or changed) and time is not None and not now.complete:
        why = "cannot set completionTime when there is no Complete=True condition"
        out.append(fields.invalid(path, time, why))
    if (completed or changed) and time is None and now.complete:
        out.append(fields.required(path, "completionTime is required for Complete jobs"))
    start = status.startTime
    moved = changed or start != was.startTime
    if moved and start is not None and time is not None and time < start:
        why = "must be equal to or after `startTime`"
        out.append(fields.invalid(path, time, why))


def _terminal_needs(now: Conditions, before: Conditions, out: list[Cause]) -> None:
    """A terminal condition comes after the one that announces it."""
    if now.failed != before.failed and now.failed and not now.failure_target:
        why = "cannot set Failed=True condition without the FailureTarget=true condition"
        out.append(bare_invalid(_CONDITIONS, why))
    if now.complete != before.complete and now.complete and not now.success_met:
        why = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        out.append(bare_invalid(_CONDITIONS, why))


def _finished(
    spec: JobSpec,
    status: JobStatus,
    was: JobStatus,
    now: Conditions,
    before: Conditions,
    out: list[Cause],
) -> None:
    if not now.finished:
        return
    ended = not before.finished
    if (ended or (status.active or 0) != (was.active or 0)) and (status.active or 0) > 0:
        why = "active>0 is invalid for finished job"
        out.append(fields.invalid("status.active", status.active, why))
    # A Job with nothing to do finishes without ever starting, even while it is suspended.
    never_starts = spec.suspend and spec.completions == 0
    moved = ended or status.startTime != was.startTime
    if moved and status.startTime is None and not never_starts:
        why = "startTime is required for finished job"
        out.append(fields.required("status.startTime", why))
    uncounted = status.uncountedTerminatedPods
    changed = uncounted != was.uncountedTerminatedPods
    if (ended or changed) and uncounted and (uncounted.failed or uncounted.succeeded):
        shown = fields.Members(
            Succeeded=uncounted.succeeded or None, Failed=uncounted.failed or None
        )
        why = "must be empty for finished job"
        out.append(fields.invalid("status.uncountedTerminatedPods", shown, why))


def _indexes(spec: JobSpec, status: JobStatus, was: JobStatus, out: list[Cause]) -> None:
    done, failed = status.completedIndexes or "", status.failedIndexes
    done_changed = done != (was.completedIndexes or "")
    failed_changed = failed != was.failedIndexes
    completions = spec.completions
    path = "status.completedIndexes"
    if done_changed and completions is not None:
        _parsed(done, completions, path, done, out)
    per_index = spec.backoffLimitPerIndex is not None
    if failed_changed and per_index and completions is not None and failed is not None:
        _parsed(failed, completions, "status.failedIndexes", failed, out)
    if done_changed and done and spec.completionMode != "Indexed":
        why = "cannot set non-empty completedIndexes when non-indexed completion mode"
        out.append(fields.invalid(path, done, why))
    path = "status.failedIndexes"
    if failed_changed and failed is not None and spec.backoffLimitPerIndex is None:
        why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        out.append(fields.invalid(path, failed, why))
    if (done_changed or failed_changed) and completions is not None and failed is not None:
        common = overlap(done, failed, completions)
        if common is not None:
            why = f"failedIndexes and completedIndexes overlap at index: {common}"
            out.append(fields.invalid(path, failed, why))


def _parsed(text: str, completions: int, path: str, shown: Any, out: list[Cause]) -> None:
    try:
        count_indexes(text, completions)
    except ValueError as error:
        name = path.rpartition(".")[2]
        out.append(fields.invalid(path, shown, f"error parsing {name}: {error}"))


def _finished_pods(
    status: JobStatus, was: JobStatus, now: Conditions, before: Conditions, out: list[Cause]
) -> None:
    terminating = status.terminating or 0
    changed = not before.finished or terminating != (was.terminating or 0)
    if now.finished and changed and terminating > 0:
        why = "terminating>0 is invalid for finished job"
        out.append(fields.invalid("status.terminating", terminating, why))
    ready, active = status.ready, status.active or 0
    changed = ready != was.ready or active != (was.active or 0)
    if changed and ready is not None and ready > active:
        why = "cannot set more ready pods than active"
        out.append(fields.invalid("status.ready", ready, why))


def _success_criteria(spec: JobSpec, now: Conditions, out: list[Cause]) -> None:
    if now.success_met and now.failed:
        why = "cannot set SuccessCriteriaMet=True and Failed=true conditions"
        out.append(bare_invalid(_CONDITIONS, why))
    if now.success_met and now.failure_target:
        why = "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"
        out.append(bare_invalid(_CONDITIONS, why))
    if spec.successPolicy is not None and now.complete and not now.success_met:
        why = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        out.append(bare_invalid(_CONDITIONS, why))


def _transitions(
    spec: JobSpec,
    status: JobStatus,
    was: JobStatus,
    now: Conditions,
    before: Conditions,
    out: list[Cause],
) -> None:
    for name in ("Failed", "Complete", "FailureTarget"):
        if name in before.true and name not in now.true:
            why = f"cannot disable the terminal {name}=True condition"
            out.append(bare_invalid(_CONDITIONS, why))
    if (status.failed or 0) < (was.failed or 0):
        why = "cannot decrease the failed counter"
        out.append(fields.invalid("status.failed", status.failed or 0, why))
    # An elastic Job forgets the indexes it was shrunk by.
    elastic = spec.completionMode == "Indexed" and spec.completions == spec.parallelism
    if (status.succeeded or 0) < (was.succeeded or 0) and not elastic:
        why = "cannot decrease the succeeded counter"
        out.append(fields.invalid("status.succeeded", status.succeeded or 0, why))
    time, had = status.completionTime, was.completionTime
    if time is not None and had is not None and time != had:
        out.append(fields.invalid("status.completionTime", time, IMMUTABLE))
    resuming = "Suspended" in before.true and now.suspended_false
    if was.startTime not in (None, status.startTime) and not spec.suspend and not resuming:
        why = "field is immutable for unsuspended job once set"
        out.append(fields.invalid("status.startTime", pointer(status.startTime), why))
    if before.success_met and not now.success_met:
        why = "cannot disable the SuccessCriteriaMet=True condition"
        out.append(bare_invalid(_CONDITIONS, why))
    if before.complete and not before.success_met and now.success_met:
        why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        out.append(bare_invalid(_CONDITIONS, why))
