"""Counting of ended pods: cases of job_controller_test.go."""

from __future__ import annotations

from kubatch.api import models as m
from kubatch.controllers.job.backoff import BackoffRecord
from kubatch.reconcile.decision import RemoveFinalizer
from tests.unit.controllers.job.cases import (
    after_turn,
    count,
    done,
    running,
    status,
)
from tests.unit.controllers.job.twin import (
    KEY,
    START,
    UID,
    Cluster,
    condition_types,
    make_job,
)


def test_27_too_many_finished_pods_for_one_turn() -> None:
    cluster = after_turn(make_job(completions=600), *done("Succeeded", 600))
    assert cluster.status.succeeded == 500
    assert condition_types(cluster.status) == ["SuccessCriteriaMet"]
    assert cluster.decision is not None
    assert cluster.decision.wake_at == cluster.now
    cluster.turn()
    assert cluster.status.succeeded == 600
    assert "Complete" in condition_types(cluster.status)


def test_28_a_finalizer_that_stays() -> None:
    cluster = Cluster().put(make_job(completions=9), *done("Succeeded", 3))
    cluster.refuse = lambda write: (
        isinstance(write, RemoveFinalizer) and (write.name == "succeeded-1")
    )
    cluster.turn()
    cluster.turn()
    assert cluster.status.succeeded == 2
    assert (cluster.status.uncountedTerminatedPods or m.UncountedTerminatedPods()).succeeded == [
        "uid-succeeded-1"
    ]
    cluster.refuse = lambda write: False
    cluster.turns()
    assert cluster.status.succeeded == 3


def test_29_uncounted_pods_are_not_counted_twice() -> None:
    uncounted = m.UncountedTerminatedPods(succeeded=["uid-succeeded-0"], failed=["uid-gone"])
    job = make_job(completions=9, status=status(uncountedTerminatedPods=uncounted, succeeded=1))
    cluster = after_turn(job, *done("Succeeded", 2))
    assert (cluster.status.succeeded, cluster.status.failed) == (3, 1)


def test_surplus_pods_lose_the_finalizer_once() -> None:
    cluster = after_turn(make_job(completions=1), *running(1), *done("Succeeded", 1))
    assert count(cluster, "remove finalizer") == 2
    assert condition_types(cluster.status) == ["SuccessCriteriaMet"]


def test_a_failure_is_remembered_once() -> None:
    cluster = Cluster().put(make_job(completions=9), *done("Failed", 1))
    cluster.remembered[KEY] = BackoffRecord(UID, 1, START, frozenset({"uid-failed-0"}))
    cluster.turn()
    assert cluster.remembered[KEY].failures == 1
    cluster.turn()
    assert cluster.remembered[KEY] == BackoffRecord(UID, 1, START)


def test_a_pod_that_flips_from_failed_to_succeeded_stays_failed() -> None:
    uncounted = m.UncountedTerminatedPods(failed=["uid-succeeded-0", "uid-failed-0"])
    job = make_job(completions=9, status=status(uncountedTerminatedPods=uncounted))
    cluster = after_turn(job, *done("Succeeded", 1), *done("Failed", 1))
    assert (cluster.status.succeeded, cluster.status.failed) == (None, 2)
