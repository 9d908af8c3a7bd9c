"""Ends of Jobs: cases of job_controller_test.go."""

from __future__ import annotations

import pytest

from kubatch.api import models as m
from tests.unit.controllers.job.cases import (
    FAIL_JOB,
    after_turn,
    condition,
    count,
    done,
    indexed,
    status,
)
from tests.unit.controllers.job.twin import (
    Cluster,
    condition_types,
    make_job,
    make_pod,
    reasons,
)


@pytest.mark.parametrize("type", ["FailureTarget", "SuccessCriteriaMet", "Custom"])
def test_21_and_56_conditions_of_users_are_kept(type: str) -> None:
    mine = condition(type, "False")
    cluster = after_turn(make_job(status=status(conditions=[mine])))
    assert cluster.status.conditions == [mine]
    assert cluster.status.active == 1


def test_22_backoff_limit_wins_over_deadline() -> None:
    job = make_job(backoffLimit=0, activeDeadlineSeconds=1, status=status())
    cluster = after_turn(job, *done("Failed", 1))
    assert reasons(cluster.status)["Failed"] == "BackoffLimitExceeded"


def test_22_no_deadline_while_suspended() -> None:
    job = make_job(suspend=True, activeDeadlineSeconds=1, status=status())
    assert condition_types(after_turn(job).status) == ["Suspended"]


def test_22_deadline_before_any_pod() -> None:
    cluster = after_turn(make_job(activeDeadlineSeconds=0, completions=1))
    assert reasons(cluster.status)["Failed"] == "DeadlineExceeded"
    assert cluster.log == ["put status", "put status"]
    assert cluster.status.startTime is not None


def test_a_job_that_ends_while_suspended_gets_a_start_time() -> None:
    """Its pods failed before it was seen to run; the API takes no end without a start."""
    job = make_job(suspend=True, backoffLimit=0, status=status(startTime=None))
    cluster = after_turn(job, *done("Failed", 1))
    assert condition_types(cluster.status) == ["FailureTarget", "Failed"]
    assert cluster.status.startTime is not None


def test_23_failed_condition_is_updated_in_place() -> None:
    job = make_job(backoffLimit=0, status=status(conditions=[condition("Failed", "False")]))
    cluster = after_turn(job, *done("Failed", 1))
    conditions = cluster.status.conditions or []
    assert [c.type for c in conditions] == ["Failed", "FailureTarget"]
    assert conditions[0].status == "True"


@pytest.mark.parametrize(
    ("managed_by", "writes"), [("acme.io/x", 0), ("kubernetes.io/job-controller", 2)]
)
def test_24_managed_by(managed_by: str, writes: int) -> None:
    cluster = after_turn(make_job(managedBy=managed_by))
    assert len(cluster.log) == writes


@pytest.mark.parametrize(
    ("limit", "restarts", "phase", "fails"),
    [
        (1, [1], "Running", True),
        (1, [1], "Pending", True),
        (0, [0], "Running", False),
        (0, [1], "Running", True),
        (3, [1, 1], "Running", False),
        (3, [2, 1], "Running", True),
    ],
)
def test_25_restarts_with_on_failure(
    limit: int, restarts: list[int], phase: str, fails: bool
) -> None:
    job = make_job(
        backoffLimit=limit, restart="OnFailure", parallelism=len(restarts), completions=5
    )
    pods = [make_pod(f"p{i}", phase, restarts=n) for i, n in enumerate(restarts)]
    cluster = after_turn(job, *pods)
    assert (reasons(cluster.status) == {"FailureTarget": "BackoffLimitExceeded"}) == fails
    assert (cluster.status.failed or 0) == (len(pods) if fails else 0)


def test_25_restarts_of_pods_that_have_ended_are_history() -> None:
    job = make_job(backoffLimit=3, restart="OnFailure", parallelism=2, completions=5)
    ended = make_pod("ended", "Succeeded", restarts=9)
    cluster = after_turn(job, ended, make_pod("runs", restarts=2))
    assert reasons(cluster.status) == {}
    assert cluster.status.succeeded == 1


