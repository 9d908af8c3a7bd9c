"""A real server, its pods as a watch tells of them, and what they take and leave on the machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from kubatch.api import models as m
from kubatch.api.resource import EVENTS, JOBS, PODS
from kubatch.client import kubeconfig
from kubatch.client.cache import Cache
from kubatch.client.http import HttpClient
from kubatch.world import World
from tests.chaos.machine import MARK, Machine
from tests.kubectl import tools

SECONDS_MAX = 60.0


class Stage:
    """One machine, and somebody who watches its pods and Jobs."""

    def __init__(self, machine: Machine, client: HttpClient) -> None:
        self.machine = machine
        self.client = client
        self._pods: Cache[m.Pod] = Cache(client, PODS, namespace="default")
        self._jobs: Cache[m.Job] = Cache(client, JOBS, namespace="default")
        self._changed = asyncio.Event()
        self._tasks = []
        for cache in (self._pods, self._jobs):
            cache.add_listener(lambda *_: self._changed.set())
            self._tasks.append(asyncio.create_task(cache.run()))

    async def create(self, name: str, script: str, **spec: Any) -> None:
        """A pod of one container that runs a shell script."""
        meta = {"name": name, "namespace": "default"}
        pod = {"metadata": meta, "spec": self.spec(script, **spec)}
        await self.client.create(PODS, msgspec.convert(pod, m.Pod))

    async def create_job(self, name: str, script: str, **spec: Any) -> None:
        """A Job of such pods."""
        job = {
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {**spec, "template": {"spec": self.spec(script)}},
        }  # fmt: skip
        await self.client.create(JOBS, msgspec.convert(job, m.Job))

    def spec(self, script: str, **more: Any) -> dict[str, Any]:
        """Its container carries the mark by which its processes are found again."""
        container = {
            "name": "main", "image": "none", "command": ["sh", "-c", script],
            "env": [{"name": MARK, "value": str(self.machine.data_dir)}],
            **more.pop("container", {}),
        }  # fmt: skip
        return {"restartPolicy": "Never", "containers": [container], **more}

    async def delete(self, name: str, grace: int = 1) -> None:
        await self.client.delete(PODS, "default", name, grace_period_seconds=grace)

    async def delete_job(self, name: str) -> None:
        await self.client.delete(JOBS, "default", name, propagation="Background")

    async def pod(self, name: str, check: Callable[[m.PodStatus], bool]) -> m.PodStatus:
        """A pod's status, once it is as wanted."""
        await self._until(lambda: self._shown(name) is not None and check(self.status(name)), name)
        return self.status(name)

    async def gone(self, *names: str) -> None:
        """Until the API has none of these pods."""
        await self._until(lambda: all(self._shown(name) is None for name in names), *names)

    async def job(self, name: str, condition: str = "Complete") -> m.JobStatus:
        """A Job's status, once it has ended so."""

        def ended() -> bool:
            job = self._jobs.get("default", name)
            conditions = (job.status.conditions if job and job.status else None) or ()
            return any(c.type == condition and c.status == "True" for c in conditions)

        await self._until(ended, name)
        job = self._jobs.get("default", name)
        assert job is not None
        assert job.status is not None
        return job.status

    async def no_pods(self) -> None:
        await self._until(lambda: not self._pods.list(), "all")

    def pods(self) -> list[m.Pod]:
        return list(self._pods.list())

    def status(self, name: str) -> m.PodStatus:
        pod = self._shown(name)
        assert pod is not None
        return pod.status or m.PodStatus()

    async def events(self, name: str) -> list[tuple[str, str]]:
        """Reason and message of what was told about a pod."""
        found = await self.client.list(EVENTS, "default")
        return [(e.reason or "", e.message or "") for e in found.items
                if e.involvedObject.name == name]  # fmt: skip

    async def nothing_left(self) -> None:
        """Until what deleted pods had is gone from the machine."""
        left: list[str] = ["?"]

        def look() -> bool:
            left[:] = self.machine.left_over()
            return not left

        await asyncio.to_thread(tools.eventually, look, seconds=10)
        assert left == []

    async def keep_port(self) -> None:
        """The next server answers where this one does."""
        port = urlsplit(kubeconfig.read(self.machine.kubeconfig).server).port
        assert port is not None
        self.machine.keep_port(port)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _shown(self, name: str) -> m.Pod | None:
        return self._pods.get("default", name)

    async def _until(self, check: Callable[[], bool], *about: str) -> None:
        try:
            async with asyncio.timeout(SECONDS_MAX):
                while not check():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            shown = [(name, self._shown(name) and self.status(name)) for name in about]
            raise AssertionError(f"waited in vain: {shown}") from None


@asynccontextmanager
async def stage(directory: Path, runtime: str, *options: str) -> AsyncIterator[Stage]:
    """Use as a context: a server runs within, and its pods end with it."""
    machine = Machine(directory, runtime, *options)
    await asyncio.to_thread(machine.start)
    try:
        async with HttpClient(kubeconfig.read(machine.kubeconfig), World(), "stress") as client:
            on = Stage(machine, client)
            await on.keep_port()
            try:
                yield on
            finally:
                await on.close()
    finally:
        await asyncio.to_thread(machine.end)


def memory(pid: int) -> int:
    """The resident memory of a process, in bytes."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def disk(directory: Path) -> int:
    """What the files below a directory hold, in bytes."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
