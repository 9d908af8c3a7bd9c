"""What makes a CronJob unacceptable.

Follows pkg/apis/batch/validation/validation.go: ValidateCronJobCreate, validateCronJobSpec,
validateScheduleFormat, validateTimeZone.
"""

from __future__ import annotations

import re

from kubatch.api import cron, fields
from kubatch.api.errors import Cause
from kubatch.api.models import CronJob, CronJobSpec
from kubatch.registry.kinds.job.validation import validate_job_spec
from kubatch.registry.kinds.rules import non_negative, shown_selector
from kubatch.registry.metadata import byte_length

# A Job's name is the CronJob's, a dash and ten digits; 63 is the most a label may have.
NAME_BYTES_MAX = 63 - 11
_POLICIES = ("Allow", "Forbid", "Replace")
_is_zone_part = re.compile(r"[A-Za-z.\-_0-9+]{1,14}").fullmatch


def validate_new_cronjob(job: CronJob) -> list[Cause]:
    """Everything wrong with a new CronJob."""
    out: list[Cause] = []
    assert job.metadata is not None
    if job.spec is None:
        out.append(fields.required("spec.schedule"))
        return out
    _spec(job.spec, None, out)
    name = job.metadata.name or ""
    if byte_length(name) > NAME_BYTES_MAX:
        why = f"must be no more than {NAME_BYTES_MAX} characters"
        out.append(fields.invalid("metadata.name", name, why))
    return out


def validate_cronjob_update(new: CronJob, old: CronJob) -> list[Cause]:
    """Everything wrong with a change; an old name may be too long."""
    out: list[Cause] = []
    if new.spec is None:
        out.append(fields.required("spec.schedule"))
        return out
    _spec(new.spec, old.spec, out)
    return out


def _spec(spec: CronJobSpec, old: CronJobSpec | None, out: list[Cause]) -> None:
    if not spec.schedule:
        out.append(fields.required("spec.schedule"))
    else:
        had_zone = old is not None and "TZ" in old.schedule
        _schedule(spec, had_zone, "spec.schedule", out)
    non_negative(spec.startingDeadlineSeconds, "spec.startingDeadlineSeconds", out)
    if spec.timeZone is not None and (old is None or old.timeZone != spec.timeZone):
        _time_zone(spec.timeZone, "spec.timeZone", out)
    policy = spec.concurrencyPolicy
    if not policy:
        out.append(fields.required("spec.concurrencyPolicy"))
    elif policy not in _POLICIES:
        out.append(fields.not_supported("spec.concurrencyPolicy", policy, _POLICIES))
    _template(spec, "spec.jobTemplate.spec", out)
    non_negative(spec.successfulJobsHistoryLimit, "spec.successfulJobsHistoryLimit", out)
    non_negative(spec.failedJobsHistoryLimit, "spec.failedJobsHistoryLimit", out)


def _schedule(spec: CronJobSpec, zone_allowed: bool, path: str, out: list[Cause]) -> None:
    schedule = spec.schedule
    try:
        cron.parse(schedule)
    except ValueError as error:
        out.append(fields.invalid(path, schedule, str(error)))
    if "TZ" not in schedule:
        return
    if not zone_allowed:
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        out.append(fields.invalid(path, schedule, why))
    elif spec.timeZone is not None:
        why = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        out.append(fields.invalid(path, schedule, why))


def _time_zone(zone: str, path: str, out: list[Cause]) -> None:
    if not zone:
        why = "timeZone must be nil or non-empty string"
        out.append(fields.invalid(path, zone, why))
        return
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not _is_zone_part(part):
            out.append(fields.invalid(path, zone, f"unknown time zone {zone}"))
            return
    if zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        out.append(fields.invalid(path, zone, why))
    try:
        cron.zone_of(zone)
    except ValueError as error:
        out.append(fields.invalid(path, zone, str(error)))


def _template(spec: CronJobSpec, path: str, out: list[Cause]) -> None:
    job = spec.jobTemplate.spec
    if job is None:
        out.append(fields.required(f"{path}.template.spec.containers"))
        return
    validate_job_spec(job, path, out)
    if job.selector is not None:
        why = "`selector` will be auto-generated"
        out.append(fields.invalid(f"{path}.selector", shown_selector(job.selector), why))
    if job.manualSelector:
        out.append(fields.not_supported(f"{path}.manualSelector", True, ["nil", "false"]))
