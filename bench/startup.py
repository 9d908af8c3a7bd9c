"""From nothing to ready."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import server
from bench.table import Row

RUNS = 5


def rows() -> Iterator[Row]:
    """`kubatch up` until it says that it is ready, and `kubatch --help`."""
    bare = statistics.median(_seconds([sys.executable, "-c", "pass"]) for _ in range(RUNS))
    peer = "python -c pass"
    shown = statistics.median(_seconds([str(server.KUBATCH), "--help"]) for _ in range(RUNS))
    yield Row("kubatch --help", shown * 1000, "ms", peer, bare * 1000)
    for store in ("memory", "sqlite"):
        times = [_ready_seconds(store) for _ in range(RUNS)]
        median = statistics.median(times) * 1000
        yield Row(f"kubatch up --store {store}: ready", median, "ms", peer, bare * 1000)


def _ready_seconds(store: str) -> float:
    with (
        tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory,
        server.running(Path(directory), "--store", store) as running,
    ):
        return running.ready_seconds


def _seconds(argv: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun
