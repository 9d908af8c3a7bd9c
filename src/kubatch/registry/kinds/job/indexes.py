"""Lists of completion indexes as text: `1,3-5,7`.

Follows pkg/apis/batch/validation/validation.go: validateIndexesFormat, parseIndexInterval,
validateFailedIndexesNotOverlapCompleted.
"""

from __future__ import annotations

import re

from kubatch.api.fields import show

# What Go's strconv.Atoi takes for a number.
_integer = re.compile(r"[+-]?[0-9]+").fullmatch


def parse_interval(text: str, completions: int) -> tuple[int, int]:
    """First and last index of one piece. Raises ValueError with Kubernetes' message."""
    parts = text.split("-")
    if len(parts) > 2:
        raise ValueError(
            f"the fragment {show(text)} violates the requirement that an index interval can have "
            "at most two parts separated by '-'"
        )
    first = _index(parts[0], completions)
    if len(parts) == 1:
        return first, first
    last = _index(parts[1], completions)
    if first >= last:
        raise ValueError(f"non-increasing order, previous: {first}, current: {last}")
    return first, last


def _index(text: str, completions: int) -> int:
    if not _integer(text) or not -(2**63) <= int(text) < 2**63:
        raise ValueError(f"cannot convert string to integer for index: {show(text)}")
    if int(text) >= completions:
        raise ValueError(f"too large index: {show(text)}")
    return int(text)


def count_indexes(text: str, completions: int) -> int:
    """How many indexes a list names. Raises ValueError with Kubernetes' message."""
    if not text:
        return 0
    total, previous = 0, None
    for piece in text.split(","):
        first, last = parse_interval(piece, completions)
        if previous is not None and previous >= first:
            raise ValueError(f"non-increasing order, previous: {previous}, current: {first}")
        total += last - first + 1
        previous = last
    return total


def overlap(one: str, other: str, completions: int) -> int | None:
    """The first index that both lists name, or None. Pieces that do not parse are skipped."""
    if not one or not other:
        return None
    a, b = _intervals(one, completions), _intervals(other, completions)
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i][0] <= b[j][1] and b[j][0] <= a[i][1]:
            return max(a[i][0], b[j][0])
        if a[i][0] <= b[j][0]:
            i += 1
        else:
            j += 1
    return None


def _intervals(text: str, completions: int) -> list[tuple[int, int]]:
    found = []
    for piece in text.split(","):
        try:
            found.append(parse_interval(piece, completions))
        except ValueError:
            continue
    return found
