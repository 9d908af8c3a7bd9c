"""Any Job, any outcome of its pods, crashes between any two writes: each end counts once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kubatch.api.resource import PODS
from kubatch.controllers.job import indexes, names
from tests.unit.controllers.job.twin import (
    DONE,
    Cluster,
    Crashed,
    condition_types,
    is_deleting,
    make_job,
    phase,
)


@dataclass(frozen=True)
class Shape:
    """A kind of Job."""

    completions: int | None
    parallelism: int
    indexed: bool
    per_index: int | None
    replace: str

    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "completions": self.completions,
            "parallelism": self.parallelism,
            "completionMode": "Indexed" if self.indexed else "NonIndexed",
            "podReplacementPolicy": self.replace,
            "backoffLimit": 10**6,
        }
        if self.per_index is not None:
            spec["backoffLimitPerIndex"] = self.per_index
        return spec


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    indexed = draw(st.booleans())
    completions = st.integers(1, 6) if indexed else st.none() | st.integers(1, 6)
    return Shape(
        draw(completions),
        draw(st.integers(1, 4)),
        indexed,
        draw(st.none() | st.integers(0, 2)) if indexed else None,
        draw(st.sampled_from(["Failed", "TerminatingOrFailed"])),
    )


# What happens between turns: a pod succeeds, fails, is deleted by a user, time passes.
happenings = st.lists(
    st.tuples(
        st.sampled_from(["Succeeded", "Failed", "delete", "wait"]),
        st.integers(0, 5),
        st.none() | st.integers(0, 8),  # crash before this write of the turn after
    ),
    max_size=25,
)


class History:
    """Watches a cluster for what must never happen."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.cluster = Cluster().put(make_job(**shape.spec()))
        self.succeeded: set[str] = set()  # uids of pods that ended so while they were tracked
        self.failed: set[str] = set()

    def turn(self, crash_in: int | None = None) -> None:
        self.cluster.crash_in = crash_in
        try:
            self.cluster.turn()
        except Crashed:
            self.cluster.remembered.clear()
        self.cluster.crash_in = None
        active = self.cluster.active()
        assert len(active) <= self.shape.parallelism
        if self.shape.indexed:
            held = Counter((pod.metadata.annotations or {})[names.COMPLETION_INDEX]
                           for pod in active if pod.metadata)  # fmt: skip
            assert all(times == 1 for times in held.values())

    def happen(self, what: str, which: int) -> None:
        if what == "wait":
            self.cluster.tick(700)
            return
        alive = [pod for pod in self.cluster.pods if phase(pod) not in DONE]
        if not alive:
            return
        pod = alive[which % len(alive)]
        assert pod.metadata is not None
        name, uid = pod.metadata.name or "", pod.metadata.uid or ""
        tracked = bool(pod.metadata.finalizers)
        if what == "delete":
            self.cluster.delete_pod(name)
            if self.shape.replace != "Failed" and tracked:
                self.failed.add(uid)
            return
        self.cluster.finish_pod(name, what)
        if what == "Failed" and tracked:
            self.failed.add(uid)
        elif what == "Succeeded" and tracked:
            self.succeeded.add(uid)

    def end(self) -> None:
        """Every pod now succeeds, until the Job ends."""
        for _ in range(60):
            self.turn()
            self.turn()
            if {"Complete", "Failed"} & set(condition_types(self.cluster.status)):
                return
            for _ in self.cluster.pods:
                self.happen("Succeeded", 0)
            self.cluster.tick(700)
        raise AssertionError(f"the Job does not end: {self.cluster.status}")


@settings(deadline=None, max_examples=150)
@given(shapes(), happenings)
def test_exactly_once(shape: Shape, script: list[tuple[str, int, int | None]]) -> None:
    history = History(shape)
    history.turn()
    for what, which, crash_in in script:
        history.happen(what, which)
        history.turn(crash_in)
    history.end()
    status = history.cluster.status
    if shape.indexed:
        done = indexes.parse(status.completedIndexes or "", shape.completions or 0)
        assert len(done) == (status.succeeded or 0)
        if shape.per_index is None:
            assert len(done) == shape.completions
        ruined = indexes.parse(status.failedIndexes or "", shape.completions or 0)
        assert not done.common(ruined)
        assert len(done) + len(ruined) == shape.completions
    elif shape.completions is not None:
        assert (status.succeeded or 0) >= shape.completions
    # A deleted pod that succeeds before a turn sees the deletion counts as a success.
    flipped = history.succeeded & history.failed
    assert (status.failed or 0) <= len(history.failed)
    assert (status.failed or 0) >= len(history.failed - flipped)
    if not shape.indexed:
        assert (status.succeeded or 0) <= len(history.succeeded)
        assert (status.succeeded or 0) >= len(history.succeeded - flipped)
    left = [pod for pod in history.cluster.list(PODS) if pod.metadata and pod.metadata.finalizers]
    assert not [pod for pod in left if not is_deleting(pod)]
