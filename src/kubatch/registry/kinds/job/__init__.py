"""Jobs: what may be stored, and how they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar

from kubatch.api.errors import Cause
from kubatch.api.models import Job, JobStatus, PodTemplateSpec
from kubatch.api.resource import JOBS
from kubatch.registry.kinds.job.columns import COLUMNS, job_row
from kubatch.registry.kinds.job.defaults import default_job, generate_selector
from kubatch.registry.kinds.job.status import validate_job_status
from kubatch.registry.kinds.job.update import validate_job_update
from kubatch.registry.kinds.job.validation import (
    COMPLETIONS_SOFT_MAX,
    HIGH_COMPLETIONS_LIMIT,
    validate_job,
)
from kubatch.registry.kinds.pod.warnings import name_warning, spec_warnings
from kubatch.registry.strategy import Column, Propagation, Row, Strategy

__all__ = ["JobStrategy", "template_warnings"]

ORPHANS_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background "
    "to remove them or set propagationPolicy=Orphan to suppress this warning"
)
_MANY_INDEXES_WARNING = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than "
    "10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
)


def _succeeded(job: Job) -> str:
    return str((job.status.succeeded if job.status is not None else 0) or 0)


def template_warnings(template: PodTemplateSpec, path: str) -> list[str]:
    """What a template's author should hear."""
    return spec_warnings(template.spec, f"{path}.spec") if template.spec is not None else []


class JobStrategy(Strategy[Job]):
    """pkg/registry/batch/job/strategy.go."""

    resource = JOBS
    tracks_generation: ClassVar[bool] = True
    # batch/v1 keeps its pods when nobody says otherwise (DefaultGarbageCollectionPolicy).
    default_propagation: ClassVar[Propagation] = "Orphan"
    columns: tuple[Column, ...] = COLUMNS
    fields: Mapping[str, Callable[[Job], str]] = {"status.successful": _succeeded}

    def unknown_field_message(self, label: str) -> str:
        return f'field label "{label}" not supported for Job'

    def default(self, obj: Job) -> None:
        default_job(obj)

    def prepare_create(self, obj: Job) -> None:
        obj.status = JobStatus()
        if obj.spec is not None:
            generate_selector(obj)

    def validate_create(self, obj: Job) -> list[Cause]:
        return validate_job(obj)

    def prepare_update(self, new: Job, old: Job) -> None:
        new.status = old.status

    def validate_update(self, new: Job, old: Job) -> list[Cause]:
        return validate_job_update(new, old)

    def prepare_status_update(self, new: Job, old: Job) -> None:
        new.spec = old.spec

    def validate_status_update(self, new: Job, old: Job) -> list[Cause]:
        return validate_job_status(new, old)

    def warnings_create(self, obj: Job) -> list[str]:
        assert obj.metadata is not None
        out = name_warning(obj.metadata.name or "", "Pod names and hostnames")
        return out + self._spec_warnings(obj)

    def warnings_update(self, new: Job, old: Job) -> list[str]:
        return self._spec_warnings(new) if new.spec != old.spec else []

    def _spec_warnings(self, job: Job) -> list[str]:
        spec = job.spec
        if spec is None:
            return []
        out = []
        many = (spec.completions or 0) > COMPLETIONS_SOFT_MAX
        wide = (spec.parallelism or 0) > HIGH_COMPLETIONS_LIMIT
        if spec.completionMode == "Indexed" and many and wide:
            out.append(f"spec: {_MANY_INDEXES_WARNING}")
        return out + template_warnings(spec.template, "spec.template")

    def warnings_delete(self, propagation_given: bool) -> list[str]:
        return [] if propagation_given else [ORPHANS_WARNING]

    def row(self, obj: Job, now: datetime) -> Row:
        return job_row(obj, now)
