"""Discovery and OpenAPI over the wire."""

from __future__ import annotations

import pytest

from tests.unit.server.conftest import Client

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api", "APIVersions"),
        ("/api/", "APIVersions"),
        ("/apis", "APIGroupList"),
        ("/apis/", "APIGroupList"),
        ("/apis/batch", "APIGroup"),
        ("/apis/batch/v1", "APIResourceList"),
        ("/apis/batch/v1/", "APIResourceList"),
        ("/api/v1", "APIResourceList"),
    ],
)
async def test_legacy_discovery(admin: Client, path: str, kind: str) -> None:
    answer = await admin("GET", path, headers={"Accept": "application/json"})
    assert answer.json["kind"] == kind
    assert answer.headers["Content-Type"] == "application/json"


async def test_aggregated_discovery(admin: Client) -> None:
    answer = await admin("GET", "/apis", headers={"Accept": f"{V2},application/json"})
    assert answer.headers["Content-Type"] == V2
    assert answer.headers["Cache-Control"] == "public"
    assert answer.headers["Vary"] == "Accept"
    known = {"Accept": f"{V2},application/json", "If-None-Match": answer.headers["ETag"]}
    again = await admin("GET", "/apis", headers=known)
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/apis/nosuch", "/apis/nosuch/v1", "/apis/nosuch/v1/x", "/x"])
async def test_an_unknown_path(admin: Client, path: str) -> None:
    answer = await admin("GET", path)
    assert (answer.status, answer.text) == (404, "404 page not found\n")


@pytest.mark.parametrize(
    "path",
    [
        "/apis/batch/v1/namespaces/d/jobz",
        "/apis/batch/v1/namespaces/d/jobs/j/nosuch",
        "/apis/batch/v1/namespaces/d/jobs/j/status/more",
        "/apis/batch/v1/jobs/j",
        "/api/v1/namespaces/d/nodes",
    ],
)
async def test_an_unknown_resource(admin: Client, path: str) -> None:
    answer = await admin("GET", path)
    assert answer.status == 404
    assert answer.json["message"] == "the server could not find the requested resource"
    assert answer.json["details"] == {}


async def test_openapi_v2_for_old_kubectl(admin: Client) -> None:
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    answer = await admin("GET", "/openapi/v2", headers={"Accept": accept})
    assert answer.status == 200
    assert answer.body.startswith(b"\x0a\x032.0")  # field 1: swagger
    assert "proto-openapi" in answer.headers["Content-Type"]
    known = {"Accept": accept, "If-None-Match": answer.headers["ETag"]}
    assert (await admin("GET", "/openapi/v2", headers=known)).status == 304


async def test_openapi_v2_in_json(admin: Client) -> None:
    answer = await admin("GET", "/openapi/v2")
    assert answer.json["swagger"] == "2.0"
    assert answer.headers["Content-Type"] == "application/json"


async def test_openapi_v3(admin: Client) -> None:
    index = (await admin("GET", "/openapi/v3")).json["paths"]
    url = index["apis/batch/v1"]["serverRelativeURL"]
    answer = await admin("GET", url)
    assert answer.headers["Cache-Control"] == "public, immutable"
    assert answer.headers["Expires"].endswith("GMT")
    assert answer.json["openapi"] == "3.0.0"
    known = await admin("GET", url, headers={"If-None-Match": answer.headers["ETag"]})
    assert known.status == 304
    stale = await admin("GET", url.partition("=")[0] + "=OLD")
    assert (stale.status, stale.headers["Location"]) == (301, url)
    assert (await admin("GET", "/openapi/v3/apis/nosuch/v1")).status == 404


async def test_unacceptable(admin: Client) -> None:
    answer = await admin("GET", "/api/v1/namespaces", headers={"Accept": "text/html"})
    assert answer.status == 406
    assert answer.json["message"].startswith("406: Not Acceptable\n\nAvailable representations: ")
