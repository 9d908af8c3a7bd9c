"""Requests per second over HTTPS, and how soon many watchers hear of one commit.

The server only serves: no controllers and no agent, so that nothing else uses the machine. The
client is a small one (bench/load) on a core of its own; the peer is asked by the same client.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import uvloop

from bench import bare, load, server
from bench.table import Row

CONNECTIONS = 32
SECONDS = 2.0  # of each measurement
LISTED = 500
LISTERS = 2  # as many as there may be cores: a list is long work
WATCHERS = (100, 500)
COMMITS = 30
SECONDS_MAX = 30.0
BARE = "bare aiohttp"
CLUSTER = "kube-apiserver"
LISTED_JOBS = server.jobs_in("default")
MADE_JOBS = server.jobs_in("kube-public")
CREATES = f"HTTPS: creates of Jobs, {CONNECTIONS} at a time"
GETS = f"HTTPS: gets of a Job, {CONNECTIONS} at a time"
LISTS = f"HTTPS: lists of {LISTED} Jobs, {LISTERS} at a time"
MERGE = "application/merge-patch+json"


def rows() -> list[Row]:
    """Creates, gets, lists, then a watch by many."""
    with (
        tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory,
        server.running(
            Path(directory), "--store", "sqlite", "--no-agent", "--no-controllers"
        ) as running,
        bare.running(Path(directory) / "data" / "pki") as address,
    ):
        return uvloop.run(_rows(server.target(running), address))


async def _rows(target: load.Target, bare_address: str) -> list[Row]:
    peer = (bare_address, target[1])
    posts = await load.per_second(peer, creates(), CONNECTIONS, SECONDS)
    plain = await load.per_second(peer, gets(LISTED), CONNECTIONS, SECONDS)
    await fill(target, LISTED)
    made = await load.per_second(target, creates(), CONNECTIONS, SECONDS)
    got = await load.per_second(target, gets(LISTED), CONNECTIONS, SECONDS)
    listed = await load.per_second(target, lists(LISTED_JOBS), LISTERS, SECONDS)
    watched = {n: await delays(target, f"{LISTED_JOBS}/job-0", n, COMMITS) for n in WATCHERS}
    found = [
        Row(CREATES, made, "/s", BARE, posts),
        Row(GETS, got, "/s", BARE, plain),
        Row(LISTS, listed, "/s"),
    ]
    if shutil.which(CLUSTER) is None:
        found.insert(1, Row(CREATES, made, "/s", CLUSTER))
    return [*found, *(row for n, late in watched.items() for row in _watch_rows(n, late))]


def _watch_rows(watchers: int, late: list[float]) -> list[Row]:
    percents = statistics.quantiles(late, n=100)
    watched = f"HTTPS: a commit at each of {watchers} watchers"
    return [
        Row(f"{watched}, p50", percents[49] * 1000, "ms"),
        Row(f"{watched}, p99", percents[98] * 1000, "ms"),
    ]


def creates(path: str = MADE_JOBS, start: int = 0) -> Iterator[bytes]:
    """Requests that make Jobs, one after the other, without end."""
    return (
        load.request("POST", path, json.dumps(server.job(f"job-{n}")).encode())
        for n in count(start)
    )


def gets(among: int, path: str = LISTED_JOBS) -> Iterator[bytes]:
    """Requests for one Job of so many each."""
    return (load.request("GET", f"{path}/job-{n * 7919 % among}") for n in count())


def lists(path: str) -> Iterator[bytes]:
    """The same list again and again, a page at most."""
    wanted = load.request("GET", f"{path}?limit={LISTED}")
    return (wanted for _ in count())


async def fill(target: load.Target, jobs: int) -> None:
    """Make so many Jobs to get and list."""
    made = creates(LISTED_JOBS)
    await load.per_second(target, (next(made) for _ in range(jobs)), CONNECTIONS, 600)


async def delays(target: load.Target, job: str, watchers: int, commits: int) -> list[float]:
    """Seconds from sending each change of a Job until each of its watchers has read the event."""
    collection, _, name = job.rpartition("/")
    watched = f"{collection}?watch=true&fieldSelector=metadata.name%3D{name}"
    watches = await load.watch(target, watched, watchers)
    writer = await load.sender(target)
    found: list[float] = []
    async with asyncio.timeout(SECONDS_MAX):
        await watches.moments()  # the Job as it is now
        for number in range(commits):
            change = json.dumps({"metadata": {"labels": {"seen": f"{watchers}-{number}"}}})
            begun = time.perf_counter()
            writer.write(load.request("PATCH", job, change.encode(), MERGE))
            found += [moment - begun for moment in await watches.moments()]
    writer.close()
    watches.close()
    return found
