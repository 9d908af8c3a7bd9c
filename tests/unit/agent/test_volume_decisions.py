"""When volumes are set up and released, decided without any disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kubatch.agent.commands import ReleaseVolumes, SetUpVolumes, StartContainer
from kubatch.agent.decide import decide
from kubatch.agent.facts import NOTHING_KNOWN, Capabilities, MountTrouble, PodFacts, VolumesState
from kubatch.agent.refuse import refusal
from kubatch.api import models as m
from kubatch.api.models import core_v1
from tests.unit.agent.pods import START, attempt, conditions, container, facts, pod

WANTED, READY = VolumesState.WANTED, VolumesState.READY
LATER = START + timedelta(seconds=1)


def waiting(state: VolumesState, trouble: MountTrouble | None = None) -> PodFacts:
    memory = replace(NOTHING_KNOWN, start_time=START, mounting=trouble)
    return replace(facts(pod(), memory=memory), volumes=state)


def test_volumes_come_before_containers() -> None:
    decision = decide(waiting(WANTED), START)
    assert decision.commands == (SetUpVolumes(),)
    assert decision.status is None
    (start,) = decide(waiting(READY), START).commands
    assert isinstance(start, StartContainer)


def test_nothing_starts_until_it_is_time_to_try_again() -> None:
    decision = decide(waiting(WANTED, MountTrouble(LATER, 0.5)), START)
    assert (decision.commands, decision.wake_at) == ((), LATER)
    assert decision.status is not None
    assert conditions(decision.status)["PodReadyToStartContainers"] == "False"
    assert decision.status.podIP is None
    assert decide(waiting(WANTED, MountTrouble(LATER, 0.5)), LATER).commands == (SetUpVolumes(),)


def test_what_runs_needs_no_volumes_again() -> None:
    """After a restart nothing is known of them, and nothing has to be."""
    seen = replace(facts(pod(), attempt()), volumes=WANTED)
    assert decide(seen, START).commands == ()


@pytest.mark.parametrize(
    ("state", "released"),
    [(WANTED, True), (READY, True), (VolumesState.RELEASED, False), (VolumesState.NONE, False)],
)
def test_volumes_go_when_the_api_shows_the_end(state: VolumesState, released: bool) -> None:
    for phase in ("Failed", "Running"):
        p = pod()
        p.status = m.PodStatus(phase=phase)
        seen = replace(facts(p, attempt(code=1)), volumes=state)
        release = ReleaseVolumes() in decide(seen, START).commands
        assert release is (released and phase == "Failed")


def caps(*add: str) -> m.SecurityContext:
    return m.SecurityContext(capabilities=core_v1.Capabilities(add=list(add)))


@pytest.mark.parametrize(
    ("fields", "spec", "start"),
    [
        ({}, {"hostPID": True}, "hostPID needs a node that runs as root"),
        ({}, {"hostIPC": True}, "hostIPC needs a node that runs as root"),
        (
            {"securityContext": m.SecurityContext(privileged=True)},
            {},
            "securityContext.privileged needs a node that runs as root",
        ),
        (
            {"securityContext": m.SecurityContext(procMount="Unmasked")},
            {},
            "procMount Unmasked is not possible",
        ),
        ({"securityContext": m.SecurityContext(procMount="Default")}, {}, None),
        ({"securityContext": caps("NET_ADMIN")}, {}, "capability NET_ADMIN cannot be added"),
        ({"securityContext": caps("CAP_KILL")}, {}, None),
        ({}, {"shareProcessNamespace": True}, None),
        ({}, {"securityContext": m.PodSecurityContext(fsGroup=5)}, None),
        (
            {},
            {"securityContext": m.PodSecurityContext(supplementalGroups=[5])},
            "securityContext.supplementalGroups needs a node that runs as root",
        ),
        (
            {"volumeDevices": [core_v1.VolumeDevice(name="v", devicePath="/dev/x")]},
            {},
            'volume "v" cannot be attached at /dev/x',
        ),
    ],
)
def test_what_a_sandbox_cannot_do(
    fields: dict[str, Any], spec: dict[str, Any], start: str | None
) -> None:
    able = Capabilities(mounts=True, users=True, capabilities=frozenset({"KILL"}))
    c = container("c", **fields)
    why = refusal(c, pod(c, **spec), able, "sandbox")
    assert why is None if start is None else (why or "").startswith(start)


def test_processes_are_shared_between_containers_where_root_makes_it_possible() -> None:
    a, b = container("a"), container("b")
    p = pod(a, b, shareProcessNamespace=True)
    why = refusal(a, p, Capabilities(mounts=True), "sandbox")
    assert why == "shareProcessNamespace needs a node that runs as root; remove the field"
    assert refusal(a, p, Capabilities(mounts=True, privileged=True), "sandbox") is None
    assert refusal(a, p, Capabilities(), "process") is None


def test_who_may_be_privileged() -> None:
    able = Capabilities(mounts=True, privileged=True)
    c = container("c", securityContext=m.SecurityContext(privileged=True))
    assert refusal(c, pod(c), able, "sandbox") is None
    assert refusal(c, pod(c, hostPID=True, hostIPC=True), able, "sandbox") is None
    plain = container("c")
    assert refusal(plain, pod(plain, hostIPC=True), able, "sandbox") is None
    why = refusal(plain, pod(plain, hostPID=True), able, "sandbox")
    assert (why or "").startswith("hostPID would let the container into every other pod")
