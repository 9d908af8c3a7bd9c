"""Pods, attempts, and a machine that carries out decisions step by step, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import structs

from kubatch.agent.commands import (
    DeletePod,
    Emit,
    PodDecision,
    RemoveContainer,
    RunPreStop,
    Signal,
    StartContainer,
)
from kubatch.agent.decide import decide
from kubatch.agent.facts import NOTHING_KNOWN, Memory, PodFacts, Problem, read
from kubatch.agent.vitals import Health, Hook, Vitals
from kubatch.api import models as m
from kubatch.runtime.protocol import Container, ContainerId, ContainerState

START = datetime(2026, 11, 22, 3, 0, 0, tzinfo=UTC)


def container(name: str = "c", **fields: Any) -> m.Container:
    return m.Container(name=name, image=fields.pop("image", "busybox"), **fields)


def pod(
    *containers: m.Container,
    init: tuple[m.Container, ...] = (),
    restart: str = "Never",
    **spec: Any,
) -> m.Pod:
    return m.Pod(
        apiVersion="v1",
        kind="Pod",
        metadata=m.ObjectMeta(
            name="p", namespace="default", uid="u1", generation=1, resourceVersion="1"
        ),
        spec=m.PodSpec(
            containers=list(containers) or [container()],
            initContainers=list(init) or None,
            restartPolicy=restart,
            nodeName="n",
            terminationGracePeriodSeconds=spec.pop("grace", 30),
            **spec,
        ),
        status=m.PodStatus(phase="Pending"),
    )


def attempt(
    name: str = "c",
    number: int = 0,
    code: int | None = None,
    *,
    at: datetime = START,
    reason: str = "",
    message: str = "",
) -> Container:
    """An attempt that runs since `at`, or with a code one that ended then."""
    return Container(
        id=ContainerId("u1", name, number),
        state=ContainerState.RUNNING if code is None else ContainerState.EXITED,
        pid=1,
        started_at=None if reason == "StartError" else at,
        finished_at=None if code is None else at,
        exit_code=code,
        reason=reason,
        message=message,
    )


def facts(p: m.Pod, *attempts: Container, memory: Memory = NOTHING_KNOWN) -> PodFacts:
    if memory.start_time is None:
        memory = replace(memory, start_time=START)
    return read(p, attempts, memory, host_ip="10.0.0.1", runtime="scripted")


@dataclass
class Bench:
    """One pod on a machine where the test says when containers end."""

    pod: m.Pod
    now: datetime = START
    attempts: dict[ContainerId, Container] = field(default_factory=dict)
    memory: Memory = NOTHING_KNOWN
    problems: dict[str, Problem] = field(default_factory=dict)  # containers that cannot start
    missing: set[str] = field(default_factory=set)  # containers whose program does not exist
    statuses: list[m.PodStatus] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    signals: list[tuple[str, int]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    deleted: bool = False
    wake_at: datetime | None = None
    vitals: Vitals = field(default_factory=Vitals)
    hooks: list[str] = field(default_factory=list)  # containers whose preStop hook was begun

    def settle(self) -> PodDecision:
        """Decide and carry out until nothing changes."""
        for _ in range(50):
            seen = read(
                self.pod,
                self.attempts.values(),
                self.memory,
                host_ip="10.0.0.1",
                runtime="s",
                vitals=self.vitals,
            )
            decision = decide(seen, self.now)
            self.memory = decision.memory
            for command in decision.commands:
                self._carry_out(command)
            if any(isinstance(c, StartContainer) for c in decision.commands):
                continue
            self.wake_at = decision.wake_at
            if decision.status is None or decision.status == self.pod.status:
                if not decision.commands or self.deleted:
                    return decision
                continue
            self.statuses.append(decision.status)
            self.pod = structs.replace(self.pod, status=decision.status)
        raise AssertionError("it does not come to rest")

    def exit(self, name: str, code: int, after: float = 1.0) -> PodDecision:
        """Let the newest attempt of a container end some seconds from now."""
        self.now += timedelta(seconds=after)
        id = max(i for i in self.attempts if i.container == name)
        self.attempts[id] = replace(
            self.attempts[id], state=ContainerState.EXITED, finished_at=self.now, exit_code=code
        )
        return self.settle()

    def id(self, name: str) -> ContainerId:
        """The newest attempt of a container."""
        return max(i for i in self.attempts if i.container == name)

    def probe(self, name: str, **health: Any) -> PodDecision:
        """Let probes say something new about a container."""
        id = self.id(name)
        self.vitals.health[id] = replace(self.vitals.health.get(id, Health()), **health)
        return self.settle()

    def post_start(self, name: str, error: str | None = None) -> PodDecision:
        """Let a postStart hook end."""
        self.vitals.post_start[self.id(name)] = Hook(done=True, error=error)
        return self.settle()

    def pre_stop(self, name: str, error: str | None = None) -> PodDecision:
        """Let a preStop hook end."""
        self.vitals.pre_stop[self.id(name)] = Hook(done=True, error=error)
        return self.settle()

    def sleep(self, seconds: float) -> PodDecision:
        self.now += timedelta(seconds=seconds)
        return self.settle()

    def wait(self) -> float:
        """Let time pass until the decision wants to look again; how long that was."""
        assert self.wake_at is not None
        waited = (self.wake_at - self.now).total_seconds()
        self.now = self.wake_at
        self.settle()
        return waited

    def delete(self, grace: int) -> PodDecision:
        assert self.pod.metadata is not None
        metadata = structs.replace(
            self.pod.metadata,
            deletionTimestamp=self.now + timedelta(seconds=grace),
            deletionGracePeriodSeconds=grace,
        )
        self.pod = structs.replace(self.pod, metadata=metadata)
        return self.settle()

    @property
    def status(self) -> m.PodStatus:
        return self.statuses[-1]

    @property
    def phases(self) -> list[str]:
        return [s.phase or "" for s in self.statuses]

    def _carry_out(self, command: Any) -> None:
        match command:
            case StartContainer():
                self._start(command)
            case Signal():
                self.signals.append((command.id.container, command.number))
            case RunPreStop():
                self.hooks.append(command.container.name)
                self.vitals.pre_stop[self.id(command.container.name)] = Hook()
            case RemoveContainer():
                del self.attempts[command.id]
                self.vitals.forget(command.id)
            case DeletePod():
                self.deleted = True
            case Emit():
                self.events.append(f"{command.type} {command.reason}: {command.message}")

    def _start(self, command: StartContainer) -> None:
        name = command.container.name
        if name in self.problems:
            problem = replace(self.problems[name], at=self.now)
            self.memory = replace(self.memory, problems={**self.memory.problems, name: problem})
            return
        rest = {k: v for k, v in self.memory.problems.items() if k != name}
        self.memory = replace(self.memory, problems=rest)
        self.started.append(name)
        if name in self.missing:
            seen = attempt(
                name, command.attempt, 128, at=self.now, reason="StartError", message="no such file"
            )
        else:
            seen = attempt(name, command.attempt, at=self.now)
            lifecycle = command.container.spec.lifecycle
            if lifecycle is not None and lifecycle.postStart is not None:
                self.vitals.post_start[seen.id] = Hook()
        self.attempts[seen.id] = seen


def conditions(status: m.PodStatus) -> dict[str, str]:
    """Each condition as `True`, or `False/Reason`."""
    return {
        c.type: f"{c.status}/{c.reason}" if c.reason else c.status for c in status.conditions or ()
    }


def state(status: m.PodStatus, name: str = "c") -> str:
    """A container's state in short: running, waiting(Reason), terminated(0 Completed)."""
    every = [*(status.initContainerStatuses or ()), *(status.containerStatuses or ())]
    every += status.ephemeralContainerStatuses or ()
    shown = next(s.state for s in every if s.name == name)
    assert shown is not None
    if shown.running is not None:
        return "running"
    if shown.waiting is not None:
        return f"waiting({shown.waiting.reason})"
    assert shown.terminated is not None
    return f"terminated({shown.terminated.exitCode} {shown.terminated.reason})"
