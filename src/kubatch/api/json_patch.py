"""JSON patch (RFC 6902), as the API server's library applies it.

The library is gopkg.in/evanphx/json-patch.v4. It departs from the RFC, and so does this module:
an absent member of an object counts as null (so `replace` creates it, and `test` with null
passes), an index may be negative and counts from the end, and only `replace` and `test` accept
the whole document as their path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import msgspec

from kubatch.api.errors import Details, PatchError
from kubatch.api.json_text import go_kind

# apiserver/pkg/endpoints/handlers/patch.go: maxJSONPatchOperations
OPERATIONS_MAX = 10_000
# apiserver/pkg/server/config.go: JSONPatchMaxCopyBytes
COPIED_BYTES_MAX = 3 * 1024 * 1024

_INDEX = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INDEX_CHARACTERS_MAX = 20  # more than strconv.Atoi reads; Python would refuse thousands
_TEXTS = ("op", "from", "path")


class _Refused(Exception):
    """An operation that does not apply."""


def unprocessable() -> PatchError:
    """422 without a reason: what a failed operation is answered with (NewGenericServerResponse)."""
    message = "the server rejected our request due to an error in our request"
    return PatchError(422, "Invalid", message, Details())


def json_patch(document: Any, operations: Any) -> Any:
    """The document after all operations, in order; the one given stays as it is.

    Raises PatchError: 400 for what is no list of operations, 413 for too many, 422 when one fails.
    """
    _check_shape(operations)
    if len(operations) > OPERATIONS_MAX:
        raise PatchError(
            413,
            "RequestEntityTooLarge",
            "Request entity too large: The allowed maximum operations in a JSON patch is "
            f"{OPERATIONS_MAX}, got {len(operations)}",
        )
    # One copy up front, so that operations may change what they find.
    patching = _Patching(_copied(document))
    try:
        for operation in operations:
            patching.apply(operation)
    except _Refused as refused:
        raise unprocessable() from refused
    return patching.document


def _check_shape(operations: Any) -> None:
    if not isinstance(operations, list):
        raise _undecodable(f"{go_kind(operations)} into Go value of type []handlers.jsonPatchOp")
    for operation in operations:
        if not isinstance(operation, dict):
            raise _undecodable(f"{go_kind(operation)} into Go value of type handlers.jsonPatchOp")
        for name in _TEXTS:
            if not isinstance(operation.get(name, ""), str | None):
                raise _undecodable(
                    f"{go_kind(operation[name])} into Go struct field jsonPatchOp.{name} of type "
                    "string"
                )


def _undecodable(what: str) -> PatchError:
    message = f"error decoding patch: json: cannot unmarshal {what}"
    return PatchError(400, "BadRequest", message)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_copied(v) for v in value]
    return value


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal; unlike Python's ==, true is not 1 and 1 is not 1.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


class _Patching:
    """A document while operations change it."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self._copied_bytes = 0

    def apply(self, operation: dict[str, Any]) -> None:
        apply = self._OPERATIONS.get(operation.get("op") or "unknown")
        if apply is None:
            raise _Refused(f"Unexpected kind: {operation.get('op')}")
        apply(self, operation)

    def _add(self, operation: dict[str, Any]) -> None:
        holder, key = self._holder(_path(operation, "path"))
        _insert(holder, key, _copied(operation.get("value")))

    def _remove(self, operation: dict[str, Any]) -> None:
        holder, key = self._holder(_path(operation, "path"))
        _take(holder, key)

    def _replace(self, operation: dict[str, Any]) -> None:
        path, value = _path(operation, "path"), _copied(operation.get("value"))
        if not path:
            if not isinstance(value, dict | list):
                raise _Refused("replace operation value must be object or array")
            self.document = value
            return
        holder, key = self._holder(path)
        if isinstance(holder, dict):
            holder[key] = value
        else:
            holder[_position(holder, key)] = value

    def _move(self, operation: dict[str, Any]) -> None:
        holder, key = self._holder(_path(operation, "from"))
        value = _take(holder, key)
        holder, key = self._holder(_path(operation, "path"))
        _insert(holder, key, value)

    def _copy(self, operation: dict[str, Any]) -> None:
        holder, key = self._holder(_path(operation, "from"))
        value = _get(holder, key)
        holder, key = self._holder(_path(operation, "path"))
        # Copies of copies grow without bound otherwise: ten thousand operations double each time.
        if isinstance(value, dict | list | str):
            self._copied_bytes += len(msgspec.json.encode(value))
        if self._copied_bytes > COPIED_BYTES_MAX:
            raise _Refused("the total size of copied values is beyond the limit")
        _insert(holder, key, _copied(value))

    def _test(self, operation: dict[str, Any]) -> None:
        path = _path(operation, "path")
        if path:
            holder, key = self._holder(path)
            found = _get(holder, key)
        else:
            found = self.document
        if not same(found, operation.get("value")):
            raise _Refused(f"testing value {path} failed")

    _OPERATIONS: dict[str, Callable[[_Patching, dict[str, Any]], None]] = {  # noqa: RUF012
        "add": _add,
        "remove": _remove,
        "replace": _replace,
        "move": _move,
        "copy": _copy,
        "test": _test,
    }

    def _holder(self, path: str) -> tuple[dict[str, Any] | list[Any], str]:
        """The object or array that a path's last part is in, and that part (findObject)."""
        parts = path.split("/")
        if len(parts) < 2:
            raise _Refused(f"doc is missing path: {path}")
        node = self.document
        for part in parts[1:-1]:
            node = _get(node, _decoded(part))
            if not isinstance(node, dict | list):
                raise _Refused(f"doc is missing path: {path}")
        return node, _decoded(parts[-1])


def _path(operation: dict[str, Any], name: str) -> str:
    path = operation.get(name)
    if path is None:
        raise _Refused(f"operation missing {name} field")
    return cast(str, path)


def _decoded(part: str) -> str:
    """A reference token without its escapes (RFC 6901, section 4)."""
    return part.replace("~1", "/").replace("~0", "~") if "~" in part else part


def _position(holder: list[Any], key: str, extra: int = 0) -> int:
    """Where in an array an index points; negative ones count from its end."""
    if not _INDEX.fullmatch(key):
        raise _Refused(f"value was not a proper array index: '{key}'")
    size = len(holder) + extra
    if len(key) > _INDEX_CHARACTERS_MAX:
        raise _Refused(f"Unable to access invalid index: {key}")
    at = int(key)
    if not -size <= at < size:
        raise _Refused(f"Unable to access invalid index: {at}")
    return at + size if at < 0 else at


def _get(holder: dict[str, Any] | list[Any], key: str) -> Any:
    if isinstance(holder, dict):
        return holder.get(key)
    return holder[_position(holder, key)]


def _take(holder: dict[str, Any] | list[Any], key: str) -> Any:
    if isinstance(holder, list):
        return holder.pop(_position(holder, key))
    if key not in holder:
        raise _Refused(f"Unable to remove nonexistent key: {key}")
    return holder.pop(key)


def _insert(holder: dict[str, Any] | list[Any], key: str, value: Any) -> None:
    if isinstance(holder, dict):
        holder[key] = value
    elif key == "-":
        holder.append(value)
    else:
        holder.insert(_position(holder, key, extra=1), value)
