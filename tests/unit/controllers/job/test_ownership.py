"""Whose pods are whose, and which events matter: cases of job_controller_test.go."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import models as m
from kubatch.api.resource import JOBS, PODS
from kubatch.controllers.job import controller, names
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Patch, Present, RemoveFinalizer, stage
from tests.unit.controllers.job.cases import (
    FAIL_JOB,
    after_turn,
    count,
    done,
    running,
)
from tests.unit.controllers.job.twin import (
    KEY,
    UID,
    Cluster,
    Crashed,
    condition_types,
    make_job,
    make_pod,
    reasons,
    seconds,
)


def test_41_adopts_a_matching_orphan() -> None:
    orphan = make_pod("orphan", controlled=False, tracked=False)
    cluster = after_turn(make_job(completions=2), orphan)
    assert cluster.log == ["patch pod", "put status"]
    assert cluster.status.active == 1
    [pod] = cluster.pods
    assert pod.metadata is not None
    assert pod.metadata.finalizers == [names.TRACKING_FINALIZER]
    [owner] = pod.metadata.ownerReferences or []
    assert (owner.uid, owner.controller, owner.blockOwnerDeletion) == (UID, True, True)


def test_41_what_an_adoption_rests_on_is_asked_first() -> None:
    """That the Job is there, and that the pod is: a cache may be behind about both."""
    orphan = make_pod("orphan", controlled=False, tracked=False)
    cluster = after_turn(make_job(completions=2), orphan)
    assert cluster.decision is not None
    check, adoption, *_ = cluster.decision.stages
    assert check == stage(Present(JOBS, "ns", "job", UID))
    assert [w.required for w in adoption.writes if isinstance(w, Patch)] == [True]


@pytest.mark.parametrize("manual", [False, True])
def test_41_only_with_the_selector(manual: bool) -> None:
    selector = m.LabelSelector(matchLabels={"app": "x"}) if manual else None
    spec: dict[str, Any] = {"selector": selector, "manualSelector": True} if manual else {}
    mine = make_pod("mine", controlled=False, labels={"app": "x"})
    cluster = after_turn(make_job(completions=5, parallelism=1, **spec), mine)
    assert count(cluster, "patch pod") == int(manual)


def test_41_a_deleted_job_adopts_nothing() -> None:
    orphan = make_pod("orphan", controlled=False, tracked=False)
    cluster = after_turn(make_job(completions=2, deleting=True), orphan)
    assert count(cluster, "patch pod") == 0


def test_41_terminating_orphans_are_left_alone() -> None:
    orphan = make_pod("orphan", controlled=False, tracked=False, deleting=True)
    assert count(after_turn(make_job(completions=2), orphan), "patch pod") == 0


def test_41_releases_what_does_not_match() -> None:
    stranger = make_pod("stranger", labels={})
    cluster = after_turn(make_job(completions=1), stranger)
    assert cluster.log == ["patch pod", "create pod", "put status"]
    assert cluster.status.active == 1


def test_45_a_job_created_anew_does_not_inherit() -> None:
    cluster = Cluster(now=seconds(1)).put(make_job(), *done("Failed", 1))
    cluster.turn()
    assert cluster.remembered[KEY].failures == 1
    del cluster.objects[PODS, "ns", "failed-0"]
    cluster.put(make_job(uid="other"))
    cluster.turn()
    assert count(cluster, "create pod") == 1, "44: at once, without the old one's back-off"


def test_43_restart_between_interim_and_terminal_condition() -> None:
    job = make_job(backoffLimit=0, podFailurePolicy=FAIL_JOB)
    cluster = Cluster().put(job, make_pod("f", "Failed", exit_code=42))
    cluster.refuse = lambda write: isinstance(write, RemoveFinalizer)
    cluster.turn()
    assert condition_types(cluster.status) == ["FailureTarget"]
    message = (cluster.status.conditions or [])[0].message
    restarted = Cluster(now=cluster.now).put(cluster.job)
    restarted.turn()
    failed = (restarted.status.conditions or [])[1]
    assert (failed.type, failed.message) == ("Failed", message)
    assert restarted.status.failed == 1


def test_50_failed_with_interrupts() -> None:
    job = make_job(completions=10, parallelism=10, backoffLimit=0)
    cluster = after_turn(job, *done("Succeeded", 9), *done("Failed", 1))
    assert "Failed" in condition_types(cluster.status)
    assert (cluster.status.succeeded, cluster.status.failed) == (9, 1)


@pytest.mark.parametrize("after", range(12))
def test_50_interrupted_before_any_write(after: int) -> None:
    job = make_job(completions=10, parallelism=10, backoffLimit=0)
    first = Cluster(now=seconds(100)).put(job, *done("Succeeded", 9), *done("Failed", 1))
    first.crash_in = after
    with pytest.raises(Crashed):
        first.turns()
    second = Cluster(now=seconds(101), objects=first.objects)
    second.turns()
    assert reasons(second.status) == {
        "FailureTarget": "BackoffLimitExceeded",
        "Failed": "BackoffLimitExceeded",
    }
    assert (second.status.succeeded, second.status.failed) == (9, 1)


def test_45_a_job_created_anew_for_another_controller_is_left_alone() -> None:
    cluster = Cluster(now=seconds(1)).put(make_job(), *running(1))
    cluster.turn()
    cluster.put(make_job(uid="other", managedBy="acme.io/x"))
    cluster.log.clear()
    decision = cluster.turn()  # the one that was due for the old Job
    assert decision is not None
    assert decision.because == "is managed by acme.io/x"
    assert (cluster.log, decision.remember) == ([], None)


def keys(old: m.Pod | None, new: m.Pod | None) -> list[Key]:
    return list(controller().watches[PODS](old, new))


def test_pod_events_that_need_no_turn() -> None:
    active, ended = make_pod("p"), make_pod("p", "Succeeded")
    settled = make_pod("p", "Succeeded", tracked=False)
    assert keys(None, active) == [KEY]
    assert keys(active, ended) == [KEY]
    assert keys(active, settled) == [KEY]
    assert keys(ended, None) == [KEY]
    assert keys(ended, settled) == []
    assert keys(None, settled) == []
    assert keys(settled, None) == []


def test_pod_events_name_the_controller_or_the_label() -> None:
    assert keys(None, make_pod("p", job_name="other")) == [Key("ns", "other")]
    assert keys(None, make_pod("p", controlled=False)) == [KEY]
    assert keys(None, make_pod("p", controlled=False, labels={})) == []
    handed_over = keys(make_pod("p", job_name="old"), make_pod("p", controlled=False))
    assert set(handed_over) == {Key("ns", "old"), KEY}


def test_job_events_name_the_job() -> None:
    watch = controller().watches[JOBS]
    job = make_job()
    assert list(watch(None, job)) == list(watch(job, job)) == list(watch(job, None)) == [KEY]


def test_pod_patched_away_from_a_foreign_controller() -> None:
    pod = make_pod("p")
    assert pod.metadata is not None
    pod.metadata.ownerReferences = [m.OwnerReference("apps/v1", "ReplicaSet", "r", "u", True, True)]
    assert keys(None, pod) == []


def test_gone_job_has_no_facts() -> None:
    cluster = after_turn(make_job())
    del cluster.objects[JOBS, "ns", "job"]
    assert cluster.turn() is None
    assert cluster.remembered == {}
