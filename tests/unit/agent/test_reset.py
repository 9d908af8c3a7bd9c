"""Pods all of whose containers run anew because one of them ended as its rule says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.agent.backoff import RestartRule, restarts_all, should_restart
from kubatch.agent.facts import RESET_MESSAGE
from kubatch.api import models as m
from tests.unit.agent.pods import Bench, conditions, container, pod, state

CODE = 42


def rules(*actions: tuple[str, int]) -> dict[str, Any]:
    named = [
        m.core_v1.ContainerRestartRule(
            action=action,
            exitCodes=m.core_v1.ContainerRestartRuleOnExitCodes(operator="In", values=[code]),
        )
        for action, code in actions
    ]
    return {"restartPolicy": "Never", "restartPolicyRules": named}


def watched() -> Bench:
    """A main container, a watcher with the rule, an init container and a sidecar."""
    made = Bench(
        pod(
            container("main", lifecycle=m.Lifecycle(preStop=m.LifecycleHandler())),
            container("watch", **rules(("RestartAllContainers", CODE))),
            init=(container("side", restartPolicy="Always"), container("setup")),
        )
    )
    made.settle()
    made.exit("setup", 0)
    return made


def counts(bench: Bench) -> dict[str, int]:
    every = [*(bench.status.initContainerStatuses or ()), *(bench.status.containerStatuses or ())]
    return {s.name: s.restartCount for s in every}


def test_all_containers_run_anew() -> None:
    b = watched()
    assert b.started == ["side", "setup", "main", "watch"]
    b.exit("watch", CODE)
    assert conditions(b.status)["AllContainersRestarting"] == "True/RestartAllContainersStarted"
    # No grace period and no hook, but two seconds to hear SIGTERM.
    assert sorted(b.signals) == [("main", 15), ("side", 15)]
    assert b.hooks == []
    assert b.events == ["Normal Killing: killing"] * 2
    assert b.wait() == 2
    assert sorted(b.signals[2:]) == [("main", 9), ("side", 9)]
    b.exit("side", 137)
    b.exit("main", 137)
    assert b.started[4:] == ["side", "setup"]
    assert conditions(b.status)["AllContainersRestarting"] == "False"
    assert conditions(b.status)["Initialized"] == "True"
    assert state(b.status, "main") == "waiting(RestartingAllContainers)"
    assert b.phases[-1] == "Pending"
    b.exit("setup", 0)
    assert b.started[4:] == ["side", "setup", "main", "watch"]
    assert counts(b) == {"side": 1, "setup": 1, "main": 1, "watch": 1}
    for shown in b.status.containerStatuses or ():
        assert shown.lastState is not None
        last = shown.lastState.terminated
        assert last is not None
        assert (last.reason, last.exitCode) == ("RestartingAllContainers", 137)
        assert last.message == RESET_MESSAGE
    assert "Failed" not in b.phases
    b.exit("watch", 0)
    b.exit("main", 0)
    assert b.signals[-1] == ("side", 15)
    b.exit("side", 0)
    assert b.phases[-1] == "Succeeded"
    assert conditions(b.status)["AllContainersRestarting"] == "False/PodCompleted"


def test_one_that_is_alone_runs_anew_at_once_and_then_backs_off() -> None:
    b = Bench(pod(container(**rules(("RestartAllContainers", CODE)))))
    b.settle()
    b.exit("c", CODE)
    assert (b.started, state(b.status)) == (["c", "c"], "running")
    b.exit("c", CODE)
    assert (b.started, state(b.status)) == (["c", "c"], "waiting(CrashLoopBackOff)")
    b.wait()
    assert (b.started, counts(b)) == (["c"] * 3, {"c": 2})
    b.exit("c", 7)
    assert b.phases[-1] == "Failed"
    assert conditions(b.status)["AllContainersRestarting"] == "False/PodFailed"


def test_it_outlives_an_agent_that_forgets() -> None:
    b = watched()
    b.exit("watch", CODE)
    again = Bench(b.pod, b.now, b.attempts)
    again.settle()
    again.wait()
    again.exit("side", 137)
    again.exit("main", 137)
    assert again.started == ["side", "setup"]
    after = Bench(again.pod, again.now, again.attempts)
    after.settle()
    after.exit("setup", 0)
    assert after.started == ["main", "watch"]
    assert counts(after) == {"side": 1, "setup": 1, "main": 1, "watch": 1}


def test_it_outlives_a_runtime_that_forgets() -> None:
    b = watched()
    b.exit("watch", CODE)
    again = Bench(b.pod, b.now)
    again.settle()
    assert again.started == ["side", "setup"]


@pytest.mark.parametrize("ends", ["deleted", "overdue"])
def test_a_pod_that_ends_does_not_start_anew(ends: str) -> None:
    b = watched()
    if ends == "deleted":
        b.delete(30)
        b.exit("watch", CODE)
    else:
        b.exit("watch", CODE)
        b.delete(30)
    b.exit("main", 0)
    b.exit("side", 0)
    assert b.phases[-1] == "Failed"
    assert b.started == ["side", "setup", "main", "watch"]


def test_pods_without_the_rule_say_nothing_of_it() -> None:
    b = Bench(pod(container(**rules(("Restart", CODE)))))
    b.settle()
    b.exit("c", CODE)
    assert b.started == ["c", "c"]
    assert "AllContainersRestarting" not in conditions(b.status)


@given(
    st.lists(
        st.builds(
            RestartRule,
            st.booleans(),
            st.lists(st.integers(0, 3), max_size=3).map(tuple),
            st.booleans(),
        ),
        max_size=4,
    ),
    st.integers(0, 3),
)
def test_the_first_rule_that_fits_decides(rules: list[RestartRule], code: int) -> None:
    fitting = [r for r in rules if (code in r.values) == r.inside]
    assert restarts_all(rules, code) is bool(fitting and fitting[0].everything)
    assert should_restart("Never", rules, code) is bool(fitting)
