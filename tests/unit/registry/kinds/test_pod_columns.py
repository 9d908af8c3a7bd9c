"""Pods as table rows, and what pods may be selected by."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import PODS
from kubatch.registry.strategy import Row
from tests.unit.registry.kinds.making import CONTAINER, NOW, decode, merged, new_pod, rules

TWO = {"containers": [CONTAINER, {**CONTAINER, "name": "d"}]}
INIT = {"initContainers": [{**CONTAINER, "name": "i"}, {**CONTAINER, "name": "j"}]}
SIDECAR = {"initContainers": [{**CONTAINER, "name": "i", "restartPolicy": "Always"}]}


def row(status: dict[str, Any], spec: dict[str, Any], **meta: Any) -> Row:
    body = merged(codec.to_dict(PODS, new_pod(**spec)), {"metadata": meta})
    return rules(PODS).row(decode(PODS, {**body, "status": status}), NOW)


def state(kind: str, name: str = "c", **what: Any) -> dict[str, Any]:
    """A container's status: running and ready, waiting or terminated."""
    return {
        "name": name,
        "image": "",
        "imageID": "",
        "ready": kind == "running",
        "state": {kind: {"exitCode": 0, **what} if kind == "terminated" else what},
    }


def ended(name: str = "c", code: int = 0, reason: str = "Completed") -> dict[str, Any]:
    return state("terminated", name, exitCode=code, reason=reason)


def running(*statuses: dict[str, Any], ready: bool = False) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True"}] if ready else []
    return {
        "phase": "Running",
        "conditions": conditions,
        "containerStatuses": list(statuses),
    }


def starting(*statuses: dict[str, Any]) -> dict[str, Any]:
    return {"phase": "Pending", "initContainerStatuses": list(statuses)}


ERROR = ended("d", 1, "Error")
CASES: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({}, {"phase": "Pending"}, "0/1", "Pending"),
    ({}, {"phase": "Failed", "reason": "Evicted"}, "0/1", "Evicted"),
    (
        {},
        {
            "phase": "Pending",
            "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
            ],
        },
        "0/1",
        "SchedulingGated",
    ),
    ({}, running(state("running")), "1/1", "Running"),
    ({}, running(state("waiting", reason="ErrImagePull")), "0/1", "ErrImagePull"),
    ({}, {**running(ended()), "phase": "Succeeded"}, "0/1", "Completed"),
    ({}, {**running(ended(code=1, reason="Error")), "phase": "Failed"}, "0/1", "Error"),
    ({}, running(state("terminated", exitCode=3)), "0/1", "ExitCode:3"),
    ({}, running(state("terminated", exitCode=137, signal=9)), "0/1", "Signal:9"),
    (TWO, running(ended(), state("running", "d"), ready=True), "1/2", "Running"),
    (TWO, running(ended(), state("running", "d")), "1/2", "NotReady"),
    (TWO, running(ended(), ERROR), "0/2", "Error"),
    (INIT, starting(state("running", "i")), "0/1", "Init:0/2"),
    (
        INIT,
        starting(ended("i"), state("waiting", "j", reason="PodInitializing")),
        "0/1",
        "Init:1/2",
    ),
    (INIT, starting(state("waiting", "i", reason="ErrImagePull")), "0/1", "Init:ErrImagePull"),
    (INIT, starting(ended("i", 1, "Error")), "0/1", "Init:Error"),
    (INIT, starting(state("terminated", "i", exitCode=2)), "0/1", "Init:ExitCode:2"),
    (
        INIT,
        starting(state("terminated", "i", exitCode=137, signal=9)),
        "0/1",
        "Init:Signal:9",
    ),
    (
        SIDECAR,
        {
            **running(state("running"), ready=True),
            "initContainerStatuses": [{**state("running", "i"), "started": True}],
        },
        "2/2",
        "Running",
    ),
]


@pytest.mark.parametrize(("spec", "status", "ready", "shown"), CASES)
def test_ready_and_status(
    spec: dict[str, Any], status: dict[str, Any], ready: str, shown: str
) -> None:
    assert tuple(row(status, spec).cells[1:3]) == (ready, shown)


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"phase": "Running"}, "Terminating"),
        ({"phase": "Succeeded"}, "Succeeded"),
        ({"phase": "Running", "reason": "NodeLost"}, "Unknown"),
    ],
)
def test_status_while_deleted(status: dict[str, Any], shown: str) -> None:
    assert row(status, {}, deletionTimestamp="2026-05-01T12:00:00Z").cells[2] == shown


def test_restarts() -> None:
    before = {"terminated": {"exitCode": 1, "finishedAt": "2026-05-01T11:59:55Z"}}
    restarted = {**state("running"), "restartCount": 3, "lastState": before}
    assert row(running(restarted), {}).cells[3] == "3 (5s ago)"
    assert row(running(state("running")), {}).cells[3] == "0"
    # Before the containers start, init containers' restarts count; after, only sidecars'.
    init = {**state("waiting", "i", reason="CrashLoopBackOff"), "restartCount": 2}
    assert row(starting(init), INIT).cells[3] == "2"
    done = {**ended("i"), "restartCount": 2}
    both = {**running(state("running")), "initContainerStatuses": [done, ended("j")]}
    assert row(both, INIT).cells[3] == "0"


def test_wide_columns() -> None:
    assert list(row({"phase": "Pending"}, {}).cells[4:]) == ["0s", *["<none>"] * 4]
    spec = {"nodeName": "n", "readinessGates": [{"conditionType": "a.b/c"}]}
    status = {
        "phase": "Running",
        "podIP": "10.0.0.1",
        "nominatedNodeName": "m",
        "conditions": [{"type": "a.b/c", "status": "True"}],
    }
    assert list(row(status, spec).cells[5:]) == ["10.0.0.1", "n", "m", "1/1"]


@pytest.mark.parametrize(
    ("phase", "message"),
    [("Succeeded", "The pod has completed successfully."), ("Failed", "The pod failed.")],
)
def test_finished_pods_carry_a_row_condition(phase: str, message: str) -> None:
    assert list(row({"phase": phase}, {}).conditions) == [
        {"type": "Completed", "status": "True", "reason": phase, "message": message}
    ]
    assert list(row({"phase": "Running"}, {}).conditions) == []


def test_fields() -> None:
    fields = rules(PODS).fields
    pod = new_pod(nodeName="n", hostNetwork=True)
    shown = {name: read(pod) for name, read in fields.items()}
    assert shown == {
        "spec.nodeName": "n",
        "spec.host": "n",
        "spec.restartPolicy": "Always",
        "spec.schedulerName": "default-scheduler",
        "spec.serviceAccountName": "default",
        "spec.hostNetwork": "true",
        "status.phase": "Pending",
        "status.podIP": "",
        "status.podIPs": "",
        "status.nominatedNodeName": "",
    }
    assert rules(PODS).unknown_field_message("spec.foo") == "field label not supported: spec.foo"
