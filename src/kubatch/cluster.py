"""The composition root: puts store, registry, controllers, agent and server together.

The one module that knows all rooms. Nothing here decides anything about Jobs or pods.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from kubatch import controllers
from kubatch.agent.loop import Agent
from kubatch.agent.streams import AgentStreams
from kubatch.client.local import LocalClient
from kubatch.reconcile.events import EventRecorder
from kubatch.reconcile.loop import Caches, Runner
from kubatch.registry.api import Registry
from kubatch.registry.bootstrap import ensure_namespaces, expire_events
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.runtime.images import load_image_map
from kubatch.runtime.protocol import Runtime
from kubatch.scheduler import controller as scheduler_controller
from kubatch.settings import Settings
from kubatch.store.protocol import Store
from kubatch.world import World

if TYPE_CHECKING:
    from kubatch.server.wire import ApiServer

log = logging.getLogger(__name__)

EVENT_SWEEP_INTERVAL = 60.0  # seconds


class Cluster:
    """Everything one process runs. start() and stop() once each."""

    def __init__(self, settings: Settings, world: World, store: Store, runtime: Runtime) -> None:
        self.settings = settings
        self.world = world
        self.node_name = settings.node_name or socket.gethostname().lower()
        self._store = store
        self._runtime = runtime
        self.registry = Registry(store, world, STRATEGIES, settings.watch_buffer_events_max)
        self.client = LocalClient(self.registry)
        self.caches = Caches(self.client)
        self.streams = AgentStreams(self.client, runtime, settings.data_dir)
        self.server: ApiServer | None = None
        self._agent: Agent | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ready = False
        self.runners: list[Runner] = []

    async def start(self, *, serve: bool) -> None:
        """Bring everything up; returns once requests are answered and pods would run."""
        await self._store.open()
        await ensure_namespaces(self.registry)
        if serve:
            await self._serve()
        self._start_controllers()
        if self.settings.agent:
            self._start_agent()
        self._background(self._sweep_events(), "event expiry")
        await self.caches.synced()
        self._ready = True

    async def _serve(self) -> None:
        from kubatch.server.wire import ApiServer

        self.server = ApiServer(
            self.registry, self.streams, self.settings, self.world, ready=lambda: self._ready
        )
        await self.server.start()

    def _start_controllers(self) -> None:
        records = list(controllers.all_controllers()) if self.settings.controllers else []
        if self.settings.scheduler:
            records.append(scheduler_controller())
        self.runners = [
            Runner(record, self.client, self.caches, self.world, self.node_name)
            for record in records
        ]
        self._background(self.caches.run(), "caches")
        for runner in self.runners:
            self._background(runner.run(), runner.controller.name)

    def _start_agent(self) -> None:
        recorder = EventRecorder(
            self.client, self.world, "kubelet", host=self.node_name, instance=self.node_name
        )
        self._agent = Agent(
            self.client,
            self._runtime,
            load_image_map(None),
            self.world,
            self.node_name,
            self.settings.data_dir,
            recorder,
        )
        self._background(recorder.run(), "agent events")
        self._background(self._agent.run(), "agent")

    async def _sweep_events(self) -> None:
        while True:
            await asyncio.sleep(EVENT_SWEEP_INTERVAL)
            await expire_events(self.registry, self.settings.event_ttl)

    def _background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def failed(self) -> None:
        """Wait until a part ends by itself, which none should; raises what ended it."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        raise RuntimeError(f"{next(iter(done)).get_name()} ended")

    async def stop(self, *, kill: bool) -> None:
        """Stop everything; with kill, end every container, else leave them to the next server."""
        self._ready = False
        if self.server is not None:
            await self.server.stop()
        if self._agent is not None:
            await self._agent.stop(kill=kill)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.close()
