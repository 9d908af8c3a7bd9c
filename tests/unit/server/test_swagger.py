"""OpenAPI 2: what the document says, and that its two forms say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kubatch.api import resource as table
from kubatch.api.resource import Resource
from kubatch.server.swagger import document, protobuf

DOCUMENT: dict[str, Any] = document.document()
JOB = "io.k8s.api.batch.v1.Job"
JOBS = "/apis/batch/v1/namespaces/{namespace}/jobs"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(ref := value.get("$ref"), str):
            yield ref
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def test_whatever_is_referred_to_is_defined() -> None:
    there = {f"#/definitions/{name}" for name in DOCUMENT["definitions"]}
    assert set(references(DOCUMENT)) <= there


def test_no_two_operations_have_one_name() -> None:
    names = [
        operation["operationId"]
        for item in DOCUMENT["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("resource", table.RESOURCES, ids=repr)
def test_every_kind_is_found_by_its_group_and_version(resource: Resource[Any]) -> None:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    found = [
        name
        for name, definition in DOCUMENT["definitions"].items()
        if kind in definition.get("x-kubernetes-group-version-kind", [])
    ]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("path", "method", "name", "action"),
    [
        (JOBS, "get", "listBatchV1NamespacedJob", "list"),
        (JOBS, "post", "createBatchV1NamespacedJob", "post"),
        (JOBS, "delete", "deleteBatchV1CollectionNamespacedJob", "deletecollection"),
        (f"{JOBS}/{{name}}", "get", "readBatchV1NamespacedJob", "get"),
        (f"{JOBS}/{{name}}", "put", "replaceBatchV1NamespacedJob", "put"),
        (f"{JOBS}/{{name}}", "patch", "patchBatchV1NamespacedJob", "patch"),
        (f"{JOBS}/{{name}}", "delete", "deleteBatchV1NamespacedJob", "delete"),
        (f"{JOBS}/{{name}}/status", "get", "readBatchV1NamespacedJobStatus", "get"),
        ("/apis/batch/v1/jobs", "get", "listBatchV1JobForAllNamespaces", "list"),
        ("/api/v1/nodes", "get", "listCoreV1Node", "list"),
    ],
)
def test_names_that_makers_of_clients_use(path: str, method: str, name: str, action: str) -> None:
    operation = DOCUMENT["paths"][path][method]
    assert (operation["operationId"], operation["x-kubernetes-action"]) == (name, action)


def test_what_a_patch_takes() -> None:
    patch = DOCUMENT["paths"][f"{JOBS}/{{name}}"]["patch"]
    assert "application/strategic-merge-patch+json" in patch["consumes"]
    names = [p["name"] for p in patch["parameters"]]
    assert names == ["dryRun", "fieldManager", "fieldValidation", "force", "body"]


def test_lists_say_by_what_they_are_merged() -> None:
    volumes = DOCUMENT["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["volumes"]
    assert volumes["x-kubernetes-patch-strategy"] == "merge,retainKeys"
    assert volumes["x-kubernetes-patch-merge-key"] == "name"
    assert volumes["x-kubernetes-list-map-keys"] == ["name"]


# ----- protobuf, read by a slow and obvious twin


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, bool(varint())
        else:
            assert key & 7 == 2
            size = varint()
            yield key >> 3, data[at : at + size]
            at += size


def one(data: bytes, number: int) -> Any:
    (found,) = [value for n, value in fields(data) if n == number]
    return found


def named(data: bytes, number: int = 1) -> dict[str, bytes]:
    pairs = [value for n, value in fields(data) if n == number]
    return {one(pair, 1).decode(): one(pair, 2) for pair in pairs}


def schema_of(data: bytes) -> dict[str, Any]:
    """A Schema as JSON again."""
    made: dict[str, Any] = {}
    for number, value in fields(data):
        match number:
            case 1 | 2 | 4:
                made[{1: "$ref", 2: "format", 4: "description"}[number]] = value.decode()
            case 19:
                made.setdefault("required", []).append(value.decode())
            case 21:
                made["additionalProperties"] = schema_of(one(value, 1))
            case 22:
                made["type"] = one(value, 1).decode()
            case 23:
                made["items"] = schema_of(one(value, 1))
            case 25:
                made["properties"] = {k: schema_of(v) for k, v in named(value).items()}
            case 31:
                made[one(value, 1).decode()] = json.loads(one(one(value, 2), 2))
            case _:
                raise AssertionError(f"no member {number} is ever written")
    return made


BINARY = protobuf.encode(DOCUMENT)


def test_the_definitions_are_the_same_in_protobuf() -> None:
    read: Mapping[str, Any] = {k: schema_of(v) for k, v in named(one(BINARY, 9)).items()}
    assert read == DOCUMENT["definitions"]


def test_the_paths_are_the_same_in_protobuf() -> None:
    paths = named(one(BINARY, 8), 2)
    assert list(paths) == list(DOCUMENT["paths"])
    patch = one(paths[f"{JOBS}/{{name}}"], 8)
    assert one(patch, 5) == b"patchBatchV1NamespacedJob"
    parameters = [one(value, 1) for number, value in fields(patch) if number == 8]
    assert one(one(one(parameters[0], 2), 3), 4) == b"dryRun"
    assert dict(fields(one(parameters[-1], 1)))[4] is True
    names = [one(v, 1) for n, v in fields(paths[JOBS]) if n == 9]
    assert [one(one(one(v, 2), 4), 4) for v in names] == [b"namespace"]
    assert one(one(one(named(one(patch, 9))["200"], 1), 2), 1) == (
        b"\x0a" + bytes([len(f"#/definitions/{JOB}")]) + f"#/definitions/{JOB}".encode()
    )
