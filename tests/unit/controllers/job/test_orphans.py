from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import models as m
from kubatch.api.resource import JOBS, PODS
from kubatch.controllers.job import orphans
from kubatch.controllers.job.facts import is_tracked
from kubatch.reconcile.controller import Key
from tests.unit.controllers.job.twin import UID, Cluster, make_job, make_pod

JOB_KEY = Key("ns", f"job/job/{UID}")
POD_KEY = Key("ns", "pod/p")
FINISHED = m.JobStatus(conditions=[m.JobCondition(type="Failed", status="True")])


def tracked_after(key: Key, *objects: m.Job | m.Pod) -> bool:
    cluster = Cluster().put(*objects)
    cluster.orphans(key)
    pod = cluster.get(PODS, "ns", "p")
    assert pod is not None
    return is_tracked(pod)


@pytest.mark.parametrize(
    ("job", "keeps"),
    [
        (None, False),
        (make_job(), True),
        (make_job(status=FINISHED), False),
        (make_job(uid="another"), False),
        (make_job(managedBy="acme.io/x"), True),
        (make_job(managedBy="acme.io/x", status=FINISHED), True),
        (make_job(deleting=True), True),
    ],
    ids=["gone", "running", "finished", "anew", "managed", "managed-finished", "deleting"],
)
def test_42_pod_of_a_job(job: m.Job | None, keeps: bool) -> None:
    objects = [make_pod("p")] if job is None else [make_pod("p"), job]
    assert tracked_after(JOB_KEY, *objects) == keeps


def test_a_job_that_is_deleted_lets_go_of_pods_it_does_not_select() -> None:
    """It would neither count nor release them, and wait for them for ever."""
    relabelled = make_pod("p", labels={"app": "another"})
    assert not tracked_after(JOB_KEY, relabelled, make_job(deleting=True))
    assert tracked_after(JOB_KEY, relabelled, make_job())
    assert tracked_after(JOB_KEY, relabelled, make_job(deleting=True, managedBy="acme.io/x"))


def test_42_pods_without_controller() -> None:
    assert not tracked_after(POD_KEY, make_pod("p", controlled=False))
    assert not tracked_after(POD_KEY, make_pod("p", controlled=False, labels={}), make_job())


def test_42_pods_of_other_controllers() -> None:
    pod = make_pod("p", controlled=False)
    assert pod.metadata is not None
    plain_job = m.OwnerReference("batch/v1", "Job", "gone", "gone")
    crd = m.OwnerReference("acme.io/v1", "Job", "job", UID, None, True)
    pod.metadata.ownerReferences = [crd, plain_job]
    assert tracked_after(POD_KEY, pod)
    assert tracked_after(JOB_KEY, pod)
    pod.metadata.ownerReferences = [plain_job]
    assert not tracked_after(POD_KEY, pod), "a plain reference to a Job does not protect"


def test_a_pod_about_to_be_adopted_keeps_its_finalizer() -> None:
    pod = make_pod("p", controlled=False)
    assert tracked_after(POD_KEY, pod, make_job())
    for leaving in (make_job(deleting=True), make_job(status=FINISHED)):
        assert not tracked_after(POD_KEY, pod, leaving)
        assert not tracked_after(JOB_KEY, pod, leaving)


def test_49_no_finalizer_outlives_its_job() -> None:
    cluster = Cluster().put(make_job(parallelism=2, completions=4))
    cluster.turns()
    del cluster.objects[JOBS, "ns", "job"]
    cluster.orphans(JOB_KEY)
    assert cluster.decision is not None
    assert cluster.decision.because == "its Job is gone: releases 2 pods"
    assert not any(is_tracked(pod) for pod in cluster.pods)
    cluster.orphans(JOB_KEY)
    assert cluster.decision is None


def keys(resource: Any, old: Any, new: Any) -> list[Key]:
    return list(orphans.controller().watches[resource](old, new))


def test_which_events_matter() -> None:
    job, gone = make_job(), None
    assert keys(JOBS, None, job) == []
    assert keys(JOBS, job, gone) == [JOB_KEY]
    assert keys(JOBS, job, make_job(status=FINISHED)) == [JOB_KEY]
    assert keys(JOBS, job, make_job(deleting=True)) == [JOB_KEY]
    assert keys(JOBS, job, make_job(uid="b")) == [JOB_KEY]
    pod, orphan = make_pod("p"), make_pod("p", controlled=False)
    assert keys(PODS, None, pod) == [JOB_KEY]
    assert keys(PODS, pod, pod) == []
    assert keys(PODS, pod, make_pod("p", labels={})) == [JOB_KEY]
    assert keys(PODS, pod, orphan) == [POD_KEY]
    assert keys(PODS, orphan, pod) == [JOB_KEY]
    assert keys(PODS, pod, make_pod("p", tracked=False)) == []
    assert keys(PODS, pod, gone) == []
