"""Programs that probes run, and that do not want to end: none is left behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kubatch.agent import checks
from kubatch.agent.checks import Asker
from kubatch.agent.probes import Outcome, probes_of
from kubatch.api import models as m
from kubatch.runtime.process import ProcessRuntime
from kubatch.runtime.protocol import ContainerState
from kubatch.runtime.sandbox import SandboxRuntime, available
from tests.suites.runtime_suite import make_spec
from tests.unit.agent.pods import container
from tests.unit.runtime.tools import eventually

WHY_NOT = available()


@pytest.fixture(params=["process", "sandbox", "rootless"])
async def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProcessRuntime]:
    if request.param != "process" and WHY_NOT:
        pytest.skip(f"no sandboxes here: {WHY_NOT}")
    if request.param == "process":
        made = ProcessRuntime(tmp_path / "runtime")
    else:
        made = SandboxRuntime(tmp_path / "runtime", rootless=request.param == "rootless" or None)
    await made.open()
    yield made
    await made.close(kill=True)


def running(mark: str) -> int:
    """How many processes have a text among their words."""
    found = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                found += mark.encode() in (folder / "cmdline").read_bytes()
            except OSError:
                continue
    return found


async def test_a_probe_that_takes_too_long_is_ended_with_all_it_started(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    mark = f"1000.{os.getpid()}"
    script = f"trap '' HUP INT TERM; sleep {mark} & sleep {mark}; sleep {mark}"
    probe = m.Probe(exec=m.core_v1.ExecAction(command=["sh", "-c", script]), timeoutSeconds=1)
    c = container(livenessProbe=probe)
    spec = make_spec(tmp_path, "sleep", "1000")
    await runtime.start(spec)
    asker = Asker(runtime)
    [asked] = probes_of(c)
    asking = [asyncio.ensure_future(asker.ask(asked, c, spec.id, "127.0.0.1")) for _ in range(3)]
    # A shell and two sleeps each, seen by their marks.
    await eventually(lambda: running(mark) >= 9)
    answers = await asyncio.gather(*asking)
    assert {a.outcome for a in answers} == {Outcome.FAILURE}
    assert all("command timed out" in a.text for a in answers)
    await eventually(lambda: running(mark) == 0)
    [seen] = await runtime.observe()
    assert seen.state is ContainerState.RUNNING


async def test_only_so_many_run_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PROGRAMS_MAX", 2)
    running = ProcessRuntime(tmp_path / "runtime")
    await running.open()
    (tmp_path / "now").mkdir()
    script = "mkdir now/$$; count=$(ls now | wc -l); rmdir now/$$; test $count -le 2"
    probe = m.Probe(exec=m.core_v1.ExecAction(command=["sh", "-c", script]), timeoutSeconds=10)
    c = container(livenessProbe=probe)
    [asked] = probes_of(c)
    spec = make_spec(tmp_path, "sleep", "1000", cwd=str(tmp_path))
    await running.start(spec)
    asker = Asker(running)
    answers = await asyncio.gather(*(asker.ask(asked, c, spec.id, "") for _ in range(6)))
    await running.close(kill=True)
    assert {a.outcome for a in answers} == {Outcome.SUCCESS}, answers
