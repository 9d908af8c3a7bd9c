"""What the agent holds about one pod while it looks after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from kubatch.agent.facts import NOTHING_KNOWN, ContainerFacts, Kind, Memory
from kubatch.agent.vitals import Vitals
from kubatch.agent.volumes import Mounted
from kubatch.api import models as m
from kubatch.runtime.protocol import Container, ContainerId, ContainerState


@dataclass(frozen=True, slots=True)
class Said:
    """The last decision about a pod, in words."""

    because: str
    at: datetime
    wake_at: datetime | None


@dataclass(slots=True, eq=False)
class PodRecord:
    """One pod of this node, or what is left of one. Changed by its worker and by observers."""

    uid: str
    pod: m.Pod | None  # as newest known; None when only its containers are known
    attempts: dict[ContainerId, Container] = field(default_factory=dict)
    memory: Memory = NOTHING_KNOWN
    gone: bool = False  # the API has it no more
    tails: dict[ContainerId, str] = field(default_factory=dict)
    # Set by whatever may need a new decision; cleared by the worker when it starts one.
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    worker: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    admitted: bool = False  # it was looked at, and taken in or refused
    seen_at: datetime | None = None  # when it was taken in, until it runs
    # Peak memory in bytes and CPU time in seconds of attempts that have ended.
    spent: dict[ContainerId, tuple[int, float]] = field(default_factory=dict)
    counted: set[ContainerId] = field(default_factory=set)  # attempts that metrics know
    failures: int = 0  # turns in a row that ended in an error
    # The status last written and what the API made of it: equal to both, nothing is to be written.
    written: m.PodStatus | None = None
    answered: m.PodStatus | None = None
    said: Said | None = None
    volumes: Mapping[str, Mounted] | None = None  # once they are set up
    released: bool = False  # they were removed
    address: str = ""  # of its own, once it was put into the network of pods
    refresh_at: datetime | None = None  # when what volumes hold is compared with the API again
    vitals: Vitals = field(default_factory=Vitals)
    # Probes and hooks under way, by attempt and which of them it is.
    tasks: dict[tuple[ContainerId, str], asyncio.Task[None]] = field(default_factory=dict)
    shown_by_volumes: object = None  # the pod's own fields that volumes may hold, as of then

    def learn(self, seen: Container) -> bool:
        """Take an observation; whether it says something new. An end is never taken back."""
        known = self.attempts.get(seen.id)
        if known == seen or (known is not None and known.state is ContainerState.EXITED):
            return False
        self.attempts[seen.id] = seen
        return True

    def lost(self, id: ContainerId) -> None:
        """The runtime does not know an attempt that we took to be running."""
        known = self.attempts.get(id)
        if known is not None and known.state is ContainerState.RUNNING:
            self.attempts[id] = replace(
                known,
                state=ContainerState.EXITED,
                exit_code=137,
                reason="ContainerStatusUnknown",
                message="The container could not be located when the pod was terminated",
            )

    def take(self, pod: m.Pod) -> bool:
        """Take a version of the pod; False when one as new is known already."""
        if self.pod is not None and revision(pod) <= revision(self.pod):
            return False
        self.pod = pod
        return True

    def needs(self, status: m.PodStatus | None) -> bool:
        """Whether a status has to be written."""
        if status is None or self.pod is None or status == self.pod.status:
            return False
        return status != self.written or self.pod.status != self.answered


def revision(pod: m.Pod) -> int:
    """The pod's resourceVersion; they can be compared as numbers since Kubernetes 1.35."""
    assert pod.metadata is not None
    return int(pod.metadata.resourceVersion or 0)


def uid_of(pod: m.Pod) -> str:
    assert pod.metadata is not None
    return pod.metadata.uid or ""


def by_pod(attempts: Iterable[Container]) -> dict[str, dict[ContainerId, Container]]:
    """Attempts under their pods' uids."""
    found: dict[str, dict[ContainerId, Container]] = {}
    for attempt in attempts:
        found.setdefault(attempt.id.pod_uid, {})[attempt.id] = attempt
    return found


def bare(attempts: Iterable[Container]) -> tuple[ContainerFacts, ...]:
    """Containers whose pod is not known any more, as far as ending them goes."""
    return tuple(
        ContainerFacts(
            f"{a.id.container}/{a.id.attempt}",
            Kind.REGULAR,
            m.Container(name=a.id.container),
            "Never",
            (),
            (a,),
            {},
        )
        for a in attempts
    )
