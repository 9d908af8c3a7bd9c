"""What holds for every controller alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api import codec
from kubatch.api.resource import Resource
from kubatch.controllers import all_controllers, rootca
from kubatch.reconcile.controller import Controller

CONTROLLERS = [*all_controllers(), rootca.controller("certificate")]


# Their keys are more than the name of what they watch.
OTHER_KEYS = {
    "garbage-collector-controller",
    "job-orphan-controller",
    "namespace-controller",
    "pod-garbage-collector-controller",
    "resourcequota-controller",
}


def watches() -> Iterator[Any]:
    for record in (one for one in CONTROLLERS if one.name not in OTHER_KEYS):
        for resource in record.watches:
            yield pytest.param(record, resource, id=f"{record.name} {resource.plural}")


def test_each_has_a_name_of_its_own() -> None:
    names = [record.name for record in CONTROLLERS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("record", "resource"), [*watches()])
def test_an_object_without_metadata_is_nobodys_work(
    record: Controller[Any], resource: Resource[Any]
) -> None:
    # Servers send no such objects; if one did, a watch must not end over it.
    bare = replace(codec.from_dict(resource, {})[0], metadata=None)
    keys = record.watches[resource]
    for before, after in ((None, bare), (bare, bare), (bare, None)):
        assert [key for key in keys(before, after) if key.name] == []
