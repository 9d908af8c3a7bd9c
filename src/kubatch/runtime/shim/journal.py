"""The shim's memory on disk: one JSON line for each thing that happened, the last one counts.

Lines are not synced: they survive the death of the shim, and a machine that went down took the
containers along, which the boot id tells.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable

from .complain import complain

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from typing import Any

    Record = dict[str, Any]

Key = tuple[str, str, int]

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_COMPACT_BYTES_MIN = 4 << 20


def key_of(record: Record) -> Key:
    """The container id a record is about."""
    pod_uid, container, attempt = record["id"]
    return pod_uid, container, attempt


def replay(data: bytes) -> dict[Key, Record]:
    """What the lines add up to; a line torn by a full disk or a crash is passed over."""
    records: dict[Key, Record] = {}
    for line in data.split(b"\n"):
        try:
            record = json.loads(line)
            key = key_of(record)
        except (ValueError, KeyError, TypeError):
            continue
        if record.get("state") == "removed":
            records.pop(key, None)
        else:
            records[key] = record
    return records


class Journal:
    """Appends records to a file in the current directory; many lines make one write."""

    def __init__(self, path: str, snapshot: Callable[[], Iterable[Record]]) -> None:
        self._path = path
        self._snapshot = snapshot
        self._lines: list[str] = []
        self._broken = False  # a write failed: what is on disk lacks something
        self._fd = -1
        self._size = 0
        self._compact_at = 0

    def read(self) -> dict[Key, Record]:
        """What the journal of the last shim says."""
        try:
            with open(self._path, "rb") as file:
                return replay(file.read())
        except FileNotFoundError:
            return {}

    def append(self, record: Record) -> None:
        """Add a line; it is on disk after flush()."""
        self._lines.append(_encode(record) + "\n")

    def flush(self) -> bool:
        """Write what was appended. False when the disk refuses; the next flush tries again."""
        if not self._lines and not self._broken:
            return True
        data = "".join(self._lines).encode("utf-8", "surrogatepass")
        self._lines.clear()
        try:
            if self._broken or self._size + len(data) > self._compact_at:
                self.compact(data)
            else:
                written = os.write(self._fd, data)
                if written != len(data):
                    raise OSError(f"wrote {written} of {len(data)} bytes")
                self._size += written
        except OSError as error:
            if not self._broken:
                complain(f"journal: {error}")
            self._broken = True
            return False
        return True

    def compact(self, latest: bytes = b"") -> None:
        """Replace the file by the present state and the lines not written yet."""
        data = "".join(_encode(record) + "\n" for record in self._snapshot())
        raw = data.encode("utf-8", "surrogatepass") + latest
        fresh = self._path + ".new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        fd = os.open(fresh, flags, 0o600)
        try:
            view = memoryview(raw)
            while view:
                view = view[os.write(fd, view) :]
            os.rename(fresh, self._path)
        except OSError:
            os.close(fd)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._size = len(raw)
        self._compact_at = max(_COMPACT_BYTES_MIN, 4 * self._size)
        self._broken = False
