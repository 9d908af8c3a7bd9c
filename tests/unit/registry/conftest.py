"""A real registry over a memory store, on a clock that stands still until it is moved."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import JOBS, PODS, Resource
from kubatch.registry.api import Registry
from kubatch.registry.bootstrap import ensure_namespaces
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.registry.strategy import RequestContext
from kubatch.registry.values import Entry
from kubatch.store.memory import MemoryStore
from kubatch.world import World


@dataclass
class StoppedClock:
    """Time that passes only when a test says so."""

    at: datetime = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def registry(clock: StoppedClock) -> AsyncIterator[Registry]:
    store = MemoryStore(history_changes_max=50)
    await store.open()
    made = Registry(store, World(clock, random.Random(1)), STRATEGIES)
    await ensure_namespaces(made)
    yield made
    await store.close()


def decoded(resource: Resource[Any], value: dict[str, Any]) -> Any:
    """An object as a client's JSON gives it."""
    return codec.from_dict(resource, value)[0]


def job(name: str = "pi", **spec: Any) -> Any:
    """The smallest valid Job, and whatever spec adds to it."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    value = {"metadata": {"name": name}, "spec": {"template": template, **spec}}
    return decoded(JOBS, value)


def pod(name: str = "p", **metadata: Any) -> Any:
    """The smallest valid Pod."""
    value = {
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    return decoded(PODS, value)


def context() -> RequestContext:
    return RequestContext("admin", ("system:masters",))


def obj_of(entry: Entry[Any]) -> Any:
    """An answer's object; a test that finds a part of it missing fails by itself."""
    return entry.obj
