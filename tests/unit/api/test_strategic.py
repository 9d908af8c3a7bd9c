"""Strategic merge patches over Pods and their like."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kubatch.api import schema
from kubatch.api.errors import PatchError
from kubatch.api.strategic import strategic

POD = schema.root("", "v1", "Pod")
JOB = schema.root("batch", "v1", "Job")


def on_spec(spec: Any, patch: Any) -> Any:
    """A pod's spec with a patch of it applied; neither input may change."""
    before = copy.deepcopy((spec, patch))
    out = strategic({"spec": spec}, {"spec": patch}, POD)["spec"]
    assert (spec, patch) == before
    return out


def named(*names: str) -> list[dict[str, Any]]:
    return [{"name": n} for n in names]


def names(elements: list[dict[str, Any]]) -> list[str]:
    return [e["name"] for e in elements]


def refused(original: Any, patch: Any, kind: schema.Message = POD) -> PatchError:
    with pytest.raises(PatchError) as raised:
        strategic(original, patch, kind)
    return raised.value


# ----- maps


def test_maps_merge_and_null_deletes() -> None:
    original = {"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"nodeName": "n"}}
    patch = {"metadata": {"labels": {"b": None, "c": "3", "d": None}}, "spec": {"hostIPC": True}}
    assert strategic(original, patch, POD) == {
        "metadata": {"labels": {"a": "1", "c": "3"}},
        "spec": {"nodeName": "n", "hostIPC": True},
    }


def test_a_new_member_comes_without_nulls_and_directives() -> None:
    patch = {
        "affinity": {"nodeAffinity": None, "podAffinity": {"x": [{"$patch": "delete"}, None]}},
        "volumes": [{"name": "a", "emptyDir": None}, {"name": "b", "$patch": "delete"}],
        "securityContext": {"$patch": "delete"},
    }
    assert on_spec({}, patch) == {
        "affinity": {"podAffinity": {"x": [None]}},
        "volumes": [{"name": "a"}],
    }


def test_replace_directive_replaces_a_map() -> None:
    patch = {"nodeSelector": {"$patch": "replace", "c": "3"}}
    assert on_spec({"nodeSelector": {"a": "1"}}, patch) == {"nodeSelector": {"c": "3"}}


def test_delete_directive_clears_a_map() -> None:
    patch = {"nodeSelector": {"$patch": "delete", "c": "3"}}
    assert on_spec({"nodeSelector": {"a": "1"}}, patch) == {"nodeSelector": {}}


def test_delete_directive_where_there_was_no_map() -> None:
    assert on_spec({"nodeSelector": "odd"}, {"nodeSelector": {"$patch": "delete"}}) == {}


def test_unknown_directive_in_a_map() -> None:
    error = refused(
        {"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {"$patch": "what"}}}
    )
    assert (error.code, error.reason) == (500, "")
    assert error.message == "unknown patch type: what in map: map[$patch:what]"


def test_a_value_of_another_type_is_taken_as_it_is() -> None:
    assert on_spec({"containers": named("a")}, {"containers": {"name": "b"}}) == {
        "containers": {"name": "b"}
    }


def test_unknown_member_on_both_sides() -> None:
    error = refused({"spec": {"foo": {}}}, {"spec": {"foo": {}}})
    assert error.code == 500
    assert error.message == 'unable to find api field in struct PodSpec for the json field "foo"'


def test_nothing_merges_inside_values_without_a_schema() -> None:
    original: dict[str, Any] = {"metadata": {"name": {"odd": {}}}}
    error = refused(original, {"metadata": {"name": {"odd": {}}}})
    assert error.message == 'unable to find api field in struct string for the json field "odd"'


def test_members_of_a_map_have_the_type_of_its_elements() -> None:
    error = refused(
        {"metadata": {"labels": {"a": {"b": {}}}}}, {"metadata": {"labels": {"a": {"b": {}}}}}
    )
    assert error.message == 'unable to find api field in struct string for the json field "b"'


# ----- lists with a merge key


def test_elements_merge_by_key() -> None:
    spec = {"containers": [{"name": "a", "image": "1", "tty": True}, {"name": "b", "image": "1"}]}
    patch = {"containers": [{"name": "a", "image": "2", "tty": None}]}
    assert on_spec(spec, patch) == {
        "containers": [{"name": "a", "image": "2"}, {"name": "b", "image": "1"}]
    }


@pytest.mark.parametrize(
    ("original", "patch", "result"),
    [
        (["a", "b"], ["c"], ["c", "a", "b"]),
        (["a", "b"], ["b"], ["a", "b"]),
        (["a", "b"], ["b", "a"], ["b", "a"]),
        (["a", "b", "c"], ["c", "d"], ["a", "b", "c", "d"]),
        (["a", "b", "c"], ["d", "c"], ["d", "a", "b", "c"]),
        ([], ["b", "a"], ["b", "a"]),
        (["a"], [], ["a"]),
        ([], [], []),
    ],
)
def test_order_without_a_directive(
    original: list[str], patch: list[str], result: list[str]
) -> None:
    out = on_spec({"containers": named(*original)}, {"containers": named(*patch)})
    assert names(out["containers"]) == result


def test_delete_directive_removes_elements() -> None:
    spec = {"containers": named("a", "b", "c")}
    patch = {"containers": [{"name": "b", "$patch": "delete"}, {"name": "z", "$patch": "delete"}]}
    assert names(on_spec(spec, patch)["containers"]) == ["a", "c"]


def test_replace_directive_replaces_a_list() -> None:
    spec = {"containers": named("a", "b")}
    patch = {"containers": [{"$patch": "replace"}, {"name": "x"}, {"name": "y"}]}
    assert names(on_spec(spec, patch)["containers"]) == ["x", "y"]


def test_replace_directive_alone_empties_a_list() -> None:
    spec = {"containers": named("a")}
    assert on_spec(spec, {"containers": [{"$patch": "replace"}]})["containers"] == []


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ({"name": "a", "$patch": "merge"}, "merging lists cannot yet be specified in the patch"),
        (
            {"name": "a", "$patch": "x"},
            "unknown patch type: x in map: map[$patch:x name:a]",
        ),
        ({"$patch": "delete"}, "map: map[$patch:delete] does not contain declared merge key: name"),
        ({"image": "nokey"}, "map: map[image:nokey] does not contain declared merge key: name"),
    ],
)
def test_elements_that_cannot_be_merged(element: Any, message: str) -> None:
    error = refused({"spec": {"containers": named("a")}}, {"spec": {"containers": [element]}})
    assert (error.code, error.reason, error.message) == (500, "", message)


