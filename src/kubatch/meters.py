"""Counters and histograms of one process, cheap to add to and dear only to whoever reads them.

Adding is a look-up and a sum, so that hot paths may count. What Prometheus reads is made of it when
it asks (server/metrics), so nothing else needs the package that knows its format.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Labels = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric's name, what it counts, and the names of its labels. Compared by identity."""

    name: str  # a counter's ends in _total
    help: str
    labels: Labels = ()
    kind: Literal["counter", "gauge", "histogram"] = "counter"
    buckets: tuple[float, ...] = ()  # upper bounds of a histogram, ascending, without infinity


@dataclass(frozen=True, slots=True)
class Count:
    """What happened so many times: the values of the metric's labels, in their order."""

    metric: Metric
    labels: Labels = ()
    amount: float = 1


@dataclass(slots=True)
class Histogram:
    """How often a value fell between two bounds, the last one being open."""

    counts: list[int]
    total: float = 0.0

    def cumulative(self) -> list[int]:
        """How many values were at most each bound, and how many there are."""
        seen, out = 0, []
        for count in self.counts:
            seen += count
            out.append(seen)
        return out


Read = Callable[[], Iterable[tuple[Labels, float]]]


@dataclass
class Meters:
    """The values of one process's metrics."""

    counters: dict[Metric, dict[Labels, float]] = field(default_factory=dict)
    histograms: dict[Metric, dict[Labels, Histogram]] = field(default_factory=dict)
    gauges: list[tuple[Metric, Read]] = field(default_factory=list)

    def declare(self, *metrics: Metric) -> None:
        """Show metrics from the start, before there is anything to count."""
        for metric in metrics:
            if metric.kind == "histogram":
                self.histograms.setdefault(metric, {})
            else:
                self.counters.setdefault(metric, {})

    def add(self, metric: Metric, labels: Labels = (), amount: float = 1) -> None:
        """Count up; a gauge kept this way may also go down."""
        values = self.counters.setdefault(metric, {})
        values[labels] = values.get(labels, 0) + amount

    def count(self, counts: Iterable[Count]) -> None:
        """Add everything given; to a histogram, each amount as one value."""
        for one in counts:
            note = self.observe if one.metric.kind == "histogram" else self.add
            note(one.metric, one.labels, one.amount)

    def observe(self, metric: Metric, labels: Labels, value: float) -> None:
        """Note one value of a histogram."""
        series = self.histograms.setdefault(metric, {})
        known = series.get(labels)
        if known is None:
            known = series[labels] = Histogram([0] * (len(metric.buckets) + 1))
        known.counts[bisect_left(metric.buckets, value)] += 1
        known.total += value

    def gauge(self, metric: Metric, read: Read) -> None:
        """Ask `read` for the values whenever somebody wants to know."""
        self.gauges.append((metric, read))

    def value(self, metric: Metric, *labels: str) -> float:
        """A counter's value, 0 when it was never counted."""
        return self.counters.get(metric, {}).get(labels, 0)


def exponential(start: float, factor: float, count: int) -> tuple[float, ...]:
    """Bucket bounds that grow by a factor (prometheus.ExponentialBuckets)."""
    return tuple(start * factor**n for n in range(count))


def by_labels(values: Mapping[str, float]) -> list[tuple[Labels, float]]:
    """Values under one label each, for a gauge."""
    return [((name,), value) for name, value in values.items()]
