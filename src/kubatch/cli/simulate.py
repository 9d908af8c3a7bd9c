"""`kubatch simulate`: run the cluster's own parts under faults, seed after seed."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

from kubatch.cli.main import EXIT_FAILED, EXIT_INTERRUPTED

SHOWN_MAX = 20  # failing seeds told in full


def simulate(*, seeds: int, start: int, workers: int, verbose: bool) -> int:
    """Run the seeds; the exit code."""
    try:
        if verbose:
            return _tell(start, seeds)
        return _count(start, seeds, workers or len(os.sched_getaffinity(0)))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _tell(start: int, seeds: int) -> int:
    """One after another, each with its whole trace."""
    from kubatch.sim.run import run_seed

    failed = 0
    with tempfile.TemporaryDirectory(prefix="kubatch-sim-") as directory:
        for seed in range(start, start + seeds):
            verdict = run_seed(seed, Path(directory), click.echo)
            failed += bool(verdict.complaints)
            click.echo(f"seed {seed}: {'FAILED' if verdict.complaints else 'ok'}")
    return EXIT_FAILED if failed else 0


def _count(start: int, seeds: int, workers: int) -> int:
    """On all processors; only what went wrong is told."""
    from kubatch.sim.many import run_many

    done = failed = writes = pods = crashes = 0
    virtual = 0.0
    live = sys.stderr.isatty()
    for result in run_many(start, seeds, workers):
        done, virtual = done + 1, virtual + result.seconds
        writes, pods = writes + result.writes, pods + result.pods
        crashes += result.crashes
        if result.complaints:
            failed += 1
            if failed <= SHOWN_MAX:
                _report(result.seed, result.complaints)
        if live:
            click.echo(f"\r{done}/{seeds} seeds, {failed} failed", err=True, nl=False)
    if live:
        click.echo("\r\033[K", err=True, nl=False)
    click.echo(
        f"{done} seeds from {start}: {failed} failed "
        f"({virtual / 3600:.0f} virtual hours, {pods} pods, {writes} writes, {crashes} crashes)"
    )
    return EXIT_FAILED if failed else 0


def _report(seed: int, complaints: tuple[str, ...]) -> None:
    click.echo(f"seed {seed} FAILED: {complaints[0]}")
    for complaint in complaints[1:3]:
        click.echo(f"    {complaint}")
    if len(complaints) > 3:
        click.echo(f"    and {len(complaints) - 3} more")
    click.echo(f"    again: kubatch simulate --start {seed} --seeds 1 -v")
