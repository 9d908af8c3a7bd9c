"""The processes of a simulated cluster: the real control plane and node agents, able to crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kubatch import controllers
from kubatch.agent.facts import Capabilities
from kubatch.agent.loop import Agent
from kubatch.agent.node import Machine
from kubatch.reconcile.controller import Controller
from kubatch.reconcile.decision import Decision
from kubatch.reconcile.events import EventRecorder
from kubatch.reconcile.loop import Caches, Runner
from kubatch.runtime.images import ImageMap
from kubatch.runtime.protocol import RuntimeUnavailable
from kubatch.scheduler import controller as scheduler_controller
from kubatch.sim.faults import Faults, FaultyClient
from kubatch.sim.runtime import ScriptedRuntime
from kubatch.world import Rng, World

Main = Callable[[FaultyClient], Coroutine[Any, Any, None]]
Connect = Callable[[Callable[[str], None]], FaultyClient]
Note = Callable[[str], None]

JOB_CONTROLLER = "job-controller"

MACHINE = Machine(
    cpus=4,
    memory_bytes=8 << 30,
    disk_bytes=100 << 30,
    pods=20,
    machine_id="0" * 32,
    system_uuid="0" * 32,
    boot_id="00000000-0000-0000-0000-000000000000",
    kernel_version="6.0",
    os_image="Simulated",
    architecture="amd64",
)


class Process:
    """Runs a program; after a crash it comes back, with nothing but what is stored."""

    def __init__(
        self, name: str, main: Main, connect: Connect, faults: Faults, rng: Rng, note: Note
    ) -> None:
        self.name = name
        self.crashes = 0
        self.companions: list[Process] = []  # those that crash whenever this one does
        self._main = main
        self._connect = connect
        self._faults = faults
        self._rng = rng
        self._note = note
        self._client: FaultyClient | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Keep the program running. Raises what ends it but for crashes."""
        while True:
            client = self._client = self._connect(self.crash)
            self._note(f"{self.name} starts")
            task = self._task = asyncio.create_task(self._main(client), name=self.name)
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                client.dead = True
                task.cancel()
                await asyncio.wait([task])
                raise
            if not client.dead:
                self._explain_end(task)
            client.dead = True
            if self._faults.downtime_seconds > 0:
                await asyncio.sleep(self._rng.expovariate(1.0) * self._faults.downtime_seconds)
            else:
                await asyncio.sleep(0.1)

    def _explain_end(self, task: asyncio.Task[None]) -> None:
        """An agent ends when its runtime cannot be reached at its start; nothing else may."""
        error = task.exception()
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if not isinstance(error, RuntimeUnavailable):
            raise RuntimeError(f"{self.name} ended by itself: {error!r}") from error
        self._note(f"{self.name} ends: {error}")

    def crash(self, where: str) -> None:
        """End at once: nothing that is under way is finished."""
        if self._client is None or self._client.dead or self._task is None:
            return
        self._note(f"{self.name} crashes {where}")
        self.crashes += 1
        self._client.dead = True
        self._task.cancel()
        for companion in self.companions:
            companion.crash(f"with {self.name}")


class ControlPlane:
    """All controllers and the scheduler, as `kubatch up` runs them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._decisions: dict[tuple[str, str], Decision] = {}

    async def main(self, client: FaultyClient) -> None:
        """One life."""
        self._decisions = {}
        caches = Caches(client)
        records = [
            self._watched(record) if record.name == JOB_CONTROLLER else record
            for record in (*controllers.all_controllers(), scheduler_controller())
        ]
        runners = [Runner(record, client, caches, self._world, "sim") for record in records]
        async with asyncio.TaskGroup() as group:
            group.create_task(caches.run())
            for runner in runners:
                group.create_task(runner.run(), name=runner.controller.name)

    def _watched(self, record: Controller[Any]) -> Controller[Any]:
        def decide(facts: Any, now: datetime) -> Decision:
            decision = record.decide(facts, now)
            self._decisions[facts.namespace, facts.name] = decision
            return decision

        return replace(record, decide=decide)

    def decision(self, namespace: str, job: str) -> Decision | None:
        """What the Job controller of this life decided last about a Job, done with it or not."""
        return self._decisions.get((namespace, job))


class Node:
    """A machine with its containers, and the agent that looks after them."""

    def __init__(self, name: str, world: World, runtime: ScriptedRuntime, directory: Path) -> None:
        self.name = name
        self.runtime = runtime
        self._world = world
        self._directory = directory

    async def main(self, client: FaultyClient) -> None:
        """One life of the agent."""
        recorder = EventRecorder(client, self._world, "kubelet", host=self.name, instance=self.name)
        agent = Agent(
            client, self.runtime, ImageMap(()), self._world, self.name, self._directory, recorder,
            Capabilities(probes=True, hooks=True), container_env={"PATH": "/bin"}, machine=MACHINE,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            group.create_task(recorder.run())
            group.create_task(agent.run())

    async def lose_everything(self) -> list[str]:
        """The machine lost its power: no container is left. The uids of pods that had one."""
        self.runtime.available = True
        ids = sorted(seen.id for seen in await self.runtime.observe())
        for id in ids:
            self.runtime.lose(id)
        return sorted({id.pod_uid for id in ids})
