"""Many seeds, on all processors: each seed runs alone, so it matters to none where it runs."""

from __future__ import annotations

import gc
import multiprocessing
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from kubatch.sim.run import run_seed

CHUNK = 10  # seeds that one worker runs before it reports


@dataclass(frozen=True)
class Result:
    """What is told of a seed: everything but its trace."""

    seed: int
    complaints: tuple[str, ...]
    trace_crc: int
    seconds: float  # of virtual time
    writes: int
    pods: int
    crashes: int


def run_chunk(seeds: Sequence[int]) -> list[Result]:
    """Run seeds one after another."""
    gc.freeze()  # what is loaded by now stays, and need not be looked through after each seed
    results = []
    with tempfile.TemporaryDirectory(prefix="kubatch-sim-") as directory:
        for seed in seeds:
            v = run_seed(seed, Path(directory))
            crc = zlib.crc32(v.trace)
            results.append(Result(seed, v.complaints, crc, v.seconds, v.writes, v.pods, v.crashes))
            gc.collect()
    return results


def run_many(start: int, count: int, workers: int) -> Iterator[Result]:
    """Run seeds start, start + 1, ...; results come as they are ready."""
    chunks = [
        range(first, min(first + CHUNK, start + count))
        for first in range(start, start + count, CHUNK)
    ]
    if workers == 1 or len(chunks) == 1:
        for chunk in chunks:
            yield from run_chunk(chunk)
        return
    # A fresh interpreter each: nothing of this process can leak into a run.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(chunks)), mp_context=context) as pool:
        futures = [pool.submit(run_chunk, chunk) for chunk in chunks]
        try:
            for future in as_completed(futures):
                yield from future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
