"""Probes and hooks of an agent that works, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kubatch.agent.facts import Capabilities
from kubatch.api import models as m
from kubatch.api.resource import PODS
from kubatch.runtime.protocol import ContainerSpec
from kubatch.sim.loop import VirtualLoop
from kubatch.sim.runtime import Exit
from kubatch.sim.world import SimClock, SimWorld, chance
from tests.unit.agent.harness import Harness, harness
from tests.unit.agent.pods import conditions, state

ABLE = Capabilities(probes=True, hooks=True)


@dataclass
class Script:
    """Programs that probes and hooks run, and what they are to give."""

    codes: list[int] = field(default_factory=list)  # of the next runs; the last one stays
    asked: list[float] = field(default_factory=list)  # when

    def program(self, spec: ContainerSpec) -> Exit:
        self.asked.append(asyncio.get_running_loop().time())
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        return Exit(code, output="said\n")


Scenario = Callable[[Harness, Script], Awaitable[None]]


def play(tmp_path: Path, scenario: Scenario, *codes: int) -> Script:
    """Run a scenario on virtual time, with an agent."""
    script = Script(list(codes) or [0])

    async def main() -> None:
        world = SimWorld(SimClock(), chance(1, "life"))
        async with harness(tmp_path, {"ask": script.program}, world) as h:
            h.deadline = 3600.0
            await h.start_agent(settle=0, capabilities=ABLE)
            await scenario(h, script)
            await h.stop_agent(kill=True)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not [t for t in others if "Life" in repr(t.get_coro())], "nothing is left"

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())
    return script


def runs(*command: str, **fields: Any) -> m.Container:
    return m.Container(name="c", image="busybox", command=list(command), **fields)


def asks(**fields: Any) -> m.Probe:
    command = m.core_v1.ExecAction(command=fields.pop("command", ["ask"]))
    fields.setdefault("periodSeconds", 10)
    return m.Probe(exec=command, timeoutSeconds=fields.pop("timeoutSeconds", 1), **fields)


def ready(h: Harness, value: str = "True") -> Callable[[], bool]:
    def found() -> bool:
        pod = h.pods.get("default", "p")
        status = pod.status if pod is not None else None
        return status is not None and conditions(status).get("Ready", "").startswith(value)

    return found


def restarts(h: Harness) -> int:
    pod = h.pods.get("default", "p")
    assert pod is not None
    assert pod.status is not None
    return sum(shown.restartCount for shown in pod.status.containerStatuses or ())


async def soon(found: Callable[[], bool]) -> None:
    """Let time pass until something is so."""
    while not found():  # noqa: ASYNC110
        await asyncio.sleep(1)


def test_readiness(tmp_path: Path) -> None:
    async def scenario(h: Harness, script: Script) -> None:
        probe = asks(initialDelaySeconds=3, failureThreshold=2)
        await h.create(runs("stubborn", readinessProbe=probe))
        await h.phase("Running")
        assert not ready(h)()
        await h.until(ready(h))
        await h.until(ready(h, "False"))
        await h.until(ready(h))
        await h.client.delete(PODS, "default", "p", grace_period_seconds=5)
        await h.gone()
        assert h.events.said.count(
            "p: Warning Unhealthy Readiness probe failed: said\n [spec.containers{c}]"
        ) == 3  # fmt: skip

    script = play(tmp_path, scenario, 1, 0, 1, 1, 0)
    first = script.asked[0]
    assert [moment - first for moment in script.asked[:5]] == [0, 10, 20, 30, 40]
    assert first >= 3


def test_liveness_waits_for_the_startup_probe_and_restarts(tmp_path: Path) -> None:
    async def scenario(h: Harness, script: Script) -> None:
        c = runs(
            "sleep", "100000", startupProbe=asks(), livenessProbe=asks(failureThreshold=2)
        )  # fmt: skip
        await h.create(c, restartPolicy="OnFailure")
        await soon(lambda: restarts(h) == 1)
        assert [
            said.split(": ", 1)[1]
            for said in h.events.said
            if "Unhealthy" in said or "Killing" in said
        ] == [
            "Warning Unhealthy Startup probe failed: said\n [spec.containers{c}]",
            "Warning Unhealthy Liveness probe failed: said\n [spec.containers{c}]",
            "Warning Unhealthy Liveness probe failed: said\n [spec.containers{c}]",
            "Normal Killing Container c failed liveness probe, will be restarted "
            "[spec.containers{c}]",
        ]

    play(tmp_path, scenario, 1, 0, 0, 1, 1, 0)


def test_a_question_that_takes_too_long(tmp_path: Path) -> None:
    async def scenario(h: Harness, script: Script) -> None:
        await h.create(runs("stubborn", readinessProbe=asks(command=["sleep", "7"])))
        await soon(lambda: any("Unhealthy" in said for said in h.events.said))
        assert h.events.said[-1] == (
            'p: Warning Unhealthy Readiness probe failed: command timed out: "sleep 7" timed out '
            "after 1s [spec.containers{c}]"
        )

    play(tmp_path, scenario)


def test_a_question_that_cannot_be_put_counts_for_nothing(tmp_path: Path) -> None:
    async def scenario(h: Harness, script: Script) -> None:
        probe = asks(command=["nowhere"], failureThreshold=1, periodSeconds=5)
        await h.create(runs("sleep", "60", livenessProbe=probe))
        await h.phase("Succeeded")
        assert (
            "p: Warning Unhealthy Liveness probe errored and resulted in unknown state: "
            'exec: "nowhere": executable file not found in $PATH [spec.containers{c}]'
        ) in h.events.said

    play(tmp_path, scenario)


def test_probing_goes_on_after_the_agents_end(tmp_path: Path) -> None:
    async def scenario(h: Harness, script: Script) -> None:
        await h.create(runs("stubborn", readinessProbe=asks(failureThreshold=1)))
        await h.until(ready(h))
        await h.stop_agent()
        asked = len(script.asked)
        await asyncio.sleep(60)
        assert len(script.asked) == asked
        writes = len(h.client.status_writes)
        await h.start_agent(settle=0, capabilities=ABLE)
        await soon(lambda: len(script.asked) > asked)
        assert len(h.client.status_writes) == writes, "it was ready all the time"
        await h.until(ready(h, "False"))

    play(tmp_path, scenario, 0, 0, 0, 1)


def hook(*command: str) -> m.LifecycleHandler:
    return m.LifecycleHandler(exec=m.core_v1.ExecAction(command=list(command)))


def test_hooks(tmp_path: Path) -> None:
    async def scenario(h: Harness, script: Script) -> None:
        sleeps = m.LifecycleHandler(sleep=m.core_v1.SleepAction(seconds=4))
        await h.create(
            runs("sleep", "1000", lifecycle=m.Lifecycle(postStart=sleeps, preStop=hook("ask"))),
            terminationGracePeriodSeconds=30,
        )
        await h.phase("Running")
        assert asyncio.get_running_loop().time() >= 4
        assert script.asked == []
        await h.client.delete(PODS, "default", "p")
        await h.gone()
        assert len(script.asked) == 1
        assert "p: Warning FailedPreStopHook PreStopHook failed [spec.containers{c}]" in (
            h.events.said
        )

    play(tmp_path, scenario, 1)


def test_a_failed_post_start_hook(tmp_path: Path) -> None:
    async def scenario(h: Harness, script: Script) -> None:
        c = runs("sleep", "1000", lifecycle=m.Lifecycle(postStart=hook("ask")))
        await h.create(c, restartPolicy="OnFailure")
        await soon(lambda: restarts(h) == 1)
        assert [said for said in h.events.said if "Hook" in said] == [
            "p: Warning FailedPostStartHook PostStartHook failed [spec.containers{c}]",
            "p: Normal Killing FailedPostStartHook [spec.containers{c}]",
        ]

    play(tmp_path, scenario, 1, 0)


@pytest.mark.parametrize(
    ("handler", "fails"),
    [
        (hook("sleep", "50"), True),
        (m.LifecycleHandler(sleep=m.core_v1.SleepAction(seconds=25)), False),
    ],
)
def test_a_container_that_ends_before_its_hook(
    tmp_path: Path, handler: m.LifecycleHandler, fails: bool
) -> None:
    async def scenario(h: Harness, script: Script) -> None:
        await h.create(runs("sleep", "5", lifecycle=m.Lifecycle(postStart=handler)))
        status = await h.phase("Succeeded")
        assert state(status) == "terminated(0 Completed)"
        assert asyncio.get_running_loop().time() < 20
        assert any("FailedPostStartHook" in said for said in h.events.said) is fails

    play(tmp_path, scenario)


def test_force_deletion_ends_what_is_asked(tmp_path: Path) -> None:
    async def scenario(h: Harness, script: Script) -> None:
        await h.create(runs("sleep", "100000", readinessProbe=asks()))
        await h.until(ready(h))
        await h.client.delete(PODS, "default", "p", grace_period_seconds=0)
        await h.gone()
        await asyncio.sleep(5)
        asked = len(script.asked)
        await asyncio.sleep(60)
        assert len(script.asked) == asked

    play(tmp_path, scenario)


def test_a_clock_set_back_does_not_put_questions_off(tmp_path: Path) -> None:
    async def scenario(h: Harness, script: Script) -> None:
        await h.create(runs("stubborn", readinessProbe=asks()))
        await h.until(ready(h))
        clock = h.world.clock
        assert isinstance(clock, SimClock)
        clock.jump(-3600)
        asked = len(script.asked)
        await asyncio.sleep(25)
        assert len(script.asked) >= asked + 2

    play(tmp_path, scenario)
