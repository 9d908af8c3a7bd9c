"""Sets of completion indexes as intervals, and their text in a Job's status.

The text is increasing and comma separated; runs of three or more read `a-b`, a run of two `a,b`:
"1,3-5,7" (pkg/controller/job/indexed_job_utils.go).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Interval = tuple[int, int]  # first and last, both included


@dataclass(frozen=True, slots=True)
class Indexes:
    """An ordered set of indexes: disjoint, increasing intervals that do not touch."""

    intervals: tuple[Interval, ...] = ()

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.intervals)

    def __contains__(self, index: int) -> bool:
        at = bisect_right(self.intervals, index, key=lambda interval: interval[0])
        return at > 0 and index <= self.intervals[at - 1][1]

    def __iter__(self) -> Iterator[int]:
        for first, last in self.intervals:
            yield from range(first, last + 1)

    def __str__(self) -> str:
        return ",".join(_text(first, last) for first, last in self.intervals)

    def union(self, more: Iterable[int]) -> Indexes:
        """These indexes and the given ones, which may come in any order and repeatedly."""
        singles = [(index, index) for index in more if index not in self]
        if not singles:
            return self
        return Indexes(_merge(sorted([*self.intervals, *singles])))

    def common(self, other: Indexes) -> int:
        """How many indexes are in both."""
        return sum(
            max(0, min(last, theirs[1]) - max(first, theirs[0]) + 1)
            for first, last in self.intervals
            for theirs in other._overlapping(first, last)
        )

    def missing(self, below: int) -> Iterator[int]:
        """The indexes from 0 that are not here, in order; costs nothing for those that are."""
        start = 0
        for first, last in self.intervals:
            yield from range(start, min(first, below))
            start = last + 1
        yield from range(start, below)

    def _overlapping(self, first: int, last: int) -> Iterator[Interval]:
        at = bisect_right(self.intervals, first, key=lambda interval: interval[0])
        for interval in self.intervals[max(0, at - 1) :]:
            if interval[0] > last:
                return
            yield interval


NONE = Indexes()


def _text(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def _merge(ordered: Iterable[Interval]) -> tuple[Interval, ...]:
    merged: list[Interval] = []
    for first, last in ordered:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def parse(text: str, completions: int) -> Indexes:
    """The indexes below `completions` in a text; corrupt pieces are skipped.

    As parseIndexesFromString: an elastic Job that was scaled down forgets what is out of range.
    """
    intervals: list[Interval] = []
    for piece in text.split(",") if text else ():
        interval = _parse_interval(piece)
        if interval is None:
            continue
        first, last = interval
        if first >= completions:
            break
        if intervals and first <= intervals[-1][1]:
            continue
        intervals.append((first, min(last, completions - 1)))
    return Indexes(_merge(intervals))


def _parse_interval(piece: str) -> Interval | None:
    first, dash, last = piece.partition("-")
    if not _is_number(first) or (dash and not _is_number(last)):
        return None
    interval = (int(first), int(last) if dash else int(first))
    return interval if interval[0] <= interval[1] else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
