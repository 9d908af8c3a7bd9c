"""/metrics and the explanations of objects."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kubatch.api.errors import ApiError
from kubatch.api.resource import CONFIGMAPS, NODES, Resource
from kubatch.client.http import HttpClient
from kubatch.client.kubeconfig import Endpoint
from kubatch.meters import Meters, Metric
from kubatch.server import metrics, request
from kubatch.server.insight import Insight, Why
from kubatch.world import World
from tests.suites.api_server import served
from tests.suites.client_suite import config, refused, take
from tests.suites.virtual_time import EPOCH


def samples(text: bytes) -> dict[str, float]:
    """`name{label="value",...}` to value."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()) if v)
            found[f"{sample.name} {labels}" if labels else sample.name] = sample.value
    return found


def test_counters_gauges_and_histograms_are_written() -> None:
    meters = Meters()
    meters.add(Metric("a_total", "A.", ("x",)), ('quoted "\n',), 2)
    meters.add(Metric("b", "B.", (), "gauge"), (), -1)
    seconds = Metric("c_seconds", "C.", ("y",), "histogram", (0.5, 2.0))
    for value in (0.1, 0.5, 1.0, 9.0):
        meters.observe(seconds, ("z",), value)
    size = Metric("d", "D.", ("name",), "gauge")
    meters.gauge(size, lambda: [(("one",), 1)])
    meters.gauge(size, lambda: [(("two",), 2)])
    meters.declare(Metric("empty_total", "E."))
    text = metrics.render(meters)
    found = samples(text)
    assert found['a_total x=quoted "\n'] == 2
    assert found["b"] == -1
    assert [found[f"c_seconds_bucket le={le},y=z"] for le in ("0.5", "2", "+Inf")] == [2, 3, 4]
    assert found["c_seconds_sum y=z"] == 10.6
    assert (found["d name=one"], found["d name=two"]) == (1, 2)
    assert b"# TYPE empty_total counter\n" in text
    assert found["process_resident_memory_bytes"] > 0


async def test_requests_are_counted(tmp_path: Path) -> None:
    async with served(tmp_path) as on, on.client() as client:
        await client.create(CONFIGMAPS, config("default", "a"))
        await refused(client.get(CONFIGMAPS, "default", "none"))
        listing = await client.list(CONFIGMAPS)
        watch: Any = client.watch(CONFIGMAPS, after=listing.revision)
        async with aclosing(watch):
            await client.create(CONFIGMAPS, config("default", "b"))
            await take(watch, 1)
            found = samples(await client.get_raw("/metrics"))
        what = "component=apiserver,{dry}resource=configmaps,scope={scope},verb={verb},version=v1"
        many = what.format(dry="", scope="resource", verb="POST")
        assert found[f"apiserver_request_total code=201,{many}"] == 2
        assert found[f"apiserver_request_duration_seconds_count {many}"] == 2
        one = what.format(dry="", scope="resource", verb="GET")
        assert found[f"apiserver_request_total code=404,{one}"] == 1
        everywhere = what.format(dry="", scope="cluster", verb="LIST")
        assert found[f"apiserver_request_total code=200,{everywhere}"] == 1
        watching = what.format(dry="", scope="cluster", verb="WATCH")
        assert found[f"apiserver_longrunning_requests {watching}"] == 1
        assert found["apiserver_watch_events_total resource=configmaps,version=v1"] == 1
        assert found["apiserver_current_inflight_requests request_kind=readOnly"] == 1

        async def ended() -> bool:
            text = samples(await client.get_raw("/metrics"))
            return text[f"apiserver_longrunning_requests {watching}"] == 0

        async with asyncio.timeout(10):
            while not await ended():
                pass


