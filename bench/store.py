"""Writes per second of the stores, beside SQLite used plainly."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import etcd
from bench.table import Row
from kubatch.store.memory import MemoryStore
from kubatch.store.protocol import Store, Value
from kubatch.store.sqlite import SqliteStore

WRITES = 20_000
WRITERS = 64
PLAIN_WRITES = 500
DATA = b"x" * 1500  # about a small pod, encoded


def rows() -> Iterator[Row]:
    """Creates by writers that each wait for their own."""
    with tempfile.TemporaryDirectory(prefix="kubatch-bench-") as directory:
        plain = _plain_per_second(Path(directory) / "plain.db")
        for name, store in (
            ("memory", MemoryStore()),
            ("sqlite", SqliteStore(Path(directory) / "state.db")),
        ):
            ours = asyncio.run(_per_second(store))
            what = f"{name} store: creates by {WRITERS} writers"
            yield Row(what, ours, "/s", "sqlite3, a commit each", plain)
        put = etcd.puts_per_second(Path(directory) / "etcd", DATA, WRITERS)
        yield Row(what, ours, "/s", etcd.NAME, put)


async def _per_second(store: Store) -> float:
    await store.open()
    begun = time.perf_counter()
    await asyncio.gather(*(_write(store, writer) for writer in range(WRITERS)))
    seconds = time.perf_counter() - begun
    await store.close()
    return WRITES / seconds


async def _write(store: Store, writer: int) -> None:
    for number in range(writer, WRITES, WRITERS):
        await store.create(f"/pods/default/{number}", Value(DATA))


def _plain_per_second(path: Path) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE pods (key TEXT PRIMARY KEY, data BLOB)")
    begun = time.perf_counter()
    for number in range(PLAIN_WRITES):
        connection.execute("INSERT INTO pods VALUES (?, ?)", (f"/pods/default/{number}", DATA))
    seconds = time.perf_counter() - begun
    connection.close()
    return PLAIN_WRITES / seconds