def test_elements_of_several_types() -> None:
    error = refused({"spec": {"containers": named("a")}}, {"spec": {"containers": ["b"]}})
    assert error.code == 500
    assert error.message == "list element types are not identical: [[map[name:a]] [b]]"


def test_lists_of_lists() -> None:
    error = refused({"spec": {"containers": named("a")}}, {"spec": {"containers": [[]]}})
    assert (error.code, error.reason) == (422, "Invalid")


def test_maps_in_a_list_of_plain_values() -> None:
    error = refused({"metadata": {"finalizers": [{}]}}, {"metadata": {"finalizers": [{}]}})
    assert error.message == "cannot merge lists without merge key for type struct"


def test_ports_are_told_apart_by_number() -> None:
    spec = {"containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}
    port = {"containerPort": 80, "name": "http"}
    patch = {"containers": [{"name": "a", "ports": [port, {"containerPort": 81}]}]}
    assert on_spec(spec, patch)["containers"][0]["ports"] == [port, {"containerPort": 81}]


def test_env_is_merged_and_tolerations_are_replaced() -> None:
    spec = {
        "containers": [{"name": "a", "env": [{"name": "X", "value": "1"}]}],
        "tolerations": [{"key": "k"}],
    }
    patch = {
        "containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}],
        "tolerations": [{"key": "l"}],
    }
    assert on_spec(spec, patch) == {
        "containers": [
            {"name": "a", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]}
        ],
        "tolerations": [{"key": "l"}],
    }


