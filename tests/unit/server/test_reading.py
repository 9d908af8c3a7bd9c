"""GET and LIST over the wire, in every form."""

from __future__ import annotations

import gzip
import json
from typing import Any

import aiohttp
import pytest

from tests.unit.server.conftest import Client, Running

MAPS = "/api/v1/namespaces/default/configmaps"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
PARTIAL_LIST = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"n": name}}, "data": data}


async def test_one_object(admin: Client) -> None:
    created = await admin.create(MAPS, config_map("cm", a="b"))
    answer = await admin("GET", f"{MAPS}/cm")
    assert answer.json == created
    assert list(answer.json)[:3] == ["kind", "apiVersion", "metadata"]
    assert answer.body.endswith(b"}\n")


async def test_a_missing_object(admin: Client) -> None:
    for headers in ({}, TABLE):
        answer = await admin("GET", f"{JOBS}/nope", headers=headers)
        assert answer.status == 404
        assert answer.json["message"] == 'jobs.batch "nope" not found'
        assert answer.json["details"] == {"name": "nope", "group": "batch", "kind": "jobs"}


async def test_a_list(admin: Client) -> None:
    for name in ("b", "a"):
        await admin.create(MAPS, config_map(name))
    answer = (await admin("GET", MAPS)).json
    assert list(answer) == ["kind", "apiVersion", "metadata", "items"]
    assert answer["kind"] == "ConfigMapList"
    assert [i["metadata"]["name"] for i in answer["items"]] == ["a", "b"]
    assert all("kind" not in i for i in answer["items"])
    assert int(answer["metadata"]["resourceVersion"]) >= int(
        answer["items"][1]["metadata"]["resourceVersion"]
    )


async def test_an_empty_list(admin: Client) -> None:
    answer = (await admin("GET", "/apis/batch/v1/namespaces/absent/jobs")).json
    assert (answer["kind"], answer["items"]) == ("JobList", [])


async def test_pages(admin: Client) -> None:
    for name in ("a", "b", "c"):
        await admin.create(MAPS, config_map(name))
    first = (await admin("GET", f"{MAPS}?limit=1")).json
    assert first["metadata"]["remainingItemCount"] == 2
    token = first["metadata"]["continue"]
    second = (await admin("GET", f"{MAPS}?limit=5&continue={token}")).json
    assert [i["metadata"]["name"] for i in second["items"]] == ["b", "c"]
    assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        (
            "resourceVersion=abc",
            400,
            'invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: '
            'parsing "abc": invalid syntax',
        ),
        ("limit=abc", 400, 'strconv.ParseInt: parsing "abc": invalid syntax'),
        (
            "resourceVersionMatch=Exact",
            422,
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: '
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "labelSelector=a%20foo",
            400,
            "unable to parse requirement: found 'foo', expected: in, notin, =, ==, !=, gt, lt",
        ),
    ],
)
async def test_a_list_that_is_refused(admin: Client, query: str, status: int, message: str) -> None:
    answer = await admin("GET", f"{MAPS}?{query}")
    assert (answer.status, answer.json["message"]) == (status, message)


async def test_a_revision_that_is_not_there_yet(admin: Client) -> None:
    answer = await admin("GET", f"{MAPS}?resourceVersion=999999")
    assert answer.status == 504
    assert answer.headers["Retry-After"] == "1"
    assert answer.json["details"]["causes"] == [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]


async def test_label_selectors(admin: Client) -> None:
    for name in ("a", "b"):
        await admin.create(MAPS, config_map(name))
    found = (await admin("GET", f"{MAPS}?labelSelector=n%20in%20(a,c)")).json
    assert [i["metadata"]["name"] for i in found["items"]] == ["a"]


async def test_metadata_only(admin: Client) -> None:
    created = await admin.create(MAPS, config_map("a", k="v"))
    one = (await admin("GET", f"{MAPS}/a", headers=PARTIAL)).json
    assert one == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": created["metadata"],
    }
    many = (await admin("GET", MAPS, headers=PARTIAL_LIST)).json
    assert many["kind"] == "PartialObjectMetadataList"
    assert many["items"] == [one]


async def test_a_table(admin: Client) -> None:
    await admin.create(MAPS, config_map("a", k="v"))
    answer = await admin("GET", MAPS, headers=TABLE)
    assert answer.headers["Content-Type"] == "application/json"
    table = answer.json
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert table["columnDefinitions"][0]["format"] == "name"
    assert table["rows"][0]["cells"][0] == "a"
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert "conditions" not in table["rows"][0]
    single = (await admin("GET", f"{MAPS}/a", headers=TABLE)).json
    assert len(single["rows"]) == 1


