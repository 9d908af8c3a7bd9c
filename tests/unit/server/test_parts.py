"""Subresources over HTTP: scale, eviction, ephemeral containers, resize; bindings; deprecations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.server.conftest import Client

SETS = "/apis/apps/v1/namespaces/default/replicasets"
PODS = "/api/v1/namespaces/default/pods"
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
SET = {
    "metadata": {"name": "rs"},
    "spec": {
        "selector": {"matchLabels": {"app": "ap"}},
        "template": {
            "metadata": {"labels": {"app": "ap"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    },
}
MERGE = {"Content-Type": "application/merge-patch+json"}
CREATED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


# ----- scale


async def test_a_scale(admin: Client) -> None:
    made = await admin.create(SETS, SET)
    meta = made["metadata"]
    assert (await admin("GET", f"{SETS}/rs/scale")).json == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": meta["creationTimestamp"],
            "name": "rs",
            "namespace": "default",
            "uid": meta["uid"],
        },
        "spec": {"replicas": 1},
        "status": {"replicas": 0, "selector": "app=ap"},
    }
    assert (await admin("GET", f"{SETS}/none/scale")).json["message"] == (
        'replicasets.apps "none" not found'
    )


async def test_scaling(admin: Client) -> None:
    await admin.create(SETS, SET)
    done = await admin("PATCH", f"{SETS}/rs/scale", {"spec": {"replicas": 3}}, MERGE)
    assert (done.status, done.json["spec"]) == (200, {"replicas": 3})
    again = await admin("PATCH", f"{SETS}/rs/scale", {"spec": {"replicas": 3}}, MERGE)
    assert again.json["metadata"] == done.json["metadata"]
    scale = {**done.json, "spec": {"replicas": 0}}
    put = await admin("PUT", f"{SETS}/rs/scale", scale)
    assert (put.status, put.json["spec"]) == (200, {})
    whole = (await admin("GET", f"{SETS}/rs")).json
    assert whole["spec"]["replicas"] == 0
    assert whole["metadata"]["generation"] == 3


async def test_a_stale_scale_is_the_replica_sets_conflict(admin: Client) -> None:
    await admin.create(SETS, SET)
    scale = (await admin("GET", f"{SETS}/rs/scale")).json
    await admin("PATCH", f"{SETS}/rs", {"metadata": {"labels": {"a": "b"}}}, MERGE)
    stale = await admin("PUT", f"{SETS}/rs/scale", scale)
    assert (stale.status, stale.json["message"]) == (
        409,
        'Operation cannot be fulfilled on replicasets.apps "rs": the object has been modified; '
        "please apply your changes to the latest version and try again",
    )
    version = {"metadata": {"resourceVersion": scale["metadata"]["resourceVersion"]}}
    patched = await admin("PATCH", f"{SETS}/rs/scale", version, MERGE)
    assert patched.status == 409
    del scale["metadata"]["resourceVersion"]
    assert (await admin("PUT", f"{SETS}/rs/scale", scale)).status == 200


@pytest.mark.parametrize(
    ("method", "body", "status", "message"),
    [
        (
            "PATCH",
            {"spec": {"replicas": -1}},
            422,
            'Scale.autoscaling "rs" is invalid: spec.replicas: Invalid value: -1: must be greater '
            "than or equal to 0",
        ),
        (
            "PUT",
            {"metadata": {"name": "other"}},
            400,
            "the name of the object (other) does not match the name on the URL (rs)",
        ),
        (
            "PUT",
            {},
            400,
            "the name of the object (rs based on URL) was undeterminable: name must be provided",
        ),
        (
            "PUT",
            {"metadata": {"name": "rs"}, "spec": {"replicas": "x"}},
            400,
            'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal string '
            "into Go struct field ScaleSpec.spec.replicas of type int32",
        ),
        (
            "DELETE",
            None,
            405,
            "the server does not allow this method on the requested resource",
        ),
    ],
)
async def test_scales_refused(
    admin: Client, method: str, body: Any, status: int, message: str
) -> None:
    await admin.create(SETS, SET)
    headers = MERGE if method == "PATCH" else None
    answer = await admin(method, f"{SETS}/rs/scale", body, headers)
    assert (answer.status, answer.json["message"]) == (status, message)


async def test_a_scale_as_a_table(admin: Client) -> None:
    await admin.create(SETS, SET)
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = (await admin("GET", f"{SETS}/rs/scale", headers=accept)).json
    assert [c["name"] for c in table["columnDefinitions"]] == [
        "Name", "Desired", "Available", "Age",
    ]  # fmt: skip
    assert table["rows"][0]["cells"][:3] == ["rs", 1, 0]


# ----- eviction and bindings


async def test_eviction(admin: Client) -> None:
    await admin.create(PODS, POD)
    wrong = await admin("POST", f"{PODS}/p/eviction", {"metadata": {"name": "q"}})
    assert (wrong.status, wrong.json["message"]) == (
        400,
        "name in URL does not match name in Eviction object",
    )
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "p"},
        "deleteOptions": {"gracePeriodSeconds": 0},
    }
    dry = await admin("POST", f"{PODS}/p/eviction?dryRun=All", body)
    assert dry.status == 201
    assert (await admin("GET", f"{PODS}/p")).status == 200
    done = await admin("POST", f"{PODS}/p/eviction", body)
    assert (done.status, done.json) == (201, CREATED)
    assert (await admin("GET", f"{PODS}/p")).status == 404


async def test_an_eviction_of_another_kind(admin: Client) -> None:
    answer = await admin("POST", f"{PODS}/p/eviction", {"kind": "Pod", "apiVersion": "v1"})
    assert (answer.status, answer.json["message"]) == (
        400,
        'Pod in version "v1" cannot be handled as a Eviction: converting (v1.Pod) to '
        "(policy.Eviction): unknown conversion",
    )


async def test_bindings(admin: Client) -> None:
    await admin.create(PODS, POD)
    path = "/api/v1/namespaces/default/bindings"
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    done = await admin("POST", path, binding)
    assert (done.status, done.json) == (201, CREATED)
    assert (await admin("GET", f"{PODS}/p")).json["spec"]["nodeName"] == "n"
    nameless = await admin("POST", path, {"target": {"name": "n"}})
    assert (nameless.status, nameless.json["message"]) == (
        422,
        'Binding "" is invalid: metadata.name: Required value: name or generateName is required',
    )
    assert (await admin("GET", path)).status == 405


# ----- parts of pods


async def test_ephemeral_containers_and_resize(admin: Client) -> None:
    await admin.create(PODS, POD)
    added = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "i"}]}}
    done = await admin("PATCH", f"{PODS}/p/ephemeralcontainers", added, MERGE)
    assert done.status == 200
    assert done.json["metadata"]["generation"] == 2
    less = {"spec": {"ephemeralContainers": None}}
    refused = await admin("PATCH", f"{PODS}/p/ephemeralcontainers", less, MERGE)
    assert (refused.status, refused.json["message"]) == (
        422,
        'Pod "p" is invalid: spec.ephemeralContainers: Forbidden: existing ephemeral containers '
        '"debug" may not be removed\n',
    )
    whole = (await admin("GET", f"{PODS}/p")).json
    same = await admin("PUT", f"{PODS}/p/resize", whole)
    assert (same.status, same.json["metadata"]) == (200, whole["metadata"])
    whole["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    refused = await admin("PUT", f"{PODS}/p/resize", whole)
    assert (refused.status, refused.json["message"]) == (
        422,
        'Pod "p" is invalid: []: Forbidden: Pod running on node without support for resize',
    )


# ----- what is old


@pytest.mark.parametrize(
    ("path", "status", "warning"),
    [
        (
            "/api/v1/namespaces/default/endpoints",
            200,
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        ),
        (
            "/api/v1/namespaces/default/endpoints/none",
            404,
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        ),
        (
            "/apis/batch/v1beta1/cronjobs",
            200,
            "batch/v1beta1 CronJob is deprecated in v1.21+, unavailable in v1.25+; use batch/v1 "
            "CronJob",
        ),
    ],
)
async def test_deprecations(admin: Client, path: str, status: int, warning: str) -> None:
    answer = await admin("GET", path)
    assert (answer.status, answer.warnings) == (status, [f'299 - "{warning}"'])


async def test_a_watch_is_warned_too(admin: Client) -> None:
    path = f"{admin.url}/api/v1/endpoints?watch=true&timeoutSeconds=1"
    async with admin.session.get(path) as response:
        assert len(response.headers.getall("Warning")) == 1


async def test_both_versions_of_cron_jobs(admin: Client) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    body = {
        "apiVersion": "batch/v1beta1",
        "kind": "CronJob",
        "metadata": {"name": "n"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}},
    }
    made = await admin.create("/apis/batch/v1beta1/namespaces/default/cronjobs", body)
    assert made["apiVersion"] == "batch/v1beta1"
    new = (await admin("GET", "/apis/batch/v1/namespaces/default/cronjobs/n")).json
    assert (new.pop("apiVersion"), made.pop("apiVersion")) == ("batch/v1", "batch/v1beta1")
    assert new == made
    groups = (await admin("GET", "/apis/batch")).json
    assert [v["version"] for v in groups["versions"]] == ["v1", "v1beta1"]
    assert groups["preferredVersion"]["version"] == "v1"


async def test_discovery_of_foreign_subresources(admin: Client) -> None:
    entries = {
        e["name"]: e
        for path in ("/api/v1", "/apis/apps/v1")
        for e in (await admin("GET", path)).json["resources"]
    }
    assert {
        name: (e.get("group"), e.get("version"), e["kind"], e["verbs"])
        for name, e in entries.items()
        if name in ("pods/eviction", "replicasets/scale", "bindings", "pods/resize")
    } == {
        "bindings": (None, None, "Binding", ["create"]),
        "pods/eviction": ("policy", "v1", "Eviction", ["create"]),
        "pods/resize": (None, None, "Pod", ["get", "patch", "update"]),
        "replicasets/scale": ("autoscaling", "v1", "Scale", ["get", "patch", "update"]),
    }
    assert json.dumps(entries["services"]["shortNames"]) == '["svc"]'
