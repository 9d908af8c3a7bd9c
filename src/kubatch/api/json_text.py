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
        raise Malformed(str(error)) from None
    if not isinstance(value, dict):
        raise Malformed("the body is not an object")
    # Every member as written ends its name with `":`, and the fast parser keeps one of each name.
    # So equal counts mean no duplicates; more may also mean such text inside a string.
    if data.count(b'":') == _count_members(value) and not _SPACED_COLON.search(data):
        return Unmarshalled(value)
    return _with_duplicates(data)


def _count_members(value: dict[str, Any] | list[Any]) -> int:
    children: Any = value
    count = 0
    if type(value) is dict:
        children = value.values()
        count = len(value)
    for child in children:
        if type(child) is dict or type(child) is list:
            count += _count_members(child)
    return count


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
