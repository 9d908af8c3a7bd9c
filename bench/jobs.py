"""Jobs over HTTPS, from their creation to their end."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import ClientSession

from bench import server
from bench.table import Row

LATENCY_RUNS = 20
COMPLETIONS = 2000
PARALLELISM = 32
SECONDS_MAX = 70.0


def rows() -> list[Row]:
    """One small Job at a time; then one large one."""
    with (
        tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory,
        # Its peers isolate nothing either; what a sandbox adds is told by bench/starts.
        server.running(Path(directory), "--runtime", "process") as running,
    ):
        return asyncio.run(_rows(running))


async def _rows(running: server.Server) -> list[Row]:
    spawned = [_spawn_seconds() for _ in range(LATENCY_RUNS)]
    async with server.connected(running) as session:
        times = await _latencies(server.finished_jobs(session), session)
    latency = Row(
        "process: create to Complete, /bin/true",
        statistics.median(times) * 1000,
        "ms",
        "subprocess.run",
        statistics.median(spawned) * 1000,
    )
    peer = _xargs_per_second()
    async with server.connected(running) as session:
        ours = await _completions_per_second(session)
    what = f"process: completions of /bin/true, {PARALLELISM} at a time"
    return [latency, Row(what, ours, "/s", "xargs -P2", peer)]


async def _latencies(finished: AsyncIterator[str], session: ClientSession) -> list[float]:
    times = []
    async with asyncio.timeout(SECONDS_MAX):
        for number in range(LATENCY_RUNS):
            name = f"latency-{number}"
            begun = time.perf_counter()
            await session.post(server.JOBS, json=server.job(name))
            while await anext(finished) != name:
                pass
            times.append(time.perf_counter() - begun)
    return times


async def _completions_per_second(session: ClientSession) -> float:
    wanted = server.job("many", completions=COMPLETIONS, parallelism=PARALLELISM)
    begun = time.perf_counter()
    await session.post(server.JOBS, json=wanted)
    try:
        async with asyncio.timeout(SECONDS_MAX):
            async for name in server.finished_jobs(session):
                if name == "many":
                    return COMPLETIONS / (time.perf_counter() - begun)
    except TimeoutError:
        pass
    async with session.get(f"{server.JOBS}/many") as response:
        done: int = (await response.json())["status"].get("succeeded", 0)
    return done / (time.perf_counter() - begun)


def _xargs_per_second() -> float:
    lines = "x\n" * COMPLETIONS
    begun = time.perf_counter()
    subprocess.run(["xargs", "-P2", "-n1", "/bin/true"], input=lines, text=True, check=True)
    return COMPLETIONS / (time.perf_counter() - begun)


def _spawn_seconds() -> float:
    begun = time.perf_counter()
    subprocess.run(["/bin/true"], check=True)
    return time.perf_counter() - begun
