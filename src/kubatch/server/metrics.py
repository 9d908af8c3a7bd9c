"""/metrics: what the process counts, in Prometheus' text format, and what the server counts itself.

Names, labels and buckets are kube-apiserver's (apiserver/pkg/endpoints/metrics/metrics.go). The
package that writes the format is loaded by the first request for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from kubatch.api import resource as table
from kubatch.meters import Labels, Meters, Metric
from kubatch.server.replies import Reply
from kubatch.server.request import RequestInfo

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as PrometheusMetric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
COMPONENT = "apiserver"
_WHAT = ("group", "version", "resource", "subresource", "scope", "component")
REQUESTS = Metric(
    "apiserver_request_total",
    "Counter of apiserver requests broken out for each verb, dry run value, group, version, "
    "resource, scope, component, and HTTP response code.",
    ("code", "dry_run", "verb", *_WHAT),
)
REQUEST_SECONDS = Metric(
    "apiserver_request_duration_seconds",
    "Response latency distribution in seconds for each verb, dry run value, group, version, "
    "resource, subresource, scope and component.",
    ("dry_run", "verb", *_WHAT),
    "histogram",
    (
        0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20,
        30, 45, 60,
    ),
)  # fmt: skip
INFLIGHT = Metric(
    "apiserver_current_inflight_requests",
    "Maximal number of currently used inflight request limit of this apiserver per request kind "
    "in last second.",
    ("request_kind",),
    "gauge",
)
LONG_RUNNING = Metric(
    "apiserver_longrunning_requests",
    "Gauge of all active long-running apiserver requests broken out by verb, group, version, "
    "resource, scope and component.",
    ("verb", *_WHAT),
    "gauge",
)
WATCH_EVENTS = Metric(
    "apiserver_watch_events_total",
    "Number of events sent in watch clients",
    ("group", "version", "resource"),
)
OBJECTS = Metric(
    "apiserver_storage_objects",
    "Number of stored objects at the time of last check split by kind.",
    ("resource",),
    "gauge",
)
REVISION = Metric("kubatch_store_revision", "Revision of the newest write.", (), "gauge")

_MUTATING = frozenset(("POST", "PUT", "PATCH", "DELETE"))
# apiserver/pkg/server/filters/longrunning.go, as kube-apiserver sets it up
_LONG_RUNNING = frozenset(("log", "exec", "attach", "portforward", "proxy"))


def is_long_running(info: RequestInfo) -> bool:
    """Whether a request goes on: it is counted apart, and its start is worth a line of audit."""
    return info.is_resource and (info.verb == "watch" or info.subresource in _LONG_RUNNING)


_VERBS = {
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
}


class RequestMeter:
    """Counts requests."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        meters.declare(REQUESTS, REQUEST_SECONDS, WATCH_EVENTS, INFLIGHT, LONG_RUNNING)
        for kind in ("readOnly", "mutating"):
            meters.add(INFLIGHT, (kind,), 0)

    def request(self, info: RequestInfo) -> OneRequest:
        """Measures one request while it is the context; its `code` is to be set."""
        return OneRequest(self._meters, info)


class OneRequest:
    """A request under way."""

    def __init__(self, meters: Meters, info: RequestInfo) -> None:
        self.code = 0  # 0: the client left before there was an answer
        self._meters = meters
        self._what = _what(
            info.method, info.verb, info.group, info.version, info.resource, info.subresource,
            info.namespace is not None, bool(info.name), info.is_resource,
        )  # fmt: skip
        self._dry_run = "All" if "dryRun" in info.query else ""
        if is_long_running(info):
            self._gauge, self._kind = LONG_RUNNING, self._what
        else:
            kind = "mutating" if info.method in _MUTATING else "readOnly"
            self._gauge, self._kind = INFLIGHT, (kind,)
        self._started = 0.0

    def __enter__(self) -> OneRequest:
        self._started = asyncio.get_running_loop().time()
        self._meters.add(self._gauge, self._kind, 1)
        return self

    def __exit__(self, *_: object) -> None:
        meters = self._meters
        meters.add(self._gauge, self._kind, -1)
        if not self.code and self._gauge is LONG_RUNNING:
            self.code = 200  # it had begun, and the client had enough
        seconds = asyncio.get_running_loop().time() - self._started
        meters.add(REQUESTS, (str(self.code), self._dry_run, *self._what))
        meters.observe(REQUEST_SECONDS, (self._dry_run, *self._what), seconds)


@lru_cache(maxsize=4096)
def _what(
    method: str, verb: str, group: str, version: str, resource: str, subresource: str,
    namespaced: bool, named: bool, is_resource: bool,
) -> Labels:  # fmt: skip
    """Verb and the labels that say of what; words a client made up are left out."""
    if not is_resource:
        return (method if method in ("GET", *_MUTATING) else "other", "", "", "", "", "", COMPONENT)
    found = table.by_path(group, version, resource)
    if found is None:
        return (_VERBS.get(verb, "other"), "", "", "", "", "", COMPONENT)
    known = any(s.name == subresource for s in found.subresources)
    scope = "namespace" if namespaced else "cluster"
    if named or verb == "create":  # metrics.go: CleanScope
        scope = "resource"
    connects = subresource in ("exec", "attach", "portforward", "proxy")
    reported = "CONNECT" if connects else _VERBS.get(verb, "other")
    shown = subresource if known else ""
    return (reported, group, version, resource, shown, scope, COMPONENT)


def reply(meters: Meters) -> Reply:
    """The answer to GET /metrics."""
    return Reply(render(meters), 200, CONTENT_TYPE)


def render(meters: Meters) -> bytes:
    """Everything counted, in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import Collector

    class Everything(Collector):
        def collect(self) -> Iterator[PrometheusMetric]:
            yield from _families(meters)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Everything())
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _families(meters: Meters) -> Iterator[PrometheusMetric]:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    for metric, values in meters.counters.items():
        family: CounterMetricFamily | GaugeMetricFamily
        if metric.kind == "gauge":
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        else:
            family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        yield family
    for metric, series in meters.histograms.items():
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        bounds = [*(f"{bound:g}" for bound in metric.buckets), "+Inf"]
        for labels, one in series.items():
            histogram.add_metric(
                labels, list(zip(bounds, one.cumulative(), strict=True)), one.total
            )
        yield histogram
    gauges: dict[Metric, GaugeMetricFamily] = {}
    for metric, read in meters.gauges:
        if metric not in gauges:
            gauges[metric] = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in read():
            gauges[metric].add_metric(labels, value)
    yield from gauges.values()
