"""`make soak`: mixed work for many minutes, a restart in each, and nothing may grow.

    python -m tests.chaos.soak --minutes 30

Jobs of every kind come and go all the time, with the checks of `make chaos` after each batch. Once
a minute the server is restarted, by SIGTERM and kill -9 in turn; the shim lives on. Before each
restart it is measured what both hold: resident memory, open files, threads, and the size of their
files. The second half of the run must not need more than the first.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from tests.chaos.machine import Machine
from tests.chaos.rounds import Chaos

MINUTE = 60.0
# What a second half may have above the first one's most, and as a share of it: an allocator's
# noise, and a batch that happens to be larger.
SLACK_SHARE = 0.10
SLACK = {"server_mib": 8.0, "shim_mib": 4.0, "data_mib": 4.0}
SLACK_COUNT = 8  # of files and threads


@dataclass(frozen=True)
class Sample:
    """What server, shim and data directory hold at one moment."""

    server_mib: float
    server_files: int
    server_threads: int
    shim_mib: float
    shim_files: int
    data_mib: float
    data_files: int


def measure(machine: Machine) -> Sample:
    """Look at both processes and the directory."""
    shims = machine.shims()
    paths = [path for path in machine.data_dir.rglob("*") if path.is_file()]
    return Sample(
        _resident(machine.pid), _files(machine.pid), _threads(machine.pid),
        sum(_resident(pid) for pid in shims), sum(_files(pid) for pid in shims),
        sum(path.lstat().st_size for path in paths) / 2**20, len(paths),
    )  # fmt: skip


def growth(samples: Sequence[Sample]) -> list[str]:
    """What the second half needed more than the first; the first sample is warming up."""
    if len(samples) < 5:
        return []
    settled = samples[1:]
    middle = len(settled) // 2
    found = []
    for field in fields(Sample):
        before = max(getattr(sample, field.name) for sample in settled[:middle])
        after = max(getattr(sample, field.name) for sample in settled[middle:])
        if after > before * (1 + SLACK_SHARE) + SLACK.get(field.name, SLACK_COUNT):
            found.append(f"{field.name} grew from {before:.0f} to {after:.0f}")
    return found


async def run(minutes: int, seed: int, directory: Path) -> int:
    print("  ".join(f"{field.name:>14}" for field in fields(Sample)), flush=True)
    samples: list[Sample] = []
    async with Chaos(directory, "process", seed) as chaos:
        number, due = 0, time.monotonic() + MINUTE
        while len(samples) < minutes:
            blows: list[str] = []
            if time.monotonic() >= due:
                samples.append(await asyncio.to_thread(measure, chaos.machine))
                print("  ".join(f"{value:>14.1f}" for value in astuple(samples[-1])), flush=True)
                blows, due = [("stop", "server")[len(samples) % 2]], due + MINUTE
            await chaos.round(number, blows)
            number += 1
        chaos.finish()
    found = [*chaos.violations, *growth(samples)]
    for line in found:
        print(f"soak: {line}", file=sys.stderr)
    if not found:
        print(f"soak: {minutes} minutes, {number} batches: all well")
        shutil.rmtree(directory)
    return 1 if found else 0


def _resident(pid: int) -> float:
    return int(_status(pid, "VmRSS").split()[0]) / 1024


def _threads(pid: int) -> int:
    return int(_status(pid, "Threads"))


def _status(pid: int, name: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    raise ValueError(f"process {pid} has no {name}")


def _files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="kubatch-soak-"))
    sys.exit(asyncio.run(run(arguments.minutes, arguments.seed, directory)))


if __name__ == "__main__":
    main()
