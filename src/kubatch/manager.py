"""Controllers in a process of their own, over any Client, alone or behind a lease."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from kubatch import controllers
from kubatch.client.protocol import Client
from kubatch.controllers.job import names, orphans
from kubatch.meters import Meters
from kubatch.reconcile.controller import Controller
from kubatch.reconcile.events import EventRecorder
from kubatch.reconcile.lease import Candidate, Elector
from kubatch.reconcile.loop import Caches, Runner
from kubatch.scheduler import controller as scheduler_controller
from kubatch.settings import local_zone
from kubatch.world import World

# What runs unless told otherwise: on a cluster with controllers of its own there is nothing else
# that nobody does already.
DEFAULT = ("job-controller",)


class UnknownController(ValueError):
    """A name that no controller has."""


def choose(*, everything: bool, only: Sequence[str] = ()) -> list[Controller[Any]]:
    """The controllers to run. Raises UnknownController.

    Jobs are those that name kubatch in spec.managedBy; with `everything` also those that leave it
    to the built-in controller. The scheduler runs only when named.
    """
    ours = names.BOTH if everything else names.KUBATCH_ONLY
    records = {record.name: record for record in controllers.all_controllers(ours, local_zone())}
    if not everything:
        # It would take pods from Jobs that the built-in controller is about to give them to.
        del records[orphans.controller().name]
    wanted = only or (tuple(records) if everything else DEFAULT)
    scheduler = scheduler_controller()
    records[scheduler.name] = scheduler
    unknown = [name for name in wanted if name not in records]
    if unknown:
        raise UnknownController(f"no controller {unknown[0]}; there are {', '.join(records)}")
    return [record for name, record in records.items() if name in wanted]


class Manager:
    """Runs controllers while it leads."""

    def __init__(
        self,
        client: Client,
        records: Sequence[Controller[Any]],
        world: World,
        *,
        host: str = "",
        candidate: Candidate | None = None,
        leading: Callable[[], None] = lambda: None,
    ) -> None:
        """`candidate` None: leads at once. `leading` is called when controllers start."""
        self.meters = Meters()
        self.runners: list[Runner] = []
        self._client = client
        self._records = records
        self._world = world
        self._host = host
        self._leading = leading
        self._recorder = EventRecorder(client, world, "kubatch-controllers", host=host)
        self._elector = (
            Elector(candidate, client, world, self._recorder) if candidate is not None else None
        )

    async def run(self) -> None:
        """Lead and control until cancelled, then give the lease back. Raises LeadershipLost."""
        recording = asyncio.create_task(self._recorder.run(), name="events of the lease")
        elector = self._elector
        try:
            if elector is None:
                await self._control()
                return
            await elector.acquire()
            try:
                await self._control_while(elector)
            finally:
                # Only now: nothing of this process writes any more.
                await elector.release()
        finally:
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)
            await self._recorder.flush()

    async def _control_while(self, elector: Elector) -> None:
        held = asyncio.create_task(elector.hold(), name="lease")
        work = asyncio.create_task(self._control(), name="controllers")
        try:
            await asyncio.wait((held, work), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, held):
                task.cancel()
            await asyncio.gather(work, held, return_exceptions=True)
        for task in (held, work):
            if not task.cancelled():
                task.result()

    async def _control(self) -> None:
        """Start anew from what the API says now: caches older than the lease would not know what
        the leader before wrote last."""
        caches = Caches(self._client)
        self.runners = [
            Runner(record, self._client, caches, self._world, self._host, self.meters)
            for record in self._records
        ]
        self._leading()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(caches.run(), name="caches")
            for runner in self.runners:
                tasks.create_task(runner.run(), name=runner.controller.name)