@pytest.mark.parametrize(
    ("include", "kind"), [("Object", "ConfigMap"), ("Metadata", "PartialObjectMetadata")]
)
async def test_what_a_row_includes(admin: Client, include: str, kind: str) -> None:
    await admin.create(MAPS, config_map("a", k="v"))
    table = (await admin("GET", f"{MAPS}?includeObject={include}", headers=TABLE)).json
    assert table["rows"][0]["object"]["kind"] == kind


async def test_a_row_without_its_object(admin: Client) -> None:
    await admin.create(MAPS, config_map("a"))
    table = (await admin("GET", f"{MAPS}?includeObject=None", headers=TABLE)).json
    assert table["rows"][0]["object"] is None
    bogus = await admin("GET", f"{MAPS}?includeObject=Bogus", headers=TABLE)
    assert (bogus.status, bogus.json["message"]) == (
        400,
        'Unable to convert to Table as requested: includeObject: Invalid value: "Bogus": must be '
        "'Metadata', 'Object', 'None', or empty",
    )


async def test_yaml_and_pretty_json(admin: Client) -> None:
    await admin.create(MAPS, config_map("a", k="12e5"))
    yaml = await admin("GET", f"{MAPS}/a", headers={"Accept": "application/yaml"})
    assert yaml.headers["Content-Type"] == "application/yaml"
    assert yaml.text.startswith('apiVersion: v1\ndata:\n  k: "12e5"\nkind: ConfigMap\n')
    assert b'{\n  "kind": "ConfigMap"' in (await admin("GET", f"{MAPS}/a?pretty=1")).body
    curl = await admin("GET", f"{MAPS}/nope", headers={"User-Agent": "curl/8"})
    assert b'{\n  "kind": "Status"' in curl.body


async def test_large_answers_are_compressed_for_those_who_ask(
    running: Running, admin: Client
) -> None:
    for i in range(3):
        await admin.create(MAPS, config_map(f"a{i}", k="x" * 60_000))
    plain = await admin("GET", MAPS, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        url, tls = admin.url + MAPS, running.tls()
        async with session.get(url, ssl=tls, headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert response.headers["Vary"] == "Accept-Encoding"
            body = gzip.decompress(await response.read())
    assert json.loads(body) == plain.json


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", MAPS),
        ("PATCH", MAPS),
        ("POST", f"{MAPS}/a"),
        ("DELETE", "/api/v1/namespaces"),
        ("POST", "/api/v1/configmaps"),
        ("HEAD", MAPS),
        ("OPTIONS", MAPS),
        ("POST", f"{JOBS}/j/status"),
        ("PUT", f"{PODS}/p/log"),
    ],
)
async def test_methods_that_are_not_allowed(admin: Client, method: str, path: str) -> None:
    answer = await admin(method, path, {} if method in ("PUT", "POST", "PATCH") else None)
    assert answer.status == 405
    if method != "HEAD":
        assert answer.json["reason"] == "MethodNotAllowed"
        assert answer.json["details"] == {}


def pod(name: str, *containers: str, node: str = "", init: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": c, "image": "i"} for c in containers]}
    if node:
        spec["nodeName"] = node
    if init:
        spec["initContainers"] = [{"name": init, "image": "i"}]
    return {"metadata": {"name": name}, "spec": spec}


async def test_a_log(running: Running, admin: Client) -> None:
    await admin.create(PODS, pod("p1", "c", node="n"))
    answer = await admin("GET", f"{PODS}/p1/log?tailLines=5&follow=true")
    assert (answer.status, answer.body) == (200, b"one\ntwo\n")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert running.logs.asked == [("default", "p1", "c", {"follow": True, "tailLines": 5})]


async def test_a_log_that_is_not_there(admin: Client) -> None:
    await admin.create(PODS, pod("early", "c"))
    answer = await admin("GET", f"{PODS}/early/log")
    assert (answer.status, answer.body) == (204, b"")
    await admin.create(PODS, pod("p1", "c", node="n"))
    error = await admin("GET", f"{PODS}/p1/log?previous=true")
    assert (error.status, error.json["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (
            "two/log",
            400,
            "a container name must be specified for pod two, choose one of: [i c d]",
        ),
        ("two/log?container=zz", 400, "container zz is not valid for pod two"),
        ("absent/log", 404, 'pods "absent" not found'),
        (
            "two/log?tailLines=-1",
            422,
            'PodLogOptions "two" is invalid: tailLines: Invalid value: -1: must be greater than or '
            "equal to 0",
        ),
    ],
)
async def test_a_log_that_is_refused(admin: Client, path: str, status: int, message: str) -> None:
    await admin.create(PODS, pod("two", "c", "d", node="n", init="i"))
    answer = await admin("GET", f"{PODS}/{path}")
    assert (answer.status, answer.json["message"]) == (status, message)
