"""How long a failed pod's replacement waits: 10, 20, 40, ... 600 seconds.

Two clocks exist. Without backoffLimitPerIndex one record per Job counts the failures after the last
success. With it, each index waits by itself, and its count stands in annotations of its pods, so
it survives a restart (pkg/controller/job/backoff_utils.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kubatch.api import models as m
from kubatch.api.conditions import find
from kubatch.controllers.job import names

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class BackoffRecord:
    """A Job's failures since its last success. Remembered, not stored: lost on purpose."""

    job_uid: str = ""  # a Job created anew under an old name starts clean
    failures: int = 0
    last_failure: datetime | None = None
    # Pods whose end is in the numbers above and whose finalizer is still on. A turn that ends
    # early is not remembered, so its pods are seen as new again, and no pod is counted twice.
    seen: frozenset[str] = field(default_factory=frozenset)

    def until(self) -> datetime | None:
        """When the next pod may be created; None: at once."""
        if self.failures == 0 or self.last_failure is None:
            return None
        return self.last_failure + delay(self.failures)

    def after(
        self,
        job_uid: str,
        succeeded: Iterable[datetime],
        failed: Sequence[datetime],
        seen: frozenset[str],
    ) -> BackoffRecord:
        """The record with more ends of pods in it, given by their times.

        A failure at the very moment of a success does not count as after it.
        """
        last_success = max(succeeded, default=None)
        if last_success is None:
            failures, before = self.failures + len(failed), self.last_failure
            return BackoffRecord(job_uid, failures, max(failed, default=before), seen)
        later = [moment for moment in failed if moment > last_success]
        return BackoffRecord(job_uid, len(later), max(later, default=None), seen)


NO_FAILURES = BackoffRecord()


def delay(failures: int) -> timedelta:
    """The pause after so many failures in a row, at least one."""
    if failures > 16:  # far beyond the maximum; spares shifting by huge numbers
        return names.BACKOFF_MAX
    return min(names.BACKOFF_BASE * (1 << failures - 1), names.BACKOFF_MAX)


# ----- per index


def index_failures(pod: m.Pod) -> int:
    """Counted failures of the index before this pod (job-index-failure-count)."""
    return _counter(pod, names.INDEX_FAILURES)


def index_ignored_failures(pod: m.Pod) -> int:
    """Failures of the index before this pod that a policy said to ignore."""
    return _counter(pod, names.INDEX_IGNORED_FAILURES)


def absolute_failures(pod: m.Pod) -> int:
    """All failures of the index before this pod, counted or not."""
    return index_failures(pod) + index_ignored_failures(pod)


def until_for_index(last_failed: m.Pod) -> datetime:
    """When the replacement of an index's failed pod may be created."""
    return finish_time(last_failed) + delay(absolute_failures(last_failed) + 1)


def _counter(pod: m.Pod, annotation: str) -> int:
    """An annotation's number; what is no int32 >= 0 counts as 0 (parseIndexFailureCount)."""
    annotations = pod.metadata.annotations if pod.metadata else None
    text = (annotations or {}).get(annotation, "")
    value = int(text) if text.isascii() and text.isdigit() else 0
    return value if value <= _INT32_MAX else 0


# ----- when a pod ended


def finish_time(pod: m.Pod) -> datetime:
    """When a pod ended, from the best witness there is (getFinishedTime).

    Its containers if all have ended, sidecars included; else the moment it stopped being ready;
    else the moment its deletion was asked for; else its creation.
    """
    status = pod.status or m.PodStatus()
    ended = _containers_end(pod, status)
    if ended is not None:
        return ended
    ready = find(status.conditions, "Ready")
    if ready is not None and ready.status == "False" and ready.lastTransitionTime is not None:
        return ready.lastTransitionTime
    metadata = pod.metadata or m.ObjectMeta()
    if metadata.deletionTimestamp is not None:
        grace = timedelta(seconds=metadata.deletionGracePeriodSeconds or 0)
        return metadata.deletionTimestamp - grace
    assert metadata.creationTimestamp is not None, "every stored object has one"
    return metadata.creationTimestamp


def _containers_end(pod: m.Pod, status: m.PodStatus) -> datetime | None:
    watched = list(status.containerStatuses or ())
    if status.initContainerStatuses and pod.spec is not None:
        sidecars = sidecar_names(pod.spec)
        watched += [one for one in status.initContainerStatuses if one.name in sidecars]
    latest: datetime | None = None
    for container in watched:
        terminated = container.state.terminated if container.state else None
        if terminated is None or terminated.finishedAt is None:
            return None
        latest = terminated.finishedAt if latest is None else max(latest, terminated.finishedAt)
    return latest


def sidecar_names(spec: m.PodSpec) -> set[str]:
    """Init containers that run beside the others (restartPolicy Always)."""
    return {one.name for one in spec.initContainers or () if one.restartPolicy == "Always"}
