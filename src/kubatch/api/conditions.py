"""Conditions: the list of dated yes-or-no statements in a status.

Jobs, pods, nodes and namespaces each have a condition type of their own; all have `type` and
`status`. Lists are never changed: the next list is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Condition(Protocol):
    """What every kind's condition has."""

    type: str
    status: str  # True, False, Unknown


C = TypeVar("C", bound=Condition)


def find(conditions: Sequence[C] | None, type: str) -> C | None:
    """The condition of a type; the first one if there are several."""
    for condition in conditions or ():
        if condition.type == type:
            return condition
    return None


def is_true(conditions: Sequence[Condition] | None, type: str) -> bool:
    """Whether a condition is there and holds."""
    condition = find(conditions, type)
    return condition is not None and condition.status == "True"


def replaced(conditions: Sequence[C] | None, new: C) -> list[C]:
    """The list with `new` in the place of the condition of its type, or at the end."""
    found = False
    out: list[C] = []
    for condition in conditions or ():
        if condition.type != new.type:
            out.append(condition)
        elif not found:
            out.append(new)
            found = True
    if not found:
        out.append(new)
    return out
