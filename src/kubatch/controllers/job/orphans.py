"""Takes the tracking finalizer off pods that no Job will account for.

A pod keeps the finalizer while its controller is a Job that runs, or that another controller
manages. It loses it when its Job is gone or finished, or when it has no controller
(job_controller.go: syncOrphanPod); and when its Job is being deleted and does not select it.
Pods controlled by anything else are not touched.

A key names a Job by name and uid, or a pod without controller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from kubatch.api import models as m
from kubatch.api.owners import controller_of
from kubatch.api.resource import JOBS, PODS
from kubatch.controllers.job import names
from kubatch.controllers.job.facts import (
    PODS_BY_JOB,
    UNOWNED_PODS,
    JobFacts,
    is_tracked,
    job_of,
    read_job,
    selector_of,
    unowned_labelled,
)
from kubatch.reconcile.controller import Controller, Key, View
from kubatch.reconcile.decision import Absent, Decision, RemoveFinalizer, stage


@dataclass(frozen=True, slots=True)
class OrphanFacts:
    """Pods whose finalizer nobody needs, and why."""

    namespace: str
    pods: tuple[str, ...]
    why: str
    gone: tuple[str, str] | None = None  # name and uid of the Job whose absence is the reason


def controller(ours: frozenset[str] = names.BUILT_IN) -> Controller[OrphanFacts]:
    """The record for the engine, beside a controller of the Jobs managed by one of `ours`."""
    return Controller(
        name="job-orphan-controller",
        watches={JOBS: partial(_job_keys, ours=ours), PODS: _pod_keys},
        read=partial(read, ours=ours),
        decide=decide,
        indexes=(PODS_BY_JOB, UNOWNED_PODS),
        queue="job_orphan_pod",
    )


def decide(facts: OrphanFacts, now: datetime) -> Decision:
    """Removals in any order: a finalizer that is off already counts as done.

    That a Job is gone is asked of the API first: the cache of Jobs may be behind that of pods.
    """
    removals = (
        RemoveFinalizer(PODS, facts.namespace, name, names.TRACKING_FINALIZER)
        for name in facts.pods
    )
    count = len(facts.pods)
    because = f"{facts.why}: releases {count} pod{'s' if count > 1 else ''}"
    stages = [stage(*removals)]
    if facts.gone is not None:
        name, uid = facts.gone
        stages.insert(0, stage(Absent(JOBS, facts.namespace, name, uid)))
    return Decision(because=because, stages=tuple(stages))


def read(
    view: View, key: Key, remembered: object, ours: frozenset[str] = names.BUILT_IN
) -> OrphanFacts | None:
    """The pods to release under a key; None when there are none."""
    kind, _, rest = key.name.partition("/")
    if kind == "job":
        name, _, uid = rest.rpartition("/")
        return _of_job(view, key.namespace, name, uid, ours)
    pod = view.get(PODS, key.namespace, rest)
    if pod is None or not _is_orphan(view, pod, ours):
        return None
    return OrphanFacts(key.namespace, (rest,), "has no controller")


def _of_job(
    view: View, namespace: str, name: str, uid: str, ours: frozenset[str]
) -> OrphanFacts | None:
    pods = [
        pod
        for pod in view.indexed(UNOWNED_PODS, unowned_labelled(uid))
        if _is_orphan(view, pod, ours)
    ]
    ending = _ending(view, namespace, name, uid, ours)
    if ending:
        pods += [pod for pod in view.indexed(PODS_BY_JOB, uid) if is_tracked(pod)]
    else:
        pods += _strangers(view, view.get(JOBS, namespace, name), uid, ours)
    found = tuple(pod.metadata.name for pod in pods if pod.metadata and pod.metadata.name)
    if not found:
        return None
    gone = (name, uid) if ending == _GONE else None
    return OrphanFacts(namespace, found, ending or "has no controller", gone)


def _strangers(view: View, job: m.Job | None, uid: str, ours: frozenset[str]) -> Iterable[m.Pod]:
    """Pods that a Job which is being deleted controls though its selector does not match them.

    Such a Job neither counts nor releases them (controller_ref_manager.go: ClaimObject). With
    their finalizer they could not be deleted, and it would wait for them for ever.
    """
    facts = read_job(job, ours) if job is not None else None
    if job is None or facts is None or not facts.deleting or facts.managed_elsewhere:
        return ()
    selector = selector_of(job)
    return (
        pod
        for pod in view.indexed(PODS_BY_JOB, uid)
        if is_tracked(pod) and pod.metadata and not selector.matches(pod.metadata.labels)
    )


_GONE = "its Job is gone"


def _ending(view: View, namespace: str, name: str, uid: str, ours: frozenset[str]) -> str:
    """Why the pods that a Job controls are not accounted for any more; "" while they are."""
    job = view.get(JOBS, namespace, name)
    if job is None or job.metadata is None or job.metadata.uid != uid:
        return _GONE
    facts = read_job(job, ours)
    return "its Job is finished" if facts.finished and not facts.managed_elsewhere else ""


def _is_orphan(view: View, pod: m.Pod, ours: frozenset[str]) -> bool:
    """Tracked, without a controller, and not about to be adopted by the Job it is labelled for.

    Without the last part this controller and the Job's would race over the finalizer.
    """
    if not is_tracked(pod) or controller_of(pod.metadata) is not None:
        return False
    assert pod.metadata is not None, "a tracked pod has metadata"
    name = (pod.metadata.labels or {}).get(names.JOB_NAME_LABEL)
    job = view.get(JOBS, pod.metadata.namespace, name) if name else None
    if job is None or pod.metadata.deletionTimestamp is not None:
        return True
    facts = read_job(job, ours)
    return not _works(facts) or not selector_of(job).matches(pod.metadata.labels)


def _works(facts: JobFacts) -> bool:
    return not (facts.deleting or facts.finished or facts.managed_elsewhere)


def _job_keys(old: m.Job | None, new: m.Job | None, ours: frozenset[str]) -> Iterable[Key]:
    """Jobs that stopped accounting for pods: gone, being deleted, or finished."""
    if old is not None and (new is None or _uid(new) != _uid(old)):
        yield _key_of_job(old)
    if new is not None and not _works(read_job(new, ours)):
        yield _key_of_job(new)


def _uid(job: m.Job) -> str | None:
    return job.metadata.uid if job.metadata else None


def _key_of_job(job: m.Job) -> Key:
    metadata = job.metadata or m.ObjectMeta()
    return _job_key(metadata.namespace, metadata.name, metadata.uid)


def _pod_keys(old: m.Pod | None, new: m.Pod | None) -> Iterable[Key]:
    """A tracked pod when it appears, and when it changes hands or labels."""
    if new is None or new.metadata is None or not is_tracked(new):
        return
    owner = controller_of(new.metadata)
    if owner is None:
        yield Key(new.metadata.namespace or "", f"pod/{new.metadata.name}")
    elif job_of(new) is not None and _changes_hands(old, new):
        yield _job_key(new.metadata.namespace, owner.name, owner.uid)


def _changes_hands(old: m.Pod | None, new: m.Pod) -> bool:
    if old is None or old.metadata is None or new.metadata is None:
        return True
    return (
        controller_of(old.metadata) != controller_of(new.metadata)
        or old.metadata.labels != new.metadata.labels
    )


def _job_key(namespace: str | None, name: str | None, uid: str | None) -> Key:
    return Key(namespace or "", f"job/{name}/{uid}")
