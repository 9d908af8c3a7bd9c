"""What requests cost while there are more and more objects, or more and more namespaces.

One server that only serves; it grows from size to size, and each size is measured the same way.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections import defaultdict
from itertools import count
from pathlib import Path

import uvloop

from bench import http, load, server
from bench.table import Curve

OBJECTS = (1_000, 10_000, 100_000)
NAMESPACES = (1, 10, 100)
OBJECTS_IN_NAMESPACES = 5_000
SECONDS = 1.0  # of each measurement
WATCHERS = 20
COMMITS = 20
ALL_JOBS = "/apis/batch/v1/jobs"
FILL_SECONDS_MAX = 60.0  # then the largest size is left out

Measured = dict[tuple[str, str], list[tuple[int, float]]]


def rows() -> list[Curve]:
    """Objects first, then namespaces."""
    found = []
    for over, grow in (("objects", _objects), ("namespaces", _namespaces)):
        with (
            tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory,
            server.running(Path(directory), "--no-agent", "--no-controllers") as running,
        ):
            measured: Measured = defaultdict(list)
            uvloop.run(grow(server.target(running), measured))
        found += [
            Curve(what, unit, over, tuple(points)) for (what, unit), points in measured.items()
        ]
    return found


async def _objects(target: load.Target, measured: Measured) -> None:
    made, begin = http.creates(http.LISTED_JOBS), 0
    for size in OBJECTS:
        wanted = (next(made) for _ in range(size - begin))
        await load.per_second(target, wanted, http.CONNECTIONS, FILL_SECONDS_MAX)
        if next(wanted, None) is not None:
            print(f"growth: {size} objects were not made in time", file=sys.stderr)
            return
        begin = size
        gets = http.gets(OBJECTS[0])
        lists = http.lists(http.LISTED_JOBS)
        # What is made while one measures lies elsewhere.
        creates = http.creates(http.MADE_JOBS, size)
        await _measure(target, measured, size, (creates, gets, lists))


async def _namespaces(target: load.Target, measured: Measured) -> None:
    made = 0
    for size in NAMESPACES:
        for number in range(made, size):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"n{number}"}}
            one = load.request("POST", "/api/v1/namespaces", json.dumps(body).encode())
            await load.per_second(target, iter([one]), 1, 60)
        made = size
        spread = (server.jobs_in(f"n{n % size}") for n in range(OBJECTS_IN_NAMESPACES))
        jobs = [(path, f"s{size}-{n}") for n, path in enumerate(spread)]
        fill = (_post(path, name) for path, name in jobs)
        await load.per_second(target, fill, http.CONNECTIONS, FILL_SECONDS_MAX)
        if size == NAMESPACES[0]:
            first = iter([_post(http.LISTED_JOBS, "job-0")])  # that is watched
            await load.per_second(target, first, 1, 60)
        gets = (load.request("GET", "/".join(jobs[n * 7919 % len(jobs)])) for n in count())
        creates = (_post(server.jobs_in(f"n{n % size}"), f"c{size}-{n}") for n in count())
        await _measure(target, measured, size, (creates, gets, http.lists(ALL_JOBS)))


def _post(path: str, name: str) -> bytes:
    return load.request("POST", path, json.dumps(server.job(name)).encode())


async def _measure(
    target: load.Target, measured: Measured, size: int, asked: tuple[load.Requests, ...]
) -> None:
    names = ("creates", "gets", f"lists of {http.LISTED}")
    for name, requests in zip(names, asked, strict=True):
        clients = http.LISTERS if name.startswith("lists") else http.CONNECTIONS
        rate = await load.per_second(target, requests, clients, SECONDS)
        measured[name, "/s"].append((size, rate))
    late = await http.delays(target, f"{http.LISTED_JOBS}/job-0", WATCHERS, COMMITS)
    what = f"a commit at each of {WATCHERS} watchers, p50"
    measured[what, "ms"].append((size, statistics.median(late) * 1000))
