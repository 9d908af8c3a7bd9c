"""Traces of a real Kubernetes 1.36 kubelet, melted where one write says what two said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubatch.agent.facts import Problem
from kubatch.api import models as m
from tests.unit.agent.pods import START, Bench, attempt, conditions, container, pod, state

READY = {
    "PodReadyToStartContainers": "True",
    "Initialized": "True",
    "Ready": "True",
    "ContainersReady": "True",
    "PodScheduled": "True",
}


def ended(reason: str, initialized: str = "True") -> dict[str, str]:
    return {
        "PodReadyToStartContainers": "False",
        "Initialized": initialized,
        "Ready": f"False/{reason}",
        "ContainersReady": f"False/{reason}",
        "PodScheduled": "True",
    }


def test_ok() -> None:
    bench = Bench(pod())
    bench.settle()
    assert bench.phases == ["Running"]
    assert state(bench.status) == "running"
    assert conditions(bench.status) == READY
    assert (bench.status.podIP, bench.status.hostIP) == ("10.0.0.1", "10.0.0.1")
    assert bench.status.startTime == START
    bench.exit("c", 0)
    assert bench.phases == ["Running", "Succeeded"]
    assert state(bench.status) == "terminated(0 Completed)"
    assert conditions(bench.status) == ended("PodCompleted", "True/PodCompleted")
    assert bench.events == []
    assert bench.attempts == {}


def test_fail() -> None:
    bench = Bench(pod())
    bench.settle()
    bench.exit("c", 3)
    assert bench.phases == ["Running", "Failed"]
    assert state(bench.status) == "terminated(3 Error)"
    assert conditions(bench.status) == ended("PodFailed")


def test_crash_on_failure_waits_10_20_40_seconds() -> None:
    bench = Bench(pod(restart="OnFailure"))
    bench.settle()
    bench.exit("c", 1)
    assert state(bench.status) == "running"  # the first restart is at once
    waits = []
    for _ in range(7):
        bench.exit("c", 1)
        assert state(bench.status) == "waiting(CrashLoopBackOff)"
        assert conditions(bench.status)["Ready"] == "False/ContainersNotReady"
        waits.append(bench.wait())
        assert state(bench.status) == "running"
    assert waits == [10, 20, 40, 80, 160, 300, 300]
    assert set(bench.phases) == {"Running"}
    [status] = bench.status.containerStatuses or []
    assert status.restartCount == 8
    assert status.lastState is not None
    assert status.lastState.terminated is not None
    assert status.lastState.terminated.exitCode == 1
    assert bench.events == ["Warning BackOff: Back-off restarting failed container c in pod "
                            "p_default(u1)"] * 7  # fmt: skip
    bench.exit("c", 0)
    assert bench.phases[-1] == "Succeeded"


def test_crash_loop_message() -> None:
    bench = Bench(pod(restart="Always"))
    bench.settle()
    for _ in range(4):
        bench.exit("c", 0)
        if bench.wake_at is not None:
            last = bench.status
            bench.wait()
    [status] = last.containerStatuses or []
    assert status.state is not None
    assert status.state.waiting is not None
    assert status.state.waiting.message == (
        "back-off 40s restarting failed container=c pod=p_default(u1)"
    )


def test_a_long_run_forgives() -> None:
    bench = Bench(pod(restart="Always"))
    bench.settle()
    bench.exit("c", 1)
    bench.exit("c", 1)
    bench.wait()
    bench.exit("c", 1, after=601)
    assert state(bench.status) == "running"


def test_missing_program() -> None:
    bench = Bench(pod(), missing={"c"})
    bench.settle()
    assert bench.phases == ["Failed"]  # never Running
    assert state(bench.status) == "terminated(128 StartError)"
    [status] = bench.status.containerStatuses or []
    assert status.state is not None
    assert status.state.terminated is not None
    assert status.state.terminated.startedAt is not None
    assert status.state.terminated.startedAt.year == 1970
    assert status.state.terminated.message == "no such file"
    assert conditions(bench.status) == ended("PodFailed")


def test_missing_program_on_failure() -> None:
    bench = Bench(pod(restart="OnFailure"), missing={"c"})
    bench.settle()
    assert bench.phases == ["Running"]
    assert state(bench.status) == "waiting(CrashLoopBackOff)"
    [status] = bench.status.containerStatuses or []
    assert status.restartCount == 1


def test_init_containers_run_in_order() -> None:
    bench = Bench(pod(init=(container("i1"), container("i2"))))
    bench.settle()
    assert bench.started == ["i1"]
    assert [state(bench.status, n) for n in ("i1", "i2", "c")] == [
        "running", "waiting(PodInitializing)", "waiting(PodInitializing)",
    ]  # fmt: skip
    found = {c.type: c for c in bench.status.conditions or ()}
    assert found["Initialized"].reason == "ContainersNotInitialized"
    assert found["Initialized"].message == "containers with incomplete status: [i1 i2]"
    bench.exit("i1", 0)
    assert bench.started == ["i1", "i2"]
    found = {c.type: c for c in bench.status.conditions or ()}
    assert found["Initialized"].message == "containers with incomplete status: [i2]"
    first = (bench.status.initContainerStatuses or [])[0]
    assert (first.ready, first.started) == (True, False)
    bench.exit("i2", 0)
    assert bench.started == ["i1", "i2", "c"]
    assert conditions(bench.status) == READY
    bench.exit("c", 0)
    assert bench.phases == ["Pending", "Pending", "Running", "Succeeded"]
    assert conditions(bench.status) == ended("PodCompleted", "True/PodCompleted")


def test_init_fails() -> None:
    bench = Bench(pod(init=(container("i1"), container("i2"))))
    bench.settle()
    bench.exit("i1", 5)
    assert bench.phases == ["Pending", "Failed"]
    assert [state(bench.status, n) for n in ("i1", "i2", "c")] == [
        "terminated(5 Error)", "waiting(PodInitializing)", "waiting(PodInitializing)",
    ]  # fmt: skip
    assert conditions(bench.status) == ended("PodFailed", "False/ContainersNotInitialized")
    assert bench.started == ["i1"]


@pytest.mark.parametrize("policy", ["OnFailure", "Always"])
def test_init_is_tried_again(policy: str) -> None:
    bench = Bench(pod(init=(container("i1"),), restart=policy))
    bench.settle()
    bench.exit("i1", 1)
    assert state(bench.status, "i1") == "running"
    bench.exit("i1", 1)
    assert state(bench.status, "i1") == "waiting(CrashLoopBackOff)"
    assert set(bench.phases) == {"Pending"}
    bench.wait()
    bench.exit("i1", 0)
    assert bench.phases[-1] == "Running"


def test_delete_running_that_traps_sigterm_without_ending() -> None:
    bench = Bench(pod())
    bench.settle()
    bench.delete(4)
    assert bench.signals == [("c", 15)]
    assert bench.events == ["Normal Killing: Stopping container c"]
    assert bench.wait() == 4
    assert bench.signals == [("c", 15), ("c", 9)]
    assert not bench.deleted
    bench.exit("c", 137, after=0.1)
    assert bench.phases[-1] == "Failed"
    assert state(bench.status) == "terminated(137 Error)"
    assert bench.deleted
    assert len(bench.events) == 1


def test_delete_with_success_on_sigterm() -> None:
    bench = Bench(pod(restart="Always"))
    bench.settle()
    bench.delete(30)
    bench.exit("c", 0)
    assert bench.phases[-1] == "Succeeded"
    assert bench.started == ["c"]


def test_a_second_shorter_deletion_shortens_the_wait() -> None:
    bench = Bench(pod())
    bench.settle()
    bench.delete(30)
    bench.sleep(3)
    bench.delete(5)
    assert bench.wait() == 5
    assert bench.signals == [("c", 15), ("c", 9)]


def test_never_less_than_two_seconds() -> None:
    bench = Bench(pod())
    bench.settle()
    bench.delete(1)
    assert bench.wait() == 2


def test_delete_pending() -> None:
    problem = Problem("CreateContainerConfigError", 'configmap "missing" not found', START)
    bench = Bench(pod(), problems={"c": problem})
    bench.settle()
    before = conditions(bench.status)
    bench.delete(30)
    assert bench.phases == ["Pending", "Failed"]
    assert state(bench.status) == "terminated(137 ContainerStatusUnknown)"
    after = conditions(bench.status)
    assert {**after, "PodReadyToStartContainers": "True"} == before
    assert bench.deleted


def test_active_deadline() -> None:
    bench = Bench(pod(activeDeadlineSeconds=6))
    bench.settle()
    assert bench.wait() == 6
    assert bench.phases == ["Running", "Running"]
    assert conditions(bench.status)["Ready"] == "False/PodFailed"
    assert state(bench.status) == "running"
    assert bench.events == [
        "Normal DeadlineExceeded: Pod was active on the node longer than the specified deadline",
        "Normal Killing: Stopping container c",
    ]
    bench.exit("c", 0)
    assert bench.phases[-1] == "Failed"
    assert bench.status.reason == "DeadlineExceeded"
    assert bench.status.message == ("Pod was active on the node longer than the specified deadline")
    assert state(bench.status) == "terminated(0 Completed)"


def test_config_error_heals() -> None:
    problem = Problem("CreateContainerConfigError", 'configmap "missing" not found', START)
    bench = Bench(pod(), problems={"c": problem})
    bench.settle()
    assert bench.phases == ["Pending"]
    assert state(bench.status) == "waiting(CreateContainerConfigError)"
    assert bench.wait() == 10
    assert len(bench.statuses) == 1  # the same problem again is no news
    bench.problems.clear()
    bench.wait()
    assert state(bench.status) == "running"


def test_a_permanent_problem_is_not_tried_again() -> None:
    problem = Problem("CreateContainerError", "no command specified", START, permanent=True)
    bench = Bench(pod(), problems={"c": problem})
    bench.settle()
    assert bench.wake_at is None


def test_sidecars_start_in_order_and_end_in_reverse() -> None:
    always = {"restartPolicy": "Always"}
    bench = Bench(
        pod(init=(container("s1", **always), container("i2"), container("s3", **always)), grace=10)
    )
    bench.settle()
    assert bench.started == ["s1", "i2"]
    bench.exit("i2", 0)
    assert bench.started == ["s1", "i2", "s3", "c"]
    assert conditions(bench.status) == READY
    bench.exit("c", 0)
    assert bench.phases[-1] == "Running"
    assert bench.events == [
        "Normal Killing: Stopping container s1", "Normal Killing: Stopping container s3",
    ]  # fmt: skip
    assert bench.signals == [("s3", 15)]
    bench.exit("s3", 3)
    assert bench.signals == [("s3", 15), ("s1", 15)]
    bench.exit("s1", 0)
    assert bench.phases[-1] == "Succeeded"  # the sidecars' exit codes do not count
    assert state(bench.status, "s3") == "terminated(3 Error)"


def test_a_sidecar_is_restarted_whatever_its_exit_code() -> None:
    bench = Bench(pod(init=(container("s", restartPolicy="Always"),)))
    bench.settle()
    bench.exit("s", 0)
    assert bench.started == ["s", "c", "s"]


def test_restart_rules_win_over_the_pods_policy() -> None:
    rule = m_rule(42)
    bench = Bench(pod(container(restartPolicy="Never", restartPolicyRules=[rule])))
    bench.settle()
    bench.exit("c", 42)
    assert state(bench.status) == "running"
    bench.exit("c", 7)
    assert bench.phases[-1] == "Failed"


def m_rule(code: int) -> Any:
    """A restart rule, decoded: the model is not among those the package names itself."""
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [code]}}
    spec = {"name": "c", "restartPolicyRules": [rule]}
    [decoded] = msgspec.convert(spec, m.Container).restartPolicyRules or []
    return decoded


def test_what_ran_before_the_agent_is_adopted() -> None:
    bench = Bench(pod())
    bench.settle()
    again = Bench(bench.pod, attempts=bench.attempts)
    again.settle()
    assert (again.statuses, again.events, again.started) == ([], [], [])


def test_a_container_that_vanished_is_unknown() -> None:
    bench = Bench(pod())
    bench.settle()
    bench.attempts.clear()
    bench.settle()
    assert bench.phases[-1] == "Failed"
    assert state(bench.status) == "terminated(137 ContainerStatusUnknown)"


def test_a_terminal_phase_never_changes() -> None:
    p = pod(restart="Always")
    assert p.status is not None
    p = m.Pod(metadata=p.metadata, spec=p.spec, status=m.PodStatus(phase="Failed"))
    bench = Bench(p, attempts={attempt().id: attempt()})
    bench.settle()
    assert bench.statuses == []
    assert bench.signals == [("c", 15)]
