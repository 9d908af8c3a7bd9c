"""The metadata rules that every kind shares."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from kubatch.api.errors import Cause
from kubatch.api.models import ObjectMeta, OwnerReference
from kubatch.api.resource import JOBS, NAMESPACES
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.registry.metadata import (
    dns_label_errors,
    dns_subdomain_errors,
    label_value_errors,
    qualified_name_errors,
    validate_metadata,
    validate_metadata_update,
)

PART = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def texts(causes: list[Cause]) -> list[str]:
    return [f"{c.field}: {c.message}" for c in causes]


def test_dns_labels() -> None:
    assert dns_label_errors("a-1") == []
    assert dns_label_errors("a.b") == ["must not contain dots"]
    assert dns_label_errors("a" * 64) == ["must be no more than 63 characters"]
    assert dns_label_errors("é" * 40)[0] == "must be no more than 63 characters"


def test_dns_subdomains() -> None:
    assert dns_subdomain_errors("a-1.b") == []
    assert dns_subdomain_errors("A") == [SUBDOMAIN]
    assert dns_subdomain_errors("a\n") == [SUBDOMAIN]
    assert dns_subdomain_errors("a" * 254) == ["must be no more than 253 characters"]


@pytest.mark.parametrize(
    ("name", "errors"),
    [
        ("a.B_c-1", []),
        ("example.com/a", []),
        ("", ["name part must be non-empty", f"name part {PART}"]),
        ("/a", ["prefix part must be non-empty"]),
        ("A/a", [f"prefix part {SUBDOMAIN}"]),
        ("-", [f"name part {PART}"]),
        ("a" * 64, ["name part must be no more than 63 bytes"]),
        (
            "a/b/c",
            [
                f"a valid label key {PART} with an optional DNS subdomain prefix and '/' (e.g. "
                "'example.com/MyName')"
            ],
        ),
    ],
)
def test_qualified_names(name: str, errors: list[str]) -> None:
    assert list(qualified_name_errors(name)) == errors


def test_label_values() -> None:
    assert not label_value_errors("")
    assert list(label_value_errors("a" * 64)) == ["must be no more than 63 bytes"]
    assert list(label_value_errors("-a")) == [LABEL_VALUE]


def owner(name: str, **change: str | bool) -> OwnerReference:
    parts: dict[str, str | bool] = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": "u"}
    return OwnerReference(**{**parts, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("meta", "errors"),
    [
        (ObjectMeta(), []),
        (ObjectMeta(labels={"a": "-"}), [f'metadata.labels: Invalid value: "-": {LABEL_VALUE}']),
        (
            ObjectMeta(labels={"-": "a"}),
            [f'metadata.labels: Invalid value: "-": name part {PART}'],
        ),
        (ObjectMeta(annotations={"A/b": "any value"}), []),
        (
            ObjectMeta(annotations={"a": "x" * 256 * 1024}),
            ["metadata.annotations: Too long: may not be more than 262144 bytes"],
        ),
        (
            ObjectMeta(generateName="A-"),
            [f'metadata.generateName: Invalid value: "A-": {SUBDOMAIN}'],
        ),
        (ObjectMeta(generateName="a-"), []),
        (
            ObjectMeta(finalizers=["orphan", "foregroundDeletion"]),
            [
                'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer '
                "orphan and foregroundDeletion cannot be both set"
            ],
        ),
        (
            ObjectMeta(finalizers=["-"]),
            [
                f'metadata.finalizers: Invalid value: "-": name part {PART}',
                'metadata.finalizers[0]: Invalid value: "-": name is neither a standard finalizer '
                "name nor is it fully qualified",
            ],
        ),
        (
            ObjectMeta(ownerReferences=[owner("", kind="", uid="", apiVersion="")]),
            [
                'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty',
                'metadata.ownerReferences.kind: Invalid value: "": must not be empty',
                'metadata.ownerReferences.name: Invalid value: "": must not be empty',
                'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
            ],
        ),
    ],
)
def test_metadata(meta: ObjectMeta, errors: list[str]) -> None:
    meta.name, meta.namespace = "a", "default"
    assert texts(validate_metadata(meta, STRATEGIES[JOBS])) == errors


def test_one_controller_only() -> None:
    owners = [owner("zz", controller=True), owner("yy", controller=True)]
    meta = ObjectMeta(name="a", namespace="default", ownerReferences=owners)
    (error,) = texts(validate_metadata(meta, STRATEGIES[JOBS]))
    assert error.startswith("metadata.ownerReferences: Invalid value: [")
    assert error.endswith(
        ']: Only one reference can have Controller set to true. Found "true" in references for '
        "Pod/zz and Pod/yy"
    )


def test_namespaces_of_metadata() -> None:
    assert texts(validate_metadata(ObjectMeta(name="a"), STRATEGIES[JOBS])) == [
        "metadata.namespace: Required value"
    ]
    meta = ObjectMeta(name="a", namespace="b")
    assert texts(validate_metadata(meta, STRATEGIES[NAMESPACES])) == [
        "metadata.namespace: Forbidden: not allowed on this type"
    ]


def test_updates() -> None:
    old = ObjectMeta(name="a", uid="1", creationTimestamp=datetime(2026, 1, 1, tzinfo=UTC))
    assert validate_metadata_update(replace(old), old) == []
    new = ObjectMeta(name="b", generation=-1)
    assert texts(validate_metadata_update(new, old)) == [
        "metadata.generation: Invalid value: -1: must not be decremented",
        'metadata.name: Invalid value: "b": field is immutable',
        'metadata.uid: Invalid value: "null": field is immutable',
        'metadata.creationTimestamp: Invalid value: "null": field is immutable',
    ]


def test_no_new_finalizers_while_deleting() -> None:
    gone = datetime(2026, 1, 1, tzinfo=UTC)
    old = ObjectMeta(name="a", deletionTimestamp=gone, finalizers=["a.b/c"])
    new = ObjectMeta(name="a", deletionTimestamp=gone, finalizers=["x.io/new", "x.io/a", "a.b/c"])
    assert texts(validate_metadata_update(new, old)) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being "
        'deleted, found new finalizers []string{"x.io/a", "x.io/new"}'
    ]
    new = ObjectMeta(name="a", deletionTimestamp=gone)
    assert validate_metadata_update(new, old) == []
