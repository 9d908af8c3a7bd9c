"""Requests per second over HTTPS, and how soon many watchers hear of one commit.

The server only serves: no controllers and no agent, so that nothing else uses the machine. The
peer is a bare aiohttp server that answers without a thought, asked in the same way.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import aiohttp
from aiohttp import ClientSession, web

from bench import server
from bench.table import Row

CONNECTIONS = 32
SECONDS = 3.0  # of each measurement
LISTED = 500
WATCHERS = 100
COMMITS = 20
PEER = "bare aiohttp, no TLS"
SMALL = b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":200}'

Request = Callable[[ClientSession], Awaitable[None]]


def rows() -> list[Row]:
    """Creates, gets, lists, then a watch by many."""
    with (
        tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory,
        server.running(
            Path(directory), "--store", "sqlite", "--no-agent", "--no-controllers"
        ) as running,
    ):
        return asyncio.run(_rows(running))


async def _rows(running: server.Server) -> list[Row]:
    async with server.connected(running) as session:
        for number in range(LISTED):
            await session.post(_in("listed"), json=server.job(f"job-{number}"))
        creates = await _per_second(_create, session)
        gets = await _per_second(_get, session)
        listed = await _per_second(_list, session)
        delays = await _watch_delays(running)
    async with _bare() as session:
        posts = await _per_second(_post_bare, session)
        plain = await _per_second(_get_bare, session)
    watched = f"one commit seen by {WATCHERS} watchers"
    percents = statistics.quantiles(delays, n=100)
    return [
        Row(f"creates of Jobs, {CONNECTIONS} connections", creates, "/s", PEER, posts),
        Row(f"gets of a Job, {CONNECTIONS} connections", gets, "/s", PEER, plain),
        Row(f"lists of {LISTED} Jobs", listed, "/s", PEER, plain),
        Row(f"{watched}: p50", percents[49] * 1000, "ms"),
        Row(f"{watched}: p99", percents[98] * 1000, "ms"),
    ]
