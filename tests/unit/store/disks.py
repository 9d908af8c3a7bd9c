"""Disks that misbehave, under the real SQLite: what it writes is recorded, and may fail.

The package apsw lets a Python class be SQLite's file system. Every write, truncation, sync and
deletion passes here, so a test can cut the power at any of them, with what was not synced yet
lost, torn or out of order, as disks do.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, cast

import apsw

SECTOR = 512
"""What a disk writes as a whole, in bytes."""

_names = count()


@dataclass
class Operation:
    """One call that changes a file: "write", "truncate", "sync" or "delete"."""

    kind: str
    file: str  # its name, without directories
    offset: int = 0  # of a write; the size of a truncation
    data: bytes = b""


@dataclass
class Disk:
    """Files below one directory, every change to them in order, and a hook that may fail one."""

    operations: list[Operation] = field(default_factory=list)
    before: Callable[[Operation], None] = lambda operation: None
    """Called ahead of each; raises an apsw error to let it fail."""

    def __post_init__(self) -> None:
        self._vfs = _Vfs(f"disk-{next(_names)}", self)

    def connect(self, path: Path) -> sqlite3.Connection:
        """What the store takes for a connection of the standard library."""
        connection = apsw.Connection(str(path), vfs=self._vfs.name)
        # apsw's files have no shared memory; a log that only one connection uses needs none.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        return cast(sqlite3.Connection, _Connection(connection))

    def note(self, operation: Operation) -> None:
        self.before(operation)
        self.operations.append(operation)


def after_power_loss(operations: list[Operation], rng: random.Random) -> dict[str, bytes]:
    """What files may hold once the power is back: all that was synced, and any part of the rest.

    A write that was not synced is there, not there, or there in some of its sectors only; later
    ones may be there where earlier ones are not.
    """
    synced: dict[str, bytearray] = {}
    waiting: dict[str, list[Operation]] = {}
    for operation in operations:
        if operation.kind == "delete":
            synced.pop(operation.file, None)  # SQLite asks for it to be synced
            waiting.pop(operation.file, None)
        elif operation.kind == "sync":
            content = synced.setdefault(operation.file, bytearray())
            for waited in waiting.pop(operation.file, ()):
                _apply(content, waited, None)
        else:
            waiting.setdefault(operation.file, []).append(operation)
    for file, operations_left in waiting.items():
        content = synced.setdefault(file, bytearray())
        for waited in operations_left:
            if rng.random() < 0.5:
                _apply(content, waited, rng)
    return {file: bytes(content) for file, content in synced.items()}


def _apply(content: bytearray, operation: Operation, tear: random.Random | None) -> None:
    if operation.kind == "truncate":
        if operation.offset < len(content):
            del content[operation.offset :]
        return
    for start, piece in _sectors(operation):
        if tear is not None and tear.random() < 0.25:
            continue
        if len(content) < start:
            content.extend(bytes(start - len(content)))
        content[start : start + len(piece)] = piece


def _sectors(operation: Operation) -> Iterator[tuple[int, bytes]]:
    at, data = operation.offset, operation.data
    while data:
        length = SECTOR - at % SECTOR
        yield at, data[:length]
        at, data = at + length, data[length:]


class _Vfs(apsw.VFS):
    def __init__(self, name: str, disk: Disk) -> None:
        self.name = name
        self._disk = disk
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        return _File(name, flags, self._disk)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self._disk.note(Operation("delete", os.path.basename(filename)))
        super().xDelete(filename, syncdir)


class _File(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], disk: Disk) -> None:
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._name = os.path.basename(path)
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.note(Operation("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._disk.note(Operation("truncate", self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._disk.note(Operation("sync", self._name))
        super().xSync(flags)


class _Connection:
    """The part of sqlite3.Connection that the store uses, over apsw's."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> _Cursor:
        try:
            return _Cursor(self._connection.execute(sql, parameters))
        except apsw.Error as error:
            raise _translated(error) from error

    executescript = execute

    def create_function(self, name: str, arity: int, function: Any, *, deterministic: bool) -> None:
        self._connection.create_scalar_function(name, function, arity, deterministic=deterministic)

    def close(self) -> None:
        try:
            self._connection.close()
        except apsw.Error as error:
            raise _translated(error) from error


class _Cursor:
    """All rows, fetched at once: an error belongs to the statement, not to its reading."""

    def __init__(self, cursor: apsw.Cursor) -> None:
        self._rows = list(cursor)

    def fetchone(self) -> Any:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[Any]:
        return self._rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)


def _translated(error: apsw.Error) -> sqlite3.Error:
    translated = sqlite3.OperationalError(str(error))
    translated.sqlite_errorcode = getattr(error, "extendedresult", 1)
    return translated
