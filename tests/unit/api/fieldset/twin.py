"""The same answers the slow and obvious way: every value taken apart into all of its paths.

A flat value maps each path to what is there: a leaf's value, or INNER where more is below. What the
fast walks do in one pass over two trees is here plain set arithmetic on the keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubatch.api.fieldset.sets import Path
from kubatch.api.fieldset.shapes import Shape
from kubatch.api.fieldset.values import step_to

INNER = object()


def flat(shape: Shape, value: Any) -> dict[Path, tuple[Any, bool]]:
    """Every path, what is there, and whether it is an item or a map's entry."""
    return dict(_flat(shape, value, (), False))


def _flat(
    shape: Shape, value: Any, at: Path, entry: bool
) -> Iterator[tuple[Path, tuple[Any, bool]]]:
    if shape.form == "scalar" or shape.atomic or not value:
        yield at, (value, entry)
        return
    yield at, (INNER, entry)
    if isinstance(value, list):
        for item in value:
            yield from _flat(shape.element, item, (*at, step_to(shape, item)), True)
    else:
        for name, inner in value.items():
            below = shape.member(name)
            assert below is not None, name
            yield from _flat(below, inner, (*at, f"f:{name}"), shape.form == "map")


def compare(shape: Shape, old: Any, new: Any) -> tuple[set[Path], set[Path], set[Path]]:
    """What came, what differs, what went."""
    was, now = flat(shape, old), flat(shape, new)
    both = was.keys() & now.keys()
    modified = {
        p for p in both if was[p][0] is not INNER and now[p][0] is not INNER and was[p] != now[p]
    }
    return set(now.keys() - was.keys()), modified, set(was.keys() - now.keys())


def owned(shape: Shape, intent: Any) -> set[Path]:
    """What an applier of this owns: leaves, items, entries; of what is empty only maps."""
    found = set()
    for at, (value, entry) in flat(shape, intent).items():
        if at and (entry or (value is not INNER and value != [])):
            found.add(at)
        if at and value == [] and _is_atomic_at(shape, at):
            found.add(at)
    return found


def _is_atomic_at(shape: Shape, at: Path) -> bool:
    below: Shape | None = shape
    for step in at:
        assert below is not None
        below = below.member(step[2:]) if step.startswith("f:") else below.element
    assert below is not None
    return below.atomic
