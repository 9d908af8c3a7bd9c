"""`make chaos`: real servers, shims and pods, killed at random moments, round after round.

    python -m tests.chaos --rounds 200 --seed 1

Each round creates a mix of Jobs, kills something once or more while they run, waits until all have
ended, and compares what the API told over a watch, what the pods wrote themselves and what is left
on the machine. A round's chance comes from the seed and its number alone: --first 17 --rounds 1
begins with the same Jobs and the same blows, though not at the very same instruction.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kubatch.runtime.sandbox import available
from tests.chaos.rounds import Chaos


async def run(arguments: argparse.Namespace, directory: Path) -> int:
    numbers = iter(range(arguments.first, arguments.first + arguments.rounds))
    worlds = min(arguments.worlds, arguments.rounds)
    runs = [world(arguments, directory / str(i), numbers) for i in range(worlds)]
    violations = [line for found in await asyncio.gather(*runs) for line in found]
    if violations:
        for line in violations:
            print(f"chaos: {line}", file=sys.stderr)
        print(f"chaos: states and logs are in {directory}", file=sys.stderr)
        return 1
    shutil.rmtree(directory)
    print(f"chaos: {arguments.rounds} rounds, seed {arguments.seed}: all well")
    return 0


async def world(
    arguments: argparse.Namespace, directory: Path, numbers: Iterator[int]
) -> list[str]:
    """Take rounds for one server until there are none; what was wrong."""
    directory.mkdir()
    async with Chaos(directory, arguments.runtime, arguments.seed) as chaos:
        for number in numbers:
            print(await chaos.round(number), flush=True)
        chaos.finish()
    return chaos.violations


def main() -> None:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--worlds", type=int, default=6, help="servers at once; most of a round is waiting"
    )
    parser.add_argument("--runtime", choices=["process", "sandbox"], default="process")
    arguments = parser.parse_args()
    if arguments.runtime == "sandbox" and (why := available()):
        parser.error(why)
    directory = Path(tempfile.mkdtemp(prefix="kubatch-chaos-"))
    sys.exit(asyncio.run(run(arguments, directory)))


if __name__ == "__main__":
    main()
