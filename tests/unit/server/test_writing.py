"""POST, PUT, PATCH and DELETE over the wire."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from tests.unit.server.conftest import Client
from tests.unit.server.test_reading import JOBS, MAPS, PODS, config_map, pod

JOB = {
    "metadata": {"name": "j"},
    "spec": {
        "template": {
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
        }
    },
}
MERGE = {"Content-Type": "application/merge-patch+json"}


async def test_a_body_without_type_and_kind(admin: Client) -> None:
    job = await admin.create(JOBS, JOB)
    assert (job["kind"], job["apiVersion"]) == ("Job", "batch/v1")
    assert job["metadata"]["namespace"] == "default"
    assert job["metadata"]["generation"] == 1


async def test_a_body_in_yaml(admin: Client) -> None:
    text = b"metadata:\n  name: one\n  labels: {v: '1'}\ndata:\n  k: v\n"
    answer = await admin("POST", MAPS, text, {"Content-Type": "application/yaml"})
    assert (answer.status, answer.json["data"]) == (201, {"k": "v"})
    # YAML 1.1: an unquoted y is true, and no string.
    wrong = await admin(
        "POST", MAPS, b"metadata: {name: z}\ndata: {k: y}", {"Content-Type": "application/yaml"}
    )
    assert wrong.status == 400
    assert "cannot unmarshal bool into Go struct field ConfigMap.data" in wrong.json["message"]


REFUSED: list[tuple[str, str, Any, dict[str, str], int, str]] = [
    (
        "POST", MAPS, b"x", {"Content-Type": "text/plain"}, 415,
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf",
    ),
    ("PATCH", f"{MAPS}/cm", {}, {"Content-Type": "application/json"}, 415,
     "415: Unsupported Media Type"),
    (
        "POST", MAPS, b"{", {}, 400,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get "
        "version/kind; json parse error: unexpected end of JSON input ({)",
    ),
    (
        "POST", MAPS, {"kind": "Pod", "apiVersion": "v1"}, {}, 400,
        'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to '
        "(core.ConfigMap): unknown conversion",
    ),
    (
        "POST", JOBS, {"spec": {"backoffLimit": "x"}}, {}, 400,
        'Job in version "v1" cannot be handled as a Job: json: cannot unmarshal string into Go '
        "struct field JobSpec.spec.backoffLimit of type int32",
    ),
    (
        "PUT", f"{MAPS}/cm", config_map("other"), {}, 400,
        "the name of the object (other) does not match the name on the URL (cm)",
    ),
    (
        "PUT", f"{MAPS}/cm", {"metadata": {}}, {}, 400,
        "the name of the object (cm based on URL) was undeterminable: name must be provided",
    ),
    (
        "POST", MAPS, {"metadata": {"name": "x", "namespace": "kube-system"}}, {}, 400,
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    (
        "PUT", f"{MAPS}/cm", {"metadata": {"name": "cm", "namespace": "kube-system"}}, {}, 400,
        "the namespace of the object (kube-system) does not match the namespace on the request "
        "(default)",
    ),
    (
        "POST", f"{MAPS}?dryRun=true", config_map("x"), {}, 422,
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["true"]: supported '
        'values: "All"',
    ),
    (
        "POST", f"{MAPS}?fieldValidation=Bogus", config_map("x"), {}, 422,
        'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Bogus": '
        'supported values: "", "Ignore", "Strict", "Warn"',
    ),
    ("POST", MAPS, config_map("cm"), {}, 409, 'configmaps "cm" already exists'),
    ("PUT", f"{MAPS}/absent", config_map("absent"), {}, 404, 'configmaps "absent" not found'),
    (
        "POST", "/api/v1/namespaces/nons/configmaps", config_map("x"), {}, 404,
        'namespaces "nons" not found',
    ),
    (
        "POST", MAPS, {"metadata": {"name": "x", "resourceVersion": "1"}}, {}, 500,
        "resourceVersion should not be set on objects to be created",
    ),
    (
        "PUT", f"{MAPS}/cm", {"metadata": {"name": "cm", "resourceVersion": "1"}}, {}, 409,
        'Operation cannot be fulfilled on configmaps "cm": the object has been modified; please '
        "apply your changes to the latest version and try again",
    ),
    ("POST", MAPS, b'{"data":{"k":"' + b"x" * 100_000 + b'"}}', {}, 413,
     "Request entity too large: limit is 100000"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "message"), REFUSED)
async def test_what_is_refused(
    admin: Client,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
    status: int,
    message: str,
) -> None:
    await admin.create(MAPS, config_map("cm"))
    answer = await admin(method, path, body, headers)
    assert (answer.status, answer.json["message"]) == (status, message)
    assert answer.json["code"] == status
    assert len((await admin("GET", MAPS)).json["items"]) == 1


async def test_a_name_is_needed(admin: Client) -> None:
    answer = await admin("POST", MAPS, {"metadata": {}})
    assert answer.status == 422
    cause = answer.json["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldValueRequired", "metadata.name")


async def test_a_body_sent_in_pieces_is_limited(admin: Client) -> None:
    async def pieces() -> Any:
        yield b'{"data":{"k":"'
        for _ in range(30):
            yield b"x" * 5000

    async with admin.session.post(admin.url + MAPS, data=pieces()) as response:
        assert response.status == 413


async def test_a_body_that_is_not_what_its_encoding_says(admin: Client) -> None:
    answer = await admin("POST", MAPS, b"not gzip", {"Content-Encoding": "gzip"})
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")


async def test_a_compressed_body_is_limited_by_what_it_holds(admin: Client) -> None:
    bomb = gzip.compress(b"x" * 10_000_000)
    answer = await admin("POST", MAPS, bomb, {"Content-Encoding": "gzip"})
    assert answer.status == 413


UNKNOWN = (
    b'{"metadata":{"name":"x"},"spec":{"backofLimit":1,"backoffLimit":1,"backoffLimit":2,'
    b'"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}'
)


async def test_field_validation(admin: Client) -> None:
    strict = await admin("POST", f"{JOBS}?fieldValidation=Strict", UNKNOWN)
    assert (strict.status, strict.json["message"]) == (
        400,
        'Job in version "v1" cannot be handled as a Job: strict decoding error: unknown field '
        '"spec.backofLimit", duplicate field "spec.backoffLimit"',
    )
    ignored = await admin("POST", f"{JOBS}?fieldValidation=Ignore&dryRun=All", UNKNOWN)
    assert (ignored.status, ignored.warnings) == (201, [])
    warned = await admin("POST", JOBS, UNKNOWN)
    assert warned.status == 201
    assert warned.warnings == [
        '299 - "unknown field \\"spec.backofLimit\\""',
        '299 - "duplicate field \\"spec.backoffLimit\\""',
    ]
    assert warned.json["spec"]["backoffLimit"] == 2


async def test_field_validation_of_patches(admin: Client) -> None:
    await admin.create(JOBS, JOB)
    patch = {"spec": {"foo": 1}}
    strict = await admin("PATCH", f"{JOBS}/j?fieldValidation=Strict", patch, MERGE)
    assert strict.status == 422
    assert 'strict decoding error: unknown field "spec.foo"' in strict.json["message"]
    warned = await admin("PATCH", f"{JOBS}/j", patch, MERGE)
    assert (warned.status, warned.warnings) == (200, ['299 - "unknown field \\"spec.foo\\""'])


async def test_a_dry_run_leaves_nothing(admin: Client) -> None:
    answer = await admin("POST", f"{MAPS}?dryRun=All", {"metadata": {"generateName": "x-"}})
    assert answer.status == 201
    assert "resourceVersion" not in answer.json["metadata"]
    name = answer.json["metadata"]["name"]
    assert len(name) == 7
    assert (await admin("GET", f"{MAPS}/{name}")).status == 404


async def test_updates(admin: Client) -> None:
    created = await admin.create(MAPS, config_map("a", k="v"))
    unchanged = await admin("PUT", f"{MAPS}/a", created)
    assert unchanged.json == created
    changed = await admin("PUT", f"{MAPS}/a", config_map("a", k="w"))
    assert (changed.status, changed.json["data"]) == (200, {"k": "w"})
    stale = await admin("PUT", f"{MAPS}/a", created)
    assert stale.status == 409


async def test_patches(admin: Client) -> None:
    await admin.create(MAPS, config_map("a", k="v"))
    merged = await admin("PATCH", f"{MAPS}/a", {"data": {"k": None, "l": "w"}}, MERGE)
    assert (merged.status, merged.json["data"]) == (200, {"l": "w"})
    steps = [{"op": "add", "path": "/data/m", "value": "x"}]
    json_type = {"Content-Type": "application/json-patch+json"}
    patched = await admin("PATCH", f"{MAPS}/a", steps, json_type)
    assert patched.json["data"] == {"l": "w", "m": "x"}
    refused = await admin("PATCH", f"{MAPS}/a", {}, json_type)
    assert (refused.status, refused.json["message"]) == (
        400,
        "error decoding patch: json: cannot unmarshal object into Go value of type "
        "[]handlers.jsonPatchOp",
    )


async def test_status_is_its_own(admin: Client) -> None:
    job = await admin.create(JOBS, JOB)
    main = await admin("PATCH", f"{JOBS}/j", {"status": {"active": 3}}, MERGE)
    assert main.json["metadata"]["resourceVersion"] == job["metadata"]["resourceVersion"]
    changes = {"spec": {"backoffLimit": 1}, "status": {"active": 3}}
    status = await admin("PATCH", f"{JOBS}/j/status", changes, MERGE)
    assert status.json["spec"]["backoffLimit"] == 6
    assert status.json["status"]["active"] == 3
    assert (await admin("GET", f"{JOBS}/j/status")).json == status.json
    put = status.json | {"status": {"active": 2}}
    assert (await admin("PUT", f"{JOBS}/j/status", put)).json["status"]["active"] == 2


async def test_deletes(admin: Client) -> None:
    created = await admin.create(MAPS, config_map("a"))
    uid = created["metadata"]["uid"]
    kept = await admin("DELETE", f"{MAPS}/a?dryRun=All")
    assert kept.json["status"] == "Success"
    gone = await admin("DELETE", f"{MAPS}/a", {"propagationPolicy": "Background"})
    assert gone.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": uid},
    }
    again = await admin("DELETE", f"{MAPS}/a")
    assert again.status == 404


async def test_a_delete_that_waits_answers_the_object(admin: Client) -> None:
    held = config_map("a")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await admin.create(MAPS, held)
    answer = await admin("DELETE", f"{MAPS}/a")
    assert answer.json["kind"] == "ConfigMap"
    assert "deletionTimestamp" in answer.json["metadata"]


async def test_pods_answer_themselves(admin: Client) -> None:
    await admin.create(PODS, pod("p", "c"))
    answer = await admin("DELETE", f"{PODS}/p")
    assert (answer.json["kind"], answer.json["metadata"]["name"]) == ("Pod", "p")
    assert (await admin("GET", f"{PODS}/p")).status == 404


async def test_jobs_warn_before_they_orphan(admin: Client) -> None:
    answer = await admin("DELETE", f"{JOBS}/nope")
    assert answer.status == 404
    assert answer.warnings == [
        '299 - "child pods are preserved by default when jobs are deleted; set '
        "propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress "
        'this warning"'
    ]


async def test_delete_options_in_the_body_win(admin: Client) -> None:
    await admin.create(MAPS, config_map("a"))
    answer = await admin("DELETE", f"{MAPS}/a?dryRun=All", {"preconditions": {"uid": "x"}})
    assert answer.status == 409
    assert "the UID in the precondition (x) does not match" in answer.json["message"]
    await admin("DELETE", f"{MAPS}/a?dryRun=All", {})
    assert (await admin("GET", f"{MAPS}/a")).status == 404


async def test_a_collection_is_deleted_by_selector(admin: Client) -> None:
    for name in ("a", "b"):
        await admin.create(MAPS, config_map(name))
    answer = await admin("DELETE", f"{MAPS}?labelSelector=n%3Da")
    assert answer.json["kind"] == "ConfigMapList"
    assert [i["metadata"]["name"] for i in answer.json["items"]] == ["a"]
    left = (await admin("GET", MAPS)).json["items"]
    assert [i["metadata"]["name"] for i in left] == ["b"]


async def test_binding(admin: Client) -> None:
    await admin.create(PODS, pod("p", "c"))
    body = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    answer = await admin("POST", f"{PODS}/p/binding", body)
    assert (answer.status, answer.json["status"]) == (201, "Success")
    assert (await admin("GET", f"{PODS}/p")).json["spec"]["nodeName"] == "n"
    again = await admin("POST", f"{PODS}/p/binding", body)
    assert (again.status, again.json["message"]) == (
        409,
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n"',
    )


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"target": {}}, 500, "target.name: Required value"),
        (
            {"metadata": {"name": "q"}, "target": {"name": "n"}},
            400,
            "name in URL does not match name in Binding object",
        ),
    ],
)
async def test_a_binding_that_is_refused(
    admin: Client, body: Any, status: int, message: str
) -> None:
    await admin.create(PODS, pod("p", "c"))
    answer = await admin("POST", f"{PODS}/p/binding", body)
    assert (answer.status, answer.json["message"]) == (status, message)
