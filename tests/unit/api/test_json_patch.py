"""JSON patches: RFC 6902's examples, the library's quirks, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api.errors import PatchError
from kubatch.api.json_patch import OPERATIONS_MAX, json_patch, same


def op(name: str, path: str, **rest: Any) -> dict[str, Any]:
    if "source" in rest:
        rest["from"] = rest.pop("source")
    return {"op": name, "path": path, **rest}


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        # RFC 6902, appendix A
        ({"foo": "bar"}, [op("add", "/baz", value="qux")], {"foo": "bar", "baz": "qux"}),
        (
            {"foo": ["bar", "baz"]},
            [op("add", "/foo/1", value="qux")],
            {"foo": ["bar", "qux", "baz"]},
        ),
        ({"baz": "qux", "foo": "bar"}, [op("remove", "/baz")], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [op("remove", "/foo/1")], {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, [op("replace", "/baz", value="boo")], {"baz": "boo"}),
        (
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [op("move", "/qux/thud", source="/foo/waldo")],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
        ),
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            [op("move", "/foo/3", source="/foo/1")],
            {"foo": ["all", "cows", "eat", "grass"]},
        ),
        (
            {"baz": "qux", "foo": ["a", 2, "c"]},
            [op("test", "/baz", value="qux"), op("test", "/foo/1", value=2)],
            {"baz": "qux", "foo": ["a", 2, "c"]},
        ),
        (
            {"foo": "bar"},
            [op("add", "/child", value={"grandchild": {}})],
            {"foo": "bar", "child": {"grandchild": {}}},
        ),
        ({"foo": "bar"}, [op("add", "/baz", value="qux", xyz=123)], {"foo": "bar", "baz": "qux"}),
        ({"/": 9, "~1": 10}, [op("test", "/~01", value=10)], {"/": 9, "~1": 10}),
        (
            {"foo": ["bar"]},
            [op("add", "/foo/-", value=["abc", "def"])],
            {"foo": ["bar", ["abc", "def"]]},
        ),
        # more
        ({"a": {"b": 1}}, [op("copy", "/c", source="/a")], {"a": {"b": 1}, "c": {"b": 1}}),
        ({"a~b/c": 1}, [op("remove", "/a~0b~1c")], {}),
        ({"a": [[1]]}, [op("add", "/a/0/0", value=0)], {"a": [[0, 1]]}),
        # quirks of the library
        ({}, [op("replace", "/new", value=1)], {"new": 1}),
        ({"a": 1}, [op("replace", "", value={"b": 2})], {"b": 2}),
        ({"a": 1}, [op("test", "", value={"a": 1})], {"a": 1}),
        ({}, [op("test", "/absent", value=None)], {}),
        ({}, [op("test", "/absent")], {}),
        ({}, [op("add", "/a")], {"a": None}),
        ({"a": [1, 2]}, [op("replace", "/a/-1", value=3)], {"a": [1, 3]}),
        ({"a": [1, 2]}, [op("add", "/a/-1", value=3)], {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, [op("remove", "/a/-2")], {"a": [2]}),
        ({"a": [1, 2]}, [op("remove", "/a/+1")], {"a": [1]}),
        ({}, [op("copy", "/b", source="/absent")], {"b": None}),
        ({"a": 1}, [], {"a": 1}),
    ],
)
def test_operations_apply(document: Any, operations: list[Any], result: Any) -> None:
    before = copy.deepcopy((document, operations))
    assert json_patch(document, operations) == result
    assert (document, operations) == before


@pytest.mark.parametrize(
    ("document", "operation"),
    [
        ({"baz": "qux"}, op("test", "/baz", value="bar")),
        ({"a": 1}, op("test", "/a", value=True)),
        ({"a": 1}, op("test", "/a", value="1")),
        ({"a": 1}, op("test", "/a", value=1.0)),
        ({"a": [1]}, op("test", "/a", value=[1, 2])),
        ({"a": {"b": 1}}, op("test", "/a", value={"c": 1})),
        ({"a": 1}, op("test", "", value={})),
        ({"foo": "bar"}, op("add", "/baz/bat", value="qux")),
        ({}, op("add", "", value={})),
        ({"a": []}, op("add", "/a/1", value=1)),
        ({"a": []}, op("add", "/a/x", value=1)),
        ({"a": []}, op("add", "/a/-2", value=1)),
        ({}, op("remove", "/a")),
        ({"a": [1]}, op("remove", "/a/1")),
        ({"a": [1]}, op("remove", "/a/" + "0" * 21)),
        ({"a": [1]}, op("replace", "/a/1", value=1)),
        ({"a": [1]}, op("replace", "/a/-", value=1)),
        ({"a": {}}, op("replace", "/b/c", value=1)),
        ({}, op("replace", "", value="text")),
        ({}, op("move", "/b", source="/a")),
        ({}, op("move", "/b")),
        ({}, op("copy", "/b", source="/a/b")),
        ({"a": 1}, op("copy", "/b/c", source="/a")),
        ({"a": 1}, op("merge", "/a", value=1)),
        ({"a": 1}, {"path": "/a"}),
        ({"a": 1}, {"op": "remove"}),
        ({"a": 1}, {"op": None, "path": "/a"}),
    ],
)
def test_a_failing_operation_refuses_the_patch(document: Any, operation: Any) -> None:
    with pytest.raises(PatchError) as raised:
        json_patch(document, [operation])
    assert raised.value.to_status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the server rejected our request due to an error in our request",
        "reason": "Invalid",
        "details": {},
        "code": 422,
    }


@pytest.mark.parametrize(
    ("operations", "what"),
    [
        ({}, "object into Go value of type []handlers.jsonPatchOp"),
        ("x", "string into Go value of type []handlers.jsonPatchOp"),
        (["x"], "string into Go value of type handlers.jsonPatchOp"),
        ([{"op": 1}], "number into Go struct field jsonPatchOp.op of type string"),
        ([{"path": []}], "array into Go struct field jsonPatchOp.path of type string"),
    ],
)
def test_what_is_no_list_of_operations(operations: Any, what: str) -> None:
    with pytest.raises(PatchError) as raised:
        json_patch({}, operations)
    assert (raised.value.code, raised.value.reason) == (400, "BadRequest")
    assert raised.value.message == f"error decoding patch: json: cannot unmarshal {what}"


def test_too_many_operations() -> None:
    with pytest.raises(PatchError) as raised:
        json_patch({}, [op("add", "/a", value=1)] * (OPERATIONS_MAX + 1))
    assert (raised.value.code, raised.value.reason) == (413, "RequestEntityTooLarge")
    assert raised.value.message == (
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got "
        "10001"
    )


def test_copies_of_copies_end() -> None:
    double = [op("copy", "/b", source="/a"), op("move", "/a/x", source="/b")] * 100
    with pytest.raises(PatchError) as raised:
        json_patch({"a": {"text": "x" * 1000}}, double)
    assert raised.value.code == 422


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("a/~", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a/~", max_size=2), inner),
    max_leaves=10,
)


@given(JSON)
def test_a_value_is_the_same_as_its_copy(value: Any) -> None:
    assert same(value, copy.deepcopy(value))


@given(st.text("ab/~", max_size=4), JSON, JSON)
def test_add_then_test_then_remove_restores(name: str, value: Any, other: Any) -> None:
    document = {"kept": other}
    path = "/" + name.replace("~", "~0").replace("/", "~1")
    operations = [
        op("add", path, value=value),
        op("test", path, value=value),
        op("remove", path),
    ]
    assert json_patch(document, operations) == document
