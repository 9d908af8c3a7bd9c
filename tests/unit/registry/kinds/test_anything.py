"""Whatever decodes is judged, never a crash; and judging changes nothing."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

from kubatch.api import codec, schema
from kubatch.api.errors import ApiError
from kubatch.api.resource import Resource
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.registry.metadata import validate_metadata, validate_metadata_update
from tests.unit.registry.kinds.making import NOW, UID, decode, rules

ROUNDS = 40
STRINGS = ["", "a", "A_b", "Always", "Never", "Indexed", "Exists", "In", "0,1", "../x", "/x"]
STRINGS += ["metadata.name", "0 * * * *", "Localhost", "x" * 70]
KEYS = ["a", "b/c", "-", "cpu", "memory", "a.b/gpu", "hugepages-2Mi", "controller-uid"]
SCALARS: dict[str, list[Any]] = {
    "string": STRINGS,
    "bool": [True, False],
    "integer": [0, -1, 1, 5, 100_001],
    "time": ["2026-01-01T00:00:00Z"],
    "microtime": ["2026-01-01T00:00:00.5Z"],
    "quantity": ["1", "-1", "100m", "2Mi", 0.5],
    "int-or-string": [80, 0, "http"],
    "bytes": ["", "YQ=="],
}


class Maker:
    """Makes up values for the fields that the schema has."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def message(self, kind: schema.Message, depth: int) -> dict[str, Any]:
        share = 0.9 if depth < 3 else 0.5 if depth < 6 else 0.25
        return {
            name: self.value(field.type, depth + 1)
            for name, field in kind.fields.items()
            if depth < 12 and self.chance.random() < share and name != "managedFields"
        }

    def value(self, kind: schema.Type, depth: int) -> Any:
        if kind.message is not None:
            return self.message(schema.message(*kind.message), depth)
        count = self.chance.choice([0, 1, 1, 2])
        if kind.form == "list" and kind.element is not None:
            return [self.value(kind.element, depth) for _ in range(count)]
        if kind.form == "map" and kind.element is not None:
            return {self.chance.choice(KEYS): self.value(kind.element, depth) for _ in range(count)}
        return self.chance.choice(SCALARS.get(kind.form, [{}]))


def created(resource: Resource[Any], seed: int) -> Any:
    """Something made up, as far as the registry takes it before validation."""
    top = schema.root(resource.group, resource.version, resource.kind)
    obj: Any = decode(resource, Maker(seed).message(top, 0) if seed else {})
    strategy = rules(resource)
    obj.metadata.name = obj.metadata.name or "x"
    obj.metadata.uid, obj.metadata.creationTimestamp = UID, NOW
    strategy.default(obj)
    # Admission may say no; what it leaves behind still has to be judged.
    with suppress(ApiError):
        strategy.prepare_create(obj)
    return obj


@pytest.mark.parametrize("resource", STRATEGIES, ids=str)
def test_creates_are_judged(resource: Resource[Any]) -> None:
    strategy = rules(resource)
    for seed in range(ROUNDS):
        obj = created(resource, seed)
        before = codec.encode(obj)
        validate_metadata(obj.metadata, strategy)
        strategy.validate_create(obj)
        strategy.warnings_create(obj)
        strategy.row(obj, NOW)
        for read in strategy.fields.values():
            assert isinstance(read(obj), str)
        assert codec.encode(obj) == before


@pytest.mark.parametrize("resource", STRATEGIES, ids=str)
def test_changes_are_judged(resource: Resource[Any]) -> None:
    strategy = rules(resource)
    old = created(resource, ROUNDS)
    before = codec.encode(old)
    for seed in range(ROUNDS):
        new = created(resource, seed)
        validate_metadata_update(new.metadata, old.metadata)
        for prepare, validate in (
            (strategy.prepare_update, strategy.validate_update),
            (strategy.prepare_status_update, strategy.validate_status_update),
        ):
            candidate = codec.copy(new)
            prepare(candidate, old)
            validate(candidate, old)
            strategy.warnings_update(candidate, old)
    assert codec.encode(old) == before
