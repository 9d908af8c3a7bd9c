"""What one more completion costs when there were many: one Job of 20,000, or of 100,000.

The whole control plane and node agent run on virtual time over containers that are scripts, so
what is measured is our own work alone, in a process of its own for its memory.
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

# Completions after which we look.
LOOKS = (1_000, 5_000)
LARGE = 100_000  # takes some minutes: only with BENCH_LARGE=1
PARALLELISM = 100
SECONDS_MAX = 150
START_SECONDS = 5.0  # of virtual time


def rows() -> Iterator[Row]:
    """CPU time of each further completion beside the first ones', then memory per pod."""
    looks = (*LOOKS, LARGE) if os.environ.get("BENCH_LARGE") == "1" else LOOKS
    argv = [sys.executable, "-m", "bench.scaling", *map(str, looks)]
    limit = None if looks[-1] == LARGE else SECONDS_MAX
    ran = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, timeout=limit)
    costs, memory, resident = json.loads(ran.stdout)
    for begun, end, cost in zip((0, *looks), looks, costs, strict=False):
        what = f"CPU per completion, {begun:,} to {end:,} of one Job"
        yield Row(what, cost, "us", f"the first {looks[0]:,}", costs[0])
    yield Row("memory per finished pod, with its events", memory, "KiB")
    if looks[-1] == LARGE:
        yield Row(f"memory at {LARGE:,} completions", resident / 1024, "MiB")


class _Forgetful(ScriptedRuntime):
    """Does not remember every start, which is for tests to look at."""

    async def start(self, spec: ContainerSpec) -> Container:
        seen = await super().start(spec)
        self.started.clear()
        return seen


class _Looks:
    """Looks at the process each time that so many completions are counted."""

    def __init__(self, looks: list[int]) -> None:
        self.costs: list[float] = []  # microseconds per completion since the look before
        self.memory = 0.0  # KiB per pod
        self.complete = asyncio.Event()
        self._left = looks
        self._done = 0
        self._resident = self.resident = _resident_kib()
        self._cpu = time.process_time()

    def saw(self, before: m.Job | None, after: m.Job | None) -> None:
        """One version of the Job."""
        status = after.status if after is not None else None
        if status is None:
            return
        done = status.succeeded or 0
        while self._left and done >= self._left[0]:
            self._left.pop(0)
            self._look(done)
        if is_true(status.conditions, "Complete"):
            self.complete.set()

    def _look(self, done: int) -> None:
        self.costs.append((time.process_time() - self._cpu) / (done - self._done) * 1e6)
        self.resident = _resident_kib()
        if done <= LOOKS[1] + PARALLELISM:
            self.memory = (self.resident - self._resident) / done
        self._done = done
        self._cpu = time.process_time()


async def started(directory: Path) -> Cluster:
    """A control plane and an agent on virtual time, over containers that are scripts."""
    world = SimWorld(SimClock(), chance(0, "world"))
    lengths = chance(0, "work")
    # Ends that are spread, as those of real work: a hundred in one moment would be one turn.
    programs = {"work": lambda _: Exit(0, after=lengths.uniform(0.5, 1.5))}
    settings = Settings(data_dir=directory, store="memory", node_name="bench")
    runtime = _Forgetful(world, programs)
    cluster = Cluster(settings, world, MemoryStore(settings.history_changes_max), runtime)
    await cluster.start(serve=False)
    await asyncio.sleep(START_SECONDS)
    return cluster


async def _measure(looks: list[int], directory: Path) -> tuple[list[float], float, float]:
    cluster = await started(directory)
    seen = _Looks(list(looks))
    cluster.caches.of(JOBS).add_listener(seen.saw)
    await cluster.client.create(JOBS, job("many", looks[-1], PARALLELISM))
    await seen.complete.wait()
    await cluster.stop(kill=True)
    return seen.costs, seen.memory, seen.resident


def job(name: str, completions: int, parallelism: int) -> m.Job:
    """A Job of the scripted program."""
    container = m.Container(name="work", image="busybox", command=["work"])
    template = m.PodTemplateSpec(spec=m.PodSpec(containers=[container], restartPolicy="Never"))
    return m.Job(
        metadata=m.ObjectMeta(name=name, namespace="default"),
        spec=m.JobSpec(completions=completions, parallelism=parallelism, template=template),
    )


def _resident_kib() -> float:
    """What is resident once everything that is free was given back."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1024


def main(looks: list[int]) -> None:
    """Measure in this process; the costs and the memory as JSON."""
    loop = VirtualLoop()
    with tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory:
        print(json.dumps(loop.run_until_complete(_measure(looks, Path(directory)))))
    # Not asyncio.run: it waits for threads of the real world, for which virtual time has no wait.
    loop.close()


if __name__ == "__main__":
    main([int(look) for look in sys.argv[1:]])
