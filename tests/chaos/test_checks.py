"""The checks of chaos and soak see what they are there for; and a few rounds are well."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubatch.api import models as m
from tests.chaos.checks import Line, Seen, ending, history, indexes, runs, slots
from tests.chaos.rounds import Chaos
from tests.chaos.soak import Sample, growth
from tests.chaos.work import Task

DONE = [m.JobCondition(type="Complete", status="True")]
FAILED = [m.JobCondition(type="Failed", status="True")]


def status(completed: str, conditions: list[m.JobCondition] | None = None) -> m.JobStatus:
    return m.JobStatus(
        succeeded=len(indexes(completed)), completedIndexes=completed, conditions=conditions
    )


def seen(*versions: m.JobStatus) -> Seen:
    return Seen("uid", [(100.0 + at, version) for at, version in enumerate(versions)])


def ran(index: int, pod: str, at: float) -> list[Line]:
    return [Line(what, "j", str(index), pod, at) for what in ("start", "end")]


TASK = Task("j", {"spec": {"completionMode": "Indexed"}}, "Complete", completions=2)
GOOD = seen(status(""), status("1"), status("0,1", DONE))
LINES = [*ran(1, "a", 100.5), *ran(0, "b", 101.5)]


def wrong(task: Task, seen: Seen, lines: list[Line]) -> list[str]:
    found = [*history("j", seen), *ending(task, seen)]
    return [*found, *runs(task, seen, lines, only_servers_died=True)]


def test_all_is_well() -> None:
    assert wrong(TASK, GOOD, LINES) == []
    assert indexes("0-2,5,7-8") == {0, 1, 2, 5, 7, 8}


@pytest.mark.parametrize(
    ("versions", "lines", "said"),
    [
        ([status("0"), status("1"), status("0,1", DONE)], LINES, "[0] were completed and are not"),
        ([status("0,1"), status("0", DONE)], LINES, "succeeded went back from 2 to 1"),
        ([status("0,1", DONE), status("0,1", FAILED)], LINES, "was Complete and became Failed"),
        ([status("0,1", DONE), status("0,1")], LINES, "was Complete and became unfinished"),
        ([status("0", DONE)], LINES, "counted 1 of 2"),
        ([status("0,1")], LINES, "ended as nothing, not Complete"),
        ([status("0,1", DONE)], ran(1, "a", 99.0), "index 0 was counted and never ran"),
        (GOOD_VERSIONS := [v for _, v in GOOD.versions], [*LINES, *ran(1, "c", 103.0)],
         "index 1 ran again in c after it was counted"),
        (GOOD_VERSIONS, [*LINES, *ran(1, "c", 100.6)], "'1': 2"),
        (GOOD_VERSIONS, [*LINES, *ran(0, "b", 101.6)], "b ran 2 times and may only once"),
    ],
)  # fmt: skip
def test_what_must_not_happen_is_seen(
    versions: list[m.JobStatus], lines: list[Line], said: str
) -> None:
    found = wrong(TASK, seen(*versions), lines)
    assert any(said in text for text in found), found


def test_runs_of_a_cron_job() -> None:
    first, last = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC), datetime(2026, 1, 1, 0, 3, tzinfo=UTC)
    minute = int(first.timestamp()) // 60
    names = [f"c-{minute + 1}", f"c-{minute + 2}"]
    assert list(slots(names, first, last)) == []
    assert list(slots([*names, names[0]], first, last)) == [f"{names[0]} was created 2 times"]
    assert list(slots(names[:1], first, last)) == [f"the run of minute {minute + 2} is missing"]


STEADY = Sample(100.0, 40, 3, 20.0, 10, 5.0, 60)


def test_a_leak_of_finished_pods_is_growth() -> None:
    """A server that kept 2,000 finished pods a minute, at 4 KiB each."""
    noise = [replace(STEADY, server_mib=100.0 + i % 3, server_files=40 + i % 5) for i in range(20)]
    assert growth(noise) == []
    leaking = [replace(sample, server_mib=100.0 + 8.0 * i) for i, sample in enumerate(noise)]
    assert growth(leaking) == ["server_mib grew from 172 to 252"]
    files = [replace(sample, server_files=40 + 2 * i) for i, sample in enumerate(noise)]
    assert growth(files) == ["server_files grew from 58 to 78"]


@pytest.mark.slow
def test_a_round(tmp_path: Path) -> None:
    async def rounds() -> list[str]:
        async with Chaos(tmp_path, "process", seed=1) as chaos:
            await chaos.round(1, ("server", "pause", "stop"))
            return chaos.violations

    assert asyncio.run(rounds()) == []
