"""Containers that are to see the processes of another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubatch.agent.env import Sources
from kubatch.agent.facts import Capabilities, PodFacts, Problem, as_container
from kubatch.agent.prepare import Host, prepare
from kubatch.agent.targets import not_followed
from kubatch.api import models as m
from kubatch.runtime.images import ImageMap
from kubatch.runtime.protocol import Container
from tests.unit.agent.pods import START, attempt, container, facts, pod

ROOT = Capabilities(mounts=True, privileged=True)
DEBUG = m.EphemeralContainer(name="debug", image="busybox", command=["sh"], targetContainerName="c")


def asked(*attempts: Container, target: str = "c", **spec: Any) -> PodFacts:
    debug = m.EphemeralContainer(
        name="debug", image="busybox", command=["sh"], targetContainerName=target
    )
    return facts(pod(container(), container("d"), ephemeralContainers=[debug], **spec), *attempts)


def target(found: PodFacts, able: Capabilities = ROOT) -> str:
    host = Host("n", "10.0.0.1", "sandbox", Path("/logs"), ImageMap(()), able, {"PATH": "/bin"})
    made = prepare(found, as_container(DEBUG), 0, Sources(), host, START)
    if isinstance(made, Problem):
        return f"{made.reason}: {made.message}"
    return made.isolation.processes_of if made.isolation is not None else "-"


@pytest.mark.parametrize(
    ("found", "able", "processes", "event"),
    [
        (asked(attempt()), ROOT, "c", False),
        (asked(attempt(), hostPID=False, shareProcessNamespace=True), ROOT, "", False),
        (asked(attempt(), target=""), ROOT, "", False),
        (asked(attempt()), replace(ROOT, privileged=False), "", True),
        (asked(attempt(), target=""), replace(ROOT, privileged=False), "", False),
        (asked(attempt()), Capabilities(), "-", False),
        (
            asked(), ROOT,
            "CreateContainerConfigError: unable to find target container c", None,
        ),
    ],
)  # fmt: skip
def test_whose_processes_it_sees(
    found: PodFacts, able: Capabilities, processes: str, event: bool | None
) -> None:
    assert target(found, able) == processes
    if event is not None:
        assert bool(not_followed(found, "debug", able)) is event
