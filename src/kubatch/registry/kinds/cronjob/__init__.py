"""CronJobs: what may be stored, and how they show."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from kubatch.api.errors import Cause
from kubatch.api.models import CronJob, CronJobStatus
from kubatch.api.resource import CRONJOBS, CRONJOBS_V1BETA1
from kubatch.registry.age import age
from kubatch.registry.kinds.cronjob.validation import (
    validate_cronjob_update,
    validate_new_cronjob,
)
from kubatch.registry.kinds.job import template_warnings
from kubatch.registry.kinds.job.columns import TEMPLATE_COLUMNS, template_cells
from kubatch.registry.kinds.pod.warnings import name_warning
from kubatch.registry.kinds.podspec.defaults import default_pod_spec
from kubatch.registry.kinds.rules import format_selector
from kubatch.registry.strategy import Column, Propagation, Row, Strategy

__all__ = ["CronJobStrategy", "CronJobV1Beta1Strategy"]

SUCCESSFUL_KEPT = 3
FAILED_KEPT = 1
_CREATED = (
    "CreationTimestamp is a timestamp representing the server time when this object was created."
)


class CronJobStrategy(Strategy[CronJob]):
    """pkg/registry/batch/cronjob/strategy.go, and printCronJob for its table."""

    resource = CRONJOBS
    tracks_generation: ClassVar[bool] = True
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Schedule", description="The schedule in Cron format."),
        Column("Timezone", description="The time zone name for the given schedule."),
        Column("Suspend", type="boolean", description="Whether further runs are suspended."),
        Column("Active", type="integer", description="Number of currently running jobs."),
        Column("Last Schedule", description="When a job was last scheduled."),
        Column("Age", description=_CREATED),
        *TEMPLATE_COLUMNS,
    )

    def default(self, obj: CronJob) -> None:
        """The Job in it keeps its gaps: they are filled when it is created."""
        spec = obj.spec
        if spec is None:
            return
        if spec.concurrencyPolicy is None:
            spec.concurrencyPolicy = "Allow"
        if spec.suspend is None:
            spec.suspend = False
        if spec.successfulJobsHistoryLimit is None:
            spec.successfulJobsHistoryLimit = SUCCESSFUL_KEPT
        if spec.failedJobsHistoryLimit is None:
            spec.failedJobsHistoryLimit = FAILED_KEPT
        job = spec.jobTemplate.spec
        if job is not None and job.template.spec is not None:
            default_pod_spec(job.template.spec)

    def prepare_create(self, obj: CronJob) -> None:
        obj.status = CronJobStatus()

    def validate_create(self, obj: CronJob) -> list[Cause]:
        return validate_new_cronjob(obj)

    def prepare_update(self, new: CronJob, old: CronJob) -> None:
        new.status = old.status

    def validate_update(self, new: CronJob, old: CronJob) -> list[Cause]:
        return validate_cronjob_update(new, old)

    def prepare_status_update(self, new: CronJob, old: CronJob) -> None:
        new.spec = old.spec

    def warnings_create(self, obj: CronJob) -> list[str]:
        assert obj.metadata is not None
        out = name_warning(obj.metadata.name or "", "Pod names and hostnames")
        return out + self._spec_warnings(obj)

    def warnings_update(self, new: CronJob, old: CronJob) -> list[str]:
        return self._spec_warnings(new) if new.spec != old.spec else []

    def _spec_warnings(self, obj: CronJob) -> list[str]:
        spec = obj.spec
        if spec is None:
            return []
        out = []
        if spec.jobTemplate.spec is not None:
            where = "spec.jobTemplate.spec.template"
            out += template_warnings(spec.jobTemplate.spec.template, where)
        if "TZ" in spec.schedule:
            # The path is Kubernetes' own.
            out.append(
                "spec.spec.schedule: cannot use TZ or CRON_TZ in schedule, use timeZone field "
                "instead"
            )
        return out

    def row(self, obj: CronJob, now: datetime) -> Row:
        assert obj.metadata is not None
        spec, status = obj.spec, obj.status or CronJobStatus()
        assert spec is not None
        job = spec.jobTemplate.spec
        names, images = template_cells(job.template) if job is not None else ("", "")
        last = status.lastScheduleTime
        return Row(
            (
                obj.metadata.name,
                spec.schedule,
                spec.timeZone or "<none>",
                "True" if spec.suspend else "False",
                len(status.active or ()),
                age(last, now) if last is not None else "<none>",
                age(obj.metadata.creationTimestamp, now),
                names,
                images,
                format_selector(job.selector if job is not None else None),
            )
        )


class CronJobV1Beta1Strategy(CronJobStrategy):
    """The same objects as batch/v1 shows, deleted as that version did."""

    resource = CRONJOBS_V1BETA1
    default_propagation: ClassVar[Propagation] = "Orphan"
