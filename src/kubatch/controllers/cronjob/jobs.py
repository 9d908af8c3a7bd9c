"""The Job a CronJob makes (pkg/controller/cronjob/utils.go: getJobFromTemplate2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kubatch.api import cron
from kubatch.api import models as m
from kubatch.api.owners import owner_reference
from kubatch.api.resource import CRONJOBS, JOBS

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


def name_of(cronjob: str, slot: datetime) -> str:
    """The name of the Job of a time: no two Jobs of one minute can exist (getJobName)."""
    return f"{cronjob}-{int(slot.timestamp()) // 60}"


def make(cronjob: m.CronJob, slot: datetime) -> m.Job:
    """The Job of a time. Its labels are those of the template alone."""
    assert cronjob.metadata is not None
    assert cronjob.spec is not None
    template = cronjob.spec.jobTemplate
    meta = template.metadata or m.ObjectMeta()
    return m.Job(
        apiVersion=JOBS.api_version,
        kind=JOBS.kind,
        metadata=m.ObjectMeta(
            name=name_of(cronjob.metadata.name or "", slot),
            namespace=cronjob.metadata.namespace,
            labels=dict(meta.labels or {}) or None,
            annotations={**(meta.annotations or {}), SCHEDULED: shown(slot, cronjob.spec.timeZone)},
            ownerReferences=[owner_reference(cronjob, CRONJOBS)],
        ),
        spec=template.spec,
    )


def shown(slot: datetime, time_zone: str | None) -> str:
    """The time on a zone's clock, as Go's RFC 3339 writes it."""
    zone = cron.zone_of(time_zone) if time_zone else UTC
    local = slot.astimezone(zone)
    stem = f"{local:%Y-%m-%dT%H:%M:%S}"
    offset = local.utcoffset() or timedelta()
    if not offset:
        return f"{stem}Z"
    sign, minutes = ("-" if offset < timedelta() else "+"), abs(offset) // timedelta(minutes=1)
    return f"{stem}{sign}{minutes // 60:02}:{minutes % 60:02}"


def reference(job: m.Job) -> m.ObjectReference:
    """How status.active names a Job."""
    meta = job.metadata or m.ObjectMeta()
    return m.ObjectReference(
        apiVersion=JOBS.api_version,
        kind=JOBS.kind,
        name=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        resourceVersion=meta.resourceVersion,
    )
