"""Jobs over HTTPS, from their creation to their end.

The moment at which a process runs is what it writes itself, `date` being its program, and its last
word is its end: one clock is shared by all processes of a machine.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from bench import server
from bench.budgets import MANY
from bench.table import Row

LATENCY_RUNS = 100
SPAWNS = 20
COMPLETIONS = 2000
PARALLELISM = 32
SECONDS_MAX = 70.0
PODS = "/api/v1/namespaces/default/pods"
PEERS = {
    "xargs -P2": ["xargs", "-P2", "-n1", "/bin/true"],
    "GNU parallel": ["parallel", "-j2", "/bin/true"],
}


def rows() -> list[Row]:
    """One small Job at a time; then one large one."""
    with (
        tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory,
        # Its peers isolate nothing either; what a sandbox adds is told by bench/starts.
        server.running(Path(directory), "--runtime", "process") as running,
    ):
        return asyncio.run(_rows(running))


async def _rows(running: server.Server) -> list[Row]:
    async with server.connected(running) as session:
        found = await _latencies(session)
        ours = await _completions_per_second(session)
    return [*found, *(Row(MANY, ours, "/s", peer, _peer(argv)) for peer, argv in PEERS.items())]


async def _latencies(session: ClientSession) -> list[Row]:
    begun, ended = {}, {}
    finished = server.finished_jobs(session)
    async with asyncio.timeout(SECONDS_MAX):
        for number in range(LATENCY_RUNS):
            name = f"latency-{number}"
            begun[name] = time.time()
            await session.post(server.JOBS, json=_date(name))
            while await anext(finished) != name:
                pass
            ended[name] = time.time()
        ran = await _moments(session)
    await finished.aclose()
    spawned = statistics.median(_spawn_seconds() for _ in range(SPAWNS)) * 1000
    whole = statistics.median(ended[name] - begun[name] for name in begun) * 1000
    return [
        *_percentiles("Job created to its process running", [ran[n] - begun[n] for n in begun]),
        *_percentiles("process exit to Complete on a watch", [ended[n] - ran[n] for n in begun]),
        Row("one-pod Job created to Complete, p50", whole, "ms", "subprocess.run", spawned),
    ]


def _percentiles(what: str, seconds: list[float]) -> Iterator[Row]:
    percents = statistics.quantiles(seconds, n=100)
    yield Row(f"{what}, p50", percents[49] * 1000, "ms")
    yield Row(f"{what}, p99", percents[98] * 1000, "ms")


async def _moments(session: ClientSession) -> dict[str, float]:
    """What each Job's process wrote."""
    async with session.get(PODS) as response:
        pods = (await response.json())["items"]
    found = {}
    for pod in pods:
        name = pod["metadata"]["name"]
        async with session.get(f"{PODS}/{name}/log") as response:
            found[name.rpartition("-")[0]] = float(await response.text())
    return found


def _date(name: str) -> dict[str, Any]:
    made = server.job(name)
    made["spec"]["template"]["spec"]["containers"][0]["command"] = ["date", "+%s.%N"]
    return made


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


def _peer(argv: list[str]) -> float | None:
    """Its runs of /bin/true per second; None where it is not installed."""
    if shutil.which(argv[0]) is None:
        return None
    lines = "x\n" * COMPLETIONS
    begun = time.perf_counter()
    subprocess.run(argv, input=lines, text=True, check=True, stderr=subprocess.DEVNULL, timeout=60)
    return COMPLETIONS / (time.perf_counter() - begun)


def _spawn_seconds() -> float:
    begun = time.perf_counter()
    subprocess.run(["date"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun
