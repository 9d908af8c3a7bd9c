"""Whole lives of Jobs, write by write, as kube-controller-manager 1.36 was seen to do them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubatch.api import models as m
from tests.unit.controllers.job.twin import (
    Cluster,
    condition_types,
    make_job,
    make_pod,
    phase,
    reasons,
    seconds,
)


def shown(status: m.JobStatus) -> dict[str, Any]:
    """A status as JSON, its conditions by type only."""
    wire: dict[str, Any] = msgspec.to_builtins(status)
    if "conditions" in wire:
        wire["conditions"] = condition_types(status)
    return wire


def test_one_shot_success() -> None:
    cluster = Cluster().put(make_job(completions=1))
    cluster.turns()
    assert shown(cluster.status) == {
        "startTime": "2026-03-01T10:00:00Z",
        "active": 1,
        "terminating": 0,
        "uncountedTerminatedPods": {},
        "ready": 0,
    }
    assert cluster.log == ["create pod", "put status"]
    assert cluster.events == [("Normal", "SuccessfulCreate", "Created pod: job-001")]
    cluster.tick(3)
    cluster.finish_pod("job-001", "Succeeded")
    cluster.turns()
    interim, final = cluster.statuses[1:]
    assert interim.uncountedTerminatedPods == m.UncountedTerminatedPods(succeeded=["uid-job-001"])
    assert condition_types(interim) == ["SuccessCriteriaMet"]
    assert (interim.active, interim.succeeded) == (None, None)
    assert shown(final) == {
        "startTime": "2026-03-01T10:00:00Z",
        "completionTime": "2026-03-01T10:00:03Z",
        "succeeded": 1,
        "terminating": 0,
        "uncountedTerminatedPods": {},
        "ready": 0,
        "conditions": ["SuccessCriteriaMet", "Complete"],
    }
    assert reasons(final)["Complete"] == "CompletionsReached"
    assert cluster.log[2:] == ["put status", "remove finalizer", "put status"]
    assert cluster.events[1:] == [("Normal", "Completed", "Job completed")]


def test_always_failing() -> None:
    cluster = Cluster().put(make_job(completions=1, backoffLimit=1))
    cluster.turns()
    cluster.finish_pod("job-001", "Failed")
    cluster.turns()
    assert [(s.failed, s.active) for s in cluster.statuses[1:]] == [(None, None), (1, None)]
    assert cluster.decision is not None
    assert cluster.decision.wake_at == seconds(10)
    assert cluster.decision.because == (
        "back-off: creates a replacement at 10:00:10 after 1 failure"
    )
    cluster.tick(9.9)
    cluster.turns()
    assert len(cluster.pods) == 1
    cluster.tick(0.1)
    cluster.turns()
    assert len(cluster.pods) == 2
    cluster.finish_pod("job-002", "Failed")
    cluster.turns()
    assert condition_types(cluster.statuses[-2]) == ["FailureTarget"]
    assert condition_types(cluster.statuses[-1]) == ["FailureTarget", "Failed"]
    assert cluster.status.failed == 2
    assert cluster.status.completionTime is None
    assert cluster.events[-1] == (
        "Warning",
        "BackoffLimitExceeded",
        "Job has reached the specified backoff limit",
    )


def test_deadline() -> None:
    cluster = Cluster().put(make_job(completions=1, activeDeadlineSeconds=5))
    cluster.turns()
    assert cluster.decision is not None
    assert cluster.decision.wake_at == seconds(5)
    cluster.tick(5)
    cluster.turns()
    interim, counted = cluster.statuses[1:]
    assert (interim.terminating, interim.active, interim.failed) == (1, None, None)
    assert reasons(interim) == {"FailureTarget": "DeadlineExceeded"}
    assert counted.failed == 1
    assert cluster.log[-4:] == ["delete pod", "put status", "remove finalizer", "put status"]
    assert cluster.decision.because == (
        "DeadlineExceeded: Job was active longer than specified deadline; "
        "waits for 1 terminating pod"
    )
    cluster.finish_pod("job-001", "Failed")
    cluster.turns()
    ending, failed = cluster.statuses[3:]
    assert (ending.terminating, condition_types(ending)) == (0, ["FailureTarget"])
    assert condition_types(failed) == ["FailureTarget", "Failed"]
    assert [reason for _, reason, _ in cluster.events] == [
        "SuccessfulCreate",
        "SuccessfulDelete",
        "DeadlineExceeded",
    ]


def test_suspend_and_resume() -> None:
    cluster = Cluster().put(make_job(completions=4, parallelism=2))
    cluster.turns()
    cluster.change_job(suspend=True)
    cluster.log.clear()
    cluster.turns()
    assert cluster.log == ["remove finalizer"] * 2 + ["delete pod"] * 2 + ["put status"]
    assert cluster.status.startTime is None
    assert (cluster.status.terminating, cluster.status.active) == (2, None)
    assert reasons(cluster.status) == {"Suspended": "JobSuspended"}
    assert cluster.events[-1] == ("Normal", "Suspended", "Job suspended")
    for name in ("job-001", "job-002"):
        cluster.finish_pod(name, "Failed")
    cluster.turns()
    assert (cluster.status.terminating, cluster.status.failed) == (0, None)
    cluster.tick(60)
    cluster.change_job(suspend=False)
    cluster.log.clear()
    cluster.turns()
    assert cluster.log == ["create pod", "create pod", "put status"]
    assert cluster.status.startTime == seconds(60)
    assert cluster.status.active == 2
    [condition] = cluster.status.conditions or []
    assert (condition.status, condition.reason) == ("False", "JobResumed")
    assert cluster.events[-1] == ("Normal", "Resumed", "Job resumed")


def test_created_suspended() -> None:
    cluster = Cluster().put(make_job(completions=1, suspend=True))
    cluster.turns()
    [status] = cluster.statuses
    assert shown(status) == {
        "terminating": 0,
        "ready": 0,
        "uncountedTerminatedPods": {},
        "conditions": ["Suspended"],
    }


def test_user_deletes_a_running_pod() -> None:
    cluster = Cluster().put(make_job(completions=1))
    cluster.turns()
    cluster.delete_pod("job-001")
    cluster.turns()
    interim, counted = cluster.statuses[1:]
    assert (interim.active, interim.terminating, interim.failed) == (None, 1, None)
    assert (counted.failed, counted.terminating) == (1, 1)
    cluster.tick(10)
    cluster.turns()
    assert (cluster.status.active, cluster.status.terminating) == (1, 1)


@pytest.mark.parametrize("suspended", [False, True])
def test_zero_completions(suspended: bool) -> None:
    cluster = Cluster().put(make_job(completions=0, suspend=suspended))
    cluster.turns()
    assert [condition_types(status) for status in cluster.statuses] == [
        ["SuccessCriteriaMet"],
        ["SuccessCriteriaMet", "Complete"],
    ]
    assert (cluster.status.startTime is None) == suspended
    assert [reason for _, reason, _ in cluster.events] == ["Completed"]


def test_replacement_of_a_failed_index_and_the_last_index_exhausted() -> None:
    job = make_job(
        completions=2,
        parallelism=2,
        completionMode="Indexed",
        backoffLimitPerIndex=1,
        backoffLimit=2**31 - 1,
    )
    cluster = Cluster().put(job)
    cluster.turns()
    assert cluster.status.failedIndexes == ""
    cluster.finish_pod("job-0-001", "Succeeded")
    cluster.finish_pod("job-1-002", "Failed")
    cluster.turns()
    assert cluster.status.completedIndexes == "0"
    assert cluster.status.failed is None, "kept until its replacement is seen"
    assert cluster.decision is not None
    assert cluster.decision.wake_at == seconds(10)
    assert cluster.decision.because == (
        "back-off: creates the next index's replacement at 10:00:10"
    )
    cluster.tick(10)
    cluster.log.clear()
    before = len(cluster.statuses)
    cluster.turns()
    created, uncounted, counted = cluster.statuses[before:]
    assert created.active == 1
    assert uncounted.uncountedTerminatedPods == m.UncountedTerminatedPods(failed=["uid-job-1-002"])
    assert counted.failed == 1
    cluster.finish_pod("job-1-003", "Failed")
    before = len(cluster.statuses)
    cluster.turns()
    interim, final = cluster.statuses[before:]
    assert interim.failedIndexes == "1"
    assert reasons(interim) == {"FailureTarget": "FailedIndexes"}
    assert reasons(final)["Failed"] == "FailedIndexes"
    assert final.failed == 2


def test_quota_refuses_all() -> None:
    cluster = Cluster().put(make_job(completions=5, parallelism=5))
    cluster.refuse = lambda write: type(write).__name__ == "Create"
    cluster.turn()
    assert cluster.events == [("Warning", "FailedCreate", "Error creating: refused")]
    assert (cluster.status.active, cluster.status.startTime) == (None, seconds(0))
    cluster.turn()
    assert len(cluster.events) == 2
    assert len(cluster.statuses) == 1
    cluster.refuse = lambda write: False
    cluster.turns()
    assert cluster.status.active == 5


def test_back_off_grows_and_ends_with_a_success() -> None:
    cluster = Cluster().put(make_job(completions=3, backoffLimit=100))
    waits: list[float] = []
    for end in ["Failed", "Failed", "Failed", "Succeeded", "Failed", "Succeeded", "Succeeded"]:
        cluster.turns()
        while not cluster.active():
            assert cluster.decision is not None
            assert cluster.decision.wake_at is not None
            waits.append((cluster.decision.wake_at - cluster.now).total_seconds())
            cluster.now = cluster.decision.wake_at
            cluster.turns()
        [pod] = cluster.active()
        assert pod.metadata is not None
        cluster.tick(1)
        cluster.finish_pod(pod.metadata.name or "", end)
    cluster.turns()
    assert waits == [10, 20, 40, 10]
    assert (cluster.status.succeeded, cluster.status.failed) == (3, 4)


def test_parallel_work_queue() -> None:
    cluster = Cluster().put(make_job(parallelism=3))
    cluster.turns()
    assert cluster.status.active == 3
    cluster.finish_pod("job-001", "Succeeded")
    cluster.finish_pod("job-002", "Failed")
    cluster.tick(60)
    cluster.turns()
    assert (cluster.status.active, cluster.status.succeeded) == (1, 1)
    assert cluster.decision is not None
    assert cluster.decision.because == ("1 of 3 pods run; 1 succeeded; waits for pods to finish")
    cluster.finish_pod("job-003", "Succeeded")
    cluster.turns()
    assert reasons(cluster.status)["Complete"] == "CompletionsReached"
    assert (cluster.status.succeeded, cluster.status.failed) == (2, 1)


def test_elastic_job_forgets_successes_out_of_range() -> None:
    cluster = Cluster().put(make_job(completions=4, parallelism=4, completionMode="Indexed"))
    cluster.turns()
    cluster.finish_pod("job-1-002", "Succeeded")
    cluster.finish_pod("job-3-004", "Succeeded")
    cluster.turns()
    assert cluster.status.completedIndexes == "1,3"
    cluster.change_job(completions=2, parallelism=2)
    cluster.turns()
    assert (cluster.status.completedIndexes, cluster.status.succeeded) == ("1", 1)
    assert [pod.metadata.name for pod in cluster.active() if pod.metadata] == ["job-0-001"]
    cluster.change_job(completions=4, parallelism=4)
    cluster.turns()
    assert sorted(pod.metadata.name or "" for pod in cluster.active() if pod.metadata) == [
        "job-0-001",
        "job-2-005",
        "job-3-006",
    ]
    cluster.change_job(completions=0, parallelism=0)
    cluster.turns()
    cluster.turns()
    assert condition_types(cluster.status)[0] == "SuccessCriteriaMet"


def test_trapped_sigterm_with_pod_failure_policy() -> None:
    policy = m.PodFailurePolicy(rules=[])
    cluster = Cluster().put(make_job(completions=1, podFailurePolicy=policy))
    cluster.turns()
    cluster.delete_pod("job-001")
    cluster.turns()
    status = cluster.status
    assert (status.active, status.failed, status.terminating) == (None, None, 1)
    cluster.finish_pod("job-001", "Failed")
    cluster.turns()
    cluster.tick(10)
    cluster.turns()
    status = cluster.status
    assert (status.active, status.failed, status.terminating) == (1, 1, 0)


def test_a_job_at_rest_is_left_alone() -> None:
    cluster = Cluster().put(make_job(completions=1))
    cluster.turns()
    decision = cluster.turn()
    assert decision is not None
    assert decision.stages == ()
    assert decision.because == ("1 of 1 pods run; 0 of 1 completions; waits for pods to finish")


def test_pods_of_another_phase_are_told_apart() -> None:
    cluster = Cluster().put(make_job(completions=2, parallelism=2))
    cluster.put(make_pod("a", "Pending", ready=False), make_pod("b", "Running", ready=True))
    cluster.turns()
    assert (cluster.status.active, cluster.status.ready) == (2, 1)
    assert [phase(pod) for pod in cluster.pods] == ["Pending", "Running"]


def test_55_ready_is_shown_from_the_start() -> None:
    def shown() -> Any:
        return msgspec.json.decode(msgspec.json.encode(cluster.status)).get("ready")

    cluster = Cluster().put(make_job(completions=4, parallelism=2, suspend=True))
    cluster.turns()
    assert shown() == 0
    cluster.change_job(suspend=False)
    cluster.turns()
    cluster.put(*(make_pod(name, ready=True) for name in ("job-001", "job-002")))
    cluster.turns()
    assert shown() == 2
    cluster.change_job(suspend=True)
    cluster.turns()
    assert shown() == 0


def test_57_an_eviction_that_is_ignored_does_not_end_the_job() -> None:
    disrupted = m.PodCondition(type="DisruptionTarget", status="True")
    pattern = m.PodFailurePolicyOnPodConditionsPattern(type="DisruptionTarget", status="True")
    rule = m.PodFailurePolicyRule(action="Ignore", onPodConditions=[pattern])
    policy = m.PodFailurePolicy(rules=[rule])
    cluster = Cluster().put(make_job(completions=1, backoffLimit=0, podFailurePolicy=policy))
    cluster.put(make_pod("evicted", "Failed", exit_code=137, conditions=[disrupted]))
    cluster.tick(60)
    cluster.turns()
    [pod] = cluster.active()
    assert pod.metadata is not None
    cluster.finish_pod(pod.metadata.name or "", "Succeeded")
    cluster.turns()
    assert reasons(cluster.status)["Complete"] == "CompletionsReached"
    assert cluster.status.failed in (None, 0)
