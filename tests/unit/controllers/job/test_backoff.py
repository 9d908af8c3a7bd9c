from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import models as m
from kubatch.controllers.job import backoff
from kubatch.controllers.job.backoff import BackoffRecord
from tests.unit.controllers.job.twin import START, make_pod, seconds


@pytest.mark.parametrize(
    ("failures", "wait"), [(1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (8, 600), (2**31, 600)]
)
def test_delay_doubles_up_to_ten_minutes(failures: int, wait: int) -> None:
    assert backoff.delay(failures) == timedelta(seconds=wait)


def after(
    record: BackoffRecord, succeeded: list[datetime], failed: list[datetime]
) -> BackoffRecord:
    return record.after("u", succeeded, failed, frozenset())


def test_two_pods_failing_together_wait_twenty_seconds() -> None:
    record = after(backoff.NO_FAILURES, [], [START, seconds(1)])
    assert record.until() == seconds(21)


def test_success_and_failure_at_the_same_moment_leave_no_failures() -> None:
    record = after(BackoffRecord("u", 3, START), [seconds(5)], [seconds(5)])
    assert (record.failures, record.until()) == (0, None)


def test_failures_before_the_last_success_are_not_counted() -> None:
    record = after(backoff.NO_FAILURES, [seconds(5)], [seconds(4), seconds(6), seconds(7)])
    assert (record.failures, record.last_failure) == (2, seconds(7))


def test_nothing_new_changes_nothing() -> None:
    record = BackoffRecord("u", 3, START)
    assert after(record, [], []) == record


times = st.lists(st.integers(0, 20).map(seconds), max_size=6)


@given(times, times)
def test_against_counting_one_by_one(succeeded: list[datetime], failed: list[datetime]) -> None:
    """All ends in order of time, successes after failures of the same moment."""
    failures, last = 0, None
    for moment, success in sorted([(t, True) for t in succeeded] + [(t, False) for t in failed]):
        if success:
            failures, last = 0, None
        else:
            failures, last = failures + 1, moment
    record = after(backoff.NO_FAILURES, succeeded, failed)
    assert (record.failures, record.last_failure) == (failures, last)


def terminated(at: datetime | None, name: str = "main") -> m.ContainerStatus:
    state = m.ContainerState(terminated=m.ContainerStateTerminated(exitCode=1, finishedAt=at))
    return m.ContainerStatus(
        name=name, image="", imageID="", ready=False, restartCount=0, state=state
    )


def ended(
    containers: list[m.ContainerStatus],
    inits: list[m.ContainerStatus] | None = None,
    *,
    unready_at: datetime | None = None,
    deleting: bool = False,
) -> m.Pod:
    pod = make_pod("p", deleting=deleting)
    assert pod.spec is not None
    pod.spec.initContainers = [
        m.Container(name="side", restartPolicy="Always"),
        m.Container(name="init"),
    ]
    conditions = None
    if unready_at is not None:
        conditions = [m.PodCondition(type="Ready", status="False", lastTransitionTime=unready_at)]
    pod.status = m.PodStatus(
        phase="Failed",
        containerStatuses=containers,
        initContainerStatuses=inits,
        conditions=conditions,
    )
    return pod


RUNNING = m.ContainerStatus(
    name="x", image="", imageID="", ready=True, restartCount=0, state=m.ContainerState()
)


@pytest.mark.parametrize(
    ("pod", "moment"),
    [
        (ended([terminated(seconds(3)), terminated(seconds(9))]), 9),
        (ended([terminated(seconds(3))], [terminated(seconds(12), "side")]), 12),
        (ended([terminated(seconds(3))], [terminated(seconds(12), "init")]), 3),
        (ended([terminated(seconds(3)), RUNNING], unready_at=seconds(5)), 5),
        (ended([terminated(None)], unready_at=seconds(5)), 5),
        (ended([], deleting=True), 0),
        (ended([]), 0),
    ],
    ids=["latest", "sidecar", "no-init", "running", "no-time", "deleted", "created"],
)
def test_finish_time(pod: m.Pod, moment: int) -> None:
    assert backoff.finish_time(pod) == seconds(moment)


def test_index_waits_by_all_its_failures() -> None:
    pod = make_pod("p", "Failed", index=0, failures=1, ignored=1, finished_at=START)
    assert backoff.until_for_index(pod) == seconds(40)


@pytest.mark.parametrize("text", ["x", "-1", "", str(2**31), "1.5"])
def test_malformed_counts_are_zero(text: str) -> None:
    pod = make_pod("p")
    assert pod.metadata is not None
    pod.metadata.annotations = {"batch.kubernetes.io/job-index-failure-count": text}
    assert backoff.index_failures(pod) == 0
