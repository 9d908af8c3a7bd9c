"""What strict validation says of the operations of a JSON patch. Pure.

(apiserver/pkg/endpoints/handlers/patch.go: applyJSPatch, jsonPatchOp.)
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from kubatch.api import errors
from kubatch.api.json_text import TYPE_META, Pairs, go_kind, mended
from kubatch.server.gojson import go_json_error

_KNOWN = frozenset(("op", "path", "from", "value"))


def decode(data: bytes) -> tuple[list[Any], list[str]]:
    """The operations, and their unknown and duplicate members. Raises ApiError 400."""
    text = mended(data)
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        raise _undecodable(
            go_json_error(data).replace(TYPE_META, "map[string]interface {}")
        ) from None
    if not isinstance(value, list):
        why = (
            f"json: cannot unmarshal {go_kind(value)} into Go value of type []handlers.jsonPatchOp"
        )
        raise _undecodable(why)
    _check_types(value)
    found: dict[str, None] = {}
    for position, operation in enumerate(json.loads(text, object_pairs_hook=_Members)):
        _look(operation, f"[{position}]", found, _KNOWN)
    return value, [f"json patch {what}" for what in found]


def _undecodable(why: str) -> errors.ApiError:
    return errors.bad_request(f"error decoding patch: {why}")


def _check_types(operations: list[Any]) -> None:
    for operation in operations:
        if operation is not None and not isinstance(operation, dict):
            kind = go_kind(operation)
            raise _undecodable(
                f"json: cannot unmarshal {kind} into Go value of type handlers.jsonPatchOp"
            )
        for name in ("op", "path", "from"):
            value = (operation or {}).get(name)
            if value is not None and not isinstance(value, str):
                raise _undecodable(
                    f"json: cannot unmarshal {go_kind(value)} into Go struct field "
                    f"jsonPatchOp.{name} of type string"
                )


class _Members:
    """An object with its members as they were written."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs


def _look(value: Any, path: str, found: dict[str, None], known: frozenset[str] | None) -> None:
    """Note what is wrong in a value; `known` are the members it may have, None: any."""
    if isinstance(value, list):
        for position, item in enumerate(value):
            _look(item, f"{path}[{position}]", found, None)
    elif isinstance(value, _Members):
        seen = set()
        for name, member in value.pairs:
            inner = f"{path}.{name}"
            if known is not None and name not in known:
                found[f'unknown field "{inner}"'] = None
                continue
            if name in seen:
                found[f'duplicate field "{inner}"'] = None
            seen.add(name)
            _look(member, inner, found, None)
