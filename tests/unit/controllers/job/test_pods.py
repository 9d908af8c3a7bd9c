from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api import models as m
from kubatch.controllers.job import names, pods
from kubatch.controllers.job.facts import SpecFacts, read_job, read_pod
from tests.unit.controllers.job.twin import make_job, make_pod, seconds


def template(**metadata: Any) -> m.PodTemplateSpec:
    env = [m.EnvVar(name="A", value="b")]
    return m.PodTemplateSpec(
        metadata=m.ObjectMeta(**metadata),
        spec=m.PodSpec(
            hostname="mine",
            containers=[m.Container(name="a", env=env), m.Container(name="b")],
            initContainers=[m.Container(name="i")],
        ),
    )


def test_pod_copies_the_template_but_not_who_it_is() -> None:
    metadata: dict[str, Any] = {"labels": {"a": "b"}, "annotations": {"c": "d"}}
    job = make_job(
        template=template(
            name="n", namespace="other", finalizers=["x.io/y"], ownerReferences=[], **metadata
        )
    )
    pod = pods.new_pod(read_job(job))
    assert pod.metadata == m.ObjectMeta(
        namespace="ns",
        generateName="job-",
        finalizers=["x.io/y", names.TRACKING_FINALIZER],
        ownerReferences=[m.OwnerReference("batch/v1", "Job", "job", "job-uid", True, True)],
        **metadata,
    )
    assert pod.spec is not None
    assert pod.spec.hostname == "mine"


def test_a_finalizer_of_the_template_is_not_doubled() -> None:
    job = make_job(template=template(finalizers=[names.TRACKING_FINALIZER]))
    pod = pods.new_pod(read_job(job))
    assert pod.metadata is not None
    assert pod.metadata.finalizers == [names.TRACKING_FINALIZER]


def test_a_pod_without_status_never_restarted() -> None:
    pod = make_pod("p")
    pod.status = None
    assert pods.deletion_rank(read_pod(pod, spec()))[4:6] == (0, 0)


def test_indexed_pod_knows_its_index() -> None:
    job = make_job(template=template(), completionMode="Indexed", completions=5)
    before = codec.encode(job)
    pod = pods.new_indexed_pod(read_job(job), 3, None)
    assert pod.metadata is not None
    assert pod.metadata.labels == {names.COMPLETION_INDEX: "3"}
    assert pod.metadata.annotations == {names.COMPLETION_INDEX: "3"}
    assert pod.metadata.generateName == "job-3-"
    assert pod.spec is not None
    assert pod.spec.hostname == "job-3"
    path = "metadata.labels['batch.kubernetes.io/job-completion-index']"
    added = m.EnvVar(
        name="JOB_COMPLETION_INDEX",
        valueFrom=m.EnvVarSource(fieldRef=m.ObjectFieldSelector(fieldPath=path)),
    )
    first, second = pod.spec.containers
    assert first.env == [m.EnvVar(name="A", value="b"), added]
    assert second.env == [added]
    assert (pod.spec.initContainers or [])[0].env == [added]
    assert codec.encode(job) == before


def test_index_variable_of_the_template_is_kept() -> None:
    own = template()
    assert own.spec is not None
    own.spec.containers[0].env = [m.EnvVar(name="JOB_COMPLETION_INDEX", value="7")]
    job = make_job(template=own, completionMode="Indexed", completions=5)
    pod = pods.new_indexed_pod(read_job(job), 3, None)
    assert pod.spec is not None
    assert pod.spec.containers[0].env == own.spec.containers[0].env


def test_first_pod_of_an_index_with_limit_counts_from_zero() -> None:
    job = make_job(completionMode="Indexed", completions=5, backoffLimitPerIndex=1)
    pod = pods.new_indexed_pod(read_job(job), 0, None)
    assert pod.metadata is not None
    assert pod.metadata.annotations == {names.COMPLETION_INDEX: "0", names.INDEX_FAILURES: "0"}


@pytest.mark.parametrize(
    ("job", "index", "name"),
    [
        ("indexed-job", 1, "indexed-job-1-"),
        ("x" * 70, 1, "x" * 55 + "-1-"),
        ("x" * 55, 1, "x" * 55 + "-1-"),
        ("x" * 55, 12, "x" * 54 + "-12-"),
    ],
)
def test_generated_name_keeps_the_index(job: str, index: int, name: str) -> None:
    assert pods.generate_name_with_index(job, index) == name


def spec() -> SpecFacts:
    return read_job(make_job()).spec


def ready_since(after: float) -> m.PodCondition:
    return m.PodCondition(type="Ready", status="True", lastTransitionTime=seconds(after))


def with_sidecar(name: str, restarts: int) -> m.Pod:
    pod = make_pod(name)
    assert pod.spec is not None
    assert pod.status is not None
    pod.spec.initContainers = [m.Container(name="side", restartPolicy="Always")]
    pod.status.initContainerStatuses = [
        m.ContainerStatus(name="side", image="", imageID="", ready=True, restartCount=restarts)
    ]
    return pod


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (make_pod("z", node=None), make_pod("a", "Pending")),
        (make_pod("z", "Pending", restarts=0), make_pod("a", "Unknown", restarts=9)),
        (make_pod("z", "Unknown"), make_pod("a", "Running")),
        (make_pod("z"), make_pod("a", ready=True)),
        (
            make_pod("z", conditions=[ready_since(9)]),
            make_pod("a", conditions=[ready_since(1)], restarts=5),
        ),
        (make_pod("z", restarts=2), make_pod("a", restarts=1, created=seconds(9))),
        (with_sidecar("z", 2), with_sidecar("a", 1)),
        (make_pod("z", created=seconds(9)), make_pod("a", created=seconds(1))),
        (make_pod("a"), make_pod("z")),
    ],
    ids=[
        "unassigned",
        "pending",
        "unknown",
        "unready",
        "ready",
        "restarts",
        "sidecar",
        "young",
        "name",
    ],
)
def test_deletion_rank(first: m.Pod, second: m.Pod) -> None:
    ranks = [pods.deletion_rank(read_pod(pod, spec())) for pod in (first, second)]
    assert ranks[0] < ranks[1]
