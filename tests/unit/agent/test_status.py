"""Phase and conditions as tables."""

from __future__ import annotations

import pytest

from kubatch.agent import status
from kubatch.agent.backoff import Backoff
from kubatch.agent.facts import Memory, container_id, read
from kubatch.api import models as m
from kubatch.runtime.protocol import Container, ContainerId
from tests.unit.agent.pods import START, attempt, container, facts, pod, state

ALWAYS = {"restartPolicy": "Always"}
SIDECAR = container("s", **ALWAYS)
INIT = container("i")


@pytest.mark.parametrize(
    ("policy", "attempts", "finalising", "expected"),
    [
        ("Never", [], False, "Pending"),
        ("Never", [attempt("a")], False, "Pending"),  # b never ran
        ("Never", [attempt("a"), attempt("b")], False, "Running"),
        ("Never", [attempt("a", code=1), attempt("b")], False, "Running"),
        ("Never", [attempt("a", code=0), attempt("b", code=0)], False, "Succeeded"),
        ("Never", [attempt("a", code=0), attempt("b", code=1)], False, "Failed"),
        ("OnFailure", [attempt("a", code=0), attempt("b", code=1)], False, "Running"),
        ("OnFailure", [attempt("a", code=0), attempt("b", code=1)], True, "Failed"),
        ("OnFailure", [attempt("a", code=0), attempt("b", code=0)], False, "Succeeded"),
        ("Always", [attempt("a", code=0), attempt("b", code=0)], False, "Running"),
        ("Always", [attempt("a", code=0), attempt("b", code=0)], True, "Succeeded"),
        ("Never", [attempt("a", code=0)], False, "Pending"),
    ],
)
def test_phase_of_two_containers(
    policy: str, attempts: list[Container], finalising: bool, expected: str
) -> None:
    seen = facts(pod(container("a"), container("b"), restart=policy), *attempts)
    shown = status.containers(seen, START, stopping=finalising)
    assert status.phase(seen, shown, finalising=finalising) == expected


@pytest.mark.parametrize(
    ("policy", "attempts", "expected"),
    [
        ("Never", [], "Pending"),
        ("Never", [attempt("s")], "Pending"),
        ("Never", [attempt("s"), attempt("i")], "Pending"),
        ("Never", [attempt("s"), attempt("i", code=1)], "Failed"),
        ("OnFailure", [attempt("s"), attempt("i", code=1)], "Pending"),
        ("Never", [attempt("s"), attempt("i", code=0, reason="OOMKilled")], "Failed"),
        ("Never", [attempt("s"), attempt("i", code=0), attempt("c")], "Running"),
        ("Never", [attempt("s"), attempt("i", code=0), attempt("c", code=0)], "Running"),
        ("Never", [attempt("s", code=3), attempt("i", code=0), attempt("c", code=0)], "Succeeded"),
    ],
)
def test_phase_with_init_and_sidecar(policy: str, attempts: list[Container], expected: str) -> None:
    seen = facts(pod(init=(SIDECAR, INIT), restart=policy), *attempts)
    shown = status.containers(seen, START, stopping=False)
    assert status.phase(seen, shown, finalising=False) == expected


def test_statuses_are_sorted_by_name_and_init_by_order() -> None:
    seen = facts(pod(container("z"), container("a"), init=(container("y"), container("b"))))
    shown = status.containers(seen, START, stopping=False)
    whole = status.pod_status(seen, shown, "Pending", None, None, [])
    assert [s.name for s in whole.containerStatuses or ()] == ["a", "z"]
    assert [s.name for s in whole.initContainerStatuses or ()] == ["y", "b"]


def test_unready_lists_sidecars_first() -> None:
    seen = facts(pod(container("c"), container("d"), init=(SIDECAR,)), attempt("c"))
    shown = status.containers(seen, START, stopping=False)
    found = {c.type: c for c in status.conditions(seen, shown, "Pending", START, sandbox=True)}
    assert found["Ready"].message == "containers with unready status: [s d]"


def test_condition_times_change_with_the_status_only() -> None:
    seen = facts(pod())
    shown = status.containers(seen, START, stopping=False)
    first = status.conditions(seen, shown, "Pending", START, sandbox=False)
    later = START.replace(hour=5)
    p = pod()
    assert p.status is not None
    p.status.conditions = first
    seen = facts(p, attempt())
    shown = status.containers(seen, START, stopping=False)
    second = status.conditions(seen, shown, "Running", later, sandbox=False)
    moments = {c.type: c.lastTransitionTime for c in second}
    assert moments["PodScheduled"] == START
    assert moments["Ready"] == later


