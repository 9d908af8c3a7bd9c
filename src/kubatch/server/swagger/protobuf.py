"""An OpenAPI 2 document in protobuf, as kubectl reads it. Pure.

The numbers are those of gnostic-models/openapiv2/OpenAPIv2.proto, of the members we write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from kubatch.server import negotiate

Encode: TypeAlias = Callable[[Any], bytes]
# Of each member of a message: its number, and how one value of it is written.
Members: TypeAlias = Mapping[str, tuple[int, Encode]]


def encode(document: Mapping[str, Any]) -> bytes:
    """The document as an openapi.v2.Document."""
    return _message(_DOCUMENT, 16)(document)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _text(value: str) -> bytes:
    return value.encode()


def _message(members: Members, extensions: int) -> Encode:
    """Writes an object; members that begin with `x-` are its vendor extensions."""

    def write(value: Mapping[str, Any]) -> bytes:
        return b"".join(_members(value, members, extensions))

    return write


def _members(value: Mapping[str, Any], members: Members, extensions: int) -> Iterator[bytes]:
    for name, member in value.items():
        if name.startswith("x-"):
            yield _bytes(extensions, _named(name, _bytes(2, negotiate.encode(member).strip())))
            continue
        number, inner = members[name]
        if isinstance(member, bool):
            yield _varint(number << 3) + _varint(member)
        else:
            for one in member if isinstance(member, list) else [member]:
                yield _bytes(number, inner(one))


def _named(name: str, data: bytes) -> bytes:
    return _bytes(1, name.encode()) + _bytes(2, data)


def _map(inner: Encode, number: int = 1) -> Encode:
    """Writes an object as a list of names and values."""

    def write(value: Mapping[str, Any]) -> bytes:
        return b"".join(_bytes(number, _named(k, inner(v))) for k, v in value.items())

    return write


def _wrapped(inner: Encode) -> Encode:
    """Writes a value as the first member of a message of its own."""
    return lambda value: _bytes(1, inner(value))


def _schema(value: Mapping[str, Any]) -> bytes:
    return _message(_SCHEMA, 31)(value)


_SCHEMA: Members = {
    "$ref": (1, _text),
    "format": (2, _text),
    "description": (4, _text),
    "required": (19, _text),
    "additionalProperties": (21, _wrapped(_schema)),
    "type": (22, _wrapped(_text)),
    "items": (23, _wrapped(_schema)),
    "properties": (25, _map(_schema)),
}
_BODY: Members = {
    "description": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, _text),
    "schema": (5, _schema),
}
_QUERY: Members = {
    "required": (1, _text),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (6, _text),
    "format": (7, _text),
    "uniqueItems": (20, _text),
}
_PATH: Members = {**_QUERY, "type": (5, _text), "format": (6, _text), "uniqueItems": (19, _text)}


def _parameter(value: Mapping[str, Any]) -> bytes:
    """A ParametersItem: of a Parameter, of a body or of one of the four others."""
    if value["in"] == "body":
        return _bytes(1, _bytes(1, _message(_BODY, 6)(value)))
    number, made = (
        (3, _message(_QUERY, 23)(value))
        if value["in"] == "query"
        else (4, _message(_PATH, 22)(value))
    )
    return _bytes(1, _bytes(2, _bytes(number, made)))


_RESPONSE: Members = {"description": (1, _text), "schema": (2, _wrapped(_schema))}
_OPERATION: Members = {
    "tags": (1, _text),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, _text),
    "consumes": (7, _text),
    "parameters": (8, _parameter),
    "responses": (9, _map(_wrapped(_message(_RESPONSE, 5)))),
}
_operation = _message(_OPERATION, 13)
_PATH_ITEM: Members = {
    "get": (2, _operation),
    "put": (3, _operation),
    "post": (4, _operation),
    "delete": (5, _operation),
    "patch": (8, _operation),
    "parameters": (9, _parameter),
}
_INFO: Members = {"title": (1, _text), "version": (2, _text)}
_DOCUMENT: Members = {
    "swagger": (1, _text),
    "info": (2, _message(_INFO, 7)),
    "paths": (8, _map(_message(_PATH_ITEM, 10), number=2)),
    "definitions": (9, _map(_schema)),
}
