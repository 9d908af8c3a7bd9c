"""Whole clusters under faults: a few seeds with every run of the tests, many in `make sim`."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubatch.sim.faults import Faults
from kubatch.sim.run import Simulation, run_seed

# Each of these has shown something that must not happen; what it was stands in the unit tests.
REGRESSIONS = (152, 169, 216, 226, 299, 392, 11217, 20942, 21321, 31388, 40074, 41714, 41761, 50073)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*range(30), *REGRESSIONS])
def test_nothing_bad_happens_and_everything_ends(seed: int, tmp_path: Path) -> None:
    assert run_seed(seed, tmp_path).complaints == ()


def test_the_same_seed_gives_the_same_trace(tmp_path: Path) -> None:
    first, second = (run_seed(5, tmp_path / name) for name in "ab")
    assert first.trace == second.trace
    assert first.trace != run_seed(6, tmp_path).trace


@pytest.mark.slow
def test_without_faults_every_known_fate_is_met(tmp_path: Path) -> None:
    """Users alone: the checks find nothing to complain of, and Jobs do end."""
    ended = 0
    for seed in range(10):
        simulation = Simulation(seed, tmp_path, faults=Faults())
        verdict = simulation.run()
        assert verdict.complaints == ()
        assert verdict.crashes == 0
        ended += sum(bool(job.finished) for job in simulation.truth.jobs.values())
    assert ended > 10


def test_a_trace_tells_the_faults_and_ends_with_peace(tmp_path: Path) -> None:
    told: list[str] = []
    verdict = run_seed(3, tmp_path, told.append)
    assert "\n".join(told).encode() == verdict.trace
    assert told[0].startswith("0.000000 seed 3: ")
    assert any(line.endswith("faults stop") for line in told)
