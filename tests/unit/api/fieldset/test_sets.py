"""Sets of paths against Python's own sets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api.fieldset import elements, sets
from kubatch.api.fieldset.sets import FieldSet, Path, from_paths, paths

STEPS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])
PATHS = st.lists(STEPS, min_size=1, max_size=3).map(tuple)
MEMBERS = st.frozensets(PATHS, max_size=8)


def members(tree: FieldSet) -> set[Path]:
    found = list(paths(tree))
    assert len(found) == len(set(found))
    assert sets.parse(tree) == tree, "a set is in its proper form"
    return set(found)


@given(MEMBERS)
def test_a_set_holds_what_it_was_made_of(a: frozenset[Path]) -> None:
    tree = from_paths(a)
    assert members(tree) == a
    assert all(sets.contains(tree, path) for path in a)
    assert not sets.contains(tree, ())
    assert not sets.contains(tree, ("f:other", "f:a", "f:b"))


@given(MEMBERS, MEMBERS)
def test_arithmetic(a: frozenset[Path], b: frozenset[Path]) -> None:
    x, y = from_paths(a), from_paths(b)
    assert sets.union(x, y) == from_paths(a | b)
    assert sets.intersection(x, y) == from_paths(a & b)
    assert sets.difference(x, y) == from_paths(a - b)
    below = {p for p in a if not any(p[: i + 1] in b for i in range(len(p)))}
    assert sets.without(x, y) == from_paths(below)


@given(MEMBERS, MEMBERS)
def test_the_order_of_steps_is_kept(a: frozenset[Path], b: frozenset[Path]) -> None:
    x, y = from_paths(a), from_paths(b)
    for made in (
        sets.union(x, y),
        sets.intersection(x, y),
        sets.difference(x, y),
        sets.without(x, y),
    ):
        assert_ordered(made)


def assert_ordered(tree: FieldSet) -> None:
    steps = list(tree)
    assert steps == sorted(steps, key=elements.order)
    for inner in tree.values():
        assert_ordered(inner)


@given(MEMBERS, MEMBERS)
def test_what_does_not_change_is_the_same_object(a: frozenset[Path], b: frozenset[Path]) -> None:
    x = from_paths(a)
    assert sets.union(x, from_paths(a & b)) is x
    assert sets.difference(x, from_paths(b - a)) is x


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({}, {}),
        ({"f:a": {}}, {"f:a": {}}),
        ({"f:a": {".": {}}}, {"f:a": {}}),
        ({"f:b": {}, "f:a": {"f:c": {}, ".": {}}}, {"f:a": {".": {}, "f:c": {}}, "f:b": {}}),
        ({'k:{ "b":1, "a":"x" }': {}}, {'k:{"a":"x","b":1}': {}}),
        ({'v: "x"': {}}, {'v:"x"': {}}),
        ({"z:later": {"f:a": {}}, "f:a": {}}, {"f:a": {}}),
        ({"i:1": {}}, {"i:1": {}}),
    ],
)
def test_fields_are_read(sent: dict[str, Any], kept: dict[str, Any]) -> None:
    assert sets.parse(sent) == kept


NESTED: dict[str, Any] = {}
for _ in range(200):
    NESTED = {"f:a": NESTED}


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [],
        {"f:a": None},
        {"f:a": 1},
        {"k:[]": {}},
        {"k:{": {}},
        {'v:"': {}},
        {"i:x": {}},
        {'v:"\\ud800"': {}},
        {"v:" + "[" * 100_000: {}},
        NESTED,
    ],
)
def test_fields_that_cannot_be_read(sent: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of several
        sets.parse(sent)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:data", "f:a.b"), ".data.a.b"),
        (("f:spec", 'k:{"name":"c"}', "f:image"), '.spec[name="c"].image'),
        (('k:{"containerPort":80,"protocol":"TCP"}',), '[containerPort=80,protocol="TCP"]'),
        (("f:finalizers", 'v:"x.io/f"'), '.finalizers[="x.io/f"]'),
        (("i:3",), "[3]"),
    ],
)
def test_paths_in_messages(path: Path, text: str) -> None:
    assert sets.show_path(path) == text


def test_steps_are_sorted_by_what_they_mean() -> None:
    steps = ['v:"b"', "i:2", 'k:{"port":443}', "f:b", 'k:{"port":80}', "f:a", ".", "v:true"]
    ordered = [".", "f:a", "f:b", 'k:{"port":80}', 'k:{"port":443}', 'v:"b"', "v:true", "i:2"]
    assert sorted(steps, key=elements.order) == ordered


def test_a_step_with_nothing_but_unknown_steps_below_is_no_member() -> None:
    assert sets.parse({"f:a": {"z:later": {}}, "f:b": {}}) == {"f:b": {}}
