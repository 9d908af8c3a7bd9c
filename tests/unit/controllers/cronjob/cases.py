"""CronJobs and their Jobs in few words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kubatch.api import models as m
from kubatch.api.owners import owner_reference
from kubatch.api.resource import CRONJOBS
from kubatch.controllers.cronjob import jobs
from kubatch.controllers.cronjob.decide import decide
from kubatch.controllers.cronjob.facts import CronFacts, read
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Create, Decision, Delete, Emit, PutStatus
from tests.unit.controllers.static_view import StaticView


def at(text: str) -> datetime:
    """A moment on Thursday 2016-05-19, or on the day given: "10:00", "26 10:00:30"."""
    day, _, clock = text.rpartition(" ")
    return datetime.fromisoformat(f"2016-05-{day or 19}T{clock}+00:00").astimezone(UTC)


def template(**words: Any) -> m.JobTemplateSpec:
    container = m.Container(name="main", image="busybox")
    pod = m.PodTemplateSpec(spec=m.PodSpec(containers=[container], restartPolicy="Never"))
    return m.JobTemplateSpec(metadata=m.ObjectMeta(**words), spec=m.JobSpec(template=pod))


def cronjob(
    schedule: str = "0 * * * ?",
    *,
    created: str = "09:00",
    last: str = "",
    policy: str = "Allow",
    active: Sequence[m.Job] = (),
    kept: tuple[int | None, int | None] = (3, 1),
    deleting: bool = False,
    **spec: Any,
) -> m.CronJob:
    spec.setdefault("jobTemplate", template())
    return m.CronJob(
        metadata=m.ObjectMeta(
            name="cj",
            namespace="default",
            uid="uid-cj",
            resourceVersion="7",
            creationTimestamp=at(created),
            deletionTimestamp=at(created) if deleting else None,
        ),
        spec=m.CronJobSpec(
            schedule=schedule,
            concurrencyPolicy=policy,
            successfulJobsHistoryLimit=kept[0],
            failedJobsHistoryLimit=kept[1],
            **spec,
        ),
        status=m.CronJobStatus(
            lastScheduleTime=at(last) if last else None,
            active=[jobs.reference(job) for job in active] or None,
        ),
    )


def job(
    slot: str = "",
    name: str = "",
    *,
    ended: str = "",
    started: str = "",
    completed: str = "",
    deleting: bool = False,
    finalizers: Sequence[str] = (),
) -> m.Job:
    """A Job of the CronJob: made for a slot, or by somebody else under a name."""
    owner = cronjob()
    made = jobs.make(owner, at(slot)) if slot else None
    meta = made.metadata if made is not None else None
    conditions = [m.JobCondition(type=ended, status="True")] if ended else []
    return m.Job(
        metadata=m.ObjectMeta(
            name=name or (meta.name if meta else ""),
            namespace="default",
            uid=f"uid-{name or (meta.name if meta else '')}",
            resourceVersion="3",
            annotations=meta.annotations if meta else None,
            ownerReferences=[owner_reference(owner, CRONJOBS)],
            deletionTimestamp=at("09:00") if deleting else None,
            finalizers=list(finalizers) or None,
        ),
        spec=m.JobSpec(template=m.PodTemplateSpec()),
        status=m.JobStatus(
            startTime=at(started) if started else None,
            completionTime=at(completed) if completed else None,
            conditions=conditions or None,
        ),
    )


def facts(cron: m.CronJob, *children: m.Job, remembered: object = None) -> CronFacts:
    found = read(StaticView(cron, *children), Key("default", "cj"), remembered)
    assert found is not None
    return found


def sync(cron: m.CronJob, now: str, *children: m.Job, remembered: object = None) -> Decision:
    return decide(facts(cron, *children, remembered=remembered), at(now))


def shown(decision: Decision) -> list[str]:
    """The writes of a decision, one line each."""
    return [line for stage in decision.stages for write in stage.writes for line in _line(write)]


def _line(write: Any) -> list[str]:
    match write:
        case Create():
            return [f"create {write.obj.metadata.name}"]
        case Delete():
            return [f"delete {write.name} {write.propagation}"]
        case Emit():
            return [f"{write.note.type} {write.note.reason}"]
        case PutStatus():
            status = write.obj.status
            last = f"{status.lastScheduleTime:%H:%M}" if status.lastScheduleTime else "never"
            names = " ".join(ref.name for ref in status.active or ())
            return [f"status {last} [{names}]"]
        case _:
            return [f"{type(write).__name__} {write.name}"]


def wakes_in(decision: Decision, now: str) -> float | None:
    """Seconds until the next look."""
    return (decision.wake_at - at(now)).total_seconds() if decision.wake_at else None