def test_inside_a_job_the_pod_template_is_merged() -> None:
    def job(*containers: dict[str, Any]) -> dict[str, Any]:
        return {"spec": {"template": {"spec": {"containers": list(containers)}}}}

    merged = strategic(job({"name": "a", "image": "1"}), job({"name": "a", "tty": True}), JOB)
    assert merged == job({"name": "a", "image": "1", "tty": True})


# ----- lists of plain values


def test_a_value_that_occurs_twice_is_kept_once() -> None:
    original = {"metadata": {"finalizers": ["a", "b", "a"]}}
    merged = strategic(original, {"metadata": {"finalizers": ["b", "c", "c"]}}, POD)
    assert merged == {"metadata": {"finalizers": ["a", "b", "c"]}}


def test_finalizers_merge_with_new_ones_first() -> None:
    original = {"metadata": {"finalizers": ["a", "b"]}}
    merged = strategic(original, {"metadata": {"finalizers": ["c", "b"]}}, POD)
    assert merged == {"metadata": {"finalizers": ["c", "a", "b"]}}


def test_values_are_deleted_by_a_parallel_list() -> None:
    original = {"metadata": {"finalizers": ["a", "batch.kubernetes.io/job-tracking"]}}
    patch = {
        "metadata": {
            "$deleteFromPrimitiveList/finalizers": ["batch.kubernetes.io/job-tracking", "z"]
        }
    }
    assert strategic(original, patch, POD) == {"metadata": {"finalizers": ["a"]}}


def test_deleting_from_an_absent_list() -> None:
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic({"metadata": {}}, patch, POD) == {"metadata": {}}


def test_deleting_from_any_list_of_plain_values() -> None:
    spec = {"containers": [{"name": "a", "args": ["x", "y"]}]}
    patch = {"containers": [{"name": "a", "$deleteFromPrimitiveList/args": ["x"]}]}
    assert on_spec(spec, patch)["containers"] == [{"name": "a", "args": ["y"]}]


def test_a_parallel_list_needs_the_name_of_its_list() -> None:
    error = refused({"metadata": {}}, {"metadata": {"$deleteFromPrimitiveList": ["a"]}})
    assert (error.code, error.message) == (400, "invalid patch format of primitive list")


# ----- $setElementOrder


def ordered(patch: list[Any] | None, order: list[Any]) -> dict[str, Any]:
    out: dict[str, Any] = {"$setElementOrder/containers": order}
    if patch is not None:
        out["containers"] = patch
    return out


@pytest.mark.parametrize(
    ("original", "patch", "order", "result"),
    [
        (["a", "b"], None, ["b", "a"], ["b", "a"]),
        (["a", "b"], ["c"], ["a", "b", "c"], ["a", "b", "c"]),
        (["a", "b"], ["c"], ["c", "b"], ["c", "a", "b"]),
        # elements that only the server has stay where their neighbours are
        (["a", "s", "b"], ["a", "b"], ["a", "b"], ["a", "s", "b"]),
        (["s", "a", "b"], ["b"], ["b", "a"], ["s", "b", "a"]),
        (["a", "b", "s"], ["a"], ["a", "b"], ["a", "b", "s"]),
        (["a"], ["b"], ["b", "a"], ["b", "a"]),
        (["a"], [], ["a"], ["a"]),
    ],
)
def test_set_element_order(
    original: list[str], patch: list[str] | None, order: list[str], result: list[str]
) -> None:
    change = ordered(None if patch is None else named(*patch), named(*order))
    assert names(on_spec({"containers": named(*original)}, change)["containers"]) == result


def test_order_of_a_list_that_is_new_or_absent() -> None:
    assert on_spec({}, ordered(named("b", "a"), named("b", "a"))) == {"containers": named("b", "a")}
    assert on_spec({}, ordered(None, named("b", "a"))) == {}


