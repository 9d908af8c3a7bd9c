"""A server with a past that has nothing to do; and `kubatch run` from prompt to prompt."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import server
from bench.budgets import IDLE
from bench.table import Row

CRONJOBS = 100
JOBS = 1000
AT_ONCE = 16
SETTLE_SECONDS = 5.0
IDLE_SECONDS = 20.0
SECONDS_MAX = 120.0
RUNS = 5
CRON_PATH = server.JOBS.replace("/jobs", "/cronjobs")


def rows() -> Iterator[Row]:
    """A short-lived control plane, then a long-lived one."""
    with tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory:
        home = Path(directory)
        manifest = home / "job.json"
        manifest.write_text(json.dumps(server.job("true")), encoding="utf-8")
        argv = [str(server.KUBATCH), "run", "-f", str(manifest)]
        whole = statistics.median(_seconds(argv) for _ in range(RUNS)) * 1000
        bare = statistics.median(_seconds([sys.executable, "-c", "pass"]) for _ in range(RUNS))
        what = "kubatch run of one Job, prompt to prompt"
        yield Row(what, whole, "ms", "python -c pass", bare * 1000)
        with server.running(home, "--runtime", "process") as running:
            yield Row("1,000 Jobs at once, all complete", asyncio.run(_past(running)), "Jobs/s")
            time.sleep(SETTLE_SECONDS)
            begun = _cpu_seconds(running.pid)
            time.sleep(IDLE_SECONDS)
            used = (_cpu_seconds(running.pid) - begun) / IDLE_SECONDS
            yield Row(f"{IDLE}: CPU", used * 100, "% of a core")
            yield Row(f"{IDLE}: memory", _resident_mib(running.pid), "MiB")


async def _past(running: server.Server) -> float:
    """Make the CronJobs, and the Jobs run; these per second."""
    room = asyncio.Semaphore(AT_ONCE)
    async with server.connected(running) as session, asyncio.timeout(SECONDS_MAX):

        async def make(path: str, body: dict[str, Any]) -> None:
            async with room, session.post(path, json=body) as response:
                await response.read()

        await asyncio.gather(*(make(CRON_PATH, _cronjob(n)) for n in range(CRONJOBS)))
        begun = time.perf_counter()
        making = asyncio.gather(*(make(server.JOBS, server.job(f"past-{n}")) for n in range(JOBS)))
        done: set[str] = set()
        finished = server.finished_jobs(session)
        while len(done) < JOBS:
            done.add(await anext(finished))
        seconds = time.perf_counter() - begun
        await making
        await finished.aclose()
        return JOBS / seconds


def _cronjob(number: int) -> dict[str, Any]:
    job = server.job(f"yearly-{number}")
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job["spec"]}}
    return {**job, "kind": "CronJob", "spec": spec}


def _cpu_seconds(pid: int) -> float:
    """Of all threads so far, in steps that are finer than those of /proc/PID/stat."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text(encoding="ascii").split()[0]) for each in threads) / 1e9


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no VmRSS of process {pid}")


def _seconds(argv: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True, timeout=SECONDS_MAX)
    return time.perf_counter() - begun
