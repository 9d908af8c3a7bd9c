"""Field paths and the causes that validation finds at them.

Texts follow apimachinery/pkg/util/validation/field/errors.go to the letter: people paste them into
search engines, and tests of other projects compare them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kubatch.api.errors import Cause


def child(path: str, *names: str) -> str:
    """The path of a member: child("spec", "template") is spec.template."""
    return ".".join((path, *names)) if path else ".".join(names)


def index(path: str, i: int) -> str:
    """The path of a list's element: spec.containers[0]."""
    return f"{path}[{i}]"


def key(path: str, k: str) -> str:
    """The path of a map's entry: metadata.labels[app]."""
    return f"{path}[{k}]"


class Members(dict[str, Any]):
    """A Go struct inside a message: its members keep their order, where a map's keys are sorted."""


def show(value: Any) -> str:
    """A value as Kubernetes quotes it in messages: strings quoted, numbers bare, others JSON.

    Keys of maps are sorted, as encoding/json does.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, int | float):
        return str(value)
    return msgspec.json.encode(_sorted(value)).decode()


# strconv/quote.go: appendEscapedRune
_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
    "\t": "\\t", "\v": "\\v",
}  # fmt: skip


def quote(text: str) -> str:
    """A string as Go's %q shows it."""
    return f'"{"".join(_escaped(c) for c in text)}"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _sorted(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, order="deterministic")
    if isinstance(value, dict):
        items = value.items() if isinstance(value, Members) else sorted(value.items())
        return {k: _sorted(v) for k, v in items}
    return [_sorted(v) for v in value] if isinstance(value, list | tuple) else value


def invalid(path: str, value: Any, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {show(value)}: {why}", path)


def required(path: str, why: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value: {why}" if why else "Required value", path)


def not_supported(path: str, value: Any, supported: Sequence[str]) -> Cause:
    choices = ", ".join(show(s) for s in supported)
    return Cause(
        "FieldValueNotSupported",
        f"Unsupported value: {show(value)}: supported values: {choices}",
        path,
    )


def forbidden(path: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {why}", path)


def duplicate(path: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", f"Duplicate value: {show(value)}", path)


def too_long(path: str, bytes_max: int) -> Cause:
    return Cause("FieldValueTooLong", f"Too long: may not be more than {bytes_max} bytes", path)


def too_many(path: str, actual: int, items_max: int) -> Cause:
    return Cause(
        "FieldValueTooMany", f"Too many: {actual}: must have at most {items_max} items", path
    )


def not_found(path: str, value: Any) -> Cause:
    return Cause("FieldValueNotFound", f"Not found: {show(value)}", path)
