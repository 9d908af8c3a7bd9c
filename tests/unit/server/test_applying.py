"""Server-side apply over HTTP: options, bodies, answers, and who writes as whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubatch.server import applying, request
from tests.unit.server.conftest import Answer, Client
from tests.unit.server.secured import secured

MAPS = "/api/v1/namespaces/default/configmaps"
APPLY = {"Content-Type": "application/apply-patch+yaml"}


def config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": data}


async def apply(admin: Client, body: Any, query: str = "fieldManager=alice") -> Answer:
    return await admin("PATCH", f"{MAPS}/cm?{query}", body, APPLY)


async def test_created_then_changed_then_left_alone(admin: Client) -> None:
    made = await apply(admin, config(a="1"))
    assert (made.status, made.json["data"]) == (201, {"a": "1"})
    (entry,) = made.json["metadata"]["managedFields"]
    assert entry.pop("time")
    assert entry == {
        "manager": "alice",
        "operation": "Apply",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}},
    }
    changed = await apply(admin, config(a="2"))
    assert (changed.status, changed.json["data"]) == (200, {"a": "2"})
    again = await apply(admin, config(a="2"))
    assert again.json == changed.json


async def test_a_body_in_yaml(admin: Client) -> None:
    body = b"# an intent\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm\ndata:\n  a: 'y'\n"
    assert (await apply(admin, body)).json["data"] == {"a": "y"}


async def test_a_dry_run_answers_and_stores_nothing(admin: Client) -> None:
    answer = await apply(admin, config(a="1"), "fieldManager=alice&dryRun=All")
    assert answer.status == 201
    assert "resourceVersion" not in answer.json["metadata"]
    assert (await admin("GET", f"{MAPS}/cm")).status == 404


async def test_conflicts(admin: Client) -> None:
    await apply(admin, config(a="1", b="1"))
    refused = await apply(admin, config(a="2"), "fieldManager=bob&force=false")
    assert refused.status == 409
    assert refused.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'Apply failed with 1 conflict: conflict with "alice": .data.a',
        "reason": "Conflict",
        "details": {
            "causes": [
                {
                    "reason": "FieldManagerConflict",
                    "message": 'conflict with "alice"',
                    "field": ".data.a",
                }
            ]
        },
        "code": 409,
    }
    forced = await apply(admin, config(a="2"), "fieldManager=bob&force=true")
    assert forced.json["data"] == {"a": "2", "b": "1"}


@pytest.mark.parametrize(
    ("query", "body", "code", "message"),
    [
        (
            "",
            config(),
            422,
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for '
            "apply patch",
        ),
        (
            "fieldManager=a%0Ab",
            config(),
            422,
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "a\\nb": invalid '
            "character U+000A (at position 1)",
        ),
        (
            "fieldManager=a",
            {**config(), "foo": 1},
            500,
            "failed to create typed patch object (/cm; /v1, Kind=ConfigMap): .foo: field not "
            "declared in schema",
        ),
        ("fieldManager=a", {"kind": "ConfigMap"}, 400, "invalid object type: /, Kind=ConfigMap"),
        ("fieldManager=a", b"", 400, "invalid object type: /, Kind="),
        (
            "fieldManager=a",
            b"{apiVersion: v1, kind: [}",
            400,
            "error decoding YAML: error converting YAML to JSON: yaml: line 1: did not find "
            "expected node content",
        ),
        (
            "fieldManager=a",
            b"text",
            400,
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot "
            "unmarshal string into Go value of type map[string]interface {}",
        ),
    ],
)
async def test_refused(admin: Client, query: str, body: Any, code: int, message: str) -> None:
    answer = await apply(admin, body, query)
    assert (answer.status, answer.json["message"]) == (code, message)
    assert ("reason" in answer.json) == (code != 500)


async def test_an_object_of_the_cluster(admin: Client) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    labelled = {**space, "metadata": {"name": "n", "labels": {"a": "b"}}}
    made = await admin("PATCH", "/api/v1/namespaces/n?fieldManager=a", labelled, APPLY)
    assert made.status == 201
    less = await admin("PATCH", "/api/v1/namespaces/n?fieldManager=a", space, APPLY)
    assert less.json["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}


async def test_a_status_cannot_be_applied_to_nothing(admin: Client) -> None:
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}}
    path = "/apis/batch/v1/namespaces/default/jobs/x/status?fieldManager=a"
    assert (await admin("PATCH", path, body, APPLY)).status == 404


TWICE = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cm"},"data":{"a":"1","a":"2"}}'


async def test_members_there_twice_are_told_of(admin: Client) -> None:
    answer = await apply(admin, TWICE)
    assert answer.json["data"] == {"a": "2"}
    assert answer.warnings == ['299 - "line 1: key \\"a\\" already set in map"']


async def test_members_there_twice_are_refused_strictly(admin: Client) -> None:
    answer = await apply(admin, TWICE, "fieldManager=a&fieldValidation=Strict")
    assert (answer.status, answer.json["message"]) == (
        400,
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
        '  line 1: key "a" already set in map',
    )
    assert (await admin("GET", f"{MAPS}/cm")).status == 404


# ----- plain writes


async def test_who_writes_as_whom(admin: Client) -> None:
    agent = {"User-Agent": "my-tool/v1 (linux)"}
    made = await admin("POST", f"{MAPS}?fieldManager=maker", config(a="1"), agent)
    assert made.json["metadata"]["managedFields"][0]["manager"] == "maker"
    merge = {"Content-Type": "application/merge-patch+json", **agent}
    changed = await admin("PATCH", f"{MAPS}/cm", {"data": {"b": "2"}}, merge)
    managers = [e["manager"] for e in changed.json["metadata"]["managedFields"]]
    assert sorted(managers) == ["maker", "my-tool"]
    listed = (await admin("GET", MAPS)).json["items"]
    assert listed[0]["metadata"]["managedFields"] == changed.json["metadata"]["managedFields"]


@pytest.mark.parametrize(
    ("query", "agent", "manager"),
    [
        ("fieldManager=m", "kubectl/v1", "m"),
        ("", "kubectl/v1.33 (linux/amd64)", "kubectl"),
        ("fieldManager=", "Go-http-client", "Go-http-client"),
        ("", "", ""),
        ("", "a\x07b/1", "ab"),
        ("", "x" * 200, "x" * 128),
        ("", "x" * 127 + "ß", "x" * 127),
    ],
)
def test_managers(query: str, agent: str, manager: str) -> None:
    values = request.parse("PUT", f"/api/v1/x?{query}").query
    assert applying.manager(values, agent) == manager


# ----- the way in


LEASE = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "l", "labels": {"a": "b"}},
}
CHANGES = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}


async def test_who_may_only_change_cannot_create(tmp_path: Path) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    role = {"metadata": {"name": "r"}, "rules": [{**CHANGES, "verbs": ["patch", "update"]}]}
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "bob"}],
    }
    async with secured(tmp_path) as on:
        await on.root("POST", f"{rbac}/roles", role)
        await on.root("POST", f"{rbac}/rolebindings", binding)
        await on.seen()
        for method, headers in (("PATCH", APPLY), ("PUT", {})):
            path = f"{leases}/l?fieldManager=bob"
            refused = await on.ask("bob-token", method, path, LEASE, headers)
            assert (refused.status, refused.json["message"]) == (
                403,
                'leases.coordination.k8s.io "l" is forbidden: User "bob" cannot create resource '
                '"leases" in API group "coordination.k8s.io" in the namespace "default"',
            )
        await on.root("POST", leases, LEASE)
        assert (await on.ask("bob-token", "PATCH", path, LEASE, APPLY)).status == 200
