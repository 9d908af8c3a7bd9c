"""Containers that probes and hooks end, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.agent.facts import read
from kubatch.api import models as m
from tests.unit.agent.pods import START, Bench, attempt, conditions, container, pod, state

LIVE: dict[str, Any] = {"livenessProbe": m.Probe()}
EXEC = m.LifecycleHandler(exec=m.core_v1.ExecAction(command=["true"]))
POST_START: dict[str, Any] = {"lifecycle": m.Lifecycle(postStart=EXEC)}
PRE_STOP: dict[str, Any] = {"lifecycle": m.Lifecycle(preStop=EXEC)}
KILLED = 137


def bench(*containers: m.Container, **spec: Any) -> Bench:
    made = Bench(pod(*containers, **spec))
    made.settle()
    return made


# ----- probes


def test_readiness_shows() -> None:
    b = bench(container(readinessProbe=m.Probe()))
    assert state(b.status) == "running"
    assert conditions(b.status)["Ready"] == "False/ContainersNotReady"
    b.probe("c", ready=True)
    assert conditions(b.status)["Ready"] == "True"
    b.probe("c", ready=False)
    assert conditions(b.status)["ContainersReady"] == "False/ContainersNotReady"
    assert b.events == []


def test_a_startup_probe_comes_first() -> None:
    b = bench(container(startupProbe=m.Probe()))
    [shown] = b.status.containerStatuses or []
    assert (shown.started, shown.ready) == (False, False)
    b.probe("c", started=True)
    [shown] = b.status.containerStatuses or []
    assert (shown.started, shown.ready) == (True, True)


def test_a_sidecar_that_has_not_started_holds_up_the_others() -> None:
    sidecar = container("s", restartPolicy="Always", startupProbe=m.Probe(), **LIVE)
    b = bench(init=(sidecar, container("i")))
    assert b.started == ["s"]
    b.probe("s", started=True)
    assert b.started == ["s", "i"]
    b.exit("i", 0)
    b.probe("s", failed="liveness")
    assert b.events == ["Normal Killing: Init container s failed liveness probe"]
    b.exit("s", 0)
    assert b.started == ["s", "i", "c", "s"]


@pytest.mark.parametrize("policy", ["OnFailure", "Always"])
def test_a_failed_liveness_probe_restarts(policy: str) -> None:
    b = bench(container(**LIVE), restart=policy)
    b.probe("c", failed="liveness")
    assert b.signals == [("c", 15)]
    assert b.events == ["Normal Killing: Container c failed liveness probe, will be restarted"]
    b.exit("c", 0)  # whatever it says: it is to run anew
    assert b.started == ["c", "c"]
    assert state(b.status) == "running"
    assert "terminated" not in [state(s)[:10] for s in b.statuses]
    [shown] = b.status.containerStatuses or []
    assert shown.restartCount == 1


def test_once_it_falls_into_its_back_off_an_exit_code_counts() -> None:
    b = bench(container(**LIVE), restart="OnFailure")
    for _ in range(2):
        b.probe("c", failed="liveness")
        b.exit("c", 0)
    assert b.phases[-1] == "Succeeded"


def test_a_container_that_lived_long_enough_is_not_in_its_back_off() -> None:
    b = bench(container(**LIVE), restart="OnFailure")
    for _ in range(2):
        b.probe("c", failed="liveness")
        b.exit("c", 0, after=11)
    assert b.started == ["c"] * 3


def test_a_probe_may_have_a_grace_period_of_its_own() -> None:
    c = container(livenessProbe=m.Probe(terminationGracePeriodSeconds=3))
    b = bench(c, restart="Always")
    b.probe("c", failed="liveness")
    assert b.wait() == 3
    assert b.signals == [("c", 15), ("c", 9)]


def test_never_and_nothing_else_ends_the_pod() -> None:
    b = bench(container(**LIVE), grace=3)
    b.probe("c", failed="liveness")
    assert b.events == ["Normal Killing: Stopping container c"]
    assert b.wait() == 3
    assert b.signals == [("c", 15), ("c", 9)]
    b.exit("c", KILLED)
    assert b.phases[-2:] == ["Running", "Failed"]


def test_never_and_another_runs_on() -> None:
    b = bench(container("c", **LIVE), container("d"))
    b.probe("c", failed="liveness")
    assert b.events == ["Normal Killing: Container c failed liveness probe"]
    b.exit("c", KILLED)
    assert (state(b.status, "c"), state(b.status, "d")) == ("terminated(137 Error)", "running")
    assert b.started == ["c", "d"]


def test_a_failed_startup_probe_restarts() -> None:
    b = bench(container(startupProbe=m.Probe(terminationGracePeriodSeconds=7)), restart="Always")
    b.probe("c", started=False, failed="startup")
    assert b.events == ["Normal Killing: Container c failed startup probe, will be restarted"]
    assert b.wait() == 7


def test_readiness_survives_the_agent() -> None:
    """What the API shows of the same attempt holds until a probe says otherwise."""
    b = bench(container(readinessProbe=m.Probe()))
    b.probe("c", ready=True)
    b.vitals.health.clear()
    b.settle()
    assert conditions(b.status)["Ready"] == "True"
    other = read(b.pod, [attempt("c", 1)], b.memory, host_ip="", runtime="s")
    assert not other.containers[0].ready


# ----- postStart


def test_a_container_does_not_count_before_its_hook_is_done() -> None:
    b = bench(container("c", **POST_START), container("d"))
    assert b.started == ["c"]
    assert state(b.status, "c") == "waiting(ContainerCreating)"
    assert b.phases == ["Pending"]
    b.post_start("c")
    assert b.started == ["c", "d"]
    assert b.phases[-1] == "Running"


def test_a_failed_hook_ends_the_container() -> None:
    b = bench(container(**POST_START), restart="OnFailure")
    b.post_start("c", "it failed")
    assert b.events == ["Normal Killing: FailedPostStartHook"]
    assert b.signals == [("c", 15)]
    b.exit("c", 143)
    assert b.started == ["c", "c"]  # the first restart is at once
    b.post_start("c", "it failed again")
    b.exit("c", 143)
    assert state(b.status) == "waiting(CrashLoopBackOff)"


def test_a_failed_hook_is_shown_until_the_next_one_is_done() -> None:
    b = bench(container(**POST_START), restart="Always")
    b.post_start("c", "it failed")
    b.exit("c", 143)
    [shown] = b.status.containerStatuses or []
    assert shown.state is not None
    assert shown.lastState is not None
    assert shown.state.waiting == m.ContainerStateWaiting(
        reason="PostStartHookError", message="it failed"
    )
    assert shown.lastState.terminated is not None
    assert shown.lastState.terminated.exitCode == 143
    assert (shown.ready, shown.restartCount) == (False, 0)
    b.post_start("c")
    [shown] = b.status.containerStatuses or []
    assert (shown.ready, shown.restartCount) == (True, 1)


def test_what_the_api_shows_stays_while_a_hook_runs() -> None:
    b = bench(container(livenessProbe=m.Probe(), **POST_START), restart="Always")
    b.post_start("c")
    b.probe("c", failed="liveness")
    b.exit("c", 0)
    assert state(b.status) == "running"  # the API would not let it end well and run again
    [shown] = b.status.containerStatuses or []
    assert (shown.ready, shown.restartCount) == (False, 0)
    b.post_start("c")
    [shown] = b.status.containerStatuses or []
    assert (shown.ready, shown.restartCount) == (True, 1)


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (143, "Failed")])
def test_a_failed_hook_of_a_never_pod(code: int, phase: str) -> None:
    b = bench(container(**POST_START))
    b.post_start("c", "it failed")
    b.exit("c", code)
    assert b.phases[-1] == phase


# ----- preStop


def test_a_hook_comes_before_the_signal() -> None:
    b = bench(container(**PRE_STOP))
    b.delete(30)
    assert (b.hooks, b.signals) == (["c"], [])
    b.sleep(5)
    b.pre_stop("c")
    assert b.signals == [("c", 15)]
    assert b.wait() == 25
    assert b.signals == [("c", 15), ("c", 9)]
    assert b.hooks == ["c"]


def test_a_hook_takes_no_longer_than_the_grace_period() -> None:
    b = bench(container(**PRE_STOP))
    b.delete(4)
    assert b.wait() == 4
    assert b.signals == [("c", 15)]
    assert b.wait() == 2  # the least that anybody gets
    assert b.signals == [("c", 15), ("c", 9)]


def test_no_grace_no_hook() -> None:
    b = bench(container(**PRE_STOP))
    b.delete(0)
    assert (b.hooks, b.signals) == ([], [("c", 15)])


def test_a_container_that_ends_by_itself_has_no_hook_run() -> None:
    b = bench(container(**PRE_STOP))
    b.exit("c", 0)
    assert b.hooks == []


def test_hooks_of_sidecars_do_not_wait_their_turn() -> None:
    b = bench(container(), init=(container("s", restartPolicy="Always", **PRE_STOP),))
    b.delete(30)
    assert (b.hooks, b.signals) == (["s"], [("c", 15)])
    b.exit("c", 143)
    assert b.signals == [("c", 15)]
    b.pre_stop("s")
    assert b.signals == [("c", 15), ("s", 15)]


def test_a_hook_of_a_condemned_container_is_run_once() -> None:
    b = bench(container(livenessProbe=m.Probe(), **PRE_STOP), container("d"), restart="Always")
    b.probe("c", failed="liveness")
    assert b.hooks == ["c"]
    b.delete(30)
    assert (b.hooks, b.signals) == (["c"], [("d", 15)])
    b.pre_stop("c")
    assert b.signals == [("d", 15), ("c", 15)]


# ----- ephemeral containers

DEBUG = m.EphemeralContainer(name="e", image="busybox", targetContainerName="c")


def test_an_ephemeral_container_runs_once_and_counts_for_nothing() -> None:
    b = bench(container(), restart="Always", ephemeralContainers=[DEBUG])
    assert b.started == ["e", "c"]
    assert state(b.status, "e") == "running"
    assert conditions(b.status)["Ready"] == "True"
    b.exit("e", 1)
    assert b.started == ["e", "c"]
    assert state(b.status, "e") == "terminated(1 Error)"
    assert b.phases[-1] == "Running"


def test_an_ephemeral_container_does_not_keep_a_pod_alive() -> None:
    b = bench(container(), ephemeralContainers=[DEBUG])
    b.exit("c", 0)
    assert b.signals == [("e", 15)]
    assert b.phases[-1] == "Running"
    b.exit("e", 143)
    assert b.phases[-1] == "Succeeded"
    assert state(b.status, "e") == "terminated(143 Error)"


def test_events_name_where_it_stands() -> None:
    found = read(pod(ephemeralContainers=[DEBUG]), [], Bench(pod()).memory, host_ip="", runtime="s")
    [c] = found.ephemeral
    assert c.field_path == "spec.ephemeralContainers{e}"
    assert c.spec.name == "e"


def test_a_condemned_containers_end_wakes_in_time() -> None:
    b = bench(container(**LIVE), container("d"), restart="Always", grace=9)
    b.probe("c", failed="liveness")
    assert b.wake_at is not None
    assert (b.wake_at - START).total_seconds() == 9
