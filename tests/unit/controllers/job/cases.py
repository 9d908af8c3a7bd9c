"""Ways to say a case in one line: these objects, one turn of the Job, then what is there."""

from __future__ import annotations

from typing import Any

from kubatch.api import models as m
from kubatch.controllers.job import names
from tests.unit.controllers.job.twin import START, Cluster, make_job, make_pod, seconds

STARTED = {"startTime": START}


def status(**fields: Any) -> m.JobStatus:
    return m.JobStatus(**{**STARTED, **fields})


def condition(type: str, status: str, reason: str = "r", message: str = "msg") -> m.JobCondition:
    return m.JobCondition(type=type, status=status, reason=reason, message=message)


def after_turn(job: m.Job, *pods: m.Pod, at: float = 100) -> Cluster:
    """A cluster with these objects, after one turn of the Job."""
    cluster = Cluster(now=seconds(at)).put(job, *pods)
    cluster.turn()
    return cluster


def running(count: int, **how: Any) -> list[m.Pod]:
    return [make_pod(f"run-{i}", **how) for i in range(count)]


def done(phase: str, count: int, **how: Any) -> list[m.Pod]:
    return [make_pod(f"{phase.lower()}-{i}", phase, **how) for i in range(count)]


def indexed(**spec: Any) -> m.Job:
    return make_job(completionMode="Indexed", **spec)


def created_indexes(cluster: Cluster) -> list[str]:
    return [
        pod.metadata.annotations[names.COMPLETION_INDEX]
        for pod in cluster.pods
        if pod.metadata and pod.metadata.annotations and pod.metadata.generateName
    ]


def count(cluster: Cluster, entry: str) -> int:
    return cluster.log.count(entry)


def per_index(limit: int = 1, **spec: Any) -> m.Job:
    spec.setdefault("backoffLimit", 2**31 - 1)
    return indexed(backoffLimitPerIndex=limit, **spec)


FAIL_JOB = m.PodFailurePolicy(
    rules=[
        m.PodFailurePolicyRule(
            action="FailJob",
            onExitCodes=m.PodFailurePolicyOnExitCodesRequirement(operator="In", values=[42]),
        )
    ]
)
