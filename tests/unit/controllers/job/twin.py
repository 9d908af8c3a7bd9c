"""A tiny cluster of plain dicts: carries Job decisions out, without engine, registry or client.

`turn()` does what the engine promises: reads what is stored, decides, applies stage by stage, ends
the turn at a failure. Writes can be refused, or the turn can crash between any two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from kubatch.api import codec
from kubatch.api import models as m
from kubatch.api.resource import JOBS, PODS, Resource
from kubatch.controllers.job import controller, indexes, names, orphans
from kubatch.reconcile.controller import Controller, Index, Key
from kubatch.reconcile.decision import (
    Absent,
    Create,
    Decision,
    Delete,
    Emit,
    Note,
    Patch,
    Present,
    PutStatus,
    RemoveFinalizer,
    Stage,
    Write,
)

T = TypeVar("T")
START = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)
UID = "job-uid"
KEY = Key("ns", "job")
LABELS = {
    "batch.kubernetes.io/controller-uid": UID,
    "batch.kubernetes.io/job-name": "job",
    "controller-uid": UID,
    "job-name": "job",
}


def seconds(after: float) -> datetime:
    return START + timedelta(seconds=after)


def make_job(
    *,
    name: str = "job",
    uid: str = UID,
    restart: str = "Never",
    status: m.JobStatus | None = None,
    deleting: bool = False,
    template: m.PodTemplateSpec | None = None,
    **spec: Any,
) -> m.Job:
    """A Job as the registry would have stored it."""
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("parallelism", 1)
    labels = {k: {UID: uid, "job": name}.get(v, v) for k, v in LABELS.items()}
    if template is None:
        container = m.Container(name="main", image="busybox", command=["true"])
        template = m.PodTemplateSpec(
            metadata=m.ObjectMeta(labels=dict(labels)),
            spec=m.PodSpec(containers=[container], restartPolicy=restart),
        )
    uid_label = names.CONTROLLER_UID_LABEL
    spec.setdefault("selector", m.LabelSelector(matchLabels={uid_label: uid}))
    return m.Job(
        metadata=m.ObjectMeta(
            name=name,
            namespace="ns",
            uid=uid,
            resourceVersion="1",
            generation=1,
            creationTimestamp=START,
            deletionTimestamp=START if deleting else None,
        ),
        spec=m.JobSpec(template=template, **spec),
        status=status or m.JobStatus(),
    )


def make_pod(
    name: str,
    phase: str = "Running",
    *,
    job_name: str = "job",
    job_uid: str = UID,
    deleting: bool = False,
    tracked: bool = True,
    index: int | str | None = None,
    ready: bool = False,
    finished_at: datetime | None = None,
    exit_code: int | None = None,
    failures: int | None = None,
    ignored: int | None = None,
    restarts: int = 0,
    controlled: bool = True,
    labels: dict[str, str] | None = None,
    conditions: Sequence[m.PodCondition] = (),
    created: datetime = START,
    node: str | None = "node",
) -> m.Pod:
    """A pod of a Job, as it would be found in a cache."""
    annotations: dict[str, str] = {}
    for annotation, value in (
        (names.COMPLETION_INDEX, index),
        (names.INDEX_FAILURES, failures),
        (names.INDEX_IGNORED_FAILURES, ignored),
    ):
        if value is not None:
            annotations[annotation] = str(value)
    owner = m.OwnerReference("batch/v1", "Job", job_name, job_uid, True, True)
    listed = list(conditions)
    if ready:
        listed.append(m.PodCondition(type="Ready", status="True", lastTransitionTime=created))
    return m.Pod(
        metadata=m.ObjectMeta(
            name=name,
            namespace="ns",
            uid=f"uid-{name}",
            resourceVersion="1",
            creationTimestamp=created,
            deletionTimestamp=START + timedelta(seconds=30) if deleting else None,
            deletionGracePeriodSeconds=30 if deleting else None,
            labels=LABELS if labels is None else labels,
            annotations=annotations or None,
            finalizers=[names.TRACKING_FINALIZER] if tracked else None,
            ownerReferences=[owner] if controlled else None,
        ),
        spec=m.PodSpec(containers=[m.Container(name="main")], nodeName=node),
        status=m.PodStatus(
            phase=phase,
            conditions=listed or None,
            containerStatuses=[_container_status(phase, restarts, exit_code, finished_at)],
        ),
    )


def _container_status(
    phase: str, restarts: int, exit_code: int | None, finished_at: datetime | None
) -> m.ContainerStatus:
    state = m.ContainerState(running=m.ContainerStateRunning(startedAt=START))
    if phase in ("Succeeded", "Failed"):
        code = exit_code if exit_code is not None else int(phase == "Failed")
        state = m.ContainerState(
            terminated=m.ContainerStateTerminated(exitCode=code, finishedAt=finished_at or START)
        )
    return m.ContainerStatus(
        name="main", image="busybox", imageID="", ready=False, restartCount=restarts, state=state
    )


class Refused(Exception):
    """The API said no."""


class Crashed(Exception):
    """The controller died here."""


@dataclass
class Cluster:
    """Jobs and pods in dicts, and everything that was done to them."""

    now: datetime = START
    objects: dict[tuple[Resource[Any], str, str], Any] = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    statuses: list[m.JobStatus] = field(default_factory=list)
    log: list[str] = field(default_factory=list)  # "create pod", "put status", ...
    counted: int = 0  # names given so far
    remembered: dict[Key, Any] = field(default_factory=dict)
    refuse: Callable[[Write], bool] = lambda write: False
    crash_in: int | None = None  # crash before the write of this number
    decision: Decision | None = None

    # ----- View

    def get(self, resource: Resource[T], namespace: str | None, name: str) -> T | None:
        return cast(T | None, self.objects.get((resource, namespace or "", name)))

    def list(self, resource: Resource[T]) -> Sequence[T]:
        keys = sorted((k for k in self.objects if k[0] is resource), key=lambda k: k[1:])
        return [self.objects[k] for k in keys]

    def indexed(self, index: Index, key: str) -> Sequence[Any]:
        return [obj for obj in self.list(index.resource) if key in set(index.keys(obj))]

    # ----- what tests do

    def put(self, *objects: m.Job | m.Pod) -> Cluster:
        for obj in objects:
            assert obj.metadata is not None
            resource: Resource[Any] = JOBS if isinstance(obj, m.Job) else PODS
            self.objects[resource, obj.metadata.namespace or "", obj.metadata.name or ""] = obj
        return self

    @property
    def job(self) -> m.Job:
        job = self.get(JOBS, "ns", "job")
        assert job is not None
        return job

    @property
    def status(self) -> m.JobStatus:
        return self.job.status or m.JobStatus()

    @property
    def pods(self) -> Sequence[m.Pod]:
        return self.list(PODS)

    def active(self) -> Sequence[m.Pod]:
        return [pod for pod in self.pods if phase(pod) not in DONE and not is_deleting(pod)]

    def tick(self, by: float) -> None:
        self.now += timedelta(seconds=by)

    def change_job(self, **spec: Any) -> None:
        job = self.job
        assert job.spec is not None
        self.put(replace(job, spec=replace(job.spec, **spec)))

    def change_status(self, **status: Any) -> None:
        self.put(replace(self.job, status=replace(self.status, **status)))

    def finish_pod(self, name: str, phase: str, exit_code: int | None = None) -> None:
        """The node agent reports a pod's end; its deletion is completed if it was asked for."""
        pod = self.get(PODS, "ns", name)
        assert pod is not None
        status = _container_status(phase, 0, exit_code, self.now)
        done = m.PodStatus(phase=phase, containerStatuses=[status])
        self._store_or_drop(replace(pod, status=done))

    def delete_pod(self, name: str) -> None:
        """A user asks for a pod's deletion; it terminates for as long as the test likes."""
        pod = self.get(PODS, "ns", name)
        assert pod is not None
        assert pod.metadata is not None
        metadata = replace(
            pod.metadata,
            deletionTimestamp=self.now + timedelta(seconds=30),
            deletionGracePeriodSeconds=30,
        )
        self.put(replace(pod, metadata=metadata))

    # ----- the engine's promise

    def turn(self, key: Key = KEY, record: Controller[Any] | None = None) -> Decision | None:
        """One turn of a controller, the Job's unless another one is given."""
        record = record or controller()
        facts = record.read(self, key, self.remembered.get(key))
        if facts is None:
            self.remembered.pop(key, None)
            self.decision = None
            return None
        before = self._frozen()
        self.decision = decision = record.decide(facts, self.now)
        assert self._frozen() == before, "decide changed what it was given"
        if self._apply(decision.stages, decision.subject):
            self.remembered[key] = decision.remember
        return decision

    def turns(self, limit: int = 20) -> None:
        """Turns until there is nothing to do any more."""
        for _ in range(limit):
            decision = self.turn()
            if decision is None or not decision.stages:
                return
        raise AssertionError("the Job does not come to rest")

    def orphans(self, key: Key) -> None:
        self.turn(key, orphans.controller())

    def _frozen(self) -> dict[Any, bytes]:
        return {key: codec.encode(obj) for key, obj in self.objects.items()}

    def _apply(self, stages: Iterable[Stage], subject: Any) -> bool:
        for one in stages:
            done, failed = self._apply_stage(one)
            if failed:
                if one.otherwise is not None:
                    self._apply(one.otherwise(done), subject)
                return False
        return True

    def _apply_stage(self, one: Stage) -> tuple[int, bool]:
        done, size, writes = 0, 1, list_of(one.writes)
        failed = False
        while writes:
            batch = writes[:size] if one.slow_start else writes
            writes = writes[len(batch) :]
            size *= 2
            for write in batch:
                ok = self._write(write)
                done += ok
                failed = failed or not ok
            if failed:
                break
        return done, failed

    def _write(self, write: Write) -> bool:
        if not isinstance(write, Emit):
            if self.crash_in == 0:
                self.crash_in = None
                raise Crashed
            if self.crash_in is not None:
                self.crash_in -= 1
        name = ""
        try:
            if self.refuse(write):
                raise Refused("refused")
            name = self._carry_out(write)
        except Refused as error:
            note = getattr(write, "failed", None)
            self._record(note, error=str(error))
            return False
        self._record(getattr(write, "done", None), name=name)
        return True

    def _record(self, note: Note | None, **values: str) -> None:
        if note is not None:
            message = note.message.format(**values) if values else note.message
            self.events.append((note.type, note.reason, message))

    def _carry_out(self, write: Write) -> str:
        match write:
            case Create(obj=pod):
                return self._create(pod)
            case Delete(name=name, uid=uid):
                self._delete(name, uid)
                return name
            case PutStatus(obj=job):
                self._put_status(job)
            case RemoveFinalizer(name=name):
                self._untrack(name)
            case Patch(name=name, patch=patch):
                self._patch(name, patch)
            case Emit(note=note):
                self._record(note)
            case Absent(name=name, uid=uid):
                job = self.get(JOBS, "ns", name)
                assert job is None or job.metadata is None or job.metadata.uid != uid
            case Present(name=name, uid=uid):
                job = self.get(JOBS, "ns", name)
                assert job is not None
                assert job.metadata is not None
                assert (job.metadata.uid, job.metadata.deletionTimestamp) == (uid, None)
            case _:
                raise AssertionError(write)
        return ""

    def _create(self, pod: m.Pod) -> str:
        assert pod.metadata is not None
        self.counted += 1
        name = f"{pod.metadata.generateName}{self.counted:03}"
        self.log.append("create pod")
        metadata = replace(pod.metadata, name=name, uid=f"uid-{name}", creationTimestamp=self.now)
        self.put(codec.copy(replace(pod, metadata=metadata, status=m.PodStatus(phase="Pending"))))
        return name

    def _delete(self, name: str, uid: str) -> None:
        self.log.append("delete pod")
        pod = self.get(PODS, "ns", name)
        if pod is None or pod.metadata is None or pod.metadata.uid != uid:
            return
        self.delete_pod(name)

    def _put_status(self, job: m.Job) -> None:
        assert job.status is not None
        assert job.spec == self.job.spec
        self.log.append("put status")
        check_status(job.status, self.status)
        self.put(replace(self.job, status=codec.copy(job.status)))
        self.statuses.append(job.status)

    def _untrack(self, name: str) -> None:
        self.log.append("remove finalizer")
        pod = self.get(PODS, "ns", name)
        if pod is not None and pod.metadata is not None:
            self._store_or_drop(replace(pod, metadata=replace(pod.metadata, finalizers=None)))

    def _store_or_drop(self, pod: m.Pod) -> None:
        assert pod.metadata is not None
        if is_deleting(pod) and phase(pod) in DONE and not pod.metadata.finalizers:
            del self.objects[PODS, "ns", pod.metadata.name or ""]
        else:
            self.put(pod)

    def _patch(self, name: str, patch: dict[str, Any]) -> None:
        self.log.append("patch pod")
        pod = self.get(PODS, "ns", name)
        assert pod is not None
        assert pod.metadata is not None
        body = patch["metadata"]
        assert body["uid"] == pod.metadata.uid
        if "$deleteFromPrimitiveList/finalizers" in body:
            assert body["ownerReferences"] == [{"$patch": "delete", "uid": UID}]
            metadata = replace(pod.metadata, ownerReferences=None, finalizers=None)
        else:
            owner = m.OwnerReference(**body["ownerReferences"][0])
            metadata = replace(pod.metadata, ownerReferences=[owner], finalizers=body["finalizers"])
        self.put(replace(pod, metadata=metadata))


