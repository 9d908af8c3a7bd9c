"""What the Job controller counts, by whole Jobs under the real engine."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import JOBS, PODS
from kubatch.controllers import job as jobs
from kubatch.controllers.job import metrics, names
from kubatch.meters import Count, Meters
from kubatch.reconcile.decision import Create, Decision, RemoveFinalizer
from kubatch.reconcile.measures import Wrote
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time


def job(name: str, **spec: Any) -> m.Job:
    container = {"name": "c", "image": "x"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    plain = {"metadata": {"name": name, "namespace": "default"}}
    return msgspec.convert({**plain, "spec": {"template": template, **spec}}, m.Job)


async def end_pods(on: Engine, phase: str, exit_code: int = 0) -> None:
    """Every pod that has not ended ends so."""
    for pod in (await on.client.list(PODS, "default")).items:
        assert pod.metadata is not None
        assert pod.status is not None
        if pod.status.phase in ("Succeeded", "Failed"):
            continue
        state = {"terminated": {"exitCode": exit_code}}
        container = {"name": "c", "image": "x", "imageID": "", "ready": False, "state": state}
        container["restartCount"] = 0
        status = {"phase": phase, "containerStatuses": [container]}
        name = pod.metadata.name or ""
        await on.client.patch(PODS, "default", name, {"status": status}, subresource="status")


def counted(on: Engine, metric: Any) -> dict[tuple[str, ...], float]:
    return on.runners[0].meters.counters[metric]


@virtual_time
async def test_a_job_that_completes() -> None:
    async with engine(jobs.controller()) as on:
        await on.client.create(JOBS, job("a", completions=3, parallelism=3))
        await on.quiet(1)
        await end_pods(on, "Succeeded")
        await on.quiet(5)
        assert counted(on, metrics.PODS_CREATION) == {("new", "succeeded"): 3}
        assert counted(on, metrics.PODS_FINISHED) == {("NonIndexed", "succeeded"): 3}
        finished = {("NonIndexed", "succeeded", "CompletionsReached"): 1}
        assert counted(on, metrics.JOBS_FINISHED) == finished
        assert counted(on, metrics.FINALIZERS) == {("add",): 3, ("delete",): 3}
        syncs = counted(on, metrics.SYNCS)
        assert syncs["NonIndexed", "success", "pods_created"] == 1
        assert syncs["NonIndexed", "success", "tracking"] >= 1
        seconds = on.runners[0].meters.histograms[metrics.SYNC_SECONDS]
        assert {labels: one.cumulative()[-1] for labels, one in seconds.items()} == syncs


@virtual_time
async def test_a_job_that_fails_and_its_replacements() -> None:
    async with engine(jobs.controller()) as on:
        await on.client.create(JOBS, job("a", backoffLimit=1))
        for _ in range(2):
            await on.quiet(60)
            await end_pods(on, "Failed", 1)
        await on.quiet(5)
        assert counted(on, metrics.PODS_CREATION) == {
            ("new", "succeeded"): 1,
            ("recreate_terminating_or_failed", "succeeded"): 1,
        }
        assert counted(on, metrics.PODS_FINISHED) == {("NonIndexed", "failed"): 2}
        finished = {("NonIndexed", "failed", "BackoffLimitExceeded"): 1}
        assert counted(on, metrics.JOBS_FINISHED) == finished


@virtual_time
async def test_an_indexed_job() -> None:
    async with engine(jobs.controller()) as on:
        spec = {"completions": 4, "parallelism": 4, "completionMode": "Indexed"}
        await on.client.create(JOBS, job("a", **spec))
        await on.quiet(1)
        await end_pods(on, "Succeeded")
        await on.quiet(5)
        assert counted(on, metrics.INDEXES_FINISHED) == {("succeeded", "global"): 4}
        assert counted(on, metrics.PODS_FINISHED) == {("Indexed", "succeeded"): 4}


@virtual_time
async def test_failures_that_a_policy_handles() -> None:
    rule = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [42]}}
    async with engine(jobs.controller()) as on:
        await on.client.create(JOBS, job("a", podFailurePolicy={"rules": [rule]}))
        await on.quiet(1)
        await end_pods(on, "Failed", 42)
        await on.quiet(5)
        assert counted(on, metrics.FAILURES_HANDLED) == {("Ignore",): 1}
        assert ("NonIndexed", "failed") not in counted(on, metrics.PODS_FINISHED)


@virtual_time
async def test_jobs_of_others_are_counted_once() -> None:
    async with engine(jobs.controller()) as on:
        await on.client.create(JOBS, job("a", managedBy="example.com/other"))
        await on.client.patch(JOBS, "default", "a", {"metadata": {"labels": {"a": "b"}}})
        await on.quiet(5)
        assert counted(on, metrics.EXTERNAL) == {("example.com/other",): 1}
        assert counted(on, metrics.SYNCS) == {}


@virtual_time
async def test_turns_put_off_for_a_stale_cache() -> None:
    async with engine(jobs.controller()) as on:
        await on.quiet(1)
        on.client.hold(PODS)
        await on.client.create(JOBS, job("a"))
        await on.quiet(5)
        await on.client.patch(JOBS, "default", "a", {"metadata": {"labels": {"a": "b"}}})
        await on.quiet(5)
        assert counted(on, metrics.STALE)["", "pods"] >= 1
        on.client.release(PODS)


def decision(failed: int = 0, terminating: int = 0, **spec: Any) -> Decision:
    return Decision(
        "", subject=job("a", **spec), facts={"failed": failed, "terminating": terminating}
    )


@pytest.mark.parametrize(
    ("failed", "terminating", "policy", "reason"),
    [
        (0, 0, None, "new"),
        (1, 0, None, "recreate_terminating_or_failed"),
        (0, 1, "TerminatingOrFailed", "recreate_terminating_or_failed"),
        (1, 0, "Failed", "recreate_failed"),
        (0, 0, "Failed", "new"),
    ],
)
def test_why_a_pod_is_created(
    failed: int, terminating: int, policy: str | None, reason: str
) -> None:
    subject = decision(failed, terminating, podReplacementPolicy=policy)
    create = Create(PODS, m.Pod())
    assert list(metrics.wrote(subject, Wrote(create, after=m.Pod()))) == [
        Count(metrics.PODS_CREATION, (reason, "succeeded"))
    ]
    refused = Wrote(create, error=ApiError(403, "Forbidden", "quota"))
    assert list(metrics.wrote(subject, refused)) == [
        Count(metrics.PODS_CREATION, (reason, "failed"))
    ]


def test_a_pod_that_is_in_the_list_already_is_not_handled_again() -> None:
    rules = [{"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}}]
    told = decision(podFailurePolicy={"rules": rules})
    state = {"terminated": {"exitCode": 1}}
    container = {"name": "c", "image": "", "imageID": "", "ready": False, "restartCount": 0}
    pod = msgspec.convert(
        {
            "metadata": {"name": "p", "uid": "u"},
            "status": {"phase": "Failed", "containerStatuses": [{**container, "state": state}]},
        },
        m.Pod,
    )
    done = Wrote(RemoveFinalizer(PODS, "default", "p", names.TRACKING_FINALIZER), after=pod)
    assert list(metrics.wrote(told, done)) == [Count(metrics.FAILURES_HANDLED, ("Count",))]
    told.subject.status = m.JobStatus(uncountedTerminatedPods=m.UncountedTerminatedPods(["u"]))
    assert list(metrics.wrote(told, done)) == []


def test_everything_is_shown_from_the_start() -> None:
    meters = Meters()
    meters.declare(*jobs.controller().measures.all())
    shown = {metric.name for metric in (*meters.counters, *meters.histograms)}
    assert len(shown) == 10
    assert all(name.startswith("job_controller_") for name in shown)