@pytest.mark.parametrize(("failed", "ends"), [(6, False), (7, True)])
def test_26_backoff_limit_with_never(failed: int, ends: bool) -> None:
    cluster = after_turn(make_job(completions=1), *done("Failed", failed))
    assert ("Failed" in condition_types(cluster.status)) == ends
    assert cluster.status.failed == failed


def test_57_backoff_limit_one_makes_two_pods() -> None:
    cluster = Cluster().put(make_job(completions=1, backoffLimit=1))
    for _ in range(4):
        cluster.turns()
        for pod in cluster.active():
            assert pod.metadata is not None
            cluster.finish_pod(pod.metadata.name or "", "Failed")
        cluster.tick(1000)
    assert len(cluster.pods) == 2
    assert "Failed" in condition_types(cluster.status)


def test_31_message_of_a_pod_that_is_gone_is_kept() -> None:
    target = condition("FailureTarget", "True", "PodFailurePolicy", "pod gone matched")
    cluster = after_turn(make_job(status=status(conditions=[target])))
    failed = (cluster.status.conditions or [])[1]
    assert (failed.reason, failed.message) == ("PodFailurePolicy", "pod gone matched")
    assert cluster.events == [("Warning", "PodFailurePolicy", "pod gone matched")]


ANY_INDEX = m.SuccessPolicy(rules=[m.SuccessPolicyRule(succeededCount=1)])


def test_32_what_was_decided_stays() -> None:
    met = condition("SuccessCriteriaMet", "True", "SuccessPolicy", "Matched rules at index 0")
    job = indexed(
        completions=2,
        parallelism=2,
        backoffLimit=0,
        podFailurePolicy=FAIL_JOB,
        successPolicy=ANY_INDEX,
        status=status(conditions=[met], completedIndexes="0", succeeded=1),
    )
    cluster = after_turn(job, make_pod("f", "Failed", index=1, exit_code=42))
    assert reasons(cluster.status)["Complete"] == "SuccessPolicy"
    target = condition("FailureTarget", "True", "BackoffLimitExceeded")
    job = indexed(
        completions=2,
        parallelism=2,
        successPolicy=ANY_INDEX,
        status=status(conditions=[target]),
    )
    cluster = after_turn(job, make_pod("s", "Succeeded", index=1))
    assert reasons(cluster.status)["Failed"] == "BackoffLimitExceeded"


def test_33_failure_wins_over_success() -> None:
    job = indexed(completions=2, parallelism=2, backoffLimit=0, successPolicy=ANY_INDEX)
    pods = [make_pod("s", "Succeeded", index=0), make_pod("f", "Failed", index=1)]
    assert "Failed" in condition_types(after_turn(job, *pods).status)


def test_success_policy_deletes_the_rest_uncounted() -> None:
    job = indexed(completions=3, parallelism=3, successPolicy=ANY_INDEX)
    pods = [make_pod("s", "Succeeded", index=0), make_pod("r", index=1)]
    cluster = after_turn(job, *pods)
    assert condition_types(cluster.status) == ["SuccessCriteriaMet"]
    assert (cluster.status.terminating, cluster.status.failed) == (1, None)
    assert count(cluster, "remove finalizer") == 2
    cluster.finish_pod("r", "Failed")
    cluster.turns()
    assert reasons(cluster.status)["Complete"] == "SuccessPolicy"
    assert cluster.status.failed is None


def test_51_suspended_job_without_completions_completes() -> None:
    cluster = after_turn(make_job(completions=0, suspend=True))
    assert condition_types(cluster.status) == ["SuccessCriteriaMet", "Complete"]
    assert cluster.status.startTime is None


def test_too_many_succeeded_pods() -> None:
    cluster = after_turn(make_job(completions=1), *done("Succeeded", 2))
    assert [reason for _, reason, _ in cluster.events] == ["TooManySucceededPods", "Completed"]


def test_unknown_completion_mode() -> None:
    cluster = after_turn(make_job(completionMode="Foo"))
    assert cluster.events == [
        (
            "Warning",
            "UnknownCompletionMode",
            "Skipped Job sync because completion mode is unknown",
        )
    ]
    assert cluster.log == []
