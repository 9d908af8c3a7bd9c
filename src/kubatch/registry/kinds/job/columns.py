"""A Job as a table row (pkg/printers/internalversion/printers.go: printJob)."""

from __future__ import annotations

from datetime import datetime

from kubatch.api.models import Job, JobSpec, JobStatus, PodTemplateSpec
from kubatch.registry.age import age, human_duration
from kubatch.registry.kinds.rules import format_selector
from kubatch.registry.strategy import Column, Row

_CREATED = (
    "CreationTimestamp is a timestamp representing the server time when this object was created."
)
TEMPLATE_COLUMNS = (
    Column("Containers", priority=1, description="Names of each container in the template."),
    Column(
        "Images", priority=1, description="Images referenced by each container in the template."
    ),
    Column("Selector", priority=1, description="A label query over pods."),
)
COLUMNS = (
    Column("Name", format="name", description="Name must be unique within a namespace."),
    Column("Status", description="Status of the job."),
    Column(
        "Completions",
        description="The desired number of successfully finished pods the job should be run with.",
    ),
    Column("Duration", description="Time required to complete the job."),
    Column("Age", description=_CREATED),
    *TEMPLATE_COLUMNS,
)
# The first of these that is True names the status; the others follow a deletion.
_FINAL = ("Complete", "Failed")
_PASSING = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def template_cells(template: PodTemplateSpec) -> tuple[str, str]:
    """Names and images of a template's containers."""
    containers = template.spec.containers if template.spec is not None else []
    return ",".join(c.name for c in containers), ",".join(c.image or "" for c in containers)


def job_row(job: Job, now: datetime) -> Row:
    """The cells of one Job."""
    assert job.metadata is not None
    spec, status = job.spec, job.status or JobStatus()
    assert spec is not None
    names, images = template_cells(spec.template)
    return Row(
        (
            job.metadata.name,
            _state(job, status),
            _completions(spec, status),
            _duration(status, now),
            age(job.metadata.creationTimestamp, now),
            names,
            images,
            format_selector(spec.selector),
        )
    )


def _state(job: Job, status: JobStatus) -> str:
    assert job.metadata is not None
    true = {c.type for c in status.conditions or () if c.status == "True"}
    for name in _FINAL:
        if name in true:
            return name
    if job.metadata.deletionTimestamp is not None:
        return "Terminating"
    return next((name for name in _PASSING if name in true), "Running")


def _completions(spec: JobSpec, status: JobStatus) -> str:
    succeeded = status.succeeded or 0
    if spec.completions is not None:
        return f"{succeeded}/{spec.completions}"
    parallelism = spec.parallelism or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(status: JobStatus, now: datetime) -> str:
    if status.startTime is None:
        return ""
    return human_duration(((status.completionTime or now) - status.startTime).total_seconds())
