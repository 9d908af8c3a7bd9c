"""What holds of every strategic merge patch, and of the table of merge keys."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import merge_keys, schema
from kubatch.api.json_patch import same
from kubatch.api.strategic import strategic

POD = schema.root("", "v1", "Pod")


def named(*names: str) -> list[dict[str, Any]]:
    return [{"name": n} for n in names]


def test_every_merge_key_is_about_a_list_of_the_schema() -> None:
    groups = ("meta/v1", "core/v1", "batch/v1", "apps/v1", "policy/v1")
    for (message, name), key in merge_keys.MERGE_KEYS.items():
        found = [schema.message(g, message) for g in groups if has_message(g, message)]
        assert found, message
        field = found[0].fields[name]
        assert field.type.form == "list"
        assert field.type.element is not None
        if key == merge_keys.PRIMITIVE:
            assert field.type.element.form == "string"
        else:
            assert field.type.element.message is not None
            assert key in schema.message(*field.type.element.message).fields


def has_message(group_version: str, name: str) -> bool:
    try:
        schema.message(group_version, name)
    except KeyError:
        return False
    return True


KEYS = st.sampled_from(["a", "b", "c", "d"])
CONTAINERS = st.lists(KEYS, unique=True, max_size=4).flatmap(
    lambda keys: st.tuples(
        *(
            st.fixed_dictionaries(
                {"name": st.just(k)},
                optional={
                    "image": st.sampled_from(["1", "2"]),
                    "args": st.lists(st.sampled_from(["x", "y"]), max_size=2),
                    "env": st.lists(KEYS, unique=True, max_size=3).map(lambda n: named(*n)),
                },
            )
            for k in keys
        )
    ).map(list)
)
PODS = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {"labels": st.dictionaries(KEYS, KEYS)},
            optional={"finalizers": st.lists(KEYS, unique=True, min_size=1)},
        ),
        "spec": st.fixed_dictionaries({"containers": CONTAINERS}),
    }
)


def difference(old: Any, new: Any, kind: Any) -> dict[str, Any]:
    """A strategic patch that makes `new` of `old`, as kubectl apply writes it."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        if name not in old:
            patch[name] = value
        elif same(old[name], value):
            continue
        elif isinstance(value, dict):
            field = kind.fields[name].type if isinstance(kind, schema.Message) else None
            inner = schema.message(*field.message) if field and field.message else None
            patch[name] = difference(old[name], value, inner)
        elif isinstance(value, list):
            list_difference(patch, name, old[name], value, kind)
        else:
            patch[name] = value
    return patch


def list_difference(patch: dict[str, Any], name: str, old: Any, new: Any, kind: Any) -> None:
    key = merge_keys.merge_key(kind.name, name)
    if key is None or not old or not new:
        # kubectl too sends a whole list when there was none; an emptied one needs directives
        patch[name] = new if key is None or not old else [{"$patch": "replace"}]
        if key == merge_keys.PRIMITIVE and old and not new:
            patch[name] = None
        return
    if key == merge_keys.PRIMITIVE:
        patch[f"$deleteFromPrimitiveList/{name}"] = [v for v in old if v not in new]
        patch[f"$setElementOrder/{name}"] = new
        patch[name] = [v for v in new if v not in old]
        return
    element = schema.message(*kind.fields[name].type.element.message)
    before = {e[key]: e for e in old}
    after = [e[key] for e in new]
    changes = [{**difference(before.get(e[key], {}), e, element), key: e[key]} for e in new]
    gone = [{key: k, "$patch": "delete"} for k in before if k not in after]
    patch[name] = changes + gone
    patch[f"$setElementOrder/{name}"] = [{key: k} for k in after]


@given(PODS, PODS)
def test_the_patch_of_a_difference_makes_the_difference(old: Any, new: Any) -> None:
    patch = difference(old, new, POD)
    before = copy.deepcopy((old, patch))
    assert strategic(old, patch, POD) == new
    assert (old, patch) == before


@given(PODS)
def test_the_empty_patch_changes_nothing(pod: Any) -> None:
    assert strategic(pod, {}, POD) == pod


@given(PODS, PODS)
def test_patching_twice_is_patching_once(old: Any, patch: Any) -> None:
    once = strategic(old, patch, POD)
    assert strategic(once, patch, POD) == once