@pytest.mark.parametrize(
    ("message", "tail", "expected"),
    [("", "oops\n", "oops\n"), ("m", "", "m"), ("m", "oops\n", "m: oops\n"), ("", "", None)],
)
def test_termination_message(message: str, tail: str, expected: str | None) -> None:
    ended = attempt(code=1, message=message)
    seen = read(pod(), [ended], Memory(START), host_ip="", runtime="s", tails={ended.id: tail})
    [shown] = status.containers(seen, START, stopping=False).regular
    assert shown.state is not None
    assert shown.state.terminated is not None
    assert shown.state.terminated.message == expected


def test_container_ids_differ_by_attempt() -> None:
    first = container_id("process", ContainerId("u", "c", 0))
    assert first.startswith("process://")
    assert len(first) == len("process://") + 64
    assert first != container_id("process", ContainerId("u", "c", 1))


def test_waiting_for_the_back_off_shows_the_last_end() -> None:
    memory = Memory(START, {"c": Backoff(20, START)})
    seen = status.containers(
        facts(pod(restart="OnFailure"), attempt(code=1), memory=memory), START, stopping=False
    )
    [shown] = seen.regular
    assert shown.state is not None
    assert shown.state.waiting is not None
    assert shown.state.waiting.reason == "CrashLoopBackOff"
    assert shown.lastState is not None
    assert shown.lastState.terminated is not None


@pytest.mark.parametrize(
    ("requests", "limits", "expected"),
    [
        ({}, {}, "BestEffort"),
        ({"cpu": "1"}, {}, "Burstable"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        ({"cpu": "1000m", "memory": "1024Mi"}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        ({"cpu": "1"}, {"cpu": "1"}, "Burstable"),
        ({"ephemeral-storage": "1Gi"}, {}, "BestEffort"),
    ],
)
def test_qos_class(requests: dict[str, str], limits: dict[str, str], expected: str) -> None:
    needs = m.ResourceRequirements(requests=requests, limits=limits)
    assert status.qos_class(pod(container(resources=needs))) == expected


def test_an_ephemeral_container_waits_until_it_runs() -> None:
    seen = facts(pod(ephemeralContainers=[m.EphemeralContainer(name="d", image="busybox")]))
    shown = status.containers(seen, START, stopping=False)
    told_status = status.pod_status(seen, shown, "Running", None, None, [])
    assert told_status.ephemeralContainerStatuses is not None
    (told,) = told_status.ephemeralContainerStatuses
    assert (told.name, told.started) == ("d", None)
    assert state(told_status, "d") == "waiting(ContainerCreating)"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, 'corresponding condition of pod readiness gate "example.com/g" does not exist.'),
        ("False", 'the status of pod readiness gate "example.com/g" is not "True", but False'),
        ("True", None),
    ],
)
def test_readiness_gates(value: str | None, message: str | None) -> None:
    p = pod(readinessGates=[m.core_v1.PodReadinessGate(conditionType="example.com/g")])
    if value is not None:
        assert p.status is not None
        p.status.conditions = [m.PodCondition(type="example.com/g", status=value)]
    seen = facts(p, attempt())
    shown = status.containers(seen, START, stopping=False)
    found = {c.type: c for c in status.conditions(seen, shown, "Running", START, sandbox=True)}
    assert found["ContainersReady"].status == "True"
    assert found["Ready"].message == message
    assert found["Ready"].status == ("True" if message is None else "False")


def test_long_messages_are_cut_between_characters() -> None:
    ended = attempt(code=1, message="\u00e9" * 5000)
    [shown] = status.containers(facts(pod(), ended), START, stopping=False).regular
    assert shown.state is not None
    assert shown.state.terminated is not None
    assert shown.state.terminated.message == "\u00e9" * 2048


def test_resources_of_the_pod_decide_its_class() -> None:
    both = m.ResourceRequirements(
        requests={"cpu": "1", "memory": "1Gi"}, limits={"cpu": "1", "memory": "1Gi"}
    )
    assert status.qos_class(pod(container(), resources=both)) == "Guaranteed"


def test_an_init_container_killed_for_memory_failed_whatever_it_says() -> None:
    ended = attempt("i", code=0, reason="OOMKilled")
    seen = facts(pod(init=(INIT,), restart="OnFailure"), ended)
    [c] = seen.early
    assert status.restarts(c, ended)
    shown = status.containers(seen, START, stopping=False)
    assert status.phase(seen, shown, finalising=False) == "Pending"
