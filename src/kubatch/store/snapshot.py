"""Copies of a store's file: taken while it is in use, and made ready to be served from."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kubatch.store.database import Database
from kubatch.store.protocol import StoreUnavailable

# Whoever still holds a revision of before the restore must not find it valid, or a watch would go
# on as if nothing had happened. The number is etcd's (etcdutl snapshot restore --bump-revision).
RESTORE_BUMP = 1_000_000_000


def take(path: Path, copy: Path) -> int:
    """Copy a store's file as it is at one moment, and check every object; the copy's revision.

    `copy` must not exist; it becomes one file without a log. Its writers do not wait. Raises
    StoreUnavailable, and StoreError when what was copied is damaged.
    """
    if not path.exists():
        raise StoreUnavailable(f"{path} does not exist")
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("VACUUM INTO ?", (str(copy),))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path} cannot be copied: {error}") from error
    return check(copy)


def check(copy: Path) -> int:
    """Read a copy from end to end, taking an older format over; its revision. Raises StoreError."""
    database = Database(copy)
    _, revision = database.open()
    database.close()
    return revision


def make_current(copy: Path) -> None:
    """Put a restored copy's revision ahead of all that anybody may have seen of it."""
    connection = sqlite3.connect(copy, isolation_level=None)
    try:
        connection.execute(
            "UPDATE meta SET value = value + ? WHERE name = 'revision'", (RESTORE_BUMP,)
        )
    finally:
        connection.close()
