"""An intent over a live object, and intents that do not fit their type."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api.fieldset import shapes, values
from kubatch.api.fieldset.merging import merge, problems
from tests.unit.api.fieldset.pods import POD, PODS, container, pod

JOB = shapes.of_kind("batch", "v1", "Job")


@given(PODS, PODS)
def test_a_merge_holds_all_of_the_intent_and_the_rest_of_what_was(
    live: dict[str, Any], intent: dict[str, Any]
) -> None:
    merged = merge(POD, live, intent)
    assert merge(POD, merged, intent) == merged
    lost = values.compare(POD, live, merged).removed
    assert not lost
    # Nothing of the intent is missing or different, but empty members that were not empty before.
    change = values.compare(POD, intent, merged)
    assert not change.removed


@given(PODS)
def test_merging_an_object_into_itself_changes_nothing(live: dict[str, Any]) -> None:
    assert merge(POD, live, live) == live


ORDERS = st.lists(st.sampled_from("abcdef"), unique=True, max_size=6)


@given(ORDERS, ORDERS)
def test_the_order_of_lists(live: list[str], intent: list[str]) -> None:
    merged = merged_finalizers(live, intent)
    assert sorted(merged) == sorted({*live, *intent})
    assert [f for f in merged if f in intent] == intent
    only_live = [f for f in live if f not in intent]
    assert [f for f in merged if f in only_live] == only_live


@pytest.mark.parametrize(
    ("live", "intent", "merged"),
    [
        ("ab", "ba", "ba"),
        ("ab", "c", "abc"),
        ("abc", "b", "abc"),
        ("abc", "bd", "abcd"),
        ("abc", "db", "adbc"),
        ("abcd", "da", "bcda"),
        ("ab", "", "ab"),
        ("", "ba", "ba"),
    ],
)
def test_live_elements_keep_their_neighbours(live: str, intent: str, merged: str) -> None:
    assert "".join(merged_finalizers(list(live), list(intent))) == merged


def merged_finalizers(live: list[str], intent: list[str]) -> list[str]:
    made = merge(POD, {"metadata": {"finalizers": live}}, {"metadata": {"finalizers": intent}})
    found: list[str] = made["metadata"]["finalizers"]
    return found


def test_an_intent_replaces_elements_that_are_there_twice() -> None:
    live = pod(containers=[container(image="1"), container("d"), container(image="2")])
    merged = merge(POD, live, pod(containers=[container(args=["x"])]))
    assert merged["spec"]["containers"] == [container(args=["x"]), container("d")]


def test_atomic_values_are_replaced() -> None:
    live = pod(nodeSelector={"a": "1"}, tolerations=[{"key": "a"}])
    merged = merge(POD, live, pod(nodeSelector={"b": "2"}, tolerations=[]))
    assert merged["spec"] == {"nodeSelector": {"b": "2"}, "tolerations": []}


def template(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


ENV = template(containers=[{"name": "c", "env": [{"value": "x"}]}])


DEEP: Any = "x"
for _ in range(5000):
    DEEP = [DEEP]


def test_a_value_nested_beyond_measure() -> None:
    assert problems(JOB, {"metadata": {"labels": {"a": DEEP}}}) == "nested too deep"


@pytest.mark.parametrize(
    ("intent", "why"),
    [
        ({"spec": {"foo": 1}}, ".spec.foo: field not declared in schema"),
        (
            template(containers=[{"name": "a"}, {"name": "a"}]),
            '.spec.template.spec.containers: duplicate entries for key [name="a"]',
        ),
        (
            ENV,
            '.spec.template.spec.containers[name="c"].env: element 0: associative list with keys '
            'has an element that omits key field "name" (and doesn\'t have default value)',
        ),
        (
            template(containers=[None]),
            ".spec.template.spec.containers: element 0: associative list with keys may not have a "
            "null element",
        ),
        (
            template(containers=["x"]),
            ".spec.template.spec.containers: element 0: associative list with keys may not have "
            "non-map elements",
        ),
        (
            {"spec": {"parallelism": "x"}},
            ".spec.parallelism: expected numeric (int or float), got string",
        ),
        (
            {"spec": {"parallelism": True}},
            ".spec.parallelism: expected numeric (int or float), got bool",
        ),
        (
            {"metadata": {"labels": {"a": 1}}},
            ".metadata.labels.a: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (
            {"metadata": {"labels": {"a": {"b": ['"']}}}},
            ".metadata.labels.a: expected string, got &value.valueUnstructured{Value:"
            'map[string]interface {}{"b":[]interface {}{"\\""}}}',
        ),
        ({"spec": {"suspend": "yes"}}, ".spec.suspend: expected boolean, got &{yes}"),
        ({"spec": {"template": [1]}}, ".spec.template: expected map, got &{[1]}"),
        (
            template(containers={"a": 1}),
            ".spec.template.spec.containers: expected list, got &{map[a:1]}",
        ),
        (
            template(containers=[{"name": "c", "resources": {"limits": {"cpu": []}}}]),
            '.spec.template.spec.containers[name="c"].resources.limits.cpu: expected any scalar, '
            "got &{[]}",
        ),
        (
            template(tolerations=[{"key": 1}]),
            ".spec.template.spec.tolerations[0].key: expected string, got "
            "&value.valueUnstructured{Value:1}",
        ),
        (
            {"metadata": {"finalizers": [{}]}},
            ".metadata.finalizers: element 0: associative list without keys has an element that's "
            "a map type",
        ),
        (
            {"metadata": {"finalizers": [[]]}},
            ".metadata.finalizers: element 0: not supported: associative list with lists as "
            "elements",
        ),
        (
            {"metadata": {"finalizers": [None]}},
            ".metadata.finalizers: element 0: associative list without keys has an element that's "
            "an explicit null",
        ),
        (
            {"spec": {"suspend": 1, "parallelism": "x"}},
            "errors:\n  .spec.suspend: expected boolean, got &{1}\n"
            "  .spec.parallelism: expected numeric (int or float), got string",
        ),
        ({"spec": {"parallelism": 1.5, "completions": None}}, ""),
        (template(containers=[{"name": "c", "resources": {"limits": {"cpu": 1}}}]), ""),
    ],
)
def test_problems(intent: dict[str, Any], why: str) -> None:
    assert problems(JOB, intent) == why
