"""Requests per second over HTTPS, and how soon many watchers hear of one commit.

The server only serves: no controllers and no agent, so that nothing else uses the machine. Our
client is one process on one core, and may well be what limits the cheaper requests; the peer, which
is asked by the same client, shows where that is.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import uvloop
from aiohttp import ClientSession, ClientTimeout

from bench import bare, server
from bench.table import Row

CONNECTIONS = 32
SECONDS = 2.0  # of each measurement
LISTED = 500
LISTERS = 2  # as many as there may be cores: a list is long work
WATCHERS = 100
COMMITS = 30
PEER = "bare aiohttp"
LISTED_JOBS = server.jobs_in("default")
MADE_JOBS = server.jobs_in("kube-public")

Ask = Callable[[ClientSession, int], Awaitable[None]]


def rows() -> list[Row]:
    """Creates, gets, lists, then a watch by many."""
    with (
        tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory,
        server.running(
            Path(directory), "--store", "sqlite", "--no-agent", "--no-controllers"
        ) as running,
        bare.running(Path(directory) / "data" / "pki") as address,
    ):
        return uvloop.run(_rows(running, address))


async def _rows(running: server.Server, address: str) -> list[Row]:
    async with server.connected(running, address=address) as session:
        posts = await _per_second(session, _create, CONNECTIONS)
        plain = await _per_second(session, _get, CONNECTIONS)
    async with server.connected(running) as session:
        for number in range(LISTED):
            await session.post(LISTED_JOBS, json=server.job(f"job-{number}"))
        creates = await _per_second(session, _create, CONNECTIONS)
        gets = await _per_second(session, _get, CONNECTIONS)
        lists = await _per_second(session, _list, LISTERS)
        delays = await _watch_delays(session)
    percents = statistics.quantiles(delays, n=100)
    watched = f"HTTPS: a commit at each of {WATCHERS} watchers"
    return [
        Row(f"HTTPS: creates of Jobs, {CONNECTIONS} at a time", creates, "/s", PEER, posts),
        Row(f"HTTPS: gets of a Job, {CONNECTIONS} at a time", gets, "/s", PEER, plain),
        Row(f"HTTPS: lists of {LISTED} Jobs, {LISTERS} at a time", lists, "/s"),
        Row(f"{watched}, p50", percents[49] * 1000, "ms"),
        Row(f"{watched}, p99", percents[98] * 1000, "ms"),
    ]


async def _per_second(session: ClientSession, ask: Ask, clients: int) -> float:
    """Requests of clients that each wait for their answers."""
    numbers, end = count(), time.perf_counter() + SECONDS

    async def client() -> int:
        answered = 0
        while time.perf_counter() < end:
            await ask(session, next(numbers))
            answered += 1
        return answered

    begun = time.perf_counter()
    done = sum(await asyncio.gather(*(client() for _ in range(clients))))
    return done / (time.perf_counter() - begun)


async def _create(session: ClientSession, number: int) -> None:
    async with session.post(MADE_JOBS, json=server.job(f"job-{number}")) as response:
        await response.read()


async def _get(session: ClientSession, number: int) -> None:
    async with session.get(f"{LISTED_JOBS}/job-{number % LISTED}") as response:
        await response.read()


async def _list(session: ClientSession, number: int) -> None:
    async with session.get(LISTED_JOBS) as response:
        await response.read()


async def _watch_delays(session: ClientSession) -> list[float]:
    """Seconds from sending each change until each watcher has read its event."""
    async with session.get(LISTED_JOBS, params={"limit": "1"}) as response:
        revision = (await response.json())["metadata"]["resourceVersion"]
    params = {"watch": "true", "resourceVersion": revision}
    heard: asyncio.Queue[float] = asyncio.Queue()
    ready: asyncio.Queue[None] = asyncio.Queue()

    async def watcher() -> None:
        timeout = ClientTimeout(total=None)
        async with session.get(LISTED_JOBS, params=params, timeout=timeout) as response:
            ready.put_nowait(None)
            async for _ in response.content:
                heard.put_nowait(time.perf_counter())

    delays: list[float] = []
    watchers = [asyncio.create_task(watcher()) for _ in range(WATCHERS)]
    for _ in watchers:
        await ready.get()
    for number in range(COMMITS):
        begun = time.perf_counter()
        change = {"metadata": {"labels": {"seen": str(number)}}}
        headers = {"Content-Type": "application/merge-patch+json"}
        await session.patch(f"{LISTED_JOBS}/job-0", json=change, headers=headers)
        delays += [await heard.get() - begun for _ in watchers]
    for task in watchers:
        task.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)
    return delays
