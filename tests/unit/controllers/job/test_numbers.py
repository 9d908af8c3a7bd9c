"""Numbers of pods, and suspension: cases of job_controller_test.go."""

from __future__ import annotations

import pytest

from kubatch.api import models as m
from kubatch.controllers.job.facts import read_job
from kubatch.reconcile.decision import Create, Delete, RemoveFinalizer
from tests.unit.controllers.job.cases import (
    after_turn,
    condition,
    count,
    done,
    running,
    status,
)
from tests.unit.controllers.job.twin import (
    Cluster,
    condition_types,
    make_job,
    make_pod,
    seconds,
)


@pytest.mark.parametrize("completions", [5, None])
def test_1_start(completions: int | None) -> None:
    cluster = after_turn(make_job(parallelism=2, completions=completions))
    assert count(cluster, "create pod") == 2
    assert (cluster.status.active, cluster.status.ready) == (2, 0)


def test_2_too_few_active_pods() -> None:
    job = make_job(parallelism=2, completions=5)
    cluster = after_turn(job, *running(1), *done("Succeeded", 1))
    assert count(cluster, "create pod") == 1
    assert count(cluster, "remove finalizer") == 1
    assert cluster.status.succeeded == 1


def test_3_more_active_pods_than_parallelism() -> None:
    cluster = after_turn(make_job(parallelism=2, completions=20), *running(10))
    assert count(cluster, "delete pod") == 8
    assert count(cluster, "remove finalizer") == 8
    assert (cluster.status.active, cluster.status.terminating) == (2, 8)


def test_3_more_active_pods_than_remaining_completions() -> None:
    job = make_job(parallelism=3, completions=4)
    cluster = after_turn(job, *running(3), *done("Succeeded", 2))
    assert count(cluster, "delete pod") == 1
    assert (cluster.status.active, cluster.status.succeeded) == (2, 2)


def test_4_work_queue_finishing() -> None:
    cluster = after_turn(make_job(parallelism=2), *running(1), *done("Succeeded", 1))
    assert count(cluster, "create pod") == 0
    assert condition_types(cluster.status) == []


def test_4_work_queue_finished_despite_a_failure() -> None:
    cluster = after_turn(make_job(parallelism=2), *done("Succeeded", 1), *done("Failed", 1))
    assert "Complete" in condition_types(cluster.status)
    assert (cluster.status.succeeded, cluster.status.failed) == (1, 1)


@pytest.mark.parametrize(("policy", "failed"), [("Failed", 1), ("TerminatingOrFailed", 2)])
def test_5_work_queue_recreates_when_failed(policy: str, failed: int) -> None:
    job = make_job(parallelism=1, podReplacementPolicy=policy)
    gone = make_pod("gone", deleting=True)
    cluster = after_turn(job, *running(1), *done("Failed", 1), gone)
    assert count(cluster, "create pod") == 0
    assert (cluster.status.terminating, cluster.status.failed) == (1, failed)


def test_6_more_terminating_pods_than_parallelism() -> None:
    job = make_job(parallelism=1, completions=10, podReplacementPolicy="Failed")
    ending = [make_pod(f"end-{i}", deleting=True) for i in range(4)]
    cluster = after_turn(job, *running(2), *ending)
    assert (count(cluster, "delete pod"), count(cluster, "create pod")) == (1, 0)
    assert cluster.status.terminating == 5


def test_7_and_8_back_off_holds_creation_until_a_success() -> None:
    job = make_job(parallelism=2, completions=5)
    failed = make_pod("f", "Failed", finished_at=seconds(95))
    cluster = after_turn(job, *running(1), failed)
    assert count(cluster, "create pod") == 0
    assert cluster.status.active == 1, "the true number, though nothing was created"
    assert cluster.decision is not None
    assert cluster.decision.wake_at == seconds(105)
    reset = make_pod("s", "Succeeded", finished_at=seconds(96))
    cluster.put(reset)
    cluster.turn()
    assert count(cluster, "create pod") == 1


def test_9_api_refuses_after_ten() -> None:
    cluster = Cluster().put(make_job(parallelism=100, completions=100))
    attempts = 0

    def refuse(write: object) -> bool:
        nonlocal attempts
        attempts += isinstance(write, Create)
        return isinstance(write, Create) and attempts > 10

    cluster.refuse = refuse
    cluster.turn()
    assert cluster.status.active == 10
    assert attempts == 15, "1 + 2 + 4 + 8, and then no more"


def test_10_too_many_pods_and_the_api_refuses() -> None:
    cluster = Cluster().put(make_job(parallelism=1, completions=9), *running(3))
    cluster.refuse = lambda write: isinstance(write, RemoveFinalizer)
    cluster.turn()
    assert cluster.status.active == 3
    assert count(cluster, "delete pod") == 0
    cluster.refuse = lambda write: isinstance(write, Delete)
    cluster.turn()
    assert cluster.status.active == 3
    assert [reason for _, reason, _ in cluster.events] == ["FailedDelete"] * 2
    cluster.refuse = lambda write: False
    cluster.turns()
    assert cluster.status.active == 1


def test_11_deleted_job_gives_up_its_pods() -> None:
    job = make_job(parallelism=3, completions=9, deleting=True)
    cluster = after_turn(job, *running(2), *done("Succeeded", 1))
    assert cluster.log == ["put status"] + ["remove finalizer"] * 3 + ["put status"]
    assert (cluster.status.succeeded, cluster.status.failed) == (1, None)


def test_11_deleted_job_still_fails() -> None:
    job = make_job(backoffLimit=0, deleting=True)
    cluster = after_turn(job, *done("Failed", 1))
    assert "Failed" in condition_types(cluster.status)


def test_47_parallelism_changes() -> None:
    cluster = after_turn(make_job(parallelism=5, completions=20, backoffLimit=2))
    cluster.change_job(parallelism=2)
    cluster.turns()
    assert (cluster.status.active, cluster.status.terminating) == (2, 3)
    cluster.change_job(parallelism=4)
    cluster.turns()
    assert (cluster.status.active, cluster.status.failed) == (4, None)


def test_defaults_where_the_registry_did_not_fill_them_in() -> None:
    cluster = after_turn(make_job(parallelism=None, backoffLimit=None, completionMode=None))
    assert count(cluster, "create pod") == 1
    spec = read_job(make_job(parallelism=None, backoffLimit=None)).spec
    assert (spec.parallelism, spec.completions, spec.backoff_limit) == (1, 1, 6)
    limited = read_job(make_job(backoffLimit=None, backoffLimitPerIndex=1)).spec
    assert limited.backoff_limit == 2**31 - 1


def test_paused_by_parallelism_zero() -> None:
    cluster = after_turn(make_job(parallelism=0, completions=2), *running(1))
    assert (cluster.status.active, cluster.status.failed) == (None, None)
    assert cluster.status.startTime is not None
    assert condition_types(cluster.status) == []


def test_20_suspending_a_deleted_job() -> None:
    cluster = after_turn(make_job(suspend=True, deleting=True, status=status()), *running(2))
    assert count(cluster, "delete pod") == 0
    assert count(cluster, "remove finalizer") == 2
    assert cluster.status.conditions is None


def test_20_resuming() -> None:
    conditions = [condition("Suspended", "True", "JobSuspended", "Job suspended")]
    job = make_job(parallelism=2, completions=4, status=m.JobStatus(conditions=conditions))
    cluster = after_turn(job)
    [only] = cluster.status.conditions or []
    assert (only.type, only.status) == ("Suspended", "False")
    assert cluster.status.active == 2
    assert cluster.status.startTime == seconds(100)
