"""What really happened, noted as it happens: every stored version, every container's end.

The checks compare what Jobs and pods claim with this. It is kept apart from everything that is
simulated: nothing here is lost in a crash, and nothing is seen late.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kubatch.api import models as m
from kubatch.api.conditions import is_true
from kubatch.api.owners import controller_of
from kubatch.api.resource import CRONJOBS, JOBS, PODS
from kubatch.controllers.job import indexes, names
from kubatch.runtime.protocol import Container, ContainerId, ContainerState
from kubatch.sim.shapes import Drawn, Fate
from kubatch.store.protocol import Change

NO_STATUS = m.JobStatus()
NO_POD_STATUS = m.PodStatus()


@dataclass(eq=False)
class PodTruth:
    """One pod from its creation on."""

    pod: m.Pod  # the newest version
    owner: str  # uid of the Job that controls it, or the last one that did
    gone: bool = False
    forced: bool = False  # deleted without waiting for its containers

    @property
    def meta(self) -> m.ObjectMeta:
        assert self.pod.metadata is not None
        return self.pod.metadata

    @property
    def spec(self) -> m.PodSpec:
        assert self.pod.spec is not None
        return self.pod.spec

    @property
    def uid(self) -> str:
        return self.meta.uid or ""

    @property
    def name(self) -> str:
        return f"{self.meta.namespace}/{self.meta.name}"

    @property
    def phase(self) -> str:
        return phase_of(self.pod)

    @property
    def ended(self) -> bool:
        return self.phase in (names.SUCCEEDED, names.FAILED)

    @property
    def deleting(self) -> bool:
        return self.meta.deletionTimestamp is not None

    @property
    def active(self) -> bool:
        return not (self.gone or self.ended or self.deleting)

    @property
    def terminating(self) -> bool:
        return self.deleting and not self.gone and not self.ended

    @property
    def tracked(self) -> bool:
        return not self.gone and is_tracked(self.pod)

    @property
    def controller(self) -> str:
        """The uid of the owner that controls it now, if one does."""
        owner = controller_of(self.meta)
        return owner.uid if owner is not None else ""

    @property
    def index(self) -> int | None:
        text = (self.meta.annotations or {}).get(names.COMPLETION_INDEX)
        return int(text) if text is not None else None


@dataclass(eq=False)
class JobTruth:
    """One Job from its creation on."""

    job: m.Job  # the newest version
    fate: Fate | None = None
    gone: bool = False
    disturbed: bool = False  # users or lost machines have had a hand in it
    noted_succeeded: set[str] = field(default_factory=set)  # uids that were ever in the lists
    noted_failed: set[str] = field(default_factory=set)
    pods: dict[str, PodTruth] = field(default_factory=dict)  # every one it ever controlled

    @property
    def meta(self) -> m.ObjectMeta:
        assert self.job.metadata is not None
        return self.job.metadata

    @property
    def spec(self) -> m.JobSpec:
        assert self.job.spec is not None
        return self.job.spec

    @property
    def status(self) -> m.JobStatus:
        return self.job.status or NO_STATUS

    @property
    def uid(self) -> str:
        return self.meta.uid or ""

    @property
    def name(self) -> str:
        return f"{self.meta.namespace}/{self.meta.name}"

    @property
    def cron(self) -> str:
        """The uid of the CronJob that controls it, if one does."""
        owner = controller_of(self.meta)
        return owner.uid if owner is not None else ""

    @property
    def finished(self) -> str:
        """Complete, Failed, or ""."""
        return finished(self.job)

    @property
    def deleting(self) -> bool:
        return self.meta.deletionTimestamp is not None

    @property
    def indexed(self) -> bool:
        return self.spec.completionMode == "Indexed"

    @property
    def own(self) -> list[PodTruth]:
        """The pods that it controls now."""
        return [p for p in self.pods.values() if not p.gone and p.controller == self.uid]

    def selects(self, pod: PodTruth) -> bool:
        """Whether the Job's selector matches the pod's labels."""
        wanted = (self.spec.selector.matchLabels if self.spec.selector else None) or {}
        return wanted.items() <= (pod.meta.labels or {}).items()

    @property
    def restarts(self) -> bool:
        template = self.spec.template.spec
        return template is not None and template.restartPolicy == "OnFailure"


class Truth:
    """Everything that happened, by uid. Dicts keep the order in which things came to be."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobTruth] = {}
        self.pods: dict[str, PodTruth] = {}
        self.crons: dict[str, m.CronJob] = {}  # those that are there
        self.attempts: dict[ContainerId, Container] = {}
        self.lost: set[str] = set()  # uids of pods that lost a container with their machine
        self._by_pod: dict[str, list[ContainerId]] = {}

    # ----- what users and machines did

    def created(self, job: m.Job, drawn: Drawn) -> None:
        assert job.metadata is not None
        self.jobs[job.metadata.uid or ""].fate = drawn.fate

    def disturbed(self, job_uid: str) -> None:
        found = self.jobs.get(job_uid)
        if found is not None:
            found.disturbed = True

    def forced(self, pod_uid: str) -> None:
        self.pods[pod_uid].forced = True

    def lose(self, pod_uid: str) -> None:
        """The containers of a pod have vanished; what has ended may never be told."""
        self.lost.add(pod_uid)
        for id in self.running(pod_uid):
            self._by_pod[pod_uid].remove(id)
            del self.attempts[id]
        if pod_uid in self.pods:
            self.disturbed(self.pods[pod_uid].owner)

    def saw(self, seen: Container) -> bool:
        """A container started (True) or ended."""
        known = self.attempts.get(seen.id)
        self.attempts[seen.id] = seen
        if known is None:
            self._by_pod.setdefault(seen.id.pod_uid, []).append(seen.id)
        return known is None or (known.exit_code is not None and seen.exit_code is None)

    def attempts_of(self, pod_uid: str) -> list[Container]:
        return [self.attempts[id] for id in self._by_pod.get(pod_uid, ())]

    def running(self, pod_uid: str) -> list[ContainerId]:
        found = self.attempts_of(pod_uid)
        return [seen.id for seen in found if seen.state is ContainerState.RUNNING]

    # ----- what was stored

    def take(self, change: Change) -> tuple[JobTruth | PodTruth, Any, Any] | None:
        """Note a change; whose it was, before and after. None: not of a Job or a pod."""
        before = change.previous.value.decoded if change.previous else None
        after = change.record.value.decoded if change.record else None
        if change.key.startswith(JOBS.prefix):
            return self._take_job(before, after), before, after
        if change.key.startswith(PODS.prefix):
            return self._take_pod(before, after), before, after
        if change.key.startswith(CRONJOBS.prefix):
            self._take_cron(before, after)
        return None

    def _take_cron(self, before: m.CronJob | None, after: m.CronJob | None) -> None:
        newest = after if after is not None else before
        assert newest is not None
        assert newest.metadata is not None
        if after is not None:
            self.crons[newest.metadata.uid or ""] = after
        else:
            del self.crons[newest.metadata.uid or ""]

    def _take_job(self, before: m.Job | None, after: m.Job | None) -> JobTruth:
        newest = after if after is not None else before
        assert newest is not None
        assert newest.metadata is not None
        uid = newest.metadata.uid or ""
        if before is None:
            self.jobs[uid] = JobTruth(newest)
        truth = self.jobs[uid]
        truth.job = newest
        truth.gone = after is None
        return truth

    def _take_pod(self, before: m.Pod | None, after: m.Pod | None) -> PodTruth:
        newest = after if after is not None else before
        assert newest is not None
        assert newest.metadata is not None
        uid = newest.metadata.uid or ""
        owner = controller_of(newest.metadata)
        if before is None:
            self.pods[uid] = PodTruth(newest, "")
        truth = self.pods[uid]
        truth.pod = newest
        truth.gone = after is None
        if owner is not None:
            truth.owner = owner.uid
            if owner.uid in self.jobs:
                self.jobs[owner.uid].pods[uid] = truth
        return truth

    # ----- questions

    def living_jobs(self) -> Iterator[JobTruth]:
        return (job for job in self.jobs.values() if not job.gone)

    def living_pods(self) -> Iterator[PodTruth]:
        return (pod for pod in self.pods.values() if not pod.gone)


def phase_of(pod: m.Pod) -> str:
    return (pod.status or NO_POD_STATUS).phase or "Pending"


def is_tracked(pod: m.Pod | None) -> bool:
    """Whether a pod carries the tracking finalizer."""
    meta = pod.metadata if pod is not None else None
    return meta is not None and names.TRACKING_FINALIZER in (meta.finalizers or ())


def finished(job: m.Job) -> str:
    """Complete, Failed, or "" while the Job runs."""
    conditions = (job.status or NO_STATUS).conditions
    for type in (names.COMPLETE, names.FAILED):
        if is_true(conditions, type):
            return type
    return ""


def uncounted(job: m.Job) -> tuple[set[str], set[str]]:
    """The uids in the two lists: succeeded, failed."""
    lists = (job.status or NO_STATUS).uncountedTerminatedPods
    if lists is None:
        return set(), set()
    return set(lists.succeeded or ()), set(lists.failed or ())


def index_set(text: str | None) -> set[int]:
    """The indexes of completedIndexes or failedIndexes."""
    return set(indexes.parse(text or "", 10**9))
