"""Power cuts and failing disks: nothing acknowledged is lost, nothing half done is found."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubatch.store.database import Database
from kubatch.store.protocol import Change, Record, StoreUnavailable, Value
from kubatch.store.sqlite import SqliteStore
from tests.unit.store.disks import Disk, Operation, after_power_loss

Batch = list[tuple[str, bytes | None]]  # a key, and its value or None for a deletion
States = list[dict[str, bytes]]  # after each batch

batches = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from([f"/{i}" for i in range(6)]),
            st.one_of(st.none(), st.binary(max_size=20), st.just(bytes(9000))),
        ),
        min_size=1,
        max_size=5,
    ),
    min_size=1,
    max_size=8,
)


def write_all(database: Database, given: list[Batch], disk: Disk) -> tuple[States, list[int]]:
    """Commit batch after batch: the state after each, and how many operations it had taken."""
    states: States = [{}]
    acknowledged = [len(disk.operations)]
    revision = 0
    for batch in given:
        state = dict(states[-1])
        changes = []
        for key, data in batch:
            revision += 1
            record = None if data is None else Record(key, Value(data), revision)
            changes.append(Change(key, revision, record, None))
            if data is None:
                state.pop(key, None)
            else:
                state[key] = data
        database.write(changes)
        states.append(state)
        acknowledged.append(len(disk.operations))
        database.checkpoint_if_due()
    return states, acknowledged


def found_in(directory: Path, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What a store reads from these files."""
    for name, content in files.items():
        (directory / name).write_bytes(content)
    database = Database(directory / "state.db")
    records, _ = database.open()
    database.close()
    return {record.key: record.value.data for record in records}


class AcknowledgesTooEarly(Database):
    """A planted mistake: commits that wait for no disk."""

    def write(self, changes: list[Change]) -> None:  # type: ignore[override]
        assert self._connection is not None
        self._connection.execute("PRAGMA synchronous = OFF")
        super().write(changes)


def lost(
    directory: Path, kind: type[Database], given: list[Batch], rng: random.Random, cuts: int
) -> str:
    """Cut the power `cuts` times in a history of batches; what was wrong afterwards, or nothing."""
    disk = Disk()
    before = directory / "before"
    before.mkdir()
    database = kind(before / "state.db", disk.connect)
    # So that a few batches go through a whole log, and the file is written to as well.
    database._bytes_in_log = rng.randrange(5_000_000)
    database.open()
    states, acknowledged = write_all(database, given, disk)
    history = list(disk.operations)
    database.close()
    for cut in range(cuts):
        at = rng.randint(acknowledged[0], len(history))
        after = directory / f"after-{cut}"
        after.mkdir()
        found = found_in(after, after_power_loss(history[:at], rng))
        safe = max(i for i, done in enumerate(acknowledged) if done <= at)
        if found not in states[safe : safe + 2]:
            return f"at operation {at} of {len(history)}: batch {safe} was acknowledged, {found=}"
    return ""


@settings(max_examples=60, deadline=None)
@given(given=batches, seed=st.integers(0, 2**32))
def test_power_cuts(
    tmp_path_factory: pytest.TempPathFactory, given: list[Batch], seed: int
) -> None:
    rng = random.Random(seed)
    assert lost(tmp_path_factory.mktemp("disk"), Database, given, rng, cuts=6) == ""


def test_acknowledging_before_the_commit_would_be_found(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rng = random.Random(1)
    given: list[Batch] = [[(f"/{i}", bytes([i]) * 50)] for i in range(8)]
    found = [
        lost(tmp_path_factory.mktemp("disk"), AcknowledgesTooEarly, given, rng, cuts=6)
        for _ in range(5)
    ]
    assert any(found)


FAILURES: list[tuple[str, str, type[apsw.Error], int, bool]] = [
    # what fails, in which file, with what, its extended code; whether the store may go on
    ("write", "state.db-wal", apsw.FullError, apsw.SQLITE_FULL, True),
    ("write", "state.db-wal", apsw.IOError, apsw.SQLITE_IOERR_WRITE, True),
    ("write", "state.db-wal", apsw.ReadOnlyError, apsw.SQLITE_READONLY, True),
    ("sync", "state.db-wal", apsw.IOError, apsw.SQLITE_IOERR_FSYNC, False),
]


def failing(kind: str, file: str, error: type[apsw.Error], code: int, times: int) -> Disk:
    """A disk on which the next `times` operations of a kind fail, once it is armed."""
    left = times

    def before(operation: Operation) -> None:
        nonlocal left
        if operation.kind == kind and operation.file == file and left:
            left -= 1
            raised = error(f"the disk failed ({code})")
            raised.extendedresult = code  # type: ignore[attr-defined]
            raise raised

    return Disk(before=before)


@pytest.mark.parametrize(("kind", "file", "error", "code", "goes_on"), FAILURES)
async def test_a_failing_disk(
    tmp_path: Path, kind: str, file: str, error: type[apsw.Error], code: int, goes_on: bool
) -> None:
    disk = failing(kind, file, error, code, times=1)
    fails, disk.before = disk.before, lambda operation: None
    store = SqliteStore(tmp_path / "state.db", connect=disk.connect)
    await store.open()
    try:
        assert await store.create("/a", Value(b"1")) == 1
        watch = store.watch("/", 1)
        disk.before = fails
        with pytest.raises(StoreUnavailable, match=r"state\.db failed: "):
            await store.create("/b", Value(b"2"))
        assert await store.get("/b") is None
        if goes_on:
            assert await store.create("/c", Value(b"3")) == 2
            assert [change.key for change in await anext(watch)] == ["/c"]
        else:
            async with asyncio.timeout(5):
                assert "state.db failed" in await store.failed()
            with pytest.raises(StoreUnavailable, match=r"state\.db failed: "):
                await store.create("/c", Value(b"3"))
        assert await store.get("/a") is not None
    finally:
        await store.close()
    again = SqliteStore(tmp_path / "state.db")
    await again.open()
    found = {record.key for record in await again.list("/")}
    # A commit that nobody knows the end of may have happened; nothing that was promised is gone.
    assert found in ([{"/a", "/c"}] if goes_on else [{"/a"}, {"/a", "/b"}])
    await again.close()


async def test_a_checkpoint_that_fails_to_sync_stops_the_store(tmp_path: Path) -> None:
    disk = failing("sync", "state.db", apsw.IOError, apsw.SQLITE_IOERR_FSYNC, times=1)
    fails, disk.before = disk.before, lambda operation: None
    store = SqliteStore(tmp_path / "state.db", connect=disk.connect)
    await store.open()
    disk.before = fails
    big = Value(bytes(200_000))
    await asyncio.gather(*(store.create(f"/{i}", big) for i in range(30)))
    async with asyncio.timeout(5):
        await store.failed()
    with pytest.raises(StoreUnavailable):
        await store.create("/late", big)
    await store.close()
    again = SqliteStore(tmp_path / "state.db")
    await again.open()
    assert len(await again.list("/")) == 30
    await again.close()
