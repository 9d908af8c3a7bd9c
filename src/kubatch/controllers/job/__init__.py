"""Rules about Jobs: facts.py reads, decide.py decides, and each other file is one notion."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from kubatch.api import models as m
from kubatch.api.owners import controller_of
from kubatch.api.resource import JOBS, PODS
from kubatch.controllers.job import metrics, names
from kubatch.controllers.job.decide import decide
from kubatch.controllers.job.facts import (
    PODS_BY_JOB,
    UNOWNED_PODS,
    JobFacts,
    is_finished,
    is_settled,
    job_of,
    read,
)
from kubatch.reconcile.controller import Controller, Key


def controller(ours: frozenset[str] = names.BUILT_IN) -> Controller[JobFacts]:
    """The record for the engine; for Jobs whose spec.managedBy is one of `ours`."""
    return Controller(
        name="job-controller",
        watches={JOBS: _job_keys, PODS: _pod_keys},
        read=partial(read, ours=ours),
        decide=decide,
        indexes=(PODS_BY_JOB, UNOWNED_PODS),
        about=JOBS,
        queue="job",
        measures=metrics.measures(ours),
    )


def _job_keys(old: m.Job | None, new: m.Job | None) -> Iterable[Key]:
    job = new if new is not None else old
    if job is not None and job.metadata is not None:
        yield Key(job.metadata.namespace or "", job.metadata.name or "")


def _pod_keys(old: m.Pod | None, new: m.Pod | None) -> Iterable[Key]:
    """The Job that controls a pod, or the one whose label an uncontrolled pod carries."""
    if not _matters(old, new):
        return ()
    return dict.fromkeys(key for pod in (old, new) if pod is not None for key in _keys_of(pod))


def _matters(old: m.Pod | None, new: m.Pod | None) -> bool:
    """Whether a Job could have something to do after a change of a pod.

    A pod that is finished and accounted for needs no turn, and neither does the moment in which
    it comes to be: the turn that took its finalizer off has counted it.
    """
    if old is not None and new is not None:
        return not (is_settled(new) and is_finished(old))
    return any(pod is not None and not is_settled(pod) for pod in (old, new))


def _keys_of(pod: m.Pod) -> Iterable[Key]:
    metadata = pod.metadata or m.ObjectMeta()
    owner = job_of(pod)
    if owner is not None:
        yield Key(metadata.namespace or "", owner.name)
    elif controller_of(pod.metadata) is None:
        name = (metadata.labels or {}).get(names.JOB_NAME_LABEL)
        if name:
            yield Key(metadata.namespace or "", name)
