"""Merge patches (RFC 7386) and what is said of results that do not decode."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api.errors import Cause, PatchError
from kubatch.api.patch import merge, undecodable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON, max_size=3)


# The table of RFC 7386, appendix A; what is no object there stands inside one here.
@pytest.mark.parametrize(
    ("original", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"x": ["a", "b"]}, {"x": ["c", "d"]}, {"x": ["c", "d"]}),
        ({"x": {"a": "b"}}, {"x": ["c"]}, {"x": ["c"]}),
        ({"x": {"a": "foo"}}, {"x": "bar"}, {"x": "bar"}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({"x": [1, 2]}, {"x": {"a": "b", "c": None}}, {"x": {"a": "b"}}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge(original: Any, patch: Any, result: Any) -> None:
    assert merge(original, patch) == result


@pytest.mark.parametrize(
    ("patch", "found"), [([], "array"), ("x", "string"), (1, "number"), (True, "bool")]
)
def test_a_merge_patch_is_an_object(patch: Any, found: str) -> None:
    with pytest.raises(PatchError) as raised:
        merge({}, patch)
    assert (raised.value.code, raised.value.reason) == (400, "BadRequest")
    assert raised.value.message == (
        f"error decoding patch: json: cannot unmarshal {found} into Go value of type "
        "map[string]interface {}"
    )


@given(OBJECTS)
def test_the_empty_patch_changes_nothing(original: dict[str, Any]) -> None:
    assert merge(original, {}) == original


@given(OBJECTS, OBJECTS)
def test_merging_twice_is_merging_once(original: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge(original, patch)
    assert merge(once, patch) == once


@given(OBJECTS, OBJECTS)
def test_merge_leaves_its_inputs(original: dict[str, Any], patch: dict[str, Any]) -> None:
    before = copy.deepcopy((original, patch))
    merge(original, patch)
    assert (original, patch) == before


def test_undecodable_result_shows_the_document() -> None:
    error = undecodable("merge", {"a": 1}, {"a": 1, "b": "x"}, "json: cannot unmarshal")
    shown = r'"{\"a\":1,\"b\":\"x\"}"'
    assert error.message == (
        f' "" is invalid: patch: Invalid value: {shown}: json: cannot unmarshal'
    )
    assert error.to_status()["code"] == 422
    assert error.details is not None
    assert error.details.causes == (
        Cause("FieldValueInvalid", f"Invalid value: {shown}: json: cannot unmarshal", "patch"),
    )


def test_undecodable_strategic_patch_shows_the_patch_as_go_does() -> None:
    patch = {"spec": {"suspend": True, "containers": [{"name": "x"}, None], "n": 1}}
    error = undecodable("strategic", patch, {}, "cannot restore slice from map")
    assert error.message == (
        ' "" is invalid: patch: Invalid value: "map[spec:map[containers:[map[name:x] <nil>] n:1 '
        'suspend:true]]": cannot restore slice from map'
    )
