"""Kubernetes' protobuf bodies against an encoder made from the same table of numbers."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import protobuf, schema
from kubatch.api.protobuf import MalformedProtobuf

# ----- the other direction


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def chunk(field: int, data: bytes | str) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def message(home: str, name: str, plain: dict[str, Any]) -> bytes:
    out = b""
    for field, row in schema.numbered(home, name).items():
        if row.inlined and row.type.message is not None:
            out += chunk(field, message(*row.type.message, plain))
        elif row.name in plain:
            out += member(field, row.type, plain[row.name])
    return out


def member(field: int, kind: schema.Type, value: Any) -> bytes:
    if kind.element is None or kind.wrapped:
        return single(field, kind, value)
    if kind.form == "map":
        pairs = (chunk(1, k) + single(2, kind.element, v) for k, v in value.items())
        return b"".join(chunk(field, pair) for pair in pairs)
    return b"".join(single(field, kind.element, one) for one in value)


def single(field: int, kind: schema.Type, value: Any) -> bytes:
    if kind.message is not None:
        return chunk(field, message(*kind.message, value))
    match kind.form:
        case "integer" | "bool":
            return number(field, int(value))
        case "bytes":
            return chunk(field, base64.b64decode(value))
        case "list":
            return chunk(field, b"".join(chunk(1, one) for one in value))
        case "quantity":
            return chunk(field, chunk(1, value))
        case "int-or-string":
            text = number(1, 1) + chunk(3, value) if isinstance(value, str) else number(2, value)
            return chunk(field, text)
        case "time" | "microtime":
            moment = datetime.fromisoformat(value)
            nanos = number(2, moment.microsecond * 1000)
            return chunk(field, number(1, int(moment.timestamp())) + nanos)
        case "raw":
            return chunk(field, chunk(1, json.dumps(value)))
    return chunk(field, value)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    type_meta = chunk(1, api_version) + chunk(2, kind)
    return protobuf.MAGIC + chunk(1, type_meta) + chunk(2, raw)


def encoded(obj: dict[str, Any], home: str) -> bytes:
    return envelope(obj["apiVersion"], obj["kind"], message(home, obj["kind"], obj))


def typed(api_version: str, kind: str, **members: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, **members}


# ----- what is read

MANY_FORMS = typed(
    "v1",
    "Pod",
    metadata={
        "name": "ä",
        "labels": {"a": "b", "c": ""},
        "creationTimestamp": "2026-05-01T12:00:00.000000Z",
        "generation": -1,
        "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}],
    },
    spec={
        "terminationGracePeriodSeconds": 2**40,
        "hostNetwork": False,
        "nodeSelector": {"x": "y"},
        "securityContext": {"supplementalGroups": [1, 300]},
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
        "containers": [
            {
                "name": "c",
                "args": ["a", ""],
                "ports": [{"containerPort": 80}, {"containerPort": 443}],
                "resources": {"requests": {"cpu": "500m"}},
                "livenessProbe": {"httpGet": {"port": "http"}},
                "readinessProbe": {"httpGet": {"port": 8080}},
            }
        ],
    },
)


@pytest.mark.parametrize(
    ("home", "obj"),
    [
        ("core/v1", MANY_FORMS),
        ("core/v1", typed("v1", "Secret", data={"a": "AAEC/w==", "b": ""})),
        (
            "authorization/v1",
            typed(
                "authorization.k8s.io/v1",
                "SubjectAccessReview",
                spec={"user": "u", "extra": {"scopes": ["a", "b"], "none": []}},
            ),
        ),
        (
            "coordination/v1",
            typed(
                "coordination.k8s.io/v1",
                "Lease",
                spec={"renewTime": "2026-05-01T12:00:00.123456Z", "leaseTransitions": 0},
            ),
        ),
        ("meta/v1", typed("batch/v1", "DeleteOptions", propagationPolicy="Foreground")),
    ],
    ids=["Pod", "Secret", "SubjectAccessReview", "Lease", "DeleteOptions"],
)
def test_objects_are_what_was_encoded(home: str, obj: dict[str, Any]) -> None:
    assert protobuf.decode(encoded(obj, home)) == obj


@given(
    st.dictionaries(st.text(), st.text(), min_size=1),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
)
def test_any_text_and_any_number(labels: dict[str, str], groups: list[int]) -> None:
    spec = {"securityContext": {"supplementalGroups": groups}}
    obj = typed("v1", "Pod", metadata={"labels": labels}, spec=spec)
    assert protobuf.decode(encoded(obj, "core/v1")) == obj


def test_packed_numbers_are_read_too() -> None:
    groups = field_number("core/v1", "PodSecurityContext", "supplementalGroups")
    packed = chunk(groups, varint(1) + varint(300))
    at = field_number("core/v1", "PodSpec", "securityContext")
    body = envelope("v1", "Pod", chunk(2, chunk(at, packed)))
    context = protobuf.decode(body)["spec"]["securityContext"]
    assert context == {"supplementalGroups": [1, 300]}


def test_fields_of_a_newer_kubernetes_are_passed_over() -> None:
    newer = number(900, 1) + varint(901 << 3 | 5) + b"1234" + varint(902 << 3 | 1) + b"12345678"
    body = envelope("v1", "ConfigMap", newer + chunk(903, "x") + chunk(1, chunk(1, "n")))
    assert protobuf.decode(body) == typed("v1", "ConfigMap", metadata={"name": "n"})


def field_number(home: str, name: str, member: str) -> int:
    return next(n for n, row in schema.numbered(home, name).items() if row.name == member)


def managed(fields_v1: bytes) -> bytes:
    entry = chunk(field_number("meta/v1", "ManagedFieldsEntry", "fieldsV1"), fields_v1)
    return chunk(field_number("meta/v1", "ObjectMeta", "managedFields"), entry)


def created(moment: bytes) -> bytes:
    return chunk(field_number("meta/v1", "ObjectMeta", "creationTimestamp"), moment)


def moment_far_away() -> bytes:
    return chunk(1, created(number(1, 2**62)))


def test_what_is_empty_has_its_zero() -> None:
    # Go leaves zeros out within messages, and so an empty one stands for its type's zero.
    empty = {"metadata": {"creationTimestamp": None, "managedFields": [{"fieldsV1": None}]}}
    meta = chunk(1, created(b"") + managed(b""))
    assert protobuf.decode(envelope("v1", "ConfigMap", meta)) == typed("v1", "ConfigMap", **empty)
    data = field_number("core/v1", "ConfigMap", "data")
    bare = protobuf.decode(envelope("v1", "ConfigMap", chunk(data, b"")))
    assert bare["data"] == {"": ""}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{}", "provided data does not appear to be a protobuf message"),
        (protobuf.MAGIC, "cannot decode"),
        (envelope("v1", "Nothing", b""), "cannot decode"),
        (envelope("v1", "Pod", b"\x0a"), "index out of range"),
        (envelope("v1", "Pod", b"\x0a\x05abc"), "unexpected EOF"),
        (envelope("v1", "Pod", b"\xff" * 11), "varint overflows"),
        (envelope("v1", "Pod", b"\x0b"), "illegal wire type 3"),
        (envelope("v1", "Pod", number(1, 1)), "cannot decode"),
        (envelope("v1", "Pod", moment_far_away()), "cannot decode"),
        (envelope("v1", "ConfigMap", chunk(1, managed(chunk(1, "{")))), "cannot decode"),
        (envelope("v1", "Pod", chunk(1, chunk(1, b"\xff"))), "invalid start byte"),
    ],
)
def test_bytes_that_are_no_object(body: bytes, why: str) -> None:
    with pytest.raises(MalformedProtobuf, match=why):
        protobuf.decode(body)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for api_version, kind in (("v1", "Pod"), ("batch/v1", "Job")):
        try:
            protobuf.decode(envelope(api_version, kind, raw))
        except MalformedProtobuf:
            continue
