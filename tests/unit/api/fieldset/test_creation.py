"""What a creator owns is what a comparison with nothing finds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from kubatch.api import schema
from kubatch.api.fieldset import shapes
from kubatch.api.fieldset.creation import created, taken
from kubatch.api.fieldset.elements import field
from kubatch.api.fieldset.managers import stripped
from kubatch.api.fieldset.sets import FieldSet, from_paths, without
from kubatch.api.fieldset.values import compare
from kubatch.api.resource import RESOURCES, Resource
from kubatch.api.unmarshal import zeros
from tests.unit.api.fieldset.pods import PODS, container, pod

POD = shapes.of_kind("", "v1", "Pod")
EMPTY_POD = zeros(schema.root("", "v1", "Pod"))
JOB = shapes.of_kind("batch", "v1", "Job")
EMPTY_JOB = zeros(schema.root("batch", "v1", "Job"))


RESETS: tuple[FieldSet, ...] = ({}, from_paths([(field("status"),)]))


def _checked(shape: shapes.Shape, empty: dict[str, Any], plain: dict[str, Any]) -> None:
    found, expected = created(shape, empty, plain), compare(shape, empty, plain).written
    assert found == expected
    assert _order(found) == _order(expected)


def _order(node: Any) -> Any:
    return [(step, _order(inner)) for step, inner in node.items()]


@given(PODS)
def test_against_the_comparison(plain: dict[str, Any]) -> None:
    _checked(POD, EMPTY_POD, plain)
    _checked(POD, {}, plain)
    _checked(JOB, EMPTY_JOB, {"metadata": plain["metadata"], "spec": {"template": plain}})


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"metadata": None, "spec": None, "status": None, "kind": "Pod", "nonsense": 1},
        {"metadata": {"labels": {}, "finalizers": [], "ownerReferences": [{"uid": "u"}]}},
        {"metadata": {"labels": None, "managedFields": [{"manager": "m"}]}, "spec": {}},
        {"spec": {"containers": [], "nodeSelector": {"a": "b"}}, "status": {"phase": ""}},
        {"spec": {"containers": [{"image": "no name"}, None, 3]}},
        {"spec": {"containers": None}, "status": {"conditions": [{"type": "A"}]}},
        pod(containers=[container("a"), container("a"), container("b", env=[{"name": "E"}])]),
        pod(containers=[container(resources={"limits": {"cpu": "1"}}, ports=[{"x": 1}])]),
        pod({"finalizers": ["x", "x", "a"]}, hostAliases=[{"ip": "1"}], tolerations=[{"key": "k"}]),
        pod({"labels": "text"}, containers={"a": 1}, securityContext=[1], volumes=[{"name": "v"}]),
    ],
)
def test_corners(plain: dict[str, Any]) -> None:
    for shape, empty in ((POD, EMPTY_POD), (POD, {}), (JOB, EMPTY_JOB)):
        _checked(shape, empty, plain)
    template = {"spec": {"template": plain, "completions": 3, "selector": {"matchLabels": {}}}}
    _checked(JOB, EMPTY_JOB, template)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: f"{r.plural}.{r.api_version}")
def test_of_nothing_everybody_owns_nothing(resource: Resource[Any]) -> None:
    empty = zeros(schema.root(resource.group, resource.version, resource.kind))
    shape = shapes.of_kind(resource.group, resource.version, resource.kind)
    assert created(shape, empty, empty) == {}


@given(PODS)
def test_what_may_be_owned_of_it(plain: dict[str, Any]) -> None:
    plain = {**plain, "status": {"phase": "Pending"}, "kind": "Pod", "apiVersion": "v1"}
    plain["metadata"] = {**plain["metadata"], "uid": "u", "annotations": {}, "generation": 1}
    values: list[dict[str, Any]] = [plain, {"metadata": {"name": "n"}}, {"metadata": None}, {}]
    for value in values:
        for reset in RESETS:
            expected = stripped(without(compare(POD, EMPTY_POD, value).written, reset))
            found = taken(POD, EMPTY_POD, value, reset)
            assert found == expected
            assert _order(found) == _order(expected)
