"""Sets of field paths, held in the very form that managedFields shows: FieldsV1.

A set is a tree of dicts. A node without children is a member; one with children is a member when it
holds `.` beside them. So a set is written and read without being converted, and parts that do not
change are shared between sets. No set is ever changed. The root is no member: nobody owns an
object as a whole. (sigs.k8s.io/structured-merge-diff: fieldpath/set.go, fieldpath/serialize.go.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from kubatch.api.fieldset.elements import SELF, canonical, order, show_step

FieldSet: TypeAlias = Mapping[str, Any]  # of steps to FieldSets
Path: TypeAlias = tuple[str, ...]

EMPTY: FieldSet = {}
# A member without children, and the mark of one with children.
LEAF: FieldSet = {}

# Deeper than any type of the API goes.
DEPTH_MAX = 64


def is_member(node: FieldSet | None) -> bool:
    """Whether a node below the root belongs to its set."""
    return node is not None and (not node or SELF in node)


def node_of(member: bool, children: Mapping[str, FieldSet]) -> FieldSet | None:
    """A node below the root from its parts; None when nothing would be in it."""
    if not children:
        return LEAF if member else None
    if not member:
        return children
    return {SELF: LEAF, **children}


def in_order(children: Mapping[str, FieldSet]) -> Mapping[str, FieldSet]:
    """The same children, sorted as FieldsV1 lists them."""
    if len(children) < 2:
        return children
    # Fields, by far the most, are in the order of their texts, and so is the mark before them.
    by = None if max(children) < "g" else order
    return {step: children[step] for step in sorted(children, key=by)}


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in either."""
    if a is b or not b:
        return a
    return _union(a, b) if a else b


def _union(a: FieldSet, b: FieldSet) -> FieldSet:
    """Of two nodes that are not empty, or of two roots."""
    out = dict(a)
    grown = changed = False
    for step, inner in b.items():
        mine = out.get(step)
        if mine is None:
            out[step] = inner
            grown = True
        elif step != SELF:
            both = _union_below(mine, inner)
            changed = changed or both is not mine
            out[step] = both
    if not grown:
        return out if changed else a
    return in_order(out)


def _union_below(a: FieldSet, b: FieldSet) -> FieldSet:
    if a is b or a == b:
        return a
    if not a:
        return b if SELF in b else {SELF: LEAF, **b}
    if not b:
        return a if SELF in a else {SELF: LEAF, **a}
    return _union(a, b)


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in both."""
    small, large = (a, b) if len(a) <= len(b) else (b, a)
    out = {}
    for step, inner in small.items():
        other = large.get(step)
        if other is None or step == SELF:
            continue
        member = is_member(inner) and is_member(other)
        both = node_of(member, intersection(inner, other))
        if both is not None:
            out[step] = both
    return in_order(out) if small is b else out


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in a and not in b, path by path: below a path of b everything stays."""
    if not b or not a:
        return a
    return _less(a, b, deep=False)


def without(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in a, less each path of b with all that is below it (RecursiveDifference)."""
    if not b or not a:
        return a
    return _less(a, b, deep=True)


def _less(a: FieldSet, b: FieldSet, *, deep: bool) -> FieldSet:
    out = {}
    changed = False
    for step, inner in a.items():
        other = b.get(step) if step != SELF else None
        if other is None:
            out[step] = inner
            continue
        if deep and is_member(other):
            changed = True
            continue
        member = is_member(inner) and not is_member(other)
        below = _less(inner, other, deep=deep)
        if below is inner and member == is_member(inner):
            out[step] = inner
            continue
        left = node_of(member, {s: n for s, n in below.items() if s != SELF})
        changed = True
        if left is not None:
            out[step] = left
    return out if changed else a


def paths(tree: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """Every member; those of one level before all that is deeper (Set.Iterate)."""
    for step, inner in tree.items():
        if step != SELF and is_member(inner):
            yield (*prefix, step)
    for step, inner in tree.items():
        if step != SELF and inner:
            yield from paths(inner, (*prefix, step))


def from_paths(members: Iterable[Path]) -> FieldSet:
    """The set of these paths."""
    root: dict[str, Any] = {}
    for path in members:
        node = root
        for step in path:
            node = node.setdefault(step, {})
        node[SELF] = LEAF
    return _tidy(root)


def _tidy(node: dict[str, Any]) -> FieldSet:
    """A tree whose members all carry the mark, in its proper form."""
    tidied = {}
    for step, inner in node.items():
        if step == SELF:
            continue
        below = _tidy(inner)
        made = node_of(SELF in inner, below)
        assert made is not None, "every branch ends in a member"
        tidied[step] = made
    return in_order(tidied)


def contains(tree: FieldSet, path: Path) -> bool:
    """Whether a path is a member."""
    node: FieldSet | None = tree
    for step in path:
        if node is None:
            return False
        node = node.get(step)
    return bool(path) and is_member(node)


def show_path(path: Path) -> str:
    """A path as messages show it: `.spec.containers[name="a"].image`."""
    return "".join(map(show_step, path))


def parse(plain: Any) -> FieldSet:
    """FieldsV1 as somebody sent it, in our form. Raises ValueError.

    Steps of an unknown kind are dropped: a later version may know them (fieldpath/serialize.go).
    """
    try:
        return _parsed(plain, 0)[1]
    except RecursionError:
        raise ValueError("a step nests too deep") from None


def _parsed(plain: Any, depth: int) -> tuple[bool, FieldSet]:
    """Whether a node says itself that it is a member, and its children."""
    if not isinstance(plain, dict) or depth > DEPTH_MAX:
        raise ValueError("fields must be objects within objects")
    if not plain:
        return depth > 0, EMPTY
    children = {}
    for step, inner in plain.items():
        known = canonical(step)
        if known is None or known == SELF:
            continue
        node = node_of(*_parsed(inner, depth + 1))
        if node is not None:
            children[known] = node
    return SELF in plain, in_order(children)