def test_order_with_deleted_elements() -> None:
    change = ordered([{"name": "a", "$patch": "delete"}, {"name": "c"}], named("c", "b"))
    out = on_spec({"containers": named("a", "b")}, change)
    assert names(out["containers"]) == ["c", "b"]


def test_new_elements_of_an_empty_order_come_first() -> None:
    out = on_spec({"containers": named("a", "b")}, ordered(named("c"), []))
    assert names(out["containers"]) == ["a", "b", "c"]


def test_order_of_plain_values() -> None:
    original = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {
        "metadata": {
            "$setElementOrder/finalizers": ["c", "b", "a"],
            "finalizers": ["c"],
        }
    }
    assert strategic(original, patch, POD) == {"metadata": {"finalizers": ["c", "b", "a"]}}


def test_a_patched_element_must_be_in_the_order() -> None:
    error = refused({"spec": {"containers": named("a")}}, {"spec": ordered(named("x"), named("y"))})
    assert error.code == 500
    assert error.message == (
        "The order in patch list:\n[map[name:x]]\n doesn't match $setElementOrder list:\n"
        "[map[name:y]]\n"
    )


def test_the_patch_must_have_the_order_it_asks_for() -> None:
    error = refused(
        {"spec": {"containers": named("a", "b")}},
        {"spec": ordered(named("b", "a"), named("a", "b"))},
    )
    assert error.message.startswith("The order in patch list:\n[map[name:b] map[name:a]]\n")


@pytest.mark.parametrize(
    ("spec", "patch", "code", "message"),
    [
        (
            {},
            {"$setElementOrder/containers": {}},
            500,
            "expected a []interface {}, but received a map[string]interface {}",
        ),
        (
            {"containers": "x"},
            ordered(named("a"), named("a")),
            500,
            "expected a []interface {}, but received a string",
        ),
        ({}, {"$setElementOrder": []}, 400, "invalid patch format of setElementOrder list"),
        (
            {"containers": named("a")},
            ordered(["b"], ["b"]),
            500,
            "expected a map[string]interface {}, but received a string",
        ),
        (
            {"containers": named("a")},
            ordered(named("b"), [{}]),
            500,
            "map: map[] does not contain declared merge key: name",
        ),
        (
            {"containers": named("a")},
            {"$setElementOrder/foo": ["a"]},
            500,
            'unable to find api field in struct PodSpec for the json field "foo"',
        ),
        ({"containers": []}, ordered([], []), 500, "no elements in any of the given slices"),
    ],
)
def test_malformed_orders(spec: Any, patch: Any, code: int, message: str) -> None:
    error = refused({"spec": spec}, {"spec": patch})
    assert (error.code, error.message) == (code, message)


# ----- $retainKeys


def test_retain_keys_drops_the_other_members() -> None:
    spec = {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]}
    patch = {
        "volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]
    }
    assert on_spec(spec, patch)["volumes"] == [
        {"name": "v", "hostPath": {"path": "/x"}},
        {"name": "w", "emptyDir": {}},
    ]


@pytest.mark.parametrize("keys", [["name"], "name"])
def test_retain_keys_must_name_what_the_patch_sets(keys: Any) -> None:
    volume = {"name": "v", "$retainKeys": keys, "hostPath": {"path": "/x"}}
    error = refused({"spec": {"volumes": named("v")}}, {"spec": {"volumes": [volume]}})
    assert (error.code, error.message) == (400, "invalid patch format of retainKeys")


def test_retain_keys_allows_null_and_parallel_lists() -> None:
    volume = {"name": "v", "$retainKeys": ["name"], "hostPath": None, "$setElementOrder/x": None}
    error = refused({"spec": {"volumes": named("v")}}, {"spec": {"volumes": [volume]}})
    assert error.message == "expected a []interface {}, but received a %!s(<nil>)"


def test_a_patch_is_an_object() -> None:
    error = refused({}, ["x"])
    assert (error.code, error.reason) == (400, "BadRequest")
    assert error.message == (
        "json: cannot unmarshal array into Go value of type map[string]interface {}"
    )