@pytest.mark.parametrize(
    ("method", "target", "labels"),
    [
        ("GET", "/metrics", ("GET", "", "", "", "", "")),
        ("BREW", "/pot", ("other", "", "", "", "", "")),
        ("GET", "/api/v1/pods", ("LIST", "", "v1", "pods", "", "cluster")),
        ("GET", "/api/v1/pods?watch=1", ("WATCH", "", "v1", "pods", "", "cluster")),
        ("GET", "/api/v1/namespaces/x/pods", ("LIST", "", "v1", "pods", "", "namespace")),
        ("POST", "/api/v1/namespaces/x/pods", ("POST", "", "v1", "pods", "", "resource")),
        ("GET", "/api/v1/namespaces/x/pods/p/log", ("GET", "", "v1", "pods", "log", "resource")),
        ("PUT", "/apis/batch/v1/namespaces/x/jobs/j/status",
         ("PUT", "batch", "v1", "jobs", "status", "resource")),
        ("DELETE", "/apis/batch/v1/namespaces/x/jobs",
         ("DELETECOLLECTION", "batch", "v1", "jobs", "", "namespace")),
        # Words a client makes up are no labels: they would fill the memory.
        ("GET", "/apis/batch/v1/namespaces/x/made-up/j", ("GET", "", "", "", "", "")),
        ("GET", "/api/v1/namespaces/x/pods/p/made-up", ("GET", "", "v1", "pods", "", "resource")),
    ],
)  # fmt: skip
async def test_what_a_request_is_counted_as(
    method: str, target: str, labels: tuple[str, ...]
) -> None:
    meters = Meters()
    with metrics.RequestMeter(meters).request(request.parse(method, target)) as one:
        one.code = 200
    [counted] = meters.counters[metrics.REQUESTS]
    assert counted == ("200", "", *labels, "apiserver")


async def test_who_may_not_see_metrics(tmp_path: Path) -> None:
    async with served(tmp_path) as on, on.client() as admin:
        anonymous = Endpoint(on.server.url, _no_certificate(tmp_path))
        async with HttpClient(anonymous, World()) as stranger:
            error = await refused(stranger.get_raw("/metrics"))
            assert (error.code, 'cannot get path "/metrics"' in error.message) == (403, True)
            await admin.create(CONFIGMAPS, config("default", "a"))
            path = "/kubatch.dev/v1/explain/core/configmaps/default/a"
            error = await refused(stranger.get_raw(path))
            # As if the object itself were asked for.
            assert error.code == 403
            assert 'cannot get resource "configmaps" in API group ""' in error.message


def _no_certificate(directory: Path) -> Any:
    import ssl

    return ssl.create_default_context(cafile=str(directory / "pki" / "ca.crt"))


# ----- explanations


def explain(resource: Resource[Any], namespace: str, name: str, uid: str) -> Sequence[Why]:
    if resource is not CONFIGMAPS:
        return ()
    later = EPOCH + timedelta(seconds=30)
    return [
        Why(
            "some-controller", f"{namespace}/{name} waits", EPOCH, later, {"active": 1}, "no luck",
            later, [(EPOCH, "came")],
        )
    ]  # fmt: skip


async def test_what_was_decided_is_told(tmp_path: Path) -> None:
    insight = Insight(Meters(), explain)
    async with served(tmp_path, insight=insight) as on, on.client() as client:
        made = await client.create(CONFIGMAPS, config("default", "a"))
        assert made.metadata is not None
        data = await client.get_raw("/kubatch.dev/v1/explain/core/configmaps/default/a")
        assert msgspec.json.decode(data) == {
            "kind": "Explanation",
            "apiVersion": "kubatch.dev/v1",
            "metadata": {"name": "a", "uid": made.metadata.uid, "namespace": "default"},
            "decisions": [
                {
                    "by": "some-controller",
                    "because": "default/a waits",
                    "at": "2026-01-01T00:00:00.000000Z",
                    "wakeAt": "2026-01-01T00:00:30.000000Z",
                    "facts": {"active": 1},
                    "error": "no luck",
                    "retryAt": "2026-01-01T00:00:30.000000Z",
                    "earlier": [{"at": "2026-01-01T00:00:00.000000Z", "because": "came"}],
                }
            ],
        }
        data = await client.get_raw("/kubatch.dev/v1/explain/core/namespaces/default")
        assert msgspec.json.decode(data)["decisions"] == []


@pytest.mark.parametrize(
    "path",
    [
        "core/configmaps/default/none",
        "core/configmaps/a",
        "core/made-up/default/a",
        "core/namespaces/default/default",
        "core/configmaps/default/a/b",
        "core/configmaps//",
        "",
    ],
)
async def test_what_is_not_there_is_404(tmp_path: Path, path: str) -> None:
    async with served(tmp_path) as on, on.client() as client:
        error: ApiError = await refused(client.get_raw(f"/kubatch.dev/v1/explain/{path}"))
        assert error.code == 404
        assert NODES.namespaced is False
