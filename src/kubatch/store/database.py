"""The SQLite file of a store, and the lock beside it. Blocking: for the store's own thread."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path

from kubatch.store.protocol import (
    Change,
    Record,
    StoreError,
    StoreInUse,
    StoreUnavailable,
    Value,
)

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('schema', 1), ('revision', 0);
"""
# One statement writes a whole batch, and so takes the interpreter's lock back once. SQLite gives it
# up at every step: with a statement for each row, a busy event loop makes every row wait 5 ms
# (sys.getswitchinterval), and a commit of 64 writes half a second.
_BATCH = """
CREATE TEMP VIEW batch (key, value, revision) AS SELECT NULL, NULL, NULL;
CREATE TEMP TRIGGER apply INSTEAD OF INSERT ON batch BEGIN
  INSERT OR REPLACE INTO objects SELECT NEW.key, NEW.value, NEW.revision
    WHERE NEW.value IS NOT NULL;
  DELETE FROM objects WHERE key = NEW.key AND NEW.value IS NULL;
  UPDATE meta SET value = NEW.revision WHERE name = 'revision';
END;
"""
_Row = tuple[str, bytes | None, int]
_INSERT = "INSERT INTO batch VALUES "
_ROW = "(?,?,?)"
_ROWS_MAX = 1000  # three parameters each; SQLite allows 32,766 in a statement


class Database:
    """One file, held by at most one process. Every method belongs to the same thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None

    def open(self) -> tuple[Sequence[Record], int]:
        """Lock and load: all records, and the newest revision. On an error nothing stays open."""
        self._lock = _lock(self.path)
        try:
            self._connection = self._connect()
            return self._load(self._connection)
        except sqlite3.Error as error:
            self.close()
            raise StoreUnavailable(f"{self.path} cannot be opened: {error}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release file and lock. Does nothing when they are not held."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            # The lock file stays: removing it would let two processes lock two different files.
            os.close(self._lock)
            self._lock = None

    def write(self, changes: Sequence[Change]) -> None:
        """Commit changes in one transaction; on return they are on the disk."""
        assert self._connection is not None
        newest = {change.key: change for change in changes}
        rows: list[_Row] = [
            (c.key, None if c.record is None else c.record.value.data, c.revision)
            for c in newest.values()
        ]
        rows.sort(key=itemgetter(2))  # the last row's revision is the newest
        if len(rows) <= _ROWS_MAX:
            self._insert(self._connection, rows)  # a transaction of its own
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for start in range(0, len(rows), _ROWS_MAX):
                self._insert(self._connection, rows[start : start + _ROWS_MAX])
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _insert(self, connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        statement = _INSERT + ",".join([_ROW] * len(rows))
        connection.execute(statement, tuple(chain.from_iterable(rows)))

    def _connect(self) -> sqlite3.Connection:
        # Made here, not by SQLite, for its mode; SQLite gives its other files the same one.
        os.close(_open_private(self.path))
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _load(self, connection: sqlite3.Connection) -> tuple[Sequence[Record], int]:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        connection.executescript(_BATCH)
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        if meta["schema"] != SCHEMA_VERSION:
            raise StoreError(
                f"{self.path} has schema version {meta['schema']}; "
                f"this kubatch reads version {SCHEMA_VERSION}"
            )
        rows = connection.execute("SELECT key, value, revision FROM objects ORDER BY key")
        records = [Record(key, Value(data), revision) for key, data, revision in rows]
        return records, meta["revision"]


def _open_private(path: Path) -> int:
    """A descriptor of the file, which only its owner may read; created if it is not there."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def _lock(path: Path) -> int:
    """The descriptor that holds the lock for as long as it is open. Raises StoreInUse."""
    descriptor = _open_private(path.with_name(path.name + ".lock"))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        holder = f"process {pid}" if pid else "another process"
        raise StoreInUse(f"{path} is in use by {holder}") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
