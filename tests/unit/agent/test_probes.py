"""Probes as rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.agent.probes import (
    Answer,
    Course,
    Outcome,
    Probe,
    begin,
    judged,
    observe,
    probes_of,
    told,
    wanted,
)
from kubatch.agent.vitals import HEALTHY, Health, Hook, first_health
from kubatch.api import models as m
from tests.unit.agent.pods import START, attempt, container, facts, pod

GOOD, BAD, ODD, WARNS = Outcome.SUCCESS, Outcome.FAILURE, Outcome.UNKNOWN, Outcome.WARNING
SECOND = timedelta(seconds=1)


def probe(kind: str = "readiness", **fields: int) -> Probe:
    asks: dict[str, Any] = {f"{kind}Probe": m.Probe(**fields)}  # type: ignore[arg-type]
    (found,) = probes_of(container(**asks))
    return found


def run(asked: Probe, outcomes: list[Outcome]) -> Course:
    course = begin(asked, START, START)
    for outcome in outcomes:
        course = observe(asked, course, outcome, course.next_at)
    return course


def test_defaults() -> None:
    found = probe()
    assert (found.initial_delay, found.period, found.timeout) == (0, 10, 1)
    assert (found.successes, found.failures) == (1, 3)


@pytest.mark.parametrize(
    ("kind", "outcomes", "verdict", "over"),
    [
        ("readiness", [], None, False),
        ("readiness", [GOOD], True, False),
        ("readiness", [WARNS], True, False),
        ("readiness", [BAD, BAD], None, False),
        ("readiness", [BAD, BAD, BAD], False, False),
        ("readiness", [GOOD, BAD, BAD, GOOD, BAD], True, False),
        ("readiness", [GOOD, BAD, BAD, BAD], False, False),
        ("readiness", [BAD, ODD, BAD, ODD, BAD], False, False),
        ("liveness", [GOOD], True, False),
        ("liveness", [BAD, BAD, BAD], False, True),
        ("startup", [BAD, BAD, GOOD], True, True),
        ("startup", [BAD, BAD, BAD], False, True),
        ("startup", [ODD, ODD, ODD, ODD], None, False),
    ],
)
def test_verdicts(kind: str, outcomes: list[Outcome], verdict: bool | None, over: bool) -> None:
    course = run(probe(kind), outcomes)
    assert (course.verdict, course.over) == (verdict, over)


@given(
    outcomes=st.lists(st.sampled_from([GOOD, WARNS, BAD, ODD]), max_size=20),
    successes=st.integers(1, 4),
    failures=st.integers(1, 4),
)
def test_a_verdict_is_the_last_row_that_was_long_enough(
    outcomes: list[Outcome], successes: int, failures: int
) -> None:
    asked = probe(successThreshold=successes, failureThreshold=failures)
    course = run(asked, outcomes)
    known = "".join("-" if o is BAD else "+" for o in outcomes if o is not ODD)
    ends = {
        at + length: verdict
        for verdict, sign, length in ((True, "+", successes), (False, "-", failures))
        if (at := known.rfind(sign * length)) >= 0
    }
    expected = ends[max(ends)] if ends else None
    assert course.verdict is expected
    assert course.next_at == START + len(outcomes) * timedelta(seconds=10)


def test_when_to_ask() -> None:
    asked = probe(initialDelaySeconds=5, periodSeconds=2)
    course = begin(asked, START, START + SECOND)
    assert course.next_at == START + 5 * SECOND
    assert begin(asked, START, START + 60 * SECOND).next_at == START + 60 * SECOND
    assert observe(asked, course, GOOD, START + 6 * SECOND).next_at == START + 7 * SECOND
    # One that was not answered for long is put again at once, and once only.
    late = observe(asked, course, GOOD, START + 16 * SECOND)
    assert late.next_at == START + 16 * SECOND


@pytest.mark.parametrize(
    ("kind", "health", "stopping", "expected"),
    [
        ("startup", Health(started=False, ready=False), False, True),
        ("startup", HEALTHY, False, False),
        ("startup", Health(started=False), True, False),
        ("liveness", Health(started=False), False, False),
        ("liveness", HEALTHY, False, True),
        ("liveness", Health(failed="liveness"), False, False),
        ("liveness", HEALTHY, True, False),
        ("readiness", HEALTHY, True, True),
        ("readiness", Health(failed="liveness"), False, True),
        ("readiness", Health(started=False), False, False),
    ],
)
def test_who_is_asked(kind: str, health: Health, stopping: bool, expected: bool) -> None:
    [c] = facts(pod(), attempt()).containers
    c = replace(c, health=health)
    assert wanted(probe(kind), c, stopping=stopping) is expected
    assert not wanted(probe(kind), replace(c, post_start=Hook()), stopping=stopping)
    assert not wanted(probe(kind), replace(c, attempts=(attempt(code=0),)), stopping=stopping)


@pytest.mark.parametrize(
    ("kind", "verdict", "expected"),
    [
        ("startup", None, Health(False, False)),
        ("startup", True, Health(True, False)),
        ("startup", False, Health(False, False, "startup")),
        ("liveness", True, Health(False, False)),
        ("liveness", False, Health(False, False, "liveness")),
        ("readiness", True, Health(False, True)),
        ("readiness", False, Health(False, False)),
    ],
)
def test_health(kind: str, verdict: bool | None, expected: Health) -> None:
    assert judged(Health(False, False), probe(kind), verdict) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(GOOD, "ok"), None),
        (Answer(WARNS, "w"), ("ProbeWarning", "Liveness probe warning: w")),
        (Answer(BAD, "bad\n"), ("Unhealthy", "Liveness probe failed: bad\n")),
        (
            Answer(ODD, "e"),
            ("Unhealthy", "Liveness probe errored and resulted in unknown state: e"),
        ),
    ],
)
def test_events(answer: Answer, expected: tuple[str, str] | None) -> None:
    assert told(probe("liveness"), answer) == expected


@pytest.mark.parametrize(
    ("fields", "shown", "expected"),
    [
        ({}, None, HEALTHY),
        ({"startupProbe": m.Probe()}, None, Health(started=False)),
        ({"readinessProbe": m.Probe()}, None, Health(ready=False)),
        ({"readinessProbe": m.Probe(), "startupProbe": m.Probe()}, (True, True), HEALTHY),
        ({"readinessProbe": m.Probe()}, (True, False), Health(ready=False)),
    ],
)
def test_what_holds_before_the_first_answer(
    fields: dict[str, Any], shown: tuple[bool, bool] | None, expected: Health
) -> None:
    status = None
    if shown is not None:
        started, ready = shown
        status = m.ContainerStatus(
            name="c", image="", imageID="", restartCount=0, started=started, ready=ready
        )
    assert first_health(container(**fields), status) == expected
