"""JSON text to values, noticing what a plain parser hides: members that occur twice."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec


class Malformed(ValueError):
    """The body is not JSON, or not an object."""


Pairs = list[tuple[str, Any]]

# What every body is first read into (apimachinery/pkg/runtime/serializer/json/meta.go).
TYPE_META = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }'
)


@dataclass
class Unmarshalled:
    """What a body says, and what strict validation has against the text itself."""

    value: dict[str, Any]
    strict_errors: list[str] = field(default_factory=list)  # duplicate fields, in order
    # The members as written, of each object in which one occurs twice, by the object's id.
    duplicates: Mapping[int, Pairs] = field(default_factory=dict)


_SPACED_COLON = re.compile(rb'"[ \t\r\n]+:')


def parse_json(data: bytes) -> Unmarshalled:
    """JSON text to an object; of a member that occurs twice the last one counts.

    Raises Malformed.
    """
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        text = mended(data)
        if text == data:
            raise Malformed(str(error)) from None
        return parse_json(text)
    if not isinstance(value, dict):
        raise Malformed("the body is not an object")
    # Every member as written ends its name with `":`, and the fast parser keeps one of each name.
    # Written again, the value has as many, unless there were duplicates. Inside strings the two
    # texts agree but for characters escaped by number; between quote and colon, but for spaces.
    if (
        b"\\u" not in data
        and data.count(b'":') == msgspec.json.encode(value).count(b'":')
        and not _SPACED_COLON.search(data)
    ):
        return Unmarshalled(value)
    return _with_duplicates(data)


def mended(data: bytes) -> bytes:
    """JSON text with U+FFFD for what is no character: no UTF-8, half surrogate pairs.

    (encoding/json/decode.go: unquoteBytes, which takes one byte at a time.) Outside of strings
    U+FFFD is as wrong as what it replaces.
    """
    text = _NO_CHARACTER.sub("\ufffd", data.decode(errors="surrogateescape"))
    return _ESCAPE.sub(_whole_escape, text).encode()


_NO_CHARACTER = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(
    r"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)",
    re.DOTALL,
)


def _whole_escape(found: re.Match[str]) -> str:
    lone = found[1] is None and len(found[0]) == len(r"\ud800")
    return r"\ufffd" if lone else found[0]


def _with_duplicates(data: bytes) -> Unmarshalled:
    duplicates: dict[int, Pairs] = {}

    def pairs(items: Pairs) -> dict[str, Any]:
        made = dict(items)
        if len(made) != len(items):
            duplicates[id(made)] = items
        return made

    value = json.loads(data, object_pairs_hook=pairs)
    errors: dict[str, None] = {}
    _list_duplicates(value, "", duplicates, errors)
    return Unmarshalled(value, list(errors), duplicates)


def _list_duplicates(
    node: Any, path: str, duplicates: Mapping[int, Pairs], errors: dict[str, None]
) -> None:
    if isinstance(node, list):
        for i, child in enumerate(node):
            _list_duplicates(child, f"{path}[{i}]", duplicates, errors)
    elif isinstance(node, dict):
        seen: set[str] = set()
        for name, child in duplicates.get(id(node)) or node.items():
            inner = f"{path}.{name}" if path else name
            if name in seen:
                errors[f'duplicate field "{inner}"'] = None
            seen.add(name)
            _list_duplicates(child, inner, duplicates, errors)


def go_kind(value: Any) -> str:
    """What Go's decoder calls a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "null" if value is None else "object"
