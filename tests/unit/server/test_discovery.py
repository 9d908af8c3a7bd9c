"""What the server says it serves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubatch.server import discovery, openapi

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
V2BETA1 = V2.replace("v=v2", "v=v2beta1")


def body(path: str, accept: str = "application/json") -> dict[str, Any]:
    document = discovery.find(path, accept, "127.0.0.1:6443")
    assert document is not None
    found: dict[str, Any] = json.loads(document.body)
    return found


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (f"{V2},{V2BETA1},application/json", "v2"),
        (f"{V2BETA1},application/json", "v2beta1"),
        (f"{V2};profile=nopeer,{V2},application/json", "v2"),
    ],
)
def test_aggregated_discovery(accept: str, version: str) -> None:
    document = discovery.find("/apis", accept, "x")
    assert document is not None
    assert f"v={version};as=APIGroupDiscoveryList" in document.content_type
    found = json.loads(document.body)
    assert found["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    batch = next(g for g in found["items"] if g["metadata"] == {"name": "batch"})
    jobs = next(r for r in batch["versions"][0]["resources"] if r["resource"] == "jobs")
    assert jobs["responseKind"] == {"group": "", "version": "", "kind": "Job"}
    assert jobs["subresources"][0]["subresource"] == "status"
    core = json.loads(discovery.find("/api", accept, "x").body)  # type: ignore[union-attr]
    assert [g["metadata"] for g in core["items"]] == [{}]


def test_legacy_roots() -> None:
    assert body("/api")["versions"] == ["v1"]
    batch = next(g for g in body("/apis")["groups"] if g["name"] == "batch")
    assert batch["preferredVersion"] == {"groupVersion": "batch/v1", "version": "v1"}
    assert body("/apis/batch")["kind"] == "APIGroup"


def test_a_resource_list() -> None:
    entries = {r["name"]: r for r in body("/apis/batch/v1")["resources"]}
    assert entries["cronjobs"]["shortNames"] == ["cj"]
    assert entries["jobs"]["categories"] == ["all"]
    assert entries["jobs"]["singularName"] == "job"
    assert entries["jobs/status"]["singularName"] == ""
    assert entries["jobs/status"]["verbs"] == ["get", "patch", "update"]
    core = body("/api/v1")
    assert core["groupVersion"] == "v1"
    pods = {r["name"]: r for r in core["resources"]}
    for name, kind in (
        ("attach", "PodAttachOptions"),
        ("exec", "PodExecOptions"),
        ("portforward", "PodPortForwardOptions"),
    ):
        entry = pods[f"pods/{name}"]
        assert (entry["kind"], entry["verbs"]) == (kind, ["create", "get"])


@pytest.mark.parametrize("path", ["/apis/nosuch", "/apis/nosuch/v1", "/api/v2", "/apis/batch/v2"])
def test_what_is_not_there(path: str) -> None:
    assert discovery.find(path, "", "x") is None


def test_the_version() -> None:
    version = json.loads(discovery.version().body)
    assert version["gitVersion"] == "v1.36.2+kubatch"
    assert (version["major"], version["minor"]) == ("1", "36")


def test_openapi_v3_lets_kubectl_trust_the_server() -> None:
    document = json.loads(openapi.v3("batch", "v1").body)
    patch = document["paths"]["/apis/batch/v1/namespaces/{namespace}/jobs/{name}"]["patch"]
    assert "fieldValidation" in [p["name"] for p in patch["parameters"]]
    kind = {"group": "batch", "version": "v1", "kind": "Job"}
    assert patch["x-kubernetes-group-version-kind"] == kind
    assert "requestBody" not in patch
    job = document["components"]["schemas"]["io.k8s.api.batch.v1.Job"]
    assert job["x-kubernetes-group-version-kind"] == [kind]


def test_openapi_v3_describes_fields() -> None:
    schemas = json.loads(openapi.v3("batch", "v1").body)["components"]["schemas"]
    limit = schemas["io.k8s.api.batch.v1.JobSpec"]["properties"]["backoffLimit"]
    assert limit["type"] == "integer"
    assert limit["format"] == "int32"
    assert limit["description"].startswith("Specifies the number of retries before marking")
    assert schemas["io.k8s.api.batch.v1.JobSpec"]["required"] == ["template"]


@pytest.mark.parametrize(
    ("group", "version"),
    [("", "v1"), ("batch", "v1"), ("events.k8s.io", "v1"), ("coordination.k8s.io", "v1")],
)
def test_openapi_v3_refers_only_to_what_it_holds(group: str, version: str) -> None:
    document = json.loads(openapi.v3(group, version).body)
    schemas = document["components"]["schemas"]

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            found = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return found + [r for child in node.values() for r in references(child)]
        if isinstance(node, list):
            return [r for child in node for r in references(child)]
        return []

    found = {r.rpartition("/")[2] for r in references(document)}
    assert found <= set(schemas)
    described = [s for s in schemas.values() if "properties" in s and not s["description"]]
    assert described == []


def test_the_index_leads_to_the_documents() -> None:
    paths = json.loads(openapi.v3_index())["paths"]
    url = paths["apis/batch/v1"]["serverRelativeURL"]
    assert url == f"/openapi/v3/apis/batch/v1?hash={openapi.v3('batch', 'v1').hash}"
    assert "api/v1" in paths


def test_a_docstring() -> None:
    summary, texts = openapi.parse_docstring(
        "A thing.\n\n  **parameters**\n\n  * **a** ``int`` - One\n    two.\n\n    Three.\n"
        "  * **b** ``Optional[str]`` - Four: - five\n"
    )
    assert summary == "A thing."
    assert texts == {"a": "One two.\n\nThree.", "b": "Four: - five"}
