"""Indexed Jobs: cases of job_controller_test.go."""

from __future__ import annotations

import pytest

from kubatch.api import models as m
from kubatch.controllers.job import names
from tests.unit.controllers.job.cases import (
    FAIL_JOB,
    after_turn,
    count,
    created_indexes,
    indexed,
    per_index,
    running,
    status,
)
from tests.unit.controllers.job.twin import (
    Cluster,
    condition_types,
    make_job,
    make_pod,
    reasons,
    seconds,
)


def test_13_indexed_some_running_and_completed() -> None:
    pods = [
        make_pod("p0", index=0),
        make_pod("p3", "Pending", index=3),
        *(make_pod(f"s{i}", "Succeeded", index=i) for i in (2, 4, 5, 7, 8, 9)),
    ]
    cluster = after_turn(indexed(parallelism=8, completions=20), *pods)
    assert created_indexes(cluster) == ["1", "10", "11", "12", "13", "6"]
    assert cluster.status.completedIndexes == "2,4,5,7-9"
    assert cluster.status.succeeded == 6


def test_14_repeated_completed_index() -> None:
    pods = [make_pod(f"s{i}", "Succeeded", index=index) for i, index in enumerate([0, 1, 1])]
    cluster = after_turn(indexed(parallelism=1, completions=3), *pods)
    assert cluster.status.completedIndexes == "0,1"
    assert cluster.status.succeeded == 2
    assert count(cluster, "remove finalizer") == 3


@pytest.mark.parametrize("index", [None, 5, "x", "-1"])
def test_15_pods_with_a_bad_index(index: int | str | None) -> None:
    pods = [
        make_pod("r0", index=0),
        make_pod("bad", index=index),
        make_pod("ok", "Succeeded", index=1),
        make_pod("bad-ok", "Succeeded", index=index),
        make_pod("bad-fail", "Failed", index=index),
    ]
    cluster = after_turn(indexed(parallelism=4, completions=5), *pods)
    assert count(cluster, "delete pod") == 1
    assert count(cluster, "create pod") == 0
    assert (cluster.status.succeeded, cluster.status.failed) == (1, None)


def test_16_repeated_indexes_lose_the_lower_ranked() -> None:
    pods = [make_pod("a", "Pending", index=2), make_pod("b", index=2), make_pod("c", index=0)]
    cluster = after_turn(indexed(parallelism=5, completions=5), *pods)
    assert cluster.events[0] == ("Normal", "SuccessfulDelete", "Deleted pod: a")
    assert count(cluster, "delete pod") == 1


@pytest.mark.parametrize(
    ("policy", "created"), [("Failed", ["0"]), ("TerminatingOrFailed", ["0", "1"])]
)
def test_17_index_with_a_terminating_pod(policy: str, created: list[str]) -> None:
    job = indexed(parallelism=3, completions=3, podReplacementPolicy=policy)
    cluster = after_turn(job, make_pod("p1", index=1, deleting=True), make_pod("p2", index=2))
    assert created_indexes(cluster) == created


def test_18_failed_indexed_job() -> None:
    job = indexed(parallelism=2, completions=3, backoffLimit=0)
    pods = [
        make_pod("s", "Succeeded", index=0),
        make_pod("f", "Failed", index=1),
        make_pod("r", index=2, ready=True),
    ]
    cluster = after_turn(job, *pods)
    assert cluster.status.failed == 2
    assert (cluster.status.terminating, cluster.status.ready) == (1, 0)
    assert condition_types(cluster.status) == ["FailureTarget"]


def test_19_ready_drops_with_the_deletion() -> None:
    suspended = after_turn(make_job(completions=2, suspend=True), *running(2, ready=True))
    assert [s.ready for s in suspended.statuses] == [0]
    surplus = after_turn(make_job(completions=2, parallelism=1), *running(2, ready=True))
    assert [s.ready for s in surplus.statuses] == [1]


def test_40_corrupt_completed_indexes() -> None:
    job = indexed(
        parallelism=2, completions=4, status=status(completedIndexes="0,1-foo,bar", succeeded=3)
    )
    cluster = after_turn(job)
    assert (cluster.status.completedIndexes, cluster.status.succeeded) == ("0", 1)
    assert created_indexes(cluster) == ["1", "2"]


def test_48_scale_to_zero_completes() -> None:
    cluster = after_turn(indexed(parallelism=0, completions=0))
    assert reasons(cluster.status)["Complete"] == "CompletionsReached"


def test_30_failed_pod_is_counted_when_its_replacement_is_seen() -> None:
    job = per_index(parallelism=2, completions=2)
    cluster = after_turn(job, make_pod("f", "Failed", index=0, failures=0), at=5)
    assert cluster.status.failed is None
    assert created_indexes(cluster) == ["1"]
    cluster.put(make_pod("r", index=0, failures=1))
    cluster.turn()
    assert cluster.status.failed == 1


def test_34_fail_job_with_a_limit_per_index() -> None:
    job = per_index(parallelism=1, completions=2, podFailurePolicy=FAIL_JOB)
    cluster = after_turn(job, make_pod("f", "Failed", index=0, failures=0, exit_code=42))
    assert reasons(cluster.status)["Failed"] == "PodFailurePolicy"
    assert cluster.status.failedIndexes == ""


