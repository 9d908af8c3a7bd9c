"""One turn of the Job rules: reading the facts of a busy Job, and deciding."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from bench.table import Row
from kubatch.api import models as m
from kubatch.api.resource import Resource
from kubatch.controllers.job import facts, names
from kubatch.controllers.job.decide import decide
from kubatch.reconcile.controller import Index, Key

ACTIVE = 32
TURNS = 2000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class OneJob:
    """A View with one Job, its active pods and one pod that just succeeded."""

    def __init__(self) -> None:
        container = m.Container(name="true", image="busybox", command=["/bin/true"])
        template = m.PodTemplateSpec(spec=m.PodSpec(containers=[container], restartPolicy="Never"))
        self.job = m.Job(
            metadata=m.ObjectMeta(name="many", namespace="default", uid="uid-of-many"),
            spec=m.JobSpec(template=template, parallelism=ACTIVE, completions=100_000),
            status=m.JobStatus(startTime=NOW, active=ACTIVE, succeeded=50_000),
        )
        phases = ["Running"] * (ACTIVE - 1) + ["Succeeded"]
        self.pods = [_pod(number, phase) for number, phase in enumerate(phases)]

    def get(self, resource: Resource[Any], namespace: str | None, name: str) -> Any:
        return self.job

    def list(self, resource: Resource[Any]) -> Sequence[Any]:
        return [self.job]

    def indexed(self, index: Index, key: str) -> Sequence[Any]:
        return self.pods if index is facts.PODS_BY_JOB else []


def rows() -> Iterator[Row]:
    """The median of many equal turns."""
    view, key = OneJob(), Key("default", "many")
    found = facts.read(view, key, None)
    assert found is not None
    assert decide(found, NOW).stages
    yield Row(
        f"Job rules: facts of {ACTIVE} pods",
        _microseconds(lambda: facts.read(view, key, None)),
        "us",
    )
    yield Row("Job rules: decide", _microseconds(lambda: decide(found, NOW)), "us")


def _microseconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(TURNS):
        begun = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - begun)
    return statistics.median(times) / 1000


def _pod(number: int, phase: str) -> m.Pod:
    owner = m.OwnerReference(
        apiVersion="batch/v1", kind="Job", name="many", uid="uid-of-many", controller=True
    )
    return m.Pod(
        metadata=m.ObjectMeta(
            name=f"many-{number:05}",
            namespace="default",
            uid=f"uid-{number}",
            creationTimestamp=NOW,
            finalizers=[names.TRACKING_FINALIZER],
            ownerReferences=[owner],
        ),
        status=m.PodStatus(phase=phase),
    )
