"""Many Jobs made at once: what each costs until all are complete, ten thousand beside a thousand.

On virtual time as bench/scaling, each size in a process of its own: what is measured is our own
work, since scripted containers cost nothing.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import scaling
from bench.table import Row
from kubatch.api import models as m
from kubatch.api.conditions import is_true
from kubatch.api.resource import JOBS
from kubatch.sim.loop import VirtualLoop

SIZES = (1_000, 10_000)
SECONDS_MAX = 150


def rows() -> Iterator[Row]:
    """CPU time per Job of each size."""
    costs = [_cost_of(size) for size in SIZES]
    for size, cost in zip(SIZES[1:], costs[1:], strict=True):
        yield Row(f"{size:,} Jobs at once: CPU per Job", cost, "us", f"{SIZES[0]:,} Jobs", costs[0])


def _cost_of(size: int) -> float:
    argv = [sys.executable, "-m", "bench.many", str(size)]
    ran = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, timeout=SECONDS_MAX)
    return float(ran.stdout)


async def _measure(size: int, directory: Path) -> float:
    cluster = await scaling.started(directory)
    left, done = size, asyncio.Event()

    def saw(before: m.Job | None, after: m.Job | None) -> None:
        nonlocal left
        left -= _complete(after) and not _complete(before)
        if not left:
            done.set()

    cluster.caches.of(JOBS).add_listener(saw)
    begun = time.process_time()
    for number in range(size):
        await cluster.client.create(JOBS, scaling.job(f"many-{number}", 1, 1))
    await done.wait()
    cost = (time.process_time() - begun) / size * 1e6
    await cluster.stop(kill=True)
    return cost


def _complete(job: m.Job | None) -> bool:
    status = job.status if job is not None else None
    return status is not None and is_true(status.conditions, "Complete")


def main(size: int) -> None:
    """Measure in this process."""
    loop = VirtualLoop()
    with tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory:
        print(loop.run_until_complete(_measure(size, Path(directory))))
    loop.close()  # see bench/scaling


if __name__ == "__main__":
    main(int(sys.argv[1]))
