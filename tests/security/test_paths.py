"""No name and no query leads out of where it belongs, and nothing in a request is too much."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.security.survey import PLANTED
from tests.unit.server.secured import Secured

BASE = "/api/v1/namespaces/default"
OUTSIDE = [
    "../../x",
    "..",
    ".",
    "/etc/passwd",
    "a/../../b",
    "..%2f..%2fx",
    "a\x00b",
    "a\nb",
    "~root",
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("plural", ["pods", "secrets", "configmaps", "serviceaccounts"])
async def test_names_are_no_paths(guarded: Secured, plural: str, name: str) -> None:
    body = {"metadata": {"name": name}}
    if plural == "pods":
        body["spec"] = {"containers": [{"name": "c", "image": "x"}]}  # type: ignore[dict-item]
    assert (await guarded.root("POST", f"{BASE}/{plural}", body)).status == 422


@pytest.mark.parametrize("name", OUTSIDE)
async def test_namespaces_are_no_paths(guarded: Secured, name: str) -> None:
    made = await guarded.root("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert made.status == 422


@pytest.mark.parametrize("container", OUTSIDE)
async def test_logs_are_of_containers_that_the_pod_has(guarded: Secured, container: str) -> None:
    path = f"{BASE}/pods/{PLANTED}/log?container={quote(container, safe='')}"
    answer = await guarded.root("GET", path)
    assert answer.status == 400
    assert not guarded.running.logs.asked


@pytest.mark.parametrize("field", ["subPath", "subPathExpr"])
@pytest.mark.parametrize("path", ["..", "a/../../b", "/etc"])
async def test_sub_paths_stay_below(guarded: Secured, field: str, path: str) -> None:
    mount = {"name": "v", "mountPath": "/v", field: path}
    container = {"name": "c", "image": "x", "volumeMounts": [mount]}
    spec = {"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}
    answer = await guarded.root("POST", f"{BASE}/pods", {"metadata": {"name": "p"}, "spec": spec})
    assert answer.status == 422
    assert field in answer.json["message"]


def nested(depth: int) -> bytes:
    head = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"deep"},"x":'
    return head + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


BODIES = {
    "arrays without an end": b"[" * 2_000_000,
    "objects without an end": b'{"a":' * 500_000,
    "a number without an end": b'{"data":' + b"9" * 2_000_000 + b"}",
    "a huge exponent": b'{"data":1e999999999}',
    "many members of one name": b"{" + b",".join([b'"a":1'] * 300_000) + b"}",
    "half characters": b'{"data":"' + b"\\ud800" * 400_000 + b'"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_no_body_is_too_much(guarded: Secured, body: bytes) -> None:
    assert 400 <= (await guarded.root("POST", f"{BASE}/configmaps", body)).status < 500


@pytest.mark.parametrize("depth", [*range(100, 1100, 100), 9_999])
async def test_no_depth_ends_the_server(guarded: Secured, depth: int) -> None:
    answer = await guarded.root("POST", f"{BASE}/configmaps?dryRun=All", nested(depth))
    assert answer.status in (201, 400)
    assert (await guarded.root("GET", f"{BASE}/configmaps")).status == 200


SELECTORS = {
    "many values": "a in (" + ",".join(map(str, range(50_000))) + ")",
    "many terms": ",".join(f"k{i}=v" for i in range(50_000)),
    "one long name": "a" * 500_000,
    "parentheses": "(" * 500_000,
    "commas": "," * 500_000,
    "bangs": "!" * 500_000,
}


@pytest.mark.parametrize("which", ["labelSelector", "fieldSelector"])
@pytest.mark.parametrize("selector", SELECTORS.values(), ids=SELECTORS)
async def test_no_selector_is_too_much(guarded: Secured, which: str, selector: str) -> None:
    path = f"{BASE}/pods?{which}={quote(selector, safe='(),=!')}"
    answer = await guarded.root("GET", path)
    assert answer.status in (200, 400)
    assert len(json.dumps(answer.json)) < 3_000_000
