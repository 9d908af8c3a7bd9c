"""What whoever creates an object comes to own: the quick way for what every create needs.

It is `compare(shape, empty, plain).written`, found in one walk: of an object that was not there
before nothing is removed, and what is added and what is changed need not be told apart. A test
holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubatch.api.fieldset.elements import SELF
from kubatch.api.fieldset.managers import NEVER_OWNED
from kubatch.api.fieldset.sets import EMPTY, LEAF, FieldSet, in_order
from kubatch.api.fieldset.shapes import Shape
from kubatch.api.fieldset.values import by_step


def created(shape: Shape, empty: Mapping[str, Any], plain: Mapping[str, Any]) -> FieldSet:
    """The paths an object has beyond `empty`, which is what Go shows of one without content."""
    return _beyond(shape, empty, plain) or EMPTY


def taken(
    shape: Shape, empty: Mapping[str, Any], plain: Mapping[str, Any], reset: FieldSet
) -> FieldSet:
    """Of these paths, those that may be owned: without the members in `reset`, and stripped.

    What nobody ever owns is left out before it is looked at.
    """
    kept = {
        name: value
        for name, value in plain.items()
        if name != "metadata" and name not in _TYPE and "f:" + name not in reset
    }
    metadata, known = plain.get("metadata"), shape.members["metadata"]
    if type(metadata) is dict:
        kept["metadata"] = {n: v for n, v in metadata.items() if n not in _NOT_OF_METADATA}
        empty = empty if "metadata" in empty else {**empty, "metadata": _NO_METADATA}
    assert known.form == "struct", "every kind's metadata has fields"
    return _beyond(shape, empty, kept) or EMPTY


# The members of NEVER_OWNED.
_TYPE = frozenset(("apiVersion", "kind"))
_NOT_OF_METADATA = frozenset(step[2:] for step in NEVER_OWNED["f:metadata"] if step != SELF)
_NO_METADATA: Mapping[str, Any] = {}


def _beyond(
    shape: Shape, empty: Mapping[str, Any], plain: Mapping[str, Any]
) -> dict[str, FieldSet]:
    """Of a struct that is there in both: its fields are sorted as FieldsV1 sorts them."""
    found: dict[str, FieldSet] = {}
    members = shape.members
    for name in sorted(plain):
        known = members.get(name)
        if known is None:
            continue
        value = plain[name]
        if name not in empty:
            found["f:" + name] = _whole(known, value)
            continue
        before = empty[name]
        if before == value and type(before) is type(value):
            continue
        node: FieldSet | None
        if known.form == "scalar" or known.atomic or not (before or value):
            node = LEAF
        elif known.form == "struct" and isinstance(before, dict) and isinstance(value, dict):
            node = _beyond(known, before, value)
        else:
            # Zeros hold no maps and no lists with anything in them: all of it is new.
            node = {step: inner for step, inner in _whole(known, value).items() if step != SELF}
        if node or node is LEAF:
            found["f:" + name] = node
    return found


def _whole(shape: Shape, value: Any) -> FieldSet:
    """All of a value that was not there: the leaves, and everything on the way to them."""
    form = shape.form
    if form == "scalar" or shape.atomic or not value:
        return LEAF
    found: dict[str, FieldSet] = {SELF: LEAF}
    if form == "struct" and type(value) is dict:
        members = shape.members
        for name in sorted(value):
            known = members.get(name)
            found["f:" + name] = LEAF if known is None else _whole(known, value[name])
    elif form == "map" and type(value) is dict:
        for name in sorted(value):
            found["f:" + name] = _whole(shape.element, value[name])
    elif form == "list" and type(value) is list:
        items = {
            step: _whole(shape.element, same[0]) if len(same) == 1 else LEAF
            for step, same in by_step(shape, value).items()
        }
        found.update(in_order(items))
    return found
