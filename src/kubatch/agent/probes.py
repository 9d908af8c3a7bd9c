"""Probes as rules: what a row of outcomes says about a container, and when to ask again.

pkg/kubelet/prober/worker.go: doProbe; prober.go: probe. The messages are theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from kubatch.agent.facts import ContainerFacts
from kubatch.agent.vitals import LIVENESS, READINESS, STARTUP, Health
from kubatch.api import models as m

# pkg/kubelet/prober/prober.go: maxProbeRetries; of errors, not of failures
TRIES = 3


class Outcome(Enum):
    """What asking once gave."""

    SUCCESS = "success"
    WARNING = "warning"  # a success with something to tell
    FAILURE = "failure"
    UNKNOWN = "unknown"  # nobody could ask; it counts for nothing


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome and what is said about it."""

    outcome: Outcome
    text: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of one container, every default filled in."""

    kind: str  # liveness, readiness, startup
    asks: m.Probe
    initial_delay: float
    period: float
    timeout: float
    successes: int  # in a row, to count as one
    failures: int


def probes_of(spec: m.Container) -> tuple[Probe, ...]:
    """The probes of a container."""
    found = (
        (STARTUP, spec.startupProbe),
        (LIVENESS, spec.livenessProbe),
        (READINESS, spec.readinessProbe),
    )
    return tuple(
        Probe(
            kind,
            asks,
            initial_delay=asks.initialDelaySeconds or 0,
            period=asks.periodSeconds or 10,
            timeout=asks.timeoutSeconds or 1,
            successes=asks.successThreshold or 1,
            failures=asks.failureThreshold or 3,
        )
        for kind, asks in found
        if asks is not None
    )


def wanted(probe: Probe, c: ContainerFacts, *, stopping: bool) -> bool:
    """Whether a container is to be asked now.

    The startup probe comes before the others. Once a pod ends it is only asked whether it is
    ready; and of one that a probe condemned nothing more has to be known.
    """
    if not c.running or c.starting:
        return False
    if probe.kind == READINESS:
        return c.health.started
    if stopping or c.health.failed:
        return False
    return c.health.started is (probe.kind == LIVENESS)


@dataclass(frozen=True, slots=True)
class Course:
    """How a probe has gone so far."""

    next_at: datetime
    last: bool | None = None  # the outcome that came last
    run: int = 0  # so many times in a row
    verdict: bool | None = None  # what counts; None: nothing yet
    over: bool = False  # not to be asked again until the container runs anew


def begin(probe: Probe, started_at: datetime, now: datetime) -> Course:
    """Before the first question: it comes when the initial delay is over."""
    return Course(max(now, started_at + timedelta(seconds=probe.initial_delay)))


def observe(probe: Probe, course: Course, outcome: Outcome, now: datetime) -> Course:
    """What one more outcome changes."""
    later = course.next_at + timedelta(seconds=probe.period)
    # Ticks that passed while the question was open are not made up for (time.Ticker).
    course = replace(course, next_at=max(later, now))
    if outcome is Outcome.UNKNOWN:
        return course
    good = outcome is not Outcome.FAILURE
    run = course.run + 1 if course.last is good else 1
    course = replace(course, last=good, run=run)
    if run < (probe.successes if good else probe.failures):
        return course
    over = probe.kind == STARTUP or (probe.kind == LIVENESS and not good)
    return replace(course, verdict=good, over=over)


def judged(health: Health, probe: Probe, verdict: bool | None) -> Health:
    """The container's health after a verdict."""
    if verdict is None:
        return health
    if probe.kind == READINESS:
        return replace(health, ready=verdict)
    if not verdict:
        return replace(health, failed=probe.kind)
    return replace(health, started=True) if probe.kind == STARTUP else health


def told(probe: Probe, answer: Answer) -> tuple[str, str] | None:
    """The event about an outcome, as reason and message; None: there is none."""
    name = probe.kind.capitalize()
    match answer.outcome:
        case Outcome.SUCCESS:
            return None
        case Outcome.WARNING:
            return "ProbeWarning", f"{name} probe warning: {answer.text}"
        case Outcome.FAILURE:
            return "Unhealthy", f"{name} probe failed: {answer.text}"
        case Outcome.UNKNOWN:
            why = f"{name} probe errored and resulted in unknown state: {answer.text}"
            return "Unhealthy", why
