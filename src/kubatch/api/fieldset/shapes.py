"""The types of values as ownership sees them: leaves, structs, maps, sets, keyed lists.

Made from api/schema.py and the tables of api/list_types.py, once per type, when first needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from kubatch.api import list_types, schema

Form = Literal["scalar", "struct", "map", "list"]


@dataclass(frozen=True, eq=False, slots=True)
class Shape:
    """One type. `atomic`: owned as one value, whatever is inside."""

    form: Form
    atomic: bool = False
    scalar: str = ""  # string, numeric, boolean, untyped: what a leaf must be
    home: tuple[str, str] = ("", "")  # the message of a struct
    inner: Shape | None = None  # of a map's values or a list's elements
    keys: tuple[str, ...] = ()  # of a list that is not atomic; none: a set

    @property
    def members(self) -> Mapping[str, Shape]:
        """A struct's fields."""
        return _members(*self.home)

    def member(self, name: str) -> Shape | None:
        """What is below a struct's or map's member; None for a field that does not exist."""
        return self.inner if self.form == "map" else self.members.get(name)

    @property
    def element(self) -> Shape:
        """What a list's elements are."""
        assert self.inner is not None, "lists have elements"
        return self.inner


_SCALARS = {
    "string": "string",
    "bytes": "string",
    "time": "string",
    "microtime": "string",
    "bool": "boolean",
    "integer": "numeric",
    "quantity": "untyped",
    "int-or-string": "untyped",
}
_UNTYPED = Shape("scalar", atomic=True, scalar="anything")
_STRING = Shape("scalar", scalar="string")
_TYPE_META: Mapping[str, Shape] = {"kind": _STRING, "apiVersion": _STRING}


@cache
def of_kind(group: str, version: str, kind: str) -> Shape:
    """The shape of a whole object."""
    return Shape("struct", home=(f"root:{schema.group_version(group, version)}", kind))


@cache
def _members(group_version: str, name: str) -> Mapping[str, Shape]:
    rooted = group_version.startswith("root:")
    message = schema.message(group_version.removeprefix("root:"), name)
    found = {f.name: _of_field(name, f) for f in message.fields.values()}
    return {**_TYPE_META, **found} if rooted else found


def _of_field(message: str, field: schema.Field) -> Shape:
    where = (message, field.name)
    if field.type.form == "list":
        keys = list_types.list_keys(*where)
        assert field.type.element is not None, "lists have elements"
        inner = _of_type(field.type.element)
        return Shape("list", atomic=keys is None, inner=inner, keys=keys or ())
    if field.type.form == "map":
        assert field.type.element is not None, "maps have values"
        atomic = where in list_types.ATOMIC_MAPS
        return Shape("map", atomic=atomic, inner=_of_type(field.type.element))
    if where in list_types.GRANULAR_FIELDS:
        assert field.type.message is not None, "only structs are granular"
        return Shape("struct", home=field.type.message)
    return _of_type(field.type)


def _of_type(kind: schema.Type) -> Shape:
    if kind.message is not None:
        return _of_message(*kind.message)
    if kind.element is not None:
        return Shape(
            "list" if kind.form == "list" else "map", atomic=True, inner=_of_type(kind.element)
        )
    scalar = _SCALARS.get(kind.form)
    return _UNTYPED if scalar is None else Shape("scalar", scalar=scalar)


@cache
def _of_message(group_version: str, name: str) -> Shape:
    atomic = name in list_types.ATOMIC_STRUCTS
    return Shape("struct", atomic=atomic, home=(group_version, name))


def key_default(element: Shape, name: str) -> str | None:
    """What a key of an element is when the element leaves it out."""
    return list_types.KEY_DEFAULTS.get((element.home[1], name))
