"""What a value and a set of paths have to do with each other.

Which paths a value has, what two values differ in, and a value less some of its paths. All follow
sigs.k8s.io/structured-merge-diff (typed/tofieldset.go, compare.go, remove.go), whose cases of empty
and null members show in everybody's managedFields. Values are plain JSON; none is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kubatch.api.fieldset import elements
from kubatch.api.fieldset.elements import SELF
from kubatch.api.fieldset.sets import EMPTY, LEAF, FieldSet, in_order, node_of, union, without
from kubatch.api.fieldset.shapes import Shape, key_default


class _Absent:
    """The value of a member that is not there, which null is not."""


ABSENT: Final = _Absent()


class NoKey(ValueError):
    """An element of a keyed list that cannot be told apart; the text is upstream's."""


def step_to(shape: Shape, element: Any) -> str:
    """The step to an element of a list that is not atomic. Raises NoKey."""
    if not shape.keys:
        return _step_to_plain(element)
    if element is None:
        raise NoKey("associative list with keys may not have a null element")
    if not isinstance(element, dict):
        raise NoKey("associative list with keys may not have non-map elements")
    found = {}
    for name in shape.keys:
        value = element.get(name, ABSENT)
        if value is ABSENT:
            value = key_default(shape.element, name)
            if value is None:
                raise NoKey(
                    f'associative list with keys has an element that omits key field "{name}" '
                    "(and doesn't have default value)"
                )
        found[name] = value
    return elements.key(found)


def _step_to_plain(element: Any) -> str:
    if isinstance(element, dict):
        raise NoKey("associative list without keys has an element that's a map type")
    if isinstance(element, list):
        raise NoKey("not supported: associative list with lists as elements")
    if element is None:
        raise NoKey("associative list without keys has an element that's an explicit null")
    return elements.value(element)


def by_step(shape: Shape, values: Sequence[Any]) -> dict[str, list[Any]]:
    """A list's elements by their steps, more than one where there are duplicates.

    Elements without a step are left out: live objects may hold what no one may apply.
    """
    found: dict[str, list[Any]] = {}
    for value in values:
        try:
            found.setdefault(step_to(shape, value), []).append(value)
        except NoKey:
            continue
    return found


# ----- the paths of a value


def to_set(shape: Shape, value: Any) -> FieldSet:
    """What somebody owns who applies this object (toFieldSet): its leaves, items, empty maps."""
    return _paths_below(shape, value) or EMPTY


def _paths_below(shape: Shape, value: Any) -> FieldSet | None:
    if shape.form == "scalar" or shape.atomic:
        return LEAF
    if not value:
        return None
    if shape.form == "list":
        items = {}
        for step, same in by_step(shape, _list(value)).items():
            below = _paths_below(shape.element, same[0]) if len(same) == 1 else LEAF
            items[step] = _as_member(below)
        return in_order(items)
    found = {}
    for name, inner in _map(value).items():
        known = shape.member(name)
        node = _paths_below(known, inner) if known is not None else LEAF
        if inner is None or inner == {} or shape.form == "map":
            node = _as_member(node)
        if node is not None:
            found[elements.field(name)] = node
    return node_of(False, in_order(found))


def _as_member(node: FieldSet | None) -> FieldSet:
    if not node or SELF in node:
        return node or LEAF
    return {SELF: LEAF, **node}


# ----- the difference of two values


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a change did, as three sets without common members."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet

    @property
    def same(self) -> bool:
        return not (self.added or self.modified or self.removed)

    @property
    def written(self) -> FieldSet:
        """What the change set to something."""
        return union(self.added, self.modified)

    def less(self, ignored: FieldSet) -> Comparison:
        """The same without some paths and all that is below them."""
        if not ignored:
            return self
        return Comparison(
            without(self.added, ignored),
            without(self.modified, ignored),
            without(self.removed, ignored),
        )


SAME = Comparison(EMPTY, EMPTY, EMPTY)

# Three nodes; None where there is nothing.
_Nodes = tuple[FieldSet | None, FieldSet | None, FieldSet | None]
_NOTHING: _Nodes = (None, None, None)
_ADDED, _MODIFIED, _REMOVED = range(3)


def compare(shape: Shape, old: Any, new: Any) -> Comparison:
    """What differs between two objects of one shape."""
    added, modified, removed = _compare(shape, old, new)
    return Comparison(added or EMPTY, modified or EMPTY, removed or EMPTY)


