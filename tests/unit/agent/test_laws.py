"""Laws that hold whatever happens to a pod, in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubatch.agent.facts import TERMINAL_PHASES
from kubatch.api.codec import encode
from kubatch.runtime.protocol import ContainerState
from tests.unit.agent.pods import Bench, container, facts, pod

NAMES = ("s", "i", "a", "b")
STEPS = st.one_of(
    st.tuples(st.just("exit"), st.sampled_from(NAMES), st.sampled_from([0, 1, 137])),
    st.tuples(st.just("sleep"), st.sampled_from([1, 5, 40, 400])),
    st.tuples(st.just("delete"), st.sampled_from([0, 1, 30])),
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    policy=st.sampled_from(["Never", "OnFailure", "Always"]),
    missing=st.sets(st.sampled_from(NAMES), max_size=1),
    deadline=st.sampled_from([None, 20]),
    steps=st.lists(STEPS, max_size=14),
)
def test_laws(
    policy: str, missing: set[str], deadline: int | None, steps: list[tuple[object, ...]]
) -> None:
    init = (container("s", restartPolicy="Always"), container("i"))
    p = pod(
        container("a"), container("b"), init=init, restart=policy, activeDeadlineSeconds=deadline
    )
    bench = Bench(p, missing=missing)
    bench.settle()
    for kind, *values in steps:
        if kind == "exit":
            _exit(bench, *values)
        elif kind == "sleep":
            bench.sleep(float(str(values[0])))
        elif not bench.deleted:
            bench.delete(int(str(values[0])))
        _check(bench)


def _exit(bench: Bench, name: object, code: object) -> None:
    running = [
        id.container for id, a in bench.attempts.items() if a.state is ContainerState.RUNNING
    ]
    if name in running:
        started = list(bench.started)
        deleting = bench.pod.metadata is not None and bench.pod.metadata.deletionTimestamp
        bench.exit(str(name), int(str(code)))
        if deleting:
            assert bench.started == started, "nothing starts in a pod that is deleted"


def _check(bench: Bench) -> None:
    running = [a for a in bench.attempts.values() if a.state is ContainerState.RUNNING]
    phases = bench.phases
    ends = [phase for phase in phases if phase in TERMINAL_PHASES]
    assert len(ends) <= 1, "a terminal phase never changes"
    if ends:
        assert phases[-1] == ends[0]
        assert not running, "an ended pod runs nothing"
    assert not bench.deleted or ends, "a pod is deleted only once its end is shown"
    for first, second in zip(bench.statuses, bench.statuses[1:], strict=False):
        assert first != second, "a write that says nothing new"


def test_deciding_changes_nothing_it_is_given() -> None:
    bench = Bench(pod(container("a"), init=(container("i"),)))
    before = encode(bench.pod)
    seen = facts(bench.pod)
    bench.settle()
    assert encode(seen.pod) == before
