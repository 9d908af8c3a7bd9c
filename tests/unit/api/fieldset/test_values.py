"""What paths a value has, what two values differ in, what removing paths leaves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from kubatch.api import list_types, schema
from kubatch.api.fieldset import shapes, values
from kubatch.api.fieldset.merging import merge
from kubatch.api.fieldset.sets import FieldSet, from_paths, paths
from kubatch.api.resource import RESOURCES, Resource
from tests.unit.api.fieldset import twin
from tests.unit.api.fieldset.pods import POD, PODS, container, fields, pod


@given(PODS, PODS)
def test_differences_against_the_twin(old: dict[str, Any], new: dict[str, Any]) -> None:
    change = values.compare(POD, old, new)
    added, modified, removed = twin.compare(POD, old, new)
    assert change == values.Comparison(from_paths(added), from_paths(modified), from_paths(removed))
    assert change.same == (not added and not modified and not removed)


@given(PODS)
def test_owned_paths_against_the_twin(intent: dict[str, Any]) -> None:
    assert values.to_set(POD, intent) == from_paths(twin.owned(POD, intent))


@given(PODS, PODS)
def test_removing_what_came_leaves_what_was(old: dict[str, Any], new: dict[str, Any]) -> None:
    change = values.compare(POD, old, new)
    left = values.remove(POD, new, change.added)
    after = values.compare(POD, old, left)
    assert not list(paths(after.added))


C = 'k:{"name":"c"}'


@pytest.mark.parametrize(
    ("intent", "owned"),
    [
        ({"labels": {"a": "1"}}, fields(("labels", "a"))),
        ({"labels": {}}, fields(("labels",))),
        ({"labels": None}, fields(("labels",))),
        ({"finalizers": ["x"]}, fields(("finalizers", 'v:"x"'))),
        ({"finalizers": []}, {}),
        (
            {"ownerReferences": [{"uid": "u", "name": "n"}]},
            fields(("ownerReferences", 'k:{"uid":"u"}')),
        ),
    ],
)
def test_owned_metadata(intent: dict[str, Any], owned: FieldSet) -> None:
    found = values.to_set(POD, {"metadata": intent})
    assert found == ({"f:metadata": owned} if owned else {})


def test_an_item_is_owned_beside_its_members() -> None:
    found = values.to_set(POD, {"spec": {"containers": [container(image="i", args=["x"])]}})
    item: FieldSet = {".": {}, "f:args": {}, "f:image": {}, "f:name": {}}
    assert found == {"f:spec": {"f:containers": {C: item}}}


def test_a_key_left_out_may_be_empty_by_default() -> None:
    found = values.to_set(POD, {"spec": {"imagePullSecrets": [{}]}})
    assert found == fields(("spec", "imagePullSecrets", 'k:{"name":""}'))


def test_a_key_left_out_has_its_default() -> None:
    ports = [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]
    found = values.to_set(POD, {"spec": {"containers": [container(ports=ports)]}})
    steps = list(found["f:spec"]["f:containers"][C]["f:ports"])
    assert steps == [
        'k:{"containerPort":80,"protocol":"TCP"}',
        'k:{"containerPort":80,"protocol":"UDP"}',
    ]


def test_a_map_that_comes_is_itself_added_and_a_struct_on_the_way_is_not() -> None:
    change = values.compare(POD, {"metadata": {}}, {"metadata": {"labels": {"a": "1"}}})
    assert change.added == {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}


def test_empty_and_null_differ() -> None:
    change = values.compare(POD, pod({"labels": {}}), pod({"labels": None}))
    assert change.modified == fields(("metadata", "labels"))


@pytest.mark.parametrize(
    ("old", "new", "added", "modified", "removed"),
    [
        (["1", "2"], ["1", "3"], False, True, False),
        (["1", "2"], ["1", "2"], False, False, False),
        (["1", "2"], ["2"], True, False, True),
        (["2"], ["1", "2"], True, False, True),
        (["1", "2"], [], False, False, True),
        ([], ["1", "2"], True, False, False),
    ],
)
def test_elements_that_are_there_twice(
    old: list[str], new: list[str], added: bool, modified: bool, removed: bool
) -> None:
    def twice(images: list[str]) -> Any:
        return pod(containers=[container(image=i) for i in images], priority=1)

    change = values.compare(POD, twice(old), twice(new))
    assert (bool(change.added), bool(change.modified), bool(change.removed)) == (
        added,
        modified,
        removed,
    )


def test_what_is_emptied_becomes_null() -> None:
    before = pod({"labels": {"a": "1"}}, containers=[container(env=[{"name": "e"}])])
    less = fields(("metadata", "labels", "a"), ("spec", "containers", C, "env", 'k:{"name":"e"}'))
    assert values.remove(POD, before, less) == {
        "metadata": {"name": "p", "labels": None},
        "spec": {"containers": [{"name": "c", "env": None}]},
    }


def test_named_fields_on_the_way_become_members() -> None:
    given = fields(("spec", "containers", C, "env", 'k:{"name":"e"}', "value"))
    assert values.with_named_fields(POD, given) == fields(
        ("spec",),
        ("spec", "containers"),
        ("spec", "containers", C, "env"),
        ("spec", "containers", C, "env", 'k:{"name":"e"}', "value"),
    )


# ----- the tables


def test_every_list_type_is_about_a_list_of_the_schema() -> None:
    for (message, name), keys in list_types.LIST_KEYS.items():
        field = _message(message).fields[name]
        assert field.type.form == "list", (message, name)
        element = field.type.element
        assert element is not None
        if keys == list_types.SET:
            assert element.message is None
        else:
            assert element.message is not None
            assert set(keys) <= set(schema.message(*element.message).fields)


def test_every_other_mark_is_about_a_type_of_the_schema() -> None:
    for name in list_types.ATOMIC_STRUCTS:
        assert _message(name).fields
    for message, name in list_types.ATOMIC_MAPS:
        assert _message(message).fields[name].type.form == "map"
    for message, name in list_types.GRANULAR_FIELDS | list_types.KEY_DEFAULTS.keys():
        assert name in _message(message).fields


def _message(name: str) -> schema.Message:
    groups = ("meta/v1", "core/v1", "batch/v1", "apps/v1", "policy/v1", "discovery/v1", "rbac/v1")
    return next(schema.message(g, name) for g in groups if schema.has(g, name))


@pytest.mark.parametrize("resource", RESOURCES, ids=str)
def test_every_kind_has_a_shape(resource: Resource[Any]) -> None:
    seen: set[tuple[str, str]] = set()
    rest = [shapes.of_kind(resource.group, resource.version, resource.kind)]
    while rest:
        shape = rest.pop()
        if shape.inner is not None:
            rest.append(shape.inner)
        elif shape.form == "struct" and shape.home not in seen:
            seen.add(shape.home)
            rest += shape.members.values()
        assert shape.atomic or shape.form != "list" or shape.inner is not None
    assert seen


@pytest.mark.parametrize(
    ("kind", "where", "atomic"),
    [
        ("Job", "status conditions", True),
        ("Job", "spec selector", True),
        ("Job", "spec template spec nodeSelector", True),
        ("Job", "spec template spec tolerations", True),
        ("Job", "spec template spec containers", False),
        ("Job", "spec template metadata labels", False),
        ("Job", "status uncountedTerminatedPods succeeded", False),
    ],
)
def test_shapes(kind: str, where: str, atomic: bool) -> None:
    shape: shapes.Shape | None = shapes.of_kind("batch", "v1", kind)
    for name in where.split():
        assert shape is not None
        shape = shape.member(name)
    assert shape is not None
    assert shape.atomic == atomic


# ----- live objects that nobody may apply: they came past the rules, and are lived with


def test_an_element_without_a_key_is_passed_over() -> None:
    odd = pod(containers=[{"image": "1"}, container(image="1")])
    new = pod(containers=[{"image": "2"}, container(image="2")])
    item = ("spec", "containers", C)
    assert values.compare(POD, odd, new).modified == fields((*item, "image"))
    less = fields((*item,))
    assert values.remove(POD, odd, less)["spec"] == {"containers": [{"image": "1"}]}
    merged = merge(POD, odd, pod(containers=[container(image="3")]))
    assert merged["spec"]["containers"] == [{"image": "1"}, container(image="3")]


def test_a_member_without_a_type_is_kept_and_nobodys() -> None:
    odd = {"metadata": {}, "other": 1}
    assert values.compare(POD, odd, {"metadata": {}, "other": 2}).same
    assert values.remove(POD, odd, fields(("other", "x"))) == odd
    assert merge(POD, odd, {"other": 3}) == odd


def test_values_of_another_form_than_their_type() -> None:
    odd = pod({"labels": "x", "finalizers": "y"})
    even = pod({"labels": {"a": "1"}, "finalizers": ["f"]})
    added = values.compare(POD, odd, even).added
    assert added == fields(("metadata", "labels", "a"), ("metadata", "finalizers", 'v:"f"'))
    assert merge(POD, odd, even) == even


def test_atomic_values_go_as_a_whole() -> None:
    before = pod(nodeSelector={"a": "1"}, priority=1)
    left = values.remove(POD, before, fields(("spec", "nodeSelector", "a")))
    assert left["spec"] == {"nodeSelector": None, "priority": 1}


def test_duplicates_that_stay_the_same_are_not_modified() -> None:
    twice = [container(image="1"), container(image="1")]
    before = pod(containers=[*twice, container("d", image="1")])
    change = values.compare(POD, before, pod(containers=[*twice, container("d", image="2")]))
    changed = fields(("spec", "containers", 'k:{"name":"d"}', "image"))
    assert change == values.Comparison({}, changed, {})


def test_paths_below_a_leaf_take_nothing_away() -> None:
    before = pod(priority=1)
    assert values.remove(POD, before, fields(("spec", "priority", "below"))) == before


def test_steps_that_no_type_has_are_kept_and_name_no_field() -> None:
    odd = fields(("spec", 'k:{"name":"c"}', "image"), ("other", "x", "y"))
    assert values.with_named_fields(POD, odd) == from_paths([*paths(odd), ("f:spec",)])
