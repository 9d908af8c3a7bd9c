"""Controllers over the real registry and the store in memory, on virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kubatch.api.models import Namespace, ObjectMeta
from kubatch.api.resource import NAMESPACES, Resource
from kubatch.client.local import LocalClient
from kubatch.client.protocol import Event
from kubatch.reconcile.controller import Controller
from kubatch.reconcile.loop import Caches, Runner
from kubatch.registry.api import Registry
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.store.memory import MemoryStore
from kubatch.world import World
from tests.suites.virtual_time import LoopClock

T = TypeVar("T")

SECONDS_MAX = 600.0  # virtual ones


class LaggingClient(LocalClient):
    """A client some of whose watches can be held back."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._held: dict[Resource[Any], asyncio.Event] = {}

    def hold(self, resource: Resource[Any]) -> None:
        """Nobody hears of changes of this resource any more."""
        self._held[resource] = asyncio.Event()

    def release(self, resource: Resource[Any]) -> None:
        self._held.pop(resource).set()

    async def watch(
        self,
        resource: Resource[T],
        namespace: str | None = None,
        *,
        after: int,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Sequence[Event[T]]]:
        batches = super().watch(
            resource,
            namespace,
            after=after,
            label_selector=label_selector,
            field_selector=field_selector,
        )
        async for batch in batches:
            if resource in self._held:
                await self._held[resource].wait()
            yield batch


@dataclass
class Engine:
    """A registry, caches and controllers; see engine()."""

    store: MemoryStore
    registry: Registry
    client: LaggingClient
    caches: Caches
    world: World
    runners: list[Runner] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)  # "created pods/default/a"

    def run(self, *controllers: Controller[Any]) -> None:
        """Start controllers, once."""
        self.runners = [Runner(c, self.client, self.caches, self.world) for c in controllers]
        self.tasks.append(asyncio.create_task(self.caches.run()))
        self.tasks += [asyncio.create_task(runner.run()) for runner in self.runners]

    async def keep_log(self) -> None:
        """Note every write to the store, in the order they were committed."""
        async for changes in self.store.watch("/", self.store.revision, 100_000):
            for change in changes:
                verb = "created" if change.previous is None else "changed"
                where = change.key.split("/", 2)[2]  # less the group
                self.log.append(f"{verb if change.record else 'deleted'} {where}")

    def logged(self, verb: str, *resources: Resource[Any]) -> list[str]:
        """What was done to resources, in order: "jobs/default/a"."""
        found = [line.partition(" ")[2] for line in self.log if line.startswith(verb + " ")]
        return [line for line in found if line.partition("/")[0] in {r.plural for r in resources}]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until the caches fulfil a condition."""
        await self.caches.synced()
        moved = asyncio.Event()
        self.caches.add_progress_listener(moved.set)
        async with asyncio.timeout(SECONDS_MAX):
            while not condition():
                moved.clear()
                await moved.wait()

    async def quiet(self, seconds: float = 30.0) -> None:
        """Let time pass: whatever is going to happen has happened."""
        await asyncio.sleep(seconds)

    async def namespace(self, name: str) -> Namespace:
        return await self.client.create(NAMESPACES, Namespace(metadata=ObjectMeta(name=name)))

    async def names(self, resource: Resource[Any], namespace: str | None = None) -> list[str]:
        """The names of what the API has."""
        listing = await self.client.list(resource, namespace)
        return sorted(obj.metadata.name for obj in listing.items)


@asynccontextmanager
async def engine(*controllers: Controller[Any]) -> AsyncIterator[Engine]:
    """An engine with a namespace `default`; controllers run at once when they are given."""
    store = MemoryStore()
    await store.open()
    world = World(LoopClock(), random.Random(0))
    registry = Registry(store, world, STRATEGIES)
    client = LaggingClient(registry)
    made = Engine(store, registry, client, Caches(client), world)
    made.tasks.append(asyncio.create_task(made.keep_log()))
    await made.namespace("default")
    if controllers:
        made.run(*controllers)
    try:
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
        results = await asyncio.gather(*made.tasks, return_exceptions=True)
        await store.close()
    for result in results:
        if not isinstance(result, asyncio.CancelledError | None):
            raise result
