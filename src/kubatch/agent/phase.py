"""A pod's phase (pkg/kubelet/kubelet_pods.go: getPhase)."""

from __future__ import annotations

from kubatch.agent.backoff import should_restart
from kubatch.agent.container_status import UNKNOWN_EXIT, Shown
from kubatch.agent.facts import (
    RESET_REASON,
    TERMINAL_PHASES,
    ContainerFacts,
    Kind,
    PodFacts,
)
from kubatch.api import models as m


def phase(facts: PodFacts, shown: Shown, *, finalising: bool) -> str:
    """The pod's phase (getPhase). Finalising: no container is ever started again."""
    pending_init = pending_sidecar = running = waiting = stopped = succeeded = for_good = 0
    for c, status in zip(facts.early, shown.early, strict=True):
        state = status.state
        assert state is not None
        ended = _last_end(status)
        if c.kind is Kind.SIDECAR:
            if state.running is not None:
                running += 1
                pending_sidecar += not status.started
            elif state.waiting is not None and ended is None:
                waiting += 1
                pending_sidecar += 1
        elif state.running is not None or ended is None:
            pending_init += 1
        elif _init_failed(ended) and not restartable(c, ended):
            return "Failed"
    for c, status in zip(facts.regular, shown.regular, strict=True):
        state = status.state
        assert state is not None
        ended = _last_end(status)
        if state.running is not None:
            running += 1
        elif ended is not None:
            stopped += 1
            succeeded += state.terminated is not None and ended.exitCode == 0
            for_good += not restartable(c, ended)
        else:
            waiting += 1
    any_regular = any(c.attempts for c in facts.regular)
    if pending_init or (pending_sidecar and not any_regular) or waiting:
        return "Pending"
    if running:
        return "Running"
    if not stopped:
        return "Pending"
    if not finalising and for_good < stopped:
        return "Running"
    return "Succeeded" if succeeded == stopped else "Failed"


def _last_end(status: m.ContainerStatus) -> m.ContainerStateTerminated | None:
    """How a container that does not run ended; None when it never ran, or is to run anew."""
    assert status.state is not None
    if status.state.waiting is not None and status.state.waiting.reason == RESET_REASON:
        return None
    if status.state.terminated is not None or status.state.waiting is None:
        return status.state.terminated
    return status.lastState.terminated if status.lastState is not None else None


def _init_failed(ended: m.ContainerStateTerminated) -> bool:
    return ended.exitCode != 0 or ended.reason == "OOMKilled"


def restartable(c: ContainerFacts, ended: m.ContainerStateTerminated) -> bool:
    """Whether the container runs again after an end that its status shows."""
    if c.renewed or ended.reason == RESET_REASON:
        return True
    code = ended.exitCode
    if c.kind is Kind.INIT and ended.reason == "OOMKilled":
        code = code or UNKNOWN_EXIT
    return should_restart(c.restart_policy, c.restart_rules, code)


def is_terminal(pod_phase: str) -> bool:
    """Whether a pod in this phase stays as it is."""
    return pod_phase in TERMINAL_PHASES
