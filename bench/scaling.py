"""What one more completion costs when there were many: one Job, from 1,000 to 100,000 of them.

The whole control plane and node agent run on virtual time over containers that are scripts, so
what is measured is our own work alone. Each size has a process of its own, for its memory.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.table import Row
from kubatch.api import models as m
from kubatch.api.conditions import is_true
from kubatch.api.resource import JOBS
from kubatch.cluster import Cluster
from kubatch.runtime.protocol import Container, ContainerSpec
from kubatch.settings import Settings
from kubatch.sim.loop import VirtualLoop
from kubatch.sim.runtime import Exit, ScriptedRuntime
from kubatch.sim.world import SimClock, SimWorld, chance
from kubatch.store.memory import MemoryStore

SIZES = (1_000, 5_000, 20_000)
LARGE = 100_000  # two minutes or more: only with BENCH_LARGE=1
PARALLELISM = 100
# Beyond 12,500 finished pods the oldest are collected, and a mean over all would say too little.
MEMORY_SIZE = 5_000
LOOK_SECONDS = 5.0  # of virtual time


def rows() -> Iterator[Row]:
    """CPU time per completion for each size beside the smallest, then memory per pod."""
    sizes = (*SIZES, LARGE) if os.environ.get("BENCH_LARGE") == "1" else SIZES
    measured = {size: _elsewhere(size) for size in sizes}
    base = measured[sizes[0]][0]
    for size, (cpu, _) in measured.items():
        what = f"CPU per completion of a Job of {size:,}"
        yield Row(what, cpu, "us", f"of {sizes[0]:,}", base)
    yield Row("memory per finished pod, events too", measured[MEMORY_SIZE][1], "KiB")


def _elsewhere(size: int) -> tuple[float, float]:
    """Microseconds of CPU per completion, and KiB of resident memory, in a new process."""
    argv = [sys.executable, "-m", "bench.scaling", str(size)]
    ran = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True)
    cpu, memory = json.loads(ran.stdout)
    return cpu, memory


class _Forgetful(ScriptedRuntime):
    """Does not remember every start, which is for tests to look at."""

    async def start(self, spec: ContainerSpec) -> Container:
        seen = await super().start(spec)
        self.started.clear()
        return seen


async def _measure(size: int, directory: Path) -> tuple[float, float]:
    world = SimWorld(SimClock(), chance(0, "world"))
    lengths = chance(0, "work")
    # Ends that are spread, as those of real work: a hundred in one moment would be one turn.
    programs = {"work": lambda _: Exit(0, after=lengths.uniform(0.5, 1.5))}
    settings = Settings(data_dir=directory, store="memory", node_name="bench")
    runtime = _Forgetful(world, programs)
    cluster = Cluster(settings, world, MemoryStore(settings.history_changes_max), runtime)
    await cluster.start(serve=False)
    await asyncio.sleep(LOOK_SECONDS)
    memory, cpu = _resident_kib(), time.process_time()
    await cluster.client.create(JOBS, _job(size))
    while not is_true((await _status(cluster)).conditions, "Complete"):
        await asyncio.sleep(LOOK_SECONDS)
    cpu = time.process_time() - cpu
    memory = _resident_kib() - memory
    assert (await _status(cluster)).succeeded == size
    await cluster.stop(kill=True)
    return cpu / size * 1e6, memory / size


async def _status(cluster: Cluster) -> m.JobStatus:
    job = await cluster.client.get(JOBS, "default", "many")
    assert job.status is not None
    return job.status


def _job(size: int) -> m.Job:
    container = m.Container(name="work", image="busybox", command=["work"])
    spec = m.PodSpec(containers=[container], restartPolicy="Never")
    return m.Job(
        metadata=m.ObjectMeta(name="many", namespace="default"),
        spec=m.JobSpec(
            completions=size, parallelism=PARALLELISM, template=m.PodTemplateSpec(spec=spec)
        ),
    )


def _resident_kib() -> float:
    """What is resident once everything that is free was given back."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1024


def main(size: int) -> None:
    """Measure one size in this process; two numbers as JSON."""
    with (
        tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory,
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        print(json.dumps(runner.run(_measure(size, Path(directory)))))


if __name__ == "__main__":
    main(int(sys.argv[1]))
