"""What is counted about controllers: their queues, and what each one's rules want counted.

Rules do not count; a record of pure functions beside them says what a write, a turn or a change
means in numbers, and the engine adds them up. Names are kube-controller-manager's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubatch.api.errors import ApiError
from kubatch.api.resource import Resource
from kubatch.meters import Count, Labels, Meters, Metric, exponential
from kubatch.reconcile.decision import Decision, Write

# component-base/metrics/prometheus/workqueue: buckets of both durations
_SECONDS = exponential(1e-8, 10, 12)
_BY_QUEUE = ("name",)
QUEUE_DEPTH = Metric("workqueue_depth", "Current depth of workqueue", _BY_QUEUE, "gauge")
QUEUE_ADDS = Metric("workqueue_adds_total", "Total number of adds handled by workqueue", _BY_QUEUE)
QUEUE_RETRIES = Metric(
    "workqueue_retries_total", "Total number of retries handled by workqueue", _BY_QUEUE
)
QUEUE_WAIT = Metric(
    "workqueue_queue_duration_seconds",
    "How long in seconds an item stays in workqueue before being requested.",
    _BY_QUEUE,
    "histogram",
    _SECONDS,
)
QUEUE_WORK = Metric(
    "workqueue_work_duration_seconds",
    "How long in seconds processing an item from workqueue takes.",
    _BY_QUEUE,
    "histogram",
    _SECONDS,
)
QUEUE_UNFINISHED = Metric(
    "workqueue_unfinished_work_seconds",
    "How many seconds of work has done that is in progress and hasn't been observed by "
    "work_duration.",
    _BY_QUEUE,
    "gauge",
)
QUEUE_LONGEST = Metric(
    "workqueue_longest_running_processor_seconds",
    "How many seconds has the longest running processor for workqueue been running.",
    _BY_QUEUE,
    "gauge",
)


@dataclass(frozen=True, slots=True)
class Wrote:
    """How one write of a decision went."""

    write: Write
    before: Any = None  # of a PutStatus: the object with the status that was there
    after: Any = None  # what the API answered, if that is an object
    error: ApiError | None = None


def _nothing(*_: Any) -> Iterable[Count]:
    return ()


@dataclass(frozen=True)
class Measures:
    """What one controller wants counted. All functions are pure."""

    declared: tuple[Metric, ...] = ()
    # From an object before and after a change that a cache has seen.
    seen: Mapping[Resource[Any], Callable[[Any, Any], Iterable[Count]]] = field(
        default_factory=dict
    )
    wrote: Callable[[Decision, Wrote], Iterable[Count]] = _nothing
    # The labels of a turn that ended with a result (success, error); None: it does not count.
    turn: Callable[[Decision, str], Labels | None] = lambda _decision, _result: None
    turns: Metric | None = None
    turn_seconds: Metric | None = None
    # Turns put off because a cache had not seen the last one's writes; labels: group, resource.
    rests: Metric | None = None

    def all(self) -> tuple[Metric, ...]:
        """Every metric, to be shown from the start."""
        own = (self.turns, self.turn_seconds, self.rests)
        return (*self.declared, *(metric for metric in own if metric is not None))


NOTHING = Measures()


class QueueMeter:
    """Counts for one queue."""

    def __init__(self, meters: Meters, name: str) -> None:
        self._meters = meters
        self._labels = (name,)
        meters.declare(QUEUE_ADDS, QUEUE_RETRIES, QUEUE_WAIT, QUEUE_WORK)
        for metric in (QUEUE_ADDS, QUEUE_RETRIES):
            meters.add(metric, self._labels, 0)

    def watch(self, depth: Callable[[], int], running: Callable[[], Iterable[float]]) -> None:
        """Show how many keys wait, and for how many seconds each turn under way has taken."""
        labels = self._labels
        self._meters.gauge(QUEUE_DEPTH, lambda: [(labels, depth())])
        self._meters.gauge(QUEUE_UNFINISHED, lambda: [(labels, sum(running()))])
        self._meters.gauge(QUEUE_LONGEST, lambda: [(labels, max(running(), default=0.0))])

    def added(self) -> None:
        """A key was added that did not wait yet."""
        self._meters.add(QUEUE_ADDS, self._labels)

    def retried(self) -> None:
        """A key was added for later."""
        self._meters.add(QUEUE_RETRIES, self._labels)

    def waited(self, seconds: float) -> None:
        """A key got its turn."""
        self._meters.observe(QUEUE_WAIT, self._labels, seconds)

    def worked(self, seconds: float) -> None:
        """A turn ended."""
        self._meters.observe(QUEUE_WORK, self._labels, seconds)
