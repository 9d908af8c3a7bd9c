"""What the Job rules look at: one Job, and those of its pods that still matter.

A Job's finished pods whose tracking finalizer is off are counted in its status already. The indexes
here leave them out, so a turn costs as much as there are active and uncounted pods, however many
completions lie behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubatch.api import models as m
from kubatch.api import selectors
from kubatch.api.conditions import is_true
from kubatch.api.owners import controller_of
from kubatch.api.resource import JOBS, PODS
from kubatch.api.selectors import LabelRequirements
from kubatch.controllers.job import conditions, names
from kubatch.controllers.job.backoff import NO_FAILURES, BackoffRecord
from kubatch.controllers.job.conditions import Conditions
from kubatch.reconcile.controller import Index, Key, View

_NO_META = m.ObjectMeta()
_NO_POD_STATUS = m.PodStatus()
_TERMINAL = (names.SUCCEEDED, names.FAILED)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod in the words of the rules."""

    pod: m.Pod
    name: str
    uid: str
    phase: str
    deleting: bool
    finished: bool  # phase Succeeded or Failed
    failed: bool  # counts as failed under the Job's replacement policy
    tracked: bool  # carries the tracking finalizer: not accounted for yet
    ready: bool  # active and ready
    index: int | None  # its completion index; None when absent or malformed

    @property
    def active(self) -> bool:
        """Neither ended nor asked to (controller_utils.go: IsPodActive)."""
        return not self.finished and not self.deleting

    @property
    def terminating(self) -> bool:
        """Asked to end, and not there yet (controller_utils.go: IsPodTerminating)."""
        return self.deleting and not self.finished


@dataclass(frozen=True, slots=True)
class SpecFacts:
    """The Job's spec with its defaults filled in (pkg/apis/batch/v1/defaults.go)."""

    parallelism: int
    completions: int | None  # None: a work queue, which ends when its pods say so
    indexed: bool
    mode_known: bool
    suspended: bool
    backoff_limit: int
    backoff_limit_per_index: int | None
    max_failed_indexes: int | None
    active_deadline: timedelta | None
    only_replace_failed: bool  # a terminating pod is replaced only once it has ended
    restart_on_failure: bool
    failure_rules: Sequence[m.PodFailurePolicyRule]
    success_rules: Sequence[m.SuccessPolicyRule]

    @property
    def per_index(self) -> bool:
        """Whether failures are limited, and delayed, per index."""
        return self.indexed and self.backoff_limit_per_index is not None

    def valid_index(self, index: int | None) -> bool:
        """Whether there is an index and the Job wants it."""
        return index is not None and index < (self.completions or 0)


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """The Job's status, zeros filled in."""

    start_time: datetime | None
    succeeded: int
    failed: int
    completed_indexes: str
    failed_indexes: str
    uncounted_succeeded: tuple[str, ...]
    uncounted_failed: tuple[str, ...]
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class JobFacts:
    """Everything a decision about one Job depends on, but for the time."""

    job: m.Job
    namespace: str
    name: str
    uid: str
    deleting: bool
    managed_elsewhere: str  # the controller named by spec.managedBy, "" when it is this one
    finished: m.JobCondition | None  # the terminal condition, if it has one
    spec: SpecFacts
    status: StatusFacts
    pods: tuple[PodFacts, ...] = ()  # its own, those to adopt included, sorted by name
    adopt: tuple[PodFacts, ...] = ()
    release: tuple[PodFacts, ...] = ()
    backoff: BackoffRecord = NO_FAILURES


# ----- indexes over pods


def job_of(pod: m.Pod) -> m.OwnerReference | None:
    """The reference to the Job that controls a pod."""
    owner = controller_of(pod.metadata)
    if owner is not None and owner.kind == "Job" and owner.apiVersion.startswith("batch/"):
        return owner
    return None


def is_finished(pod: m.Pod) -> bool:
    """Whether a pod has reached phase Succeeded or Failed."""
    return pod.status is not None and pod.status.phase in _TERMINAL


def is_tracked(pod: m.Pod) -> bool:
    """Whether a pod carries the tracking finalizer."""
    return names.TRACKING_FINALIZER in ((pod.metadata or _NO_META).finalizers or ())


