"""The state against a slow obvious twin: a copy of everything at every revision."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kubatch.store.protocol import (
    Change,
    KeyExists,
    KeyMissing,
    Record,
    RevisionCompacted,
    RevisionMismatch,
    Slice,
    StoreError,
    Value,
)
from kubatch.store.state import State

HISTORY_CHANGES_MAX = 6
KEYS = st.sampled_from(["/a", "/a/", "/a/1", "/a/2", "/ab", "/b", "\U0010ffff", "\U0010ffffx"])
AGES = st.integers(0, HISTORY_CHANGES_MAX + 2)
PREFIXES = st.sampled_from(["", "/", "/a", "/a/", "/ab", "/c", "\U0010ffff"])


class StateMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.state = State(HISTORY_CHANGES_MAX)
        self.snapshots: list[dict[str, Record]] = [{}]  # by revision, staged ones included
        self.changes: list[Change] = []  # the same
        self.committed = 0
        self.loaded = 0  # the history begins here

    def expect(self, key: str, expected: int | None) -> type[StoreError] | None:
        """What a write to this key must raise; `expected` None for a creation."""
        record = self.snapshots[-1].get(key)
        if expected is None:
            return None if record is None else KeyExists
        if record is None:
            return KeyMissing
        return None if record.revision == expected else RevisionMismatch

    def stage(self, key: str, expected: int | None, delete: bool = False) -> None:
        revision = len(self.snapshots)
        value = Value(b"")
        refusal = self.expect(key, expected)

        def write() -> Change:
            if expected is None:
                return self.state.create(key, value)
            if delete:
                return self.state.delete(key, expected)
            return self.state.update(key, value, expected)

        if refusal is not None:
            with pytest.raises(refusal):
                write()
            return
        record = None if delete else Record(key, value, revision)
        change = Change(key, revision, record, self.snapshots[-1].get(key))
        staged = write()
        assert staged == change
        after = dict(self.snapshots[-1])
        after.pop(key, None)
        if record is not None:
            after[key] = record
        self.snapshots.append(after)
        self.changes.append(staged)

    @rule(key=KEYS)
    def create(self, key: str) -> None:
        self.stage(key, None)

    @rule(key=KEYS, delete=st.booleans(), off=st.sampled_from([0, 0, 0, -1, 1]))
    def replace(self, key: str, delete: bool, off: int) -> None:
        record = self.snapshots[-1].get(key)
        self.stage(key, off + (record.revision if record else 1), delete)

    @rule(count=st.integers(1, 10))
    def commit(self, count: int) -> None:
        batch = self.changes[self.committed : self.committed + count]
        self.state.commit(batch)
        self.committed += len(batch)

    @rule()
    def abandon(self) -> None:
        self.state.abandon()
        del self.snapshots[self.committed + 1 :]
        del self.changes[self.committed :]

    @precondition(lambda self: self.committed == len(self.changes))
    @rule()
    def reload(self) -> None:
        self.state = State(HISTORY_CHANGES_MAX)
        self.state.load(list(self.snapshots[-1].values()), self.committed)
        self.loaded = self.committed

    @rule(prefix=PREFIXES, revision=st.integers(0, 60))
    def read_the_past(self, prefix: str, revision: int) -> None:
        oldest = max(self.loaded, self.committed - HISTORY_CHANGES_MAX)
        if revision > self.committed:
            assert self.state.changes(prefix, revision) == []
            with pytest.raises(ValueError, match="newer"):
                self.state.records(prefix, revision)
        elif revision < oldest:
            with pytest.raises(RevisionCompacted):
                self.state.records(prefix, revision)
            with pytest.raises(RevisionCompacted):
                self.state.changes(prefix, revision)
        else:
            snapshot = self.snapshots[revision]
            expected = [snapshot[key] for key in sorted(snapshot) if key.startswith(prefix)]
            assert self.state.records(prefix, revision) == expected
            later = self.changes[revision : self.committed]
            assert self.state.changes(prefix, revision) == [
                change for change in later if change.key.startswith(prefix)
            ]

    @rule(prefix=PREFIXES, after=st.one_of(st.just(""), KEYS), limit=st.integers(0, 3), ago=AGES)
    def read_a_page(self, prefix: str, after: str, limit: int, ago: int) -> None:
        oldest = max(self.loaded, self.committed - HISTORY_CHANGES_MAX)
        revision = self.committed - ago
        if 0 <= revision < oldest:
            with pytest.raises(RevisionCompacted):
                self.state.page(prefix, after, limit, revision)
        elif revision >= 0:
            snapshot = self.snapshots[revision]
            left = [snapshot[k] for k in sorted(snapshot) if k.startswith(prefix) and k > after]
            found = left[: limit or None]
            expected = Slice(found, len(left) - len(found))
            assert self.state.page(prefix, after, limit, revision) == expected

    @invariant()
    def the_present_agrees(self) -> None:
        snapshot = self.snapshots[self.committed]
        assert self.state.revision == self.committed
        assert self.state.compacted == max(self.loaded, self.committed - HISTORY_CHANGES_MAX)
        for prefix in ("", "/a", "/a/"):
            expected = [snapshot[key] for key in sorted(snapshot) if key.startswith(prefix)]
            assert self.state.records(prefix) == expected
        staged = {change.key for change in self.changes[self.committed :]}
        for key in ("/a", "/a/1", "\U0010ffff"):
            assert self.state.get(key) == snapshot.get(key)
            assert self.state.is_staged(key) == (key in staged)


TestState = StateMachine.TestCase
TestState.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
