from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.controllers.job import indexes
from kubatch.controllers.job.indexes import Indexes

sets = st.sets(st.integers(0, 40), max_size=30)


def of(*members: int) -> Indexes:
    return Indexes().union(members)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ([], ""),
        ([1], "1"),
        ([0, 1], "0,1"),
        ([0, 1, 2], "0-2"),
        ([1, 3, 4, 5, 7], "1,3-5,7"),
        ([2, 4, 5, 7, 8, 9], "2,4,5,7-9"),
    ],
)
def test_runs_of_three_are_ranges(members: list[int], text: str) -> None:
    assert str(of(*members)) == text


@pytest.mark.parametrize(
    ("text", "completions", "read"),
    [
        ("", 5, ""),
        ("0,1-foo,bar", 5, "0"),
        ("0-5,8-10", 10, "0-5,8,9"),
        ("1,3", 2, "1"),
        ("0,1,2", 9, "0-2"),
        ("3-1,4", 9, "4"),
        ("5,2", 9, "5"),
        ("0-3", 0, ""),
    ],
)
def test_corrupt_and_out_of_range_pieces_are_dropped(
    text: str, completions: int, read: str
) -> None:
    assert str(indexes.parse(text, completions)) == read


@given(sets, sets)
def test_as_a_set(some: set[int], more: set[int]) -> None:
    ours = of(*some)
    assert list(ours) == sorted(some)
    assert len(ours) == len(some)
    assert set(ours.union(more)) == some | more
    assert ours.common(of(*more)) == len(some & more)
    assert all((i in ours) == (i in some) for i in range(-1, 45))


@given(sets, st.integers(0, 45))
def test_missing_are_the_others(some: set[int], below: int) -> None:
    assert list(of(*some).missing(below)) == [i for i in range(below) if i not in some]


@given(sets, st.integers(0, 45))
def test_text_survives(some: set[int], completions: int) -> None:
    parsed = indexes.parse(str(of(*some)), completions)
    assert set(parsed) == {i for i in some if i < completions}


@given(st.text("0123456789,-+ab", max_size=20), st.integers(0, 50))
def test_any_text_is_read_to_something_valid(text: str, completions: int) -> None:
    parsed = indexes.parse(text, completions)
    assert all(0 <= i < completions for i in parsed)
    assert indexes.parse(str(parsed), completions) == parsed