def is_settled(pod: m.Pod) -> bool:
    """Finished and accounted for: no rule will look at this pod again."""
    return is_finished(pod) and not is_tracked(pod)


def _by_job(pod: m.Pod) -> Iterable[str]:
    owner = job_of(pod)
    return () if owner is None or is_settled(pod) else (owner.uid,)


def _unowned(pod: m.Pod) -> Iterable[str]:
    if controller_of(pod.metadata) is not None or is_settled(pod):
        return ()
    metadata = pod.metadata or _NO_META
    uid = (metadata.labels or {}).get(names.CONTROLLER_UID_LABEL)
    keys = [f"namespace/{metadata.namespace}"]
    if uid:
        keys.append(f"uid/{uid}")
    return keys


# A Job's pods that are active or not accounted for, by the Job's uid.
PODS_BY_JOB = Index("pods-by-job", PODS, _by_job)
# Pods that a Job could adopt. A generated selector asks for the Job's uid in a label, so such a
# Job looks under that; only a Job with a selector of its own looks through its namespace.
UNOWNED_PODS = Index("unowned-pods", PODS, _unowned)


def unowned_labelled(uid: str) -> str:
    """The key in UNOWNED_PODS of pods labelled with a Job's uid."""
    return f"uid/{uid}"


# ----- reading


def read(
    view: View, key: Key, remembered: object, ours: frozenset[str] = names.BUILT_IN
) -> JobFacts | None:
    """The facts about a Job; None when there is none.

    Of a Job that is finished or managed elsewhere, no pods are read: nothing will be done.
    """
    job = view.get(JOBS, key.namespace, key.name)
    if job is None:
        return None
    facts = read_job(job, ours)
    if facts.managed_elsewhere or facts.finished or not facts.spec.mode_known:
        return facts
    own, foreign = _claimed(facts, view.indexed(PODS_BY_JOB, facts.uid))
    adopt = _adoptable(facts, view)
    pods = [read_pod(pod, facts.spec) for pod in own]
    # What is adopted first gets the finalizer, so the rules may take it for given.
    adopted = [read_pod(pod, facts.spec, tracked=True) for pod in adopt]
    if adopted:
        pods = sorted([*pods, *adopted], key=lambda pod: pod.name)
    record = remembered if isinstance(remembered, BackoffRecord) else NO_FAILURES
    return JobFacts(
        facts.job,
        facts.namespace,
        facts.name,
        facts.uid,
        facts.deleting,
        facts.managed_elsewhere,
        facts.finished,
        facts.spec,
        facts.status,
        tuple(pods),
        tuple(adopted),
        tuple(read_pod(pod, facts.spec) for pod in foreign),
        record if record.job_uid == facts.uid else NO_FAILURES,
    )


def read_job(job: m.Job, ours: frozenset[str] = names.BUILT_IN) -> JobFacts:
    """The facts that the Job itself tells; `ours` are the values of managedBy that mean us."""
    metadata = job.metadata or _NO_META
    status = _read_status(job.status or m.JobStatus())
    managed_by = (job.spec.managedBy if job.spec else None) or ""
    return JobFacts(
        job,
        metadata.namespace or "",
        metadata.name or "",
        metadata.uid or "",
        metadata.deletionTimestamp is not None,
        "" if managed_by in ours else managed_by or names.MANAGED_BY_US,
        conditions.true(status.conditions, names.COMPLETE)
        or conditions.true(status.conditions, names.FAILED),
        _read_spec(job.spec or m.JobSpec(template=m.PodTemplateSpec())),
        status,
    )


