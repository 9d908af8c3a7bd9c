"""From a pod that has its node to its running process, and processes per second beside spawns.

The moment at which a process runs is what it writes itself, from the clock that all processes of a
machine share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from bench import server
from bench.table import Row
from kubatch.runtime import sandbox
from kubatch.runtime.process import ProcessRuntime
from kubatch.runtime.protocol import ContainerId, ContainerSpec, ContainerState, Runtime

PODS = "/api/v1/namespaces/default/pods"
RUNS = 15
SPAWNS = 400
SPAWNING = 32  # at a time
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
BARE = "posix_spawn"
SECONDS_MAX = 60.0


def rows() -> Iterator[Row]:
    """Both runtimes, or the one that works here."""
    with tempfile.TemporaryDirectory(prefix="kubatch-bench-") as name:
        directory = Path(name)
        spawned = statistics.median(_bare_seconds() for _ in range(RUNS)) * 1000
        rate = _bare_per_second()
        runtimes = ("process",) if sandbox.available() else ("process", "sandbox")
        for runtime in runtimes:
            home = directory / runtime
            home.mkdir()
            with server.running(home, "--runtime", runtime) as running:
                late = statistics.median(asyncio.run(_delays(running))) * 1000
            yield Row(f"{runtime}: bound pod created to process running", late, "ms", BARE, spawned)
            ours = asyncio.run(_per_second(runtime, home / "alone"))
            yield Row(f"{runtime}: /bin/true runs, {SPAWNING} at a time", ours, "/s", BARE, rate)


async def _delays(running: server.Server) -> list[float]:
    """Seconds from before the creation of pods that have a node to their own first words."""
    async with server.connected(running) as session, asyncio.timeout(SECONDS_MAX):
        node = await _node(session)
        # The first pod pays for what is loaded late.
        return [await _delay(session, f"start-{number}", node) for number in range(RUNS + 1)][1:]


async def _node(session: ClientSession) -> str:
    async with session.get("/api/v1/nodes", params={"watch": "true"}) as response:
        async for line in response.content:
            name: str = json.loads(line)["object"]["metadata"]["name"]
            return name
    raise RuntimeError("no node came")


async def _delay(session: ClientSession, name: str, node: str) -> float:
    watched = {"watch": "true", "fieldSelector": f"metadata.name={name}"}
    async with session.get(PODS, params=watched) as response:
        begun = time.time()
        await session.post(PODS, json=_pod(name, node))
        async for line in response.content:
            if json.loads(line)["object"]["status"]["phase"] in ("Succeeded", "Failed"):
                break
    async with session.get(f"{PODS}/{name}/log") as response:
        return float(await response.text()) - begun


def _pod(name: str, node: str) -> dict[str, Any]:
    container = {"name": "date", "image": "busybox", "command": ["date", "+%s.%N"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"nodeName": node, "restartPolicy": "Never", "containers": [container]},
    }


async def _per_second(name: str, directory: Path) -> float:
    """Starts of the runtime alone, until each end was seen."""
    make = ProcessRuntime if name == "process" else sandbox.SandboxRuntime
    runtime: Runtime = make(directory / "runtime")
    await runtime.open()
    try:
        begun = time.perf_counter()
        async with asyncio.timeout(SECONDS_MAX), asyncio.TaskGroup() as tasks:
            ends = tasks.create_task(_see_ends(runtime))
            room = asyncio.Semaphore(SPAWNING)
            for number in range(SPAWNS):
                await room.acquire()
                task = tasks.create_task(runtime.start(_true(number, directory)))
                task.add_done_callback(lambda _: room.release())
            await ends
        return SPAWNS / (time.perf_counter() - begun)
    finally:
        await runtime.close(kill=True)


async def _see_ends(runtime: Runtime) -> None:
    ended = 0
    async for seen in runtime.changes():
        if seen.state is ContainerState.EXITED:
            if seen.exit_code != 0:
                raise RuntimeError(f"/bin/true: {seen.reason} {seen.message}")
            ended += 1
            if ended == SPAWNS:
                return


def _true(number: int, directory: Path) -> ContainerSpec:
    id = ContainerId(f"pod-{number}", "true", 0)
    return ContainerSpec(id, ("/bin/true",), ENV, None, directory / "logs" / f"{number}.log")


def _bare_per_second() -> float:
    begun = time.perf_counter()
    running: list[int] = []
    for _ in range(SPAWNS):
        if len(running) == SPAWNING:
            os.waitpid(running.pop(0), 0)
        running.append(os.posix_spawn("/bin/true", ["/bin/true"], ENV))
    for pid in running:
        os.waitpid(pid, 0)
    return SPAWNS / (time.perf_counter() - begun)


def _bare_seconds() -> float:
    """From before a spawn to the program's own first words."""
    reading, writing = os.pipe()
    with contextlib.closing(os.fdopen(reading)) as output:
        begun = time.time()
        actions = [(os.POSIX_SPAWN_DUP2, writing, 1)]
        pid = os.posix_spawnp("date", ["date", "+%s.%N"], ENV, file_actions=actions)
        os.close(writing)
        os.waitpid(pid, 0)
        return float(output.read()) - begun
