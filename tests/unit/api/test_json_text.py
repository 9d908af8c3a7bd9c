"""JSON text: what is malformed, and what is said twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api.json_text import Malformed, go_kind, parse_json


@pytest.mark.parametrize(
    "text",
    ["", "{", "nope", '{"a":NaN}', '{"a" 1}', "[]", "1", "null", '"x"', "{}x"],
)
def test_what_is_no_object_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_json(text.encode())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (rb'{"a":"\ud800"}', "\ufffd"),
        (rb'{"a":"\uD83D\uDE00 \ud83d"}', "\U0001f600 \ufffd"),
        (rb'{"a":"\ude00\ud83d\ud83d\ude00"}', "\ufffd\ufffd\U0001f600"),
        (rb'{"a":"\\ud800"}', r"\ud800"),
        (rb'{"a":"\\\ud800"}', "\\\ufffd"),
        (b'{"a":"\xff"}', "\ufffd"),
        (b'{"a":"\xe2\x82"}', "\ufffd\ufffd"),
        (b'{"a":"\xed\xa0\x80."}', "\ufffd\ufffd\ufffd."),
        (rb'{"a":"\u0000"}', "\0"),
    ],
)
def test_what_no_character_is_becomes_the_one_that_stands_for_it(
    data: bytes, expected: str
) -> None:
    assert parse_json(data).value == {"a": expected}


def test_names_that_become_one_are_there_twice() -> None:
    assert parse_json(b'{"\xff":1,"\xfe":2}').strict_errors == ['duplicate field "\ufffd"']


@pytest.mark.parametrize("data", [b"\xff{}", b'{"a":\xff}', b'{"a":"\xff}', b'{"a":"\x00"}'])
def test_outside_of_strings_nothing_is_mended(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_json(data)


def test_the_last_duplicate_counts() -> None:
    body = parse_json(b'{"a":1,"b":{"c":1,"c":2},"a":3,"l":[{"x":1,"x":1,"x":1}]}')
    assert body.value == {"a": 3, "b": {"c": 2}, "l": [{"x": 1}]}
    assert body.strict_errors == [
        'duplicate field "b.c"',
        'duplicate field "a"',
        'duplicate field "l[0].x"',
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"a" : 1, "a": 2}',
        '{"a"\n:1,"a"\t:2}',
        '{"a":"\\":","a":"\\":"}',
        '{"a\\\\":1,"a\\\\":2}',
        '{"a":1,"\\u0061":2}',
    ],
)
def test_duplicates_are_found_however_they_are_written(text: str) -> None:
    assert len(parse_json(text.encode()).strict_errors) == 1


NAMES = st.sampled_from(["a", "b", 'c":', "d\\", "", " :"])
TREES = st.recursive(
    NAMES | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(NAMES, inner), max_size=4),
    max_leaves=8,
)


def written(tree: Any, gap: str) -> str:
    """A tree whose objects are lists of pairs, as JSON text."""
    if isinstance(tree, list) and all(isinstance(t, tuple) for t in tree):
        members = (f"{json.dumps(k)}{gap}:{gap}{written(v, gap)}" for k, v in tree)
        return "{" + ",".join(members) + "}"
    if isinstance(tree, list | tuple):
        return "[" + ",".join(written(t, gap) for t in tree) + "]"
    return json.dumps(tree)


@given(st.lists(st.tuples(NAMES, TREES), max_size=4), st.sampled_from(["", " ", "\n"]))
def test_parsing_agrees_with_the_standard_library(tree: list[tuple[str, Any]], gap: str) -> None:
    text = written(tree, gap)
    doubled: list[object] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) < len(items):
            doubled.append(items)
        return dict(items)

    expected = json.loads(text, object_pairs_hook=pairs)
    body = parse_json(text.encode())
    assert body.value == expected
    assert bool(body.strict_errors) == bool(doubled)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "bool"),
        (1, "number"),
        (1.5, "number"),
        ("x", "string"),
        ([], "array"),
        ({}, "object"),
        (None, "null"),
    ],
)
def test_go_kind(value: Any, kind: str) -> None:
    assert go_kind(value) == kind
