"""What a node's agent counts, under the kubelet's names (pkg/kubelet/metrics/metrics.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from kubatch.agent.record import PodRecord
from kubatch.agent.usage import History
from kubatch.meters import Labels, Meters, Metric
from kubatch.runtime.protocol import Container, ContainerState

RUNNING_PODS = Metric(
    "kubelet_running_pods", "Number of pods that have a running pod sandbox", (), "gauge"
)
RUNNING_CONTAINERS = Metric(
    "kubelet_running_containers",
    "Number of containers currently running",
    ("container_state",),
    "gauge",
)
STARTED_PODS = Metric("kubelet_started_pods_total", "Cumulative number of pods started")
STARTED_CONTAINERS = Metric(
    "kubelet_started_containers_total",
    "Cumulative number of containers started",
    ("container_type",),
)
POD_START = Metric(
    "kubelet_pod_start_duration_seconds",
    "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
    (),
    "histogram",
    (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200,
     1800, 2700, 3600),
)  # fmt: skip
EVICTIONS = Metric(
    "kubelet_evictions", "Cumulative number of pod evictions by eviction signal", (
        "eviction_signal",
    ),
)  # fmt: skip
# kubelet's /metrics/resource
_CONTAINER = ("container", "namespace", "pod")
CONTAINER_CPU = Metric(
    "container_cpu_usage_seconds_total",
    "Cumulative cpu time consumed by the container in core-seconds",
    _CONTAINER,
    "gauge",
)
CONTAINER_MEMORY = Metric(
    "container_memory_working_set_bytes",
    "Current working set of the container in bytes",
    _CONTAINER,
    "gauge",
)
NODE_CPU = Metric(
    "node_cpu_usage_seconds_total",
    "Cumulative cpu time consumed by the node in core-seconds",
    (),
    "gauge",
)
NODE_MEMORY = Metric(
    "node_memory_working_set_bytes", "Current working set of the node in bytes", (), "gauge"
)

Records = Callable[[], Iterable[PodRecord]]


class Measures:
    """Counts what is observed. Without meters it only remembers what containers used."""

    def __init__(self, meters: Meters | None) -> None:
        self._meters = meters
        if meters is not None:
            meters.declare(STARTED_PODS, STARTED_CONTAINERS, POD_START, EVICTIONS)

    def show(self, records: Records, history: History) -> None:
        """Have everything else read when somebody asks."""
        meters = self._meters
        if meters is None:
            return
        meters.gauge(RUNNING_PODS, lambda: [((), sum(1 for r in records() if _running(r)))])
        meters.gauge(RUNNING_CONTAINERS, lambda: _containers(records()))
        meters.gauge(CONTAINER_CPU, lambda: _used(records(), history, cpu=True))
        meters.gauge(CONTAINER_MEMORY, lambda: _used(records(), history, cpu=False))
        meters.gauge(
            NODE_CPU, lambda: [((), history.machine.cpu_seconds)] if history.machine else []
        )
        meters.gauge(
            NODE_MEMORY, lambda: [((), history.machine.memory_bytes)] if history.machine else []
        )

    def saw(self, record: PodRecord, seen: Container, now: datetime) -> None:
        """Take an observation of a container."""
        if seen.state is ContainerState.EXITED:
            if seen.max_rss_bytes is not None and seen.cpu_seconds is not None:
                record.spent[seen.id] = (seen.max_rss_bytes, seen.cpu_seconds)
            return
        if self._meters is None or seen.id in record.counted:
            return
        record.counted.add(seen.id)
        self._meters.add(STARTED_CONTAINERS, (_type(record, seen.id.container),))
        if seen.id.attempt == 0 and record.seen_at is not None:
            self._meters.add(STARTED_PODS)
            waited = (now - record.seen_at).total_seconds()
            self._meters.observe(POD_START, (), max(0.0, waited))
            record.seen_at = None

    def evicted(self, signal: str) -> None:
        """A pod has to go."""
        if self._meters is not None:
            self._meters.add(EVICTIONS, (signal,))


def spent(record: PodRecord) -> dict[str, int]:
    """What the ended containers of a pod used, for people."""
    told = {}
    for id, (peak, seconds) in sorted(record.spent.items()):
        name = id.container if not id.attempt else f"{id.container} (restart {id.attempt})"
        told[f"KiB of memory at the peak of container {name}"] = peak // 1024
        told[f"ms of CPU time used by container {name}"] = round(seconds * 1000)
    return told


def _type(record: PodRecord, name: str) -> str:
    """pkg/kubelet/metrics/metrics.go: the values of container_type."""
    spec = record.pod.spec if record.pod is not None else None
    if spec is not None and any(c.name == name for c in spec.initContainers or ()):
        return "init_container"
    if spec is not None and any(c.name == name for c in spec.ephemeralContainers or ()):
        return "ephemeral_container"
    return "container"


def _running(record: PodRecord) -> bool:
    return any(a.state is ContainerState.RUNNING for a in record.attempts.values())


def _containers(records: Iterable[PodRecord]) -> list[tuple[Labels, float]]:
    counts = {"running": 0, "exited": 0}
    for record in records:
        for attempt in record.attempts.values():
            counts[attempt.state.value] += 1
    return [((state,), count) for state, count in sorted(counts.items())]


def _used(
    records: Iterable[PodRecord], history: History, *, cpu: bool
) -> list[tuple[Labels, float]]:
    found: list[tuple[Labels, float]] = []
    for record in records:
        meta = record.pod.metadata if record.pod is not None else None
        if meta is None:
            continue
        for id in sorted(record.attempts):
            reading = history.now.get(id)
            if reading is not None:
                labels = (id.container, meta.namespace or "default", meta.name or "")
                found.append((labels, reading.cpu_seconds if cpu else reading.memory_bytes))
    return found
