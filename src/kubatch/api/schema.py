"""The Kubernetes types as Go declares them: which fields there are, and what their zeros do.

`wire.json` lists, per group and version and message, `[json name, protobuf number, Go type, flags]`
with flags p (a pointer: absent differs from zero), o (omitted from JSON when empty) and i (inlined
in JSON, a message of its own in protobuf). From it come strict field validation, JSON's type
errors in Go's words, and the rule which zero values JSON shows. The msgspec models know none of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import msgspec

# Where a Go package qualifier in a type name points.
_PACKAGES = {
    "metav1": "meta/v1",
    "corev1": "core/v1",
    "batchv1": "batch/v1",
    "apiv1": "core/v1",
    "v1": "core/v1",
}
# Versions whose types are those of another version, and which wire.json lists under that one.
_SAME_TYPES = {"authentication/v1beta1": "authentication/v1"}
# The last part of an API group, as wire.json spells groups.
_GROUPS = {
    "": "core",
    "events.k8s.io": "events",
    "coordination.k8s.io": "coordination",
    "discovery.k8s.io": "discovery",
    "scheduling.k8s.io": "scheduling",
    "rbac.authorization.k8s.io": "rbac",
    "authentication.k8s.io": "authentication",
    "authorization.k8s.io": "authorization",
    "storage.k8s.io": "storage",
}
_INTEGERS = {"int32", "int64", "uint32", "uint64", "int"}


@dataclass(frozen=True, slots=True)
class Type:
    """A Go type, resolved: what JSON form it has and, for containers, of what."""

    form: str  # message, list, map, string, bool, integer, time, microtime, quantity, ...
    go_name: str  # as Go's JSON decoder names it in errors: int32, []v1.Container, ...
    message: tuple[str, str] | None = None  # (group/version, name) when form is message
    element: Type | None = None  # of a list or map

    @property
    def wrapped(self) -> bool:
        """A named slice (ExtraValue, Verbs), which protobuf wraps in a message of its own."""
        return self.form == "list" and not self.go_name.startswith("[]")


@dataclass(frozen=True, slots=True)
class Numbered:
    """One protobuf field of a message: what stands under its number."""

    name: str
    type: Type
    inlined: bool


@dataclass(frozen=True, slots=True)
class Field:
    """One JSON member of a message."""

    name: str
    type: Type
    pointer: bool
    omit_empty: bool


@dataclass(frozen=True, slots=True)
class Message:
    """One Go struct, inlined members flattened."""

    name: str
    fields: dict[str, Field]
    # Members that JSON shows even when nobody set them, with their zero: "" or 0 or False or {}.
    always: tuple[Field, ...]


@cache
def _tables() -> dict[str, dict[str, list[tuple[str, int, str, str]]]]:
    data = resources.files("kubatch.api").joinpath("wire.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, dict[str, list[tuple[str, int, str, str]]]])


def group_version(group: str, version: str) -> str:
    """An API group and version as wire.json names them: `core/v1`, `events/v1`."""
    name = f"{_GROUPS.get(group, group)}/{version}"
    return _SAME_TYPES.get(name, name)


def has(home: str, name: str) -> bool:
    """Whether a message is known."""
    return name in _tables().get(home, {})


@cache
def numbered(home: str, name: str) -> dict[int, Numbered]:
    """One message's fields by protobuf number. Raises KeyError for an unknown message."""
    return {
        number: Numbered(json_name, _resolve(home, go_type), "i" in flags)
        for json_name, number, go_type, flags in _tables()[home][name]
    }


def root(group: str, version: str, kind: str) -> Message:
    """The message of a kind, kind and apiVersion included."""
    plain = message(group_version(group, version), kind)
    string = _resolve("meta/v1", "string")
    type_meta = {n: Field(n, string, False, True) for n in ("kind", "apiVersion")}
    return Message(plain.name, {**type_meta, **plain.fields}, plain.always)


@cache
def message(group_version: str, name: str) -> Message:
    """One message's fields by JSON name. Raises KeyError for a message that wire.json lacks."""
    fields: dict[str, Field] = {}
    for json_name, _number, go_type, flags in _tables()[group_version][name]:
        kind = _resolve(group_version, go_type)
        if "i" in flags and kind.message is not None:
            fields.update(message(*kind.message).fields)
        else:
            fields[json_name] = Field(json_name, kind, "p" in flags, "o" in flags)
    always = tuple(f for f in fields.values() if _always_shown(f))
    return Message(name, fields, always)


def _always_shown(field: Field) -> bool:
    """Whether Go's encoder writes the field when it is empty.

    `omitempty` does nothing on a struct, so a status nobody set shows as {}; metadata and times
    carry `omitzero` since Kubernetes 1.34 and vanish.
    """
    if field.pointer:
        return False
    if field.type.form == "message":
        return field.name != "metadata" or not field.omit_empty
    if field.type.form in ("quantity", "int-or-string"):
        return True  # structs as well
    return not field.omit_empty and field.type.form in ("string", "bool", "integer")


@cache
def _resolve(group_version: str, go_type: str) -> Type:
    if go_type == "[]byte":
        return Type("bytes", "[]uint8")
    if go_type.startswith("[]"):
        element = _resolve(group_version, go_type[2:])
        return Type("list", "[]" + element.go_name, element=element)
    if match := re.fullmatch(r"map\[([\w.]+)\](.+)", go_type):
        element = _resolve(group_version, match[2])
        return Type("map", f"map[string]{element.go_name}", element=element)
    package, _, name = go_type.rpartition(".")
    if name == "ResourceList":
        return Type("map", "v1.ResourceList", element=Type("quantity", "resource.Quantity"))
    if name in ("ExtraValue", "Verbs"):
        return Type("list", "v1." + name, element=Type("string", "string"))
    if scalar := _scalar(name):
        return scalar
    home = _PACKAGES.get(package, group_version)
    if name in _tables().get(home, {}):
        return Type("message", f"{home.rpartition('/')[2]}.{name}", message=(home, name))
    return Type("string", f"{home.rpartition('/')[2]}.{name}" if name != "string" else "string")


def _scalar(name: str) -> Type | None:
    if name in _INTEGERS:
        return Type("integer", name)
    special = {
        "bool": Type("bool", "bool"),
        "string": Type("string", "string"),
        "UID": Type("string", "types.UID"),
        "Time": Type("time", "v1.Time"),
        "MicroTime": Type("microtime", "v1.MicroTime"),
        "Quantity": Type("quantity", "resource.Quantity"),
        "IntOrString": Type("int-or-string", "intstr.IntOrString"),
        "RawExtension": Type("raw", "runtime.RawExtension"),
        "FieldsV1": Type("raw", "v1.FieldsV1"),
        "Duration": Type("string", "v1.Duration"),
    }
    return special.get(name)


ZEROS: dict[str, Any] = {
    "string": "",
    "bool": False,
    "integer": 0,
    "quantity": "0",
    "int-or-string": 0,
}