def _read_spec(spec: m.JobSpec) -> SpecFacts:
    template = spec.template.spec
    policy = spec.podFailurePolicy
    per_index = spec.backoffLimitPerIndex
    limit = spec.backoffLimit
    parallelism, completions = spec.parallelism, spec.completions
    if parallelism is None:
        completions = 1 if completions is None else completions
        parallelism = 1
    if limit is None:
        limit = 6 if per_index is None else 2**31 - 1
    deadline = spec.activeDeadlineSeconds
    return SpecFacts(
        parallelism=parallelism,
        completions=completions,
        indexed=spec.completionMode == "Indexed",
        mode_known=spec.completionMode in (None, "", "NonIndexed", "Indexed"),
        suspended=bool(spec.suspend),
        backoff_limit=limit,
        backoff_limit_per_index=per_index,
        max_failed_indexes=spec.maxFailedIndexes,
        active_deadline=None if deadline is None else timedelta(seconds=deadline),
        only_replace_failed=policy is not None or spec.podReplacementPolicy == "Failed",
        restart_on_failure=template is not None and template.restartPolicy == "OnFailure",
        failure_rules=() if policy is None else policy.rules,
        success_rules=() if spec.successPolicy is None else spec.successPolicy.rules,
    )


def _read_status(status: m.JobStatus) -> StatusFacts:
    uncounted = status.uncountedTerminatedPods
    return StatusFacts(
        start_time=status.startTime,
        succeeded=status.succeeded or 0,
        failed=status.failed or 0,
        completed_indexes=status.completedIndexes or "",
        failed_indexes=status.failedIndexes or "",
        uncounted_succeeded=tuple(uncounted.succeeded or ()) if uncounted else (),
        uncounted_failed=tuple(uncounted.failed or ()) if uncounted else (),
        conditions=tuple(status.conditions or ()),
    )


def read_pod(pod: m.Pod, spec: SpecFacts, *, tracked: bool = False) -> PodFacts:
    """The facts about one pod of a Job with this spec."""
    metadata = pod.metadata or _NO_META
    status = pod.status or _NO_POD_STATUS
    phase = status.phase or "Pending"
    deleting = metadata.deletionTimestamp is not None
    finished = phase in _TERMINAL
    return PodFacts(
        pod,
        metadata.name or "",
        metadata.uid or "",
        phase,
        deleting,
        finished,
        # job_controller.go: isPodFailed
        phase == names.FAILED or (deleting and not finished and not spec.only_replace_failed),
        tracked or names.TRACKING_FINALIZER in (metadata.finalizers or ()),
        not deleting and not finished and is_true(status.conditions, "Ready"),
        _read_index(metadata) if spec.indexed else None,
    )


def _read_index(metadata: m.ObjectMeta) -> int | None:
    text = (metadata.annotations or {}).get(names.COMPLETION_INDEX, "")
    return int(text) if text.isascii() and text.isdigit() else None


# ----- whose pods


def selector_of(job: m.Job) -> LabelRequirements:
    """The Job's selector, ready to match."""
    return selectors.from_selector(job.spec.selector if job.spec else None)


def _claimed(facts: JobFacts, pods: Iterable[m.Pod]) -> tuple[list[m.Pod], list[m.Pod]]:
    """The Job's pods, and those it controls though its selector does not match them.

    The latter are released, unless the Job is being deleted (controller_ref_manager.go:
    ClaimObject). A Job without a selector keeps what it controls.
    """
    selector = selector_of(facts.job)
    own: list[m.Pod] = []
    foreign: list[m.Pod] = []
    for pod in pods:
        matches = selector.nothing or selector.matches((pod.metadata or _NO_META).labels)
        (own if matches else foreign).append(pod)
    return own, ([] if facts.deleting else foreign)


def _adoptable(facts: JobFacts, view: View) -> list[m.Pod]:
    """Pods without a controller that the selector matches; a Job being deleted adopts nothing."""
    spec = facts.job.spec
    if facts.deleting or spec is None or spec.selector is None:
        return []
    uid = (spec.selector.matchLabels or {}).get(names.CONTROLLER_UID_LABEL)
    key = f"namespace/{facts.namespace}" if uid is None else unowned_labelled(uid)
    candidates = view.indexed(UNOWNED_PODS, key)
    if not candidates:
        return []
    selector = selector_of(facts.job)
    return [pod for pod in candidates if _may_adopt(facts, selector, pod)]


def _may_adopt(facts: JobFacts, selector: LabelRequirements, pod: m.Pod) -> bool:
    metadata = pod.metadata or _NO_META
    return (
        metadata.deletionTimestamp is None
        and metadata.namespace == facts.namespace
        and selector.matches(metadata.labels)
    )
