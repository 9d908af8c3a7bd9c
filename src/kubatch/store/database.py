"""The SQLite file of a store, and the lock beside it. Blocking: for the store's own thread."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from zlib import crc32

from kubatch.store.protocol import (
    Change,
    Record,
    StoreError,
    StoreInUse,
    StoreUnavailable,
    Value,
)

SCHEMA_VERSION = 2
"""The format of the file. One who changes it adds how to come from the one before."""

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS objects (
  key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('schema', {SCHEMA_VERSION}), ('revision', 0);
"""
# How to get from each older format to the next one.
_MIGRATIONS = {
    1: """
ALTER TABLE objects ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE objects SET checksum = record_checksum(key, value, revision);
"""
}
# One statement writes a whole batch, and so takes the interpreter's lock back once. SQLite gives it
# up at every step: with a statement for each row, a busy event loop makes every row wait 5 ms
# (sys.getswitchinterval), and a commit of 64 writes half a second.
_BATCH = """
CREATE TEMP VIEW batch (key, value, revision, checksum) AS SELECT NULL, NULL, NULL, NULL;
CREATE TEMP TRIGGER apply INSTEAD OF INSERT ON batch BEGIN
  INSERT OR REPLACE INTO objects SELECT NEW.key, NEW.value, NEW.revision, NEW.checksum
    WHERE NEW.value IS NOT NULL;
  DELETE FROM objects WHERE key = NEW.key AND NEW.value IS NULL;
  UPDATE meta SET value = NEW.revision WHERE name = 'revision';
END;
"""
_Row = tuple[str, bytes | None, int, int]
_INSERT = "INSERT INTO batch VALUES "
_ROW = "(?,?,?,?)"
_ROWS_MAX = 1000  # four parameters each; SQLite allows 32,766 in a statement
# SQLite's own interval, a thousand pages. The checkpoint is ours to ask for because SQLite would
# keep its errors to itself, and come after the commit's answer where SQLite would do it before.
_CHECKPOINT_BYTES = 4 * 1024 * 1024
_PAGE_BYTES = 4096  # at least one page changes with each record
_LOG_BYTES_KEPT = 64 * 1024 * 1024  # a log that grew beyond this in a burst shrinks again

Connect = Callable[[Path], sqlite3.Connection]


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


class Database:
    """One file, held by at most one process. Every method belongs to the same thread."""

    def __init__(self, path: Path, connect: Connect = _connect) -> None:
        """`connect` opens SQLite without transactions of its own (a test may bring other disks)."""
        self.path = path
        self._open_connection = connect
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._bytes_in_log = 0  # about so much waits for a checkpoint

    def open(self) -> tuple[Sequence[Record], int]:
        """Lock and load: all records, and the newest revision. On an error nothing stays open."""
        self._lock = _lock(self.path)
        try:
            self._connection = self._connect()
            return self._load(self._connection)
        except sqlite3.Error as error:
            self.close()
            raise StoreUnavailable(f"{self.path} cannot be opened: {_words(error)}") from error
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
        rows = [_row(change) for change in newest.values()]
        rows.sort(key=itemgetter(2))  # the last row's revision is the newest
        self._bytes_in_log += sum(_PAGE_BYTES + len(row[1] or b"") for row in rows)
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

    def checkpoint_if_due(self) -> None:
        """Move what was committed from the log into the file, once there is enough of it."""
        if self._bytes_in_log >= _CHECKPOINT_BYTES:
            assert self._connection is not None
            self._bytes_in_log = 0
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _insert(self, connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        statement = _INSERT + ",".join([_ROW] * len(rows))
        connection.execute(statement, tuple(chain.from_iterable(rows)))

    def _connect(self) -> sqlite3.Connection:
        # Made here, not by SQLite, for its mode; SQLite gives its other files the same one.
        os.close(_open_private(self.path))
        sync_directory(self.path.parent)
        connection = self._open_connection(self.path)
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES_KEPT}").fetchall()
        connection.create_function("record_checksum", 3, checksum, deterministic=True)
        return connection

    def _load(self, connection: sqlite3.Connection) -> tuple[Sequence[Record], int]:
        self._bring_up_to_date(connection)
        connection.executescript(_BATCH)
        revision: int = connection.execute(
            "SELECT value FROM meta WHERE name = 'revision'"
        ).fetchone()[0]
        records, damaged = [], []
        rows = connection.execute("SELECT key, value, revision, checksum FROM objects ORDER BY key")
        for key, data, written, expected in rows:
            if checksum(key, data, written) != expected:
                damaged.append(key)
            records.append(Record(key, Value(data), written))
        if damaged:
            raise StoreError(
                f"{self.path} is damaged: {len(damaged)} of {len(records)} objects are not what "
                f"was written, the first is {damaged[0]}; restore a backup"
            )
        return records, revision

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        """Make the tables, or take an older file's over: all of it, or nothing."""
        known = connection.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchone()
        if not known:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        (found,) = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
        if found > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path} was written by a newer kubatch, in format {found}; this one reads "
                f"up to format {SCHEMA_VERSION}: upgrade kubatch, or restore an older backup"
            )
        steps = "".join(_MIGRATIONS[version] for version in range(found, SCHEMA_VERSION))
        if steps:
            connection.executescript(
                f"BEGIN IMMEDIATE; {steps}"
                f"UPDATE meta SET value = {SCHEMA_VERSION} WHERE name = 'schema'; COMMIT;"
            )


def checksum(key: str, data: bytes, revision: int) -> int:
    """What a record's bytes add up to, so that a disk which changed them is found out."""
    return crc32(data, crc32(b"%d %s" % (revision, key.encode())))


def may_go_on(error: BaseException) -> bool:
    """Whether nothing of a failed commit is on the disk, so that the next may be tried.

    The disk was full or could not be written to: SQLite noticed before the commit's record was
    complete. After a failed fsync nobody knows, since the kernel forgets what it could not write.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code in _NOTHING_WRITTEN or code & 0xFF in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
    )


_NOTHING_WRITTEN = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


def _words(error: sqlite3.Error) -> str:
    """SQLite's words and what to do, for somebody who only wants to start a server."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"{error}; restore a backup"
    return str(error)


def _row(change: Change) -> _Row:
    if change.record is None:
        return change.key, None, change.revision, 0
    data = change.record.value.data
    return change.key, data, change.revision, checksum(change.key, data, change.revision)


def sync_directory(path: Path) -> None:
    """Make a file that was made or renamed in here be found after a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