def _compare(shape: Shape, old: Any, new: Any) -> _Nodes:
    if new is ABSENT:
        return None, None, _whole(shape, old)
    if old is ABSENT:
        return _whole(shape, new), None, None
    if old == new and type(old) is type(new):
        return _NOTHING
    if shape.form == "scalar" or shape.atomic or (not old and not new):
        return None, LEAF, None
    if shape.form == "list":
        return _compare_lists(shape, _list(old), _list(new))
    return _compare_maps(shape, _map(old), _map(new))


def _whole(shape: Shape, value: Any) -> FieldSet:
    """All of a value that came or went: the leaves, and everything on the way to them."""
    if shape.form == "scalar" or shape.atomic or not value:
        return LEAF
    if shape.form == "list":
        items = by_step(shape, _list(value))
        children = {
            step: _whole(shape.element, same[0]) if len(same) == 1 else LEAF
            for step, same in items.items()
        }
    else:
        children = {}
        for name, inner in _map(value).items():
            known = shape.member(name)
            children[elements.field(name)] = LEAF if known is None else _whole(known, inner)
    return {SELF: LEAF, **in_order(children)}


def _compare_maps(shape: Shape, old: Mapping[str, Any], new: Mapping[str, Any]) -> _Nodes:
    found: tuple[dict[str, FieldSet], ...] = ({}, {}, {})
    for name in (*old, *(n for n in new if n not in old)):
        known = shape.member(name)
        if known is not None:
            nodes = _compare(known, old.get(name, ABSENT), new.get(name, ABSENT))
            _gather(found, elements.field(name), nodes)
    return _nodes(found)


def _compare_lists(shape: Shape, old: Sequence[Any], new: Sequence[Any]) -> _Nodes:
    """Element by element; elements that are there twice are one value together."""
    was, now = by_step(shape, old), by_step(shape, new)
    found: tuple[dict[str, FieldSet], ...] = ({}, {}, {})
    for step in (*was, *(s for s in now if s not in was)):
        before, after = was.get(step, []), now.get(step, [])
        if len(before) <= 1 and len(after) <= 1:
            nodes = _compare(
                shape.element, before[0] if before else ABSENT, after[0] if after else ABSENT
            )
            _gather(found, step, nodes)
        elif len(before) > 1 and len(after) > 1:
            if before != after:
                found[_MODIFIED][step] = LEAF
        elif len(before) > 1:
            if after:
                found[_ADDED][step] = _whole(shape.element, after[0])
            found[_REMOVED][step] = LEAF
        else:
            if before:
                found[_REMOVED][step] = _whole(shape.element, before[0])
            found[_ADDED][step] = LEAF
    return _nodes(found)


def _gather(found: tuple[dict[str, FieldSet], ...], step: str, nodes: _Nodes) -> None:
    for into, node in zip(found, nodes, strict=True):
        if node is not None:
            into[step] = node


def _nodes(found: tuple[dict[str, FieldSet], ...]) -> _Nodes:
    added, modified, removed = (node_of(False, in_order(children)) for children in found)
    return added, modified, removed


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


# ----- a value less some paths


def remove(shape: Shape, value: Any, paths: FieldSet) -> Any:
    """The value without these members and items (removeItemsWithSchema).

    What is emptied by that becomes null, which decodes like a member that is not there.
    """
    if shape.form == "scalar" or not value:
        return value
    if shape.atomic:
        return None
    if shape.form == "list":
        return [*_kept_items(shape, _list(value), paths)] or None
    kept = {}
    for name, inner in _map(value).items():
        node = paths.get(elements.field(name))
        if node is None:
            kept[name] = inner
        elif node and SELF not in node:
            known = shape.member(name)
            kept[name] = inner if known is None else remove(known, inner, node)
    return kept or None


def _kept_items(shape: Shape, values: Sequence[Any], paths: FieldSet) -> list[Any]:
    kept = []
    for item in values:
        try:
            node = paths.get(step_to(shape, item))
        except NoKey:
            node = None
        if node is None:
            kept.append(item)
        elif node and SELF not in node:
            kept.append(remove(shape.element, item, node))
    return kept


def with_named_fields(shape: Shape | None, paths: FieldSet) -> FieldSet:
    """The paths, and every struct's field on the way to them (EnsureNamedFieldsAreMembers)."""
    found = {}
    for step, inner in paths.items():
        if step == SELF or not inner:
            found[step] = inner
            continue
        below: Shape | None = None
        named = False
        if shape is not None and step.startswith("f:") and shape.form != "list":
            below = shape.member(step[2:])
            named = shape.form == "struct" and below is not None
        elif shape is not None and step.startswith("k:") and shape.form == "list":
            below = shape.element
        node = with_named_fields(below, inner)
        found[step] = _as_member(node) if named else node
    return found
