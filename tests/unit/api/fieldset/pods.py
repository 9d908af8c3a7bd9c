"""Pods small enough to think about, and random ones of the same kind."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from kubatch.api.fieldset import shapes
from kubatch.api.fieldset.sets import FieldSet, from_paths

POD = shapes.of_kind("", "v1", "Pod")


def pod(metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", **(metadata or {})}, "spec": spec}


def container(name: str = "c", **members: Any) -> dict[str, Any]:
    return {"name": name, **members}


def path(*steps: str) -> tuple[str, ...]:
    """A path written briefly: words are fields, what looks like a step already is one."""
    return tuple(s if s[:2] in ("f:", "k:", "v:") else f"f:{s}" for s in steps)


def fields(*paths: tuple[str, ...]) -> FieldSet:
    return from_paths(path(*p) for p in paths)


_NAMES = st.sampled_from("abcd")
_VALUES = st.sampled_from("123")


def _keyed(keys: st.SearchStrategy[str], optional: Any) -> st.SearchStrategy[list[Any]]:
    def items(names: list[str]) -> st.SearchStrategy[list[Any]]:
        made = (st.fixed_dictionaries({"name": st.just(n)}, optional=optional) for n in names)
        return st.tuples(*made).map(list)

    return st.lists(keys, unique=True, max_size=3).flatmap(items)


_CONTAINERS = _keyed(
    _NAMES,
    {
        "image": _VALUES,
        "args": st.lists(_VALUES, max_size=2),
        "env": _keyed(_NAMES, {"value": _VALUES}),
        "securityContext": st.fixed_dictionaries({}, optional={"privileged": st.booleans()}),
    },
)
_SPECS = st.fixed_dictionaries(
    {},
    optional={
        "containers": _CONTAINERS,
        "nodeSelector": st.dictionaries(_NAMES, _VALUES, max_size=2),
        "priority": st.integers(0, 2),
        "hostAliases": st.lists(_NAMES, unique=True, max_size=2).map(
            lambda ips: [{"ip": ip, "hostnames": [ip]} for ip in ips]
        ),
    },
)
_METADATA = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(_NAMES, _VALUES, max_size=3),
        "finalizers": st.lists(_NAMES, unique=True, max_size=3),
    },
)
PODS = st.builds(lambda metadata, spec: pod(metadata, **spec), _METADATA, _SPECS)


def without_empties(value: Any) -> Any:
    """A value as a stored object has it: empty lists and maps are left out."""
    if isinstance(value, list):
        return [without_empties(v) for v in value]
    if isinstance(value, dict):
        kept = {k: without_empties(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in ({}, [])}
    return value
