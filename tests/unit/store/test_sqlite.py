from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubatch.store.protocol import (
    KeyExists,
    Store,
    StoreError,
    StoreInUse,
    StoreUnavailable,
    Value,
)
from kubatch.store.sqlite import SqliteStore
from tests.suites.store_suite import HISTORY_CHANGES_MAX, DurableStoreSuite, Reopen, keys, rest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, HISTORY_CHANGES_MAX)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def reopen(store: SqliteStore, path: Path) -> AsyncIterator[Reopen]:
    opened = [store]

    async def reopen() -> Store:
        await opened[-1].close()
        opened.append(SqliteStore(path, HISTORY_CHANGES_MAX))
        await opened[-1].open()
        return opened[-1]

    yield reopen
    await opened[-1].close()


class TestSqliteStore(DurableStoreSuite):
    pass


@contextmanager
def disk_full(path: Path) -> Iterator[None]:
    """Lets no file grow beyond the size that the store's log has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.with_name(path.name + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


BIG = Value(bytes(100_000))


async def test_writes_share_commits(store: SqliteStore) -> None:
    async def write(writer: int) -> None:
        for i in range(10):
            await store.create(f"/{writer}/{i}", Value(b""))

    await asyncio.gather(*(write(writer) for writer in range(32)))
    assert store.revision == 320
    assert store.commits <= 20


async def test_a_batch_larger_than_a_statement(
    store: SqliteStore, reopen: Reopen, path: Path
) -> None:
    await asyncio.gather(*(store.create(f"/{i:04}", Value(b"1")) for i in range(2500)))
    await asyncio.gather(*(store.update(f"/{i:04}", Value(b"2"), i + 1) for i in range(2500)))
    await asyncio.gather(*(store.delete(f"/{i:04}", 2501 + i) for i in range(0, 2500, 2)))
    assert store.commits == 3
    again = await reopen()
    assert again.revision == 6250
    records = await again.list("/")
    assert [r.key for r in records] == [f"/{i:04}" for i in range(1, 2500, 2)]
    assert {r.value.data for r in records} == {b"2"}


async def test_an_empty_value_is_a_value(store: SqliteStore, reopen: Reopen) -> None:
    await store.create("/a", Value(b""))
    record = await (await reopen()).get("/a")
    assert record is not None
    assert record.value.data == b""


async def test_a_full_disk_fails_everyone_and_then_the_store_goes_on(
    store: SqliteStore, reopen: Reopen, path: Path
) -> None:
    await store.create("/a", Value(b"old"))
    watch = store.watch("/", 1)
    with disk_full(path):
        first = [
            asyncio.ensure_future(store.create(f"/{i}", BIG if i == 1 else Value(b"")))
            for i in range(3)
        ]
        lost = asyncio.ensure_future(store.create("/1", Value(b"")))
        for _ in range(2):  # the writes gather, then their commit begins
            await asyncio.sleep(0)
        assert store._committing is not None
        gathered = asyncio.ensure_future(store.update("/a", Value(b"new"), 1))
        answers = await asyncio.gather(*first, lost, gathered, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 5
    assert {str(answer) for answer in answers} == {f"writing to {path} failed: disk I/O error"}
    assert store.revision == 1
    assert await keys(store, "/") == ["/a"]
    assert await store.update("/a", Value(b"newer"), 1) == 2
    again = await reopen()
    assert [change.revision for change in await rest(watch)] == [2]
    assert again.revision == 2
    assert await again.update("/a", Value(b"new"), 2) == 3


async def test_a_failed_commit_with_a_cancelled_writer(store: SqliteStore, path: Path) -> None:
    await store.create("/a", Value(b""))
    with disk_full(path):
        task = asyncio.ensure_future(store.create("/b", BIG))
        other = asyncio.ensure_future(store.create("/c", BIG))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(StoreUnavailable):
            await other
    assert await keys(store, "/") == ["/a"]


async def test_a_refused_writer_may_be_cancelled(store: SqliteStore) -> None:
    first = asyncio.ensure_future(store.create("/a", Value(b"")))
    second = asyncio.ensure_future(store.create("/a", Value(b"")))
    third = asyncio.ensure_future(store.create("/a", Value(b"")))
    await asyncio.sleep(0)
    second.cancel()
    assert await first == 1
    with pytest.raises(KeyExists):
        await third


async def test_a_second_store_is_refused(store: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreInUse, match=rf"{path} is in use by process {os.getpid()}"):
        await SqliteStore(path).open()
    assert await store.create("/a", Value(b"")) == 1


OPEN_ONLY = """
import asyncio, sys
from pathlib import Path
from kubatch.store.sqlite import SqliteStore
asyncio.run(SqliteStore(Path(sys.argv[1])).open())
"""


async def test_a_second_process_is_refused(store: SqliteStore, path: Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", OPEN_ONLY, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"StoreInUse: {path} is in use by process {os.getpid()}" in done.stderr


async def test_files_are_private(store: SqliteStore, path: Path) -> None:
    await store.create("/a", Value(b""))
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes.keys() >= {"state.db", "state.db-wal", "state.db.lock"}
    assert set(modes.values()) == {0o600}


async def test_a_file_that_is_not_ours(path: Path) -> None:
    path.write_bytes(b"something else entirely" * 100)
    for _ in range(2):  # and the lock is free again
        with pytest.raises(StoreUnavailable, match=r"state\.db cannot be opened"):
            await SqliteStore(path).open()


async def test_a_newer_format_is_left_alone(store: SqliteStore, path: Path) -> None:
    await store.create("/a", Value(b""))
    await store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = 3 WHERE name = 'schema'")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"by a newer kubatch, in format 3.*up to format 2: upgr"):
        await SqliteStore(path).open()
    assert path.read_bytes() == before


FORMAT_1 = """
CREATE TABLE objects (
  key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('schema', 1), ('revision', 7);
INSERT INTO objects VALUES ('/a', x'31', 3), ('/é', x'', 7);
"""


async def test_format_1_is_taken_over(path: Path, reopen: Reopen) -> None:
    old = path.with_name("old.db")
    connection = sqlite3.connect(old)
    connection.executescript(FORMAT_1)
    connection.close()
    for _ in range(2):
        store = SqliteStore(old)
        await store.open()
        records = await store.list("/")
        assert [(r.key, r.value.data, r.revision) for r in records] == [
            ("/a", b"1", 3),
            ("/é", b"", 7),
        ]
        assert store.revision == 7
        await store.close()


async def test_a_changed_value_is_found_out(store: SqliteStore, path: Path) -> None:
    for i in range(3):
        await store.create(f"/{i}", Value(b"something long enough to be found"))
    await store.close()
    data = path.read_bytes()
    at = data.index(b"something")
    path.write_bytes(data[:at] + b"S" + data[at + 1 :])
    with pytest.raises(StoreError, match=r"damaged: 1 of 3 objects are not .* the first is /\d;"):
        await SqliteStore(path).open()


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
async def test_a_file_cut_short_is_found_out(store: SqliteStore, path: Path, keep: float) -> None:
    await asyncio.gather(*(store.create(f"/{i}", Value(bytes(500))) for i in range(200)))
    await store.close()
    os.truncate(path, int(path.stat().st_size * keep))
    with pytest.raises(StoreUnavailable, match=r"cannot be opened: .*; restore a backup"):
        await SqliteStore(path).open()


async def test_opening_may_be_cancelled(path: Path) -> None:
    task = asyncio.ensure_future(SqliteStore(path).open())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    again = SqliteStore(path)
    while True:
        try:
            await again.open()
            break
        except StoreInUse:  # until the thread has let go
            await asyncio.sleep(0)
    await again.close()


async def test_the_switch_interval_is_given_back(path: Path) -> None:
    before = sys.getswitchinterval()
    store = SqliteStore(path)
    await store.open()
    assert sys.getswitchinterval() < before
    await asyncio.gather(store.close(), store.close())
    assert sys.getswitchinterval() == before


WRITE_FOREVER = """
import asyncio, itertools, sys
from pathlib import Path
from kubatch.store.protocol import Value
from kubatch.store.sqlite import SqliteStore

async def write(store, writer):
    for i in itertools.count():
        key = f"/{writer}/{i}"
        created = await store.create(key, Value(str(i).encode()))
        print("create", key, created, flush=True)
        if i % 5 == 1:
            print("update", key, await store.update(key, Value(b"new"), created), flush=True)
        if i % 5 == 2:
            print("delete", key, await store.delete(key, created), flush=True)

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    await asyncio.gather(*(write(store, writer) for writer in range(16)))

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("lines", [100, 1500])
async def test_every_acknowledged_write_survives_kill_9(path: Path, lines: int) -> None:
    def write_and_kill() -> list[tuple[str, str, int]]:
        command = [sys.executable, "-c", WRITE_FOREVER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            heard = [process.stdout.readline() for _ in range(lines)]
            process.kill()
            heard += [line for line in process.stdout if line.endswith("\n")]
        return [(verb, key, int(r)) for verb, key, r in map(str.split, heard)]

    acknowledged = await asyncio.to_thread(write_and_kill)
    store = SqliteStore(path)
    await store.open()
    revisions = [revision for _, _, revision in acknowledged]
    assert len(set(revisions)) == len(revisions) >= lines
    assert max(revisions) <= store.revision
    found = {record.key: record for record in await store.list("/")}
    last = {key: (verb, revision) for verb, key, revision in acknowledged}
    for key, (verb, revision) in last.items():
        deleted_next = verb == "create" and int(key.rpartition("/")[2]) % 5 == 2
        if verb == "delete":
            assert key not in found
        elif not deleted_next or key in found:
            assert found[key].revision >= revision
    # No gaps either: only the last write of each of the 16 writers may have gone unacknowledged.
    assert store.revision - len(revisions) <= 16
    assert len({record.revision for record in found.values()}) == len(found)
    newest = store.revision
    assert await store.create("/next", Value(b"")) == newest + 1
    await store.close()


async def test_a_large_batch_fails_as_a_whole(
    store: SqliteStore, reopen: Reopen, path: Path
) -> None:
    await store.create("/a", Value(b""))
    with disk_full(path):
        answers = await asyncio.gather(
            *(store.create(f"/{i}", Value(bytes(4000))) for i in range(2500)),
            return_exceptions=True,
        )
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    again = await reopen()
    assert again.revision == 1
    assert await keys(again, "/") == ["/a"]
