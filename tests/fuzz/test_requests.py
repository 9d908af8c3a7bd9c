"""Whatever comes, the server answers in time, never with 500; what it refuses changes nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from tests.fuzz import shapes
from tests.unit.server.conftest import Answer
from tests.unit.server.secured import MASTER, Secured

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

few = settings(max_examples=150, suppress_health_check=list(HealthCheck))
SECONDS_MAX = 10
PATCH_TYPES = ("merge-patch", "strategic-merge-patch", "json-patch")
# What Kubernetes itself answers with 500, and says so.
KNOWN_500 = (
    "resourceVersion should not be set on objects to be created",
    "does not contain declared merge key",
    "doesn't match $setElementOrder list",
    "unknown patch type: ",
    "list element types are not identical: ",
    "merging lists cannot yet be specified in the patch",
)


async def ask(
    server: Secured, method: str, target: str, body: bytes | None = None, kind: str = ""
) -> Answer:
    """One request, and what is true of every answer."""
    headers = {"Authorization": f"Bearer {MASTER}"}
    if kind:
        headers["Content-Type"] = kind
    before = server.running.registry.revision
    url = URL(server.running.server.url + target, encoded=True)
    async with (
        asyncio.timeout(SECONDS_MAX),
        server.session.request(
            method, url, data=body, headers=headers, allow_redirects=False
        ) as response,
    ):
        answer = Answer(response.status, response.headers, await response.read(), [])
    said = answer.text if answer.status >= 500 else ""
    assert answer.status < 500 or answer.status == 504 or any(k in said for k in KNOWN_500), said
    assert "Traceback" not in said
    if answer.status >= 400:
        assert server.running.registry.revision == before
    return answer


async def restore(server: Secured, path: str) -> None:
    """Put the one object of a collection back as it was."""
    for found in (await ask(server, "GET", path)).json.get("items", ()):
        name = found["metadata"]["name"]
        clean = json.dumps([{"op": "add", "path": "/metadata/finalizers", "value": []}]).encode()
        await ask(server, "PATCH", f"{path}/{name}", clean, "application/json-patch+json")
        await ask(
            server, "DELETE", f"{path}/{name}?gracePeriodSeconds=0&propagationPolicy=Background"
        )
    await ask(server, "POST", path, json.dumps(shapes.OBJECTS[path]).encode())


@few
@given(shapes.writes(), st.sampled_from(("", "?dryRun=All", "?fieldValidation=Strict")))
async def test_creates(fuzzed: Secured, write: tuple[str, Any], query: str) -> None:
    path, value = write
    answer = await ask(fuzzed, "POST", path + query, json.dumps(value).encode())
    if answer.status == 201 and not query and "reviews" not in path:
        await restore(fuzzed, path)


@few
@given(
    st.sampled_from(sorted(p for p in shapes.OBJECTS if "reviews" not in p)),
    st.sampled_from(PATCH_TYPES),
    st.data(),
)
async def test_patches(fuzzed: Secured, path: str, kind: str, data: st.DataObject) -> None:
    await restore(fuzzed, path)
    before = (await ask(fuzzed, "GET", f"{path}/x")).body
    patch = data.draw(operations if kind == "json-patch" else shapes.damaged(shapes.OBJECTS[path]))
    body = json.dumps(patch).encode()
    answer = await ask(fuzzed, "PATCH", f"{path}/x", body, f"application/{kind}+json")
    if answer.status >= 400:
        assert (await ask(fuzzed, "GET", f"{path}/x")).body == before


@few
@given(shapes.writes(), st.sampled_from(("", "/status", "/scale")))
async def test_updates(fuzzed: Secured, write: tuple[str, Any], part: str) -> None:
    path, value = write
    await ask(fuzzed, "PUT", f"{path}/x{part}", json.dumps(value).encode())


@few
@given(
    st.sampled_from(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")), shapes.targets()
)
async def test_targets(fuzzed: Secured, method: str, target: str) -> None:
    if method == "DELETE" and "/namespaces/" in target:
        method = "GET"  # of what other examples need
    answer = await ask(fuzzed, method, target, b"{}" if method in ("POST", "PUT") else None)
    if answer.headers.get("Content-Type", "").startswith("application/json") and answer.body:
        json.loads(answer.body)


@few
@given(
    st.binary(max_size=60),
    st.sampled_from(("json", "yaml", "vnd.kubernetes.protobuf", "apply-patch+yaml")),
)
async def test_bytes(fuzzed: Secured, body: bytes, kind: str) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    method, tail = ("PATCH", "/x?fieldManager=f") if "apply" in kind else ("POST", "")
    framed = b"k8s\x00" + body if "protobuf" in kind else body
    await ask(fuzzed, method, path + tail, framed, f"application/{kind}")


signs = st.sampled_from(
    ["=", "==", "!=", ",", "!", "(", ")", " in ", " notin ", ">", "<", "\\", "a", "b", "1", " "]
)


@few
@given(
    st.sampled_from(("labelSelector", "fieldSelector")),
    st.lists(signs | st.text(max_size=3), max_size=8).map("".join),
)
async def test_selectors(fuzzed: Secured, name: str, selector: str) -> None:
    sent = quote(selector, safe="")
    answer = await ask(fuzzed, "GET", f"/api/v1/namespaces/default/configmaps?{name}={sent}")
    assert answer.status in (200, 400)


_pointers = st.sampled_from(
    [
        "",
        "/",
        "/metadata",
        "/metadata/name",
        "/metadata/labels",
        "/metadata/labels/a",
        "/spec",
        "/spec/template",
        "/data",
        "/data/a",
        "/zz/0",
        "/metadata/finalizers/-",
        "/metadata/finalizers/0",
        "/spec/containers/0/image",
        "/~",
        "/~2",
        "x",
    ]
)
_operation = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "zap"]),
        "path": _pointers,
    },
    optional={"value": shapes.values, "from": _pointers},
)
operations = st.lists(_operation, max_size=4) | shapes.values


_names = st.sampled_from("abc")
_change = st.dictionaries(_names, st.none() | st.sampled_from("123"))
_step = st.tuples(st.sampled_from(("add", "remove", "replace")), _names, st.sampled_from("123"))


def twin_of_merge(data: dict[str, str], change: dict[str, str | None]) -> dict[str, str]:
    """RFC 7386 for a map of strings, said slowly."""
    left = {k: v for k, v in data.items() if k not in change}
    return {**left, **{k: v for k, v in change.items() if v is not None}}


def twin_of_steps(data: dict[str, str], steps: list[tuple[str, str, str]]) -> dict[str, str] | None:
    """RFC 6902 for a map of strings; None when a step fails. A replace may also add."""
    for op, name, value in steps:
        if op == "remove" and name not in data:
            return None
        data = {k: v for k, v in data.items() if k != name}
        data = data if op == "remove" else {**data, name: value}
    return data


@few
@given(_change, st.lists(_step, max_size=4))
async def test_patches_and_their_twins(
    fuzzed: Secured, change: dict[str, str | None], steps: list[tuple[str, str, str]]
) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    start = {"a": "1", "z": "0"}
    body = json.dumps({"metadata": {"name": "x"}, "data": start}).encode()
    await restore(fuzzed, path)
    await ask(fuzzed, "PUT", f"{path}/x", body)
    sent = json.dumps({"data": change}).encode()
    answer = await ask(fuzzed, "PATCH", f"{path}/x", sent, "application/merge-patch+json")
    merged = twin_of_merge(start, change)
    assert answer.json["data"] == merged
    written = [
        {"op": op, "path": f"/data/{name}", **({} if op == "remove" else {"value": value})}
        for op, name, value in steps
    ]
    sent = json.dumps(written).encode()
    answer = await ask(fuzzed, "PATCH", f"{path}/x", sent, "application/json-patch+json")
    expected = twin_of_steps(merged, steps)
    if expected is None:
        assert answer.status == 422
    else:
        assert answer.json["data"] == expected