list_of = list
DONE = ("Succeeded", "Failed")


def phase(pod: m.Pod) -> str:
    return (pod.status.phase if pod.status else None) or "Pending"


def is_deleting(pod: m.Pod) -> bool:
    return pod.metadata is not None and pod.metadata.deletionTimestamp is not None


def condition_types(status: m.JobStatus) -> list[str]:
    return [c.type for c in status.conditions or () if c.status == "True"]


def reasons(status: m.JobStatus) -> dict[str, str | None]:
    return {c.type: c.reason for c in status.conditions or () if c.status == "True"}


def check_status(new: m.JobStatus, old: m.JobStatus) -> None:
    """What kube-apiserver refuses in a status write (batch/validation: ValidateJobStatusUpdate)."""
    types = condition_types(new)
    uncounted = new.uncountedTerminatedPods or m.UncountedTerminatedPods()
    uids = [*(uncounted.succeeded or ()), *(uncounted.failed or ())]
    assert len(uids) == len(set(uids))
    assert min(new.active or 0, new.ready or 0, new.terminating or 0) >= 0
    assert (new.ready or 0) <= (new.active or 0)
    assert (new.failed or 0) >= (old.failed or 0)
    assert not ("Complete" in types and "SuccessCriteriaMet" not in types)
    assert not ("Failed" in types and "FailureTarget" not in types)
    assert not ("FailureTarget" in types and "SuccessCriteriaMet" in types)
    assert set(condition_types(old)) - {"Suspended"} <= set(types)
    assert (new.completionTime is not None) == ("Complete" in types)
    if "Complete" in types or "Failed" in types:
        assert not new.active
        assert not new.terminating
        assert not uids
    lost = indexes.parse(new.failedIndexes or "", 10**6)
    assert not indexes.parse(new.completedIndexes or "", 10**6).common(lost)
    assert 0 not in (new.active, new.succeeded, new.failed), "Go omits these zeros"


__all__ = [
    "KEY",
    "START",
    "Cluster",
    "condition_types",
    "make_job",
    "make_pod",
    "reasons",
    "seconds",
]
