"""A node agent over the real registry and a scripted runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubatch.agent.facts import Capabilities
from kubatch.agent.loop import Agent
from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import PODS, Resource
from kubatch.client.cache import Cache
from kubatch.client.local import LocalClient
from kubatch.registry.api import Registry
from kubatch.registry.bootstrap import ensure_namespaces
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.runtime.images import ImageMap
from kubatch.sim.runtime import Program, ScriptedRuntime
from kubatch.store.memory import MemoryStore
from kubatch.world import World

NODE = "node-1"
DEADLINE = 10.0


class Events:
    """A Recorder that keeps what it hears."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def record(
        self, about: Any, type: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        where = f" [{field_path}]" if field_path else ""
        self.said.append(f"{about.metadata.name}: {type} {reason} {message}{where}")


class Faults(LocalClient):
    """The client with the writes counted, and errors on demand."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.status_writes: list[m.Pod] = []
        self.next_errors: list[ApiError] = []

    async def update(self, resource: Resource[Any], obj: Any, subresource: str = "") -> Any:
        if resource is PODS and subresource == "status":
            if self.next_errors:
                raise self.next_errors.pop(0)
            self.status_writes.append(obj)
        return await super().update(resource, obj, subresource)


@dataclass
class Harness:
    """Everything around one agent, which may be stopped and started again."""

    data_dir: Path
    client: Faults
    runtime: ScriptedRuntime
    world: World
    pods: Cache[m.Pod]
    events: Events = field(default_factory=Events)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    agent: Agent | None = None
    task: asyncio.Task[None] | None = None
    deadline: float = DEADLINE

    async def start_agent(
        self, *, settle: float = 0.02, capabilities: Capabilities | None = None
    ) -> Agent:
        self.agent = Agent(
            self.client, self.runtime, ImageMap(()), self.world, NODE, self.data_dir, self.events,
            capabilities or Capabilities(), container_env={"PATH": "/bin"}, settle=settle,
        )  # fmt: skip
        self.task = asyncio.create_task(self.agent.run())
        ready = asyncio.create_task(self.agent.ready.wait())
        await asyncio.wait((ready, self.task), return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            self.task.result()
        return self.agent

    async def stop_agent(self, *, kill: bool = False) -> None:
        if self.agent is not None and self.task is not None:
            await self.agent.stop(kill=kill)
            await self.task
        self.agent = self.task = None

    async def create(self, *containers: m.Container, name: str = "p", **spec: Any) -> m.Pod:
        spec.setdefault("restartPolicy", "Never")
        pod = m.Pod(
            metadata=m.ObjectMeta(name=name, namespace="default"),
            spec=m.PodSpec(containers=list(containers), nodeName=NODE, **spec),
        )
        return await self.client.create(PODS, pod)

    async def until(self, found: Callable[[], Any]) -> Any:
        """Wait until something is so; what it gave."""
        async with asyncio.timeout(self.deadline):
            while not (result := found()):
                self.changed.clear()
                await self.changed.wait()
        return result

    async def phase(self, *phases: str, name: str = "p") -> m.PodStatus:
        """Wait until a pod is in one of the phases; its status."""

        def reached() -> m.PodStatus | None:
            pod = self.pods.get("default", name)
            status = pod.status if pod is not None else None
            return status if status is not None and status.phase in phases else None

        status: m.PodStatus = await self.until(reached)
        return status

    async def gone(self, name: str = "p") -> None:
        await self.until(lambda: self.pods.get("default", name) is None)


@asynccontextmanager
async def harness(
    data_dir: Path, programs: Mapping[str, Program] | None = None, world: World | None = None
) -> AsyncIterator[Harness]:
    """Registry, client and runtime; the agent is started by the test."""
    world, store = world or World(), MemoryStore()
    await store.open()
    registry = Registry(store, world, STRATEGIES)
    await ensure_namespaces(registry)
    client = Faults(registry)
    runtime = ScriptedRuntime(world, programs, logs=True)
    found = Harness(data_dir, client, runtime, world, Cache(client, PODS))
    found.pods.add_batch_listener(found.changed.set)
    watching = asyncio.create_task(found.pods.run())
    try:
        yield found
    finally:
        await found.stop_agent(kill=True)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await store.close()


async def spin(condition: Callable[[], Any]) -> None:
    """Let the event loop turn until something is so that nobody tells."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)
