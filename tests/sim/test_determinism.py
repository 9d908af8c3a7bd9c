"""The same seed gives the same bytes, however this interpreter orders its sets."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys, tempfile, zlib
from pathlib import Path
from kubatch.sim.run import run_seed
with tempfile.TemporaryDirectory() as directory:
    for seed in range(100, 112):
        print(seed, zlib.crc32(run_seed(seed, Path(directory)).trace))
"""


@pytest.mark.slow
def test_two_hash_seeds_one_trace() -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("1", "2")
    ]
    first, second = (run.communicate(timeout=120)[0] for run in runs)
    assert len(first.splitlines()) == 12
    assert first == second
