"""A run: rounds of Jobs and blows on one data directory, each followed by its checks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import CRONJOBS, JOBS, PODS
from kubatch.client import kubeconfig
from kubatch.client.http import HttpClient, Unreachable
from kubatch.world import World
from tests.chaos import checks
from tests.chaos.history import History
from tests.chaos.machine import CRON_NAME, Machine
from tests.chaos.work import LABEL, Place, Task, tasks

ROUND_SECONDS_MAX = 90.0
T = TypeVar("T")

CRON: dict[str, Any] = {
    "apiVersion": "batch/v1", "kind": "CronJob",
    "metadata": {"name": CRON_NAME, "namespace": "default"},
    "spec": {
        "schedule": "* * * * *", "successfulJobsHistoryLimit": 2, "concurrencyPolicy": "Allow",
        "jobTemplate": {"spec": {"backoffLimit": 1000, "template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "none", "command": ["true"]}],
        }}}},
    },
}  # fmt: skip


class Chaos:
    """Use as a context: a server runs within."""

    def __init__(self, directory: Path, runtime: str, seed: int) -> None:
        self.violations: list[str] = []
        self._seed = seed
        self.machine = Machine(directory, runtime)
        ledgers = directory / "ledger"
        ledgers.mkdir(mode=0o777)
        self._place = Place(ledgers / "lines", self.machine.data_dir, runtime == "sandbox")
        self._client: HttpClient
        self._history: History
        self._following: asyncio.Task[None]
        self._began = datetime.now(UTC)

    async def __aenter__(self) -> Chaos:
        await asyncio.to_thread(self.machine.start)
        endpoint = kubeconfig.read(self.machine.kubeconfig)
        port = urlsplit(endpoint.server).port
        assert port is not None
        self.machine.keep_port(port)
        self._client = HttpClient(endpoint, World(), "chaos")
        self._history = History(self._client)
        self._following = asyncio.create_task(self._history.follow())
        await self._client.create(CRONJOBS, msgspec.convert(CRON, m.CronJob))
        self._began = datetime.now(UTC)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._following.cancel()
        await self._client.close()
        await asyncio.to_thread(self.machine.end)

    async def round(self, number: int, blows: Sequence[str] | None = None) -> str:
        """One round, with these blows or drawn ones; what it was, in a line."""
        rng = random.Random(f"{self._seed}-{number}")
        began = time.monotonic()
        work = tasks(number, rng, self._place)
        drawn = rng.choices(list(_BLOWS), weights=[5, 2, 2, 2, 1, 1], k=rng.choice([1, 1, 2, 3]))
        blows = drawn if blows is None else blows
        beating = asyncio.create_task(self._strike(blows, rng))
        for task in work:
            await self._insist(partial(self._create, task))
        await self._on_the_way(work)
        await beating
        found = await self._await_ends(work)
        found += self._check(work, set(blows) <= {"server", "stop", "pause"})
        found += await self._clear(work, number)
        said = f"round {number}: {len(work)} Jobs, {' '.join(blows)}"
        self.violations += [f"{said}: {violation}" for violation in found]
        return f"{said}, {time.monotonic() - began:.1f} s" + "".join(f"\n  {f}" for f in found)

    def finish(self) -> None:
        """What can only be judged over all rounds: the CronJob's runs."""
        runs = sorted(name for name, _ in self._history.scheduled.values())
        wrong = checks.slots(runs, self._began, datetime.now(UTC))
        self.violations += [f"CronJob: {text}" for text in wrong]

    # ----- a round's steps

    async def _strike(self, blows: Sequence[str], rng: random.Random) -> None:
        for blow in blows:
            await asyncio.sleep(rng.random() * 0.8)
            await asyncio.to_thread(_BLOWS[blow], self.machine)

    async def _create(self, task: Task) -> None:
        try:
            await self._client.create(JOBS, msgspec.convert(task.manifest, m.Job))
        except ApiError as error:
            if error.reason != "AlreadyExists":  # a first try whose answer was lost
                raise

    async def _on_the_way(self, work: list[Task]) -> None:
        """What users do to Jobs that run."""
        for task in work:
            what, _, policy = task.after.partition("-")
            if what == "resume":
                await self._insist(partial(self._resume, task))
            elif what == "delete":
                await self._insist(partial(self._delete, task, policy))

    async def _resume(self, task: Task) -> None:
        await self._client.patch(JOBS, "default", task.name, {"spec": {"suspend": False}})

    async def _delete(self, task: Task, policy: str) -> None:
        try:
            await self._client.delete(JOBS, "default", task.name, propagation=policy)
        except ApiError as error:
            if error.code != 404:
                raise

    async def _await_ends(self, work: list[Task]) -> list[str]:
        """Wait for every Job; which did not end."""
        left = {task.name for task in work}
        try:
            async with asyncio.timeout(ROUND_SECONDS_MAX):
                while left:
                    await self._history.change()
                    left = {name for name in left if not self._is_over(name)}
                    for name in left - set(self._history.jobs):
                        if await self._insist(partial(self._is_gone, name)):
                            left.discard(name)  # came and went while no watch was there
        except TimeoutError:
            return [f"{name} did not end: {self._last(name)}" for name in sorted(left)]
        return []

    def _is_over(self, name: str) -> bool:
        seen = self._history.jobs.get(name)
        return seen is not None and (seen.deleted or checks.verdict(seen.last) != "")

    async def _is_gone(self, name: str) -> bool:
        try:
            await self._client.get(JOBS, "default", name)
        except ApiError as error:
            if error.code == 404:
                return True
            raise
        return False

    def _last(self, name: str) -> object:
        seen = self._history.jobs.get(name)
        return "never seen" if seen is None else seen.last

    def _check(self, work: list[Task], only_servers_died: bool) -> list[str]:
        ledger = self._place.ledger
        lines = checks.read_ledger(ledger.read_text() if ledger.exists() else "")
        found: list[str] = []
        for task in work:
            seen = self._history.jobs.get(task.name)
            if seen is None:
                continue
            found += checks.history(task.name, seen)
            if seen.deleted and not checks.verdict(seen.last):
                continue  # deleted by its user, or so soon that no watch told its end
            mine = [line for line in lines if line.job == task.name]
            found += checks.ending(task, seen)
            found += checks.runs(task, seen, mine, only_servers_died=only_servers_died)
        return found

    async def _clear(self, work: list[Task], number: int) -> list[str]:
        """Delete all that the round made; what does not go."""
        for task in work:
            await self._insist(partial(self._delete, task, "Background"))
        selector = f"{LABEL}=r{number}"
        deadline = time.monotonic() + 30
        while True:
            pods = await self._insist(lambda: self._client.list(PODS, label_selector=selector))
            jobs = await self._insist(lambda: self._client.list(JOBS, label_selector=selector))
            metas = [*(job.metadata for job in jobs.items), *(pod.metadata for pod in pods.items)]
            names = [meta.name for meta in metas if meta]
            # Orphans have nobody to delete them but us.
            for pod in pods.items:
                await self._insist(partial(self._delete_orphan, pod))
            left = [f"not deleted: {name}" for name in names]
            if not left:
                left = await asyncio.to_thread(self.machine.left_over)
            if not left or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.1)
        if self._place.ledger.exists() and not left:
            self._place.ledger.unlink()
        return left

    async def _delete_orphan(self, pod: m.Pod) -> None:
        assert pod.metadata is not None
        if pod.metadata.ownerReferences:
            return
        try:
            await self._client.delete(PODS, pod.metadata.namespace, pod.metadata.name or "")
        except ApiError as error:
            if error.code != 404:
                raise

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until a server answers."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return await ask()
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)


def _server(machine: Machine) -> None:
    machine.kill_server()
    machine.start()


def _stop(machine: Machine) -> None:
    machine.stop_server()
    machine.start()


def _both(machine: Machine) -> None:
    machine.kill_server()
    machine.kill_shim()
    machine.start()


def _power(machine: Machine) -> None:
    machine.cut_power()
    machine.start()


def _pause(machine: Machine) -> None:
    machine.pause()
    time.sleep(0.3)
    machine.resume()


_BLOWS: dict[str, Callable[[Machine], None]] = {
    "server": _server,
    "shim": Machine.kill_shim,
    "both": _both,
    "power": _power,
    "stop": _stop,
    "pause": _pause,
}