def rule(action: str) -> m.PodFailurePolicy:
    requirement = m.PodFailurePolicyOnExitCodesRequirement(operator="In", values=[1])
    return m.PodFailurePolicy(
        rules=[m.PodFailurePolicyRule(action=action, onExitCodes=requirement)]
    )


def test_34_ignored_failures_are_carried_on() -> None:
    job = per_index(parallelism=1, completions=1, podFailurePolicy=rule("Ignore"))
    cluster = after_turn(job, make_pod("f", "Failed", index=0, failures=1))
    [created] = [pod for pod in cluster.pods if pod.metadata and pod.metadata.generateName]
    assert created.metadata is not None
    annotations = created.metadata.annotations or {}
    assert annotations[names.INDEX_FAILURES] == "1"
    assert annotations[names.INDEX_IGNORED_FAILURES] == "1"
    cluster.turn()
    assert cluster.status.failed is None


def test_fail_index() -> None:
    job = per_index(5, parallelism=1, completions=2, podFailurePolicy=rule("FailIndex"))
    cluster = after_turn(job, make_pod("f", "Failed", index=0, failures=0))
    assert (cluster.status.failedIndexes, cluster.status.failed) == ("0", 1)
    assert created_indexes(cluster) == ["1"]


def test_35_global_limit_beside_the_limit_per_index() -> None:
    job = per_index(parallelism=2, completions=2, backoffLimit=1)
    pods = [make_pod(f"f{i}", "Failed", index=i, failures=0) for i in range(2)]
    cluster = after_turn(job, *pods)
    assert reasons(cluster.status)["Failed"] == "BackoffLimitExceeded"
    assert cluster.status.failedIndexes == ""


def test_36_too_many_failed_indexes() -> None:
    job = per_index(0, parallelism=3, completions=3, maxFailedIndexes=1)
    pods = [make_pod(f"f{i}", "Failed", index=i, failures=0) for i in range(2)]
    cluster = after_turn(job, *pods, make_pod("r", index=2))
    assert reasons(cluster.status) == {"FailureTarget": "MaxFailedIndexesExceeded"}
    assert (cluster.status.failed, cluster.status.terminating) == (3, 1)
    assert cluster.status.failedIndexes == "0,1"


def test_39_replacement_waits_by_all_failures_of_its_index() -> None:
    job = per_index(9, parallelism=1, completions=1)
    failed = make_pod("f", "Failed", index=0, failures=1, ignored=1, finished_at=seconds(90))
    cluster = after_turn(job, failed)
    assert cluster.decision is not None
    assert cluster.decision.wake_at == seconds(130)
    assert count(cluster, "create pod") == 0


def test_an_index_never_both_succeeds_and_fails() -> None:
    job = per_index(1, parallelism=2, completions=2)
    late, replacement = make_pod("a", "Succeeded", index=1), make_pod("b", index=1, failures=1)
    cluster = after_turn(job, make_pod("r", index=0), late)
    cluster.put(replacement)
    cluster.finish_pod("b", "Failed")
    cluster.turns()
    assert (cluster.status.completedIndexes, cluster.status.failedIndexes) == ("1", "")
    lost = after_turn(per_index(1, completions=2, status=status(failedIndexes="1")), late)
    assert (lost.status.completedIndexes, lost.status.failedIndexes) == (None, "1")


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [((1, 1), (0, 9), "a"), ((0, 1), (1, 1), "b"), ((0, 1), (0, 9), "b"), ((0, 9), (0, 1), "a")],
)
def test_the_failed_pod_that_carries_the_count_is_kept(
    first: tuple[int, int], second: tuple[int, int], kept: str
) -> None:
    pods = [
        make_pod(name, "Failed", index=0, failures=failures, finished_at=seconds(ended))
        for name, (failures, ended) in (("a", first), ("b", second))
    ]
    cluster = after_turn(per_index(5, completions=1), *pods, at=10)
    held = [pod.metadata.name for pod in cluster.pods if pod.metadata and pod.metadata.finalizers]
    assert held == [kept]
    assert cluster.status.failed == 1


def test_58_failing_odd_indexes() -> None:
    cluster = Cluster().put(per_index(1, parallelism=4, completions=4))
    seen: dict[str, list[str]] = {}
    for _ in range(6):
        cluster.turns()
        for pod in cluster.active():
            assert pod.metadata is not None
            assert pod.metadata.annotations is not None
            index = pod.metadata.annotations[names.COMPLETION_INDEX]
            seen.setdefault(index, []).append(pod.metadata.annotations[names.INDEX_FAILURES])
            end = "Failed" if int(index) % 2 else "Succeeded"
            cluster.finish_pod(pod.metadata.name or "", end)
        cluster.tick(10)
    assert seen == {"0": ["0"], "1": ["0", "1"], "2": ["0"], "3": ["0", "1"]}
    assert (cluster.status.failed, cluster.status.succeeded) == (4, 2)
    assert cluster.status.failedIndexes == "1,3"
    assert cluster.status.completedIndexes == "0,2"
    assert reasons(cluster.status)["Failed"] == "FailedIndexes"


def test_nothing_replaces_an_index_that_has_failed_for_good() -> None:
    job = per_index(0, completions=3, parallelism=3, status=status(failedIndexes="0", failed=1))
    cluster = after_turn(job, *(make_pod(f"p{i}", index=i) for i in (1, 2)))
    assert count(cluster, "create pod") == 0
    assert cluster.decision is not None
    assert cluster.decision.wake_at is None
    assert "back-off" not in cluster.decision.because
