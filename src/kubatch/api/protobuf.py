"""Kubernetes' protobuf bodies, decoded into the JSON values they stand for.

kubectl 1.32 and newer, kube-controller-manager and kube-scheduler send their objects this way and
do not fall back. The field numbers are in wire.json; the envelope and the special messages are
those of apimachinery/pkg/runtime/serializer/protobuf and the generated.proto files.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kubatch.api import schema

MAGIC = b"k8s\0"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# What reading strangers' bytes may end in. Go's readers compare each field's wire type with what
# they expect; here a number in the place of a message shows as a type without the method wanted.
_MALFORMED = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.DecodeError,
)


class MalformedProtobuf(ValueError):
    """The bytes are not an enveloped Kubernetes object of a kind known here."""


def decode(data: bytes) -> dict[str, Any]:
    """An enveloped object (runtime.Unknown) as JSON values, with apiVersion and kind.

    Zero values of members that are no pointers are given as they came: codec.from_dict drops
    them, as Go does. Raises MalformedProtobuf.
    """
    if not data.startswith(MAGIC):
        raise MalformedProtobuf("provided data does not appear to be a protobuf message")
    try:
        envelope = {number: value for number, _, value in _fields(data[len(MAGIC) :])}
        type_meta = {number: value for number, _, value in _fields(envelope.get(1, b""))}
        api_version = type_meta.get(1, b"").decode()
        kind = type_meta.get(2, b"").decode()
        group, _, version = api_version.rpartition("/")
        home = schema.group_version(group, version)
        if not schema.has(home, kind):
            # DeleteOptions and the like may name any group: they are defined once.
            home = "meta/v1"
        value = _message(home, kind, envelope.get(2, b""))
    except _MALFORMED as error:
        raise MalformedProtobuf(f"cannot decode the protobuf body: {error}") from None
    return {"apiVersion": api_version, "kind": kind, **value}


def _fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """(field number, wire type, int or bytes) of one message, in order."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, at = _varint(data, at)
            yield number, wire_type, value
        elif wire_type == _BYTES:
            size, at = _varint(data, at)
            if at + size > end:
                raise ValueError("unexpected EOF")
            yield number, wire_type, data[at : at + size]
            at += size
        elif wire_type in (_FIXED32, _FIXED64):
            size = 4 if wire_type == _FIXED32 else 8
            yield number, wire_type, data[at : at + size]
            at += size
        else:
            raise ValueError(f"illegal wire type {wire_type}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("varint overflows")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _message(home: str, name: str, data: bytes) -> dict[str, Any]:
    rows = schema.numbered(home, name)
    out: dict[str, Any] = {}
    for number, wire_type, raw in _fields(data):
        row = rows.get(number)
        if row is None:
            continue  # a field of a newer Kubernetes
        kind = row.type
        if row.inlined and kind.message is not None:
            out.update(_message(*kind.message, raw))
        elif kind.form == "map":
            assert kind.element is not None
            key, value = _entry(kind.element, raw)
            out.setdefault(row.name, {})[key] = value
        elif kind.form == "list" and not kind.wrapped:
            assert kind.element is not None
            out.setdefault(row.name, []).extend(_elements(kind.element, wire_type, raw))
        else:
            out[row.name] = _value(kind, raw)
    return out


def _elements(kind: schema.Type, wire_type: int, raw: Any) -> list[Any]:
    if kind.form in ("integer", "bool") and wire_type == _BYTES:  # packed
        values, at = [], 0
        while at < len(raw):
            value, at = _varint(raw, at)
            values.append(_value(kind, value))
        return values
    return [_value(kind, raw)]


def _entry(kind: schema.Type, raw: bytes) -> tuple[str, Any]:
    parts = {number: value for number, _, value in _fields(raw)}
    empty: Any = 0 if kind.form in ("integer", "bool") else b""
    return parts.get(1, b"").decode(), _value(kind, parts.get(2, empty))


def _value(kind: schema.Type, raw: Any) -> Any:
    if kind.message is not None:
        return _message(*kind.message, raw)
    match kind.form:
        case "string":
            return raw.decode()
        case "integer":
            return _signed(raw)
        case "bool":
            return bool(raw)
        case "bytes":
            return base64.b64encode(raw).decode()
        case "list":  # a named slice of strings: a message around repeated field 1
            return [value.decode() for number, _, value in _fields(raw) if number == 1]
    parts = {number: value for number, _, value in _fields(raw)}
    if kind.form == "quantity":
        return parts.get(1, b"0").decode() or "0"
    if kind.form == "int-or-string":
        return parts.get(3, b"").decode() if parts.get(1) else _signed(parts.get(2, 0))
    if kind.form in ("time", "microtime"):
        return _time(parts) if parts else None
    return msgspec.json.decode(parts[1]) if parts.get(1) else None


def _time(parts: dict[int, Any]) -> str:
    seconds, nanos = _signed(parts.get(1, 0)), _signed(parts.get(2, 0))
    moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
