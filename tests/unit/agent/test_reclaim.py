"""What goes first when the disk is full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from kubatch.agent.facts import NOTHING_KNOWN
from kubatch.agent.reclaim import leftovers, remove
from kubatch.agent.record import PodRecord
from kubatch.agent.verdict import eviction
from kubatch.api import models as m
from kubatch.runtime.protocol import Container, ContainerId, ContainerState
from tests.unit.agent.pods import container, pod

EVICTED = replace(NOTHING_KNOWN, verdict=eviction("too much", disruption=True))
RUNNING, EXITED = ContainerState.RUNNING, ContainerState.EXITED


def record(phase: str, state: ContainerState | None, *, evicted: bool = False) -> PodRecord:
    attempts = {}
    if state is not None:
        id = ContainerId("u", "c", 0)
        attempts[id] = Container(id=id, state=state, pid=None, started_at=None)
    base = pod(container())
    made = structs.replace(
        base,
        metadata=m.ObjectMeta(name="p", namespace="n", uid="u"),
        status=m.PodStatus(phase=phase),
    )
    return PodRecord("u", made, attempts, memory=EVICTED if evicted else NOTHING_KNOWN)


@pytest.mark.parametrize(
    ("known", "goes"),
    [
        (record("Running", RUNNING), False),
        (record("Running", EXITED), False),  # it may be started again
        (record("Running", RUNNING, evicted=True), False),
        (record("Running", EXITED, evicted=True), True),  # the API cannot write it down
        (record("Succeeded", None), True),
        (record("Failed", RUNNING), False),
        (record("Pending", None), False),
        (PodRecord("u", None), False),
    ],
)
def test_what_ended_pods_printed_goes(known: PodRecord, goes: bool) -> None:
    assert leftovers(Path("logs"), [known]) == ([Path("logs/n_p_u")] if goes else [])


def test_removing_is_no_more_than_an_attempt(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    (folder / "c").mkdir(parents=True)
    (folder / "c" / "0.log").touch()
    remove([tmp_path / "not there", folder])
    assert list(tmp_path.iterdir()) == []
