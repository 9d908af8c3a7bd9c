"""metrics.k8s.io: what is served, and to which questions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from kubatch.api.consumption import NodeUse, PodUse, Use
from kubatch.api.errors import ApiError
from kubatch.server import consumption, discovery, request
from kubatch.server.auth import User
from kubatch.server.replies import Call

AT = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


class Known:
    """Who knows what is used."""

    def nodes(self) -> list[NodeUse]:
        return [NodeUse("n", {"a": "b"}, AT, 10.01, Use(1.5, 1 << 30))]

    def pods(self) -> list[PodUse]:
        use = [("c", Use(0.25, 5 << 20))]
        return [PodUse("y", "q", {}, AT, 10.0, use), PodUse("x", "p", {"app": "1"}, AT, 10.0, use)]


async def nothing() -> bytes:
    return b""


def ask(target: str, method: str = "GET", known: Known | None = None) -> Mapping[str, Any]:
    info = request.parse(method, f"/apis/metrics.k8s.io/v1beta1/{target}")
    reply = consumption.answer(Call(info, User("u"), {}, nothing), known or Known())
    found: Mapping[str, Any] = json.loads(reply.body)
    return found


def test_a_node() -> None:
    assert ask("nodes/n") == {
        "kind": "NodeMetrics",
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {
            "name": "n", "creationTimestamp": "2026-11-24T12:00:00Z", "labels": {"a": "b"},
        },
        "timestamp": "2026-11-24T12:00:00Z",
        "window": "10.010s",
        "usage": {"cpu": "1500000000n", "memory": "1048576Ki"},
    }  # fmt: skip


def names(found: Mapping[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in found["items"]]


def test_lists() -> None:
    everywhere = ask("pods")
    assert (everywhere["kind"], names(everywhere)) == ("PodMetricsList", ["p", "q"])
    assert everywhere["items"][0]["containers"] == [
        {"name": "c", "usage": {"cpu": "250000000n", "memory": "5120Ki"}}
    ]
    assert names(ask("namespaces/y/pods")) == ["q"]
    assert names(ask("pods?labelSelector=app%3D1")) == ["p"]
    assert names(ask("nodes?labelSelector=a%21%3Db")) == []
    assert ask("namespaces/x/pods/p")["metadata"]["namespace"] == "x"


def test_nobody_looks() -> None:
    info = request.parse("GET", "/apis/metrics.k8s.io/v1beta1/pods")
    for target in ("pods", "nodes"):
        info = request.parse("GET", f"/apis/metrics.k8s.io/v1beta1/{target}")
        reply = consumption.answer(Call(info, User("u"), {}, nothing), None)
        assert json.loads(reply.body)["items"] == []


@pytest.mark.parametrize(
    ("target", "method", "code"),
    [
        ("things", "GET", 404),
        ("nodes/other", "GET", 404),
        ("namespaces/y/pods/p", "GET", 404),
        ("namespaces/y/nodes", "GET", 404),
        ("nodes/n/status", "GET", 404),
        ("nodes", "POST", 405),
        ("nodes/n", "DELETE", 405),
        ("nodes?watch=1", "GET", 405),
    ],
)
def test_refusals(target: str, method: str, code: int) -> None:
    with pytest.raises(ApiError) as caught:
        ask(target, method)
    assert caught.value.code == code


def test_discovery_knows_it() -> None:
    def find(path: str, accept: str = "*/*") -> Any:
        document = discovery.find(path, accept, "127.0.0.1:1")
        assert document is not None
        return json.loads(document.body)

    assert "metrics.k8s.io" in [group["name"] for group in find("/apis")["groups"]]
    assert find("/apis/metrics.k8s.io")["preferredVersion"]["version"] == "v1beta1"
    listed = find("/apis/metrics.k8s.io/v1beta1")["resources"]
    assert [(r["name"], r["kind"], r["verbs"]) for r in listed] == [
        ("nodes", "NodeMetrics", ["get", "list"]),
        ("pods", "PodMetrics", ["get", "list"]),
    ]
    assert discovery.serves("metrics.k8s.io", "v1beta1")
