"""The Store waist: bytes under keys, one revision counter, one feed of changes.

A store knows no kinds. Keys are paths such as `/batch/jobs/default/pi`; what the bytes mean is the
registry's business. The shared suite tests/suites/store_suite.py holds every store to this text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Value:
    """Encoded bytes, and beside them whatever they decode to.

    A store keeps and hands out the very same Value it was given, so within one process nobody
    decodes what somebody else encoded. A store that read the bytes from elsewhere leaves `decoded`
    None, and its reader fills it in. Neither part is ever changed once it is stored.
    """

    __slots__ = ("data", "decoded")

    def __init__(self, data: bytes, decoded: Any = None) -> None:
        self.data = data
        self.decoded = decoded


@dataclass(frozen=True, slots=True)
class Record:
    """One key's value at one revision."""

    key: str
    value: Value
    revision: int  # of the write that put this value here


@dataclass(frozen=True, slots=True)
class Change:
    """One committed write: `record` is None for a deletion, `previous` None for a creation."""

    key: str
    revision: int
    record: Record | None
    previous: Record | None


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the records under a prefix, and how many come after them."""

    records: Sequence[Record]  # sorted by key
    remaining: int


class StoreError(Exception):
    """The root of what a store can answer instead of doing what it was asked."""


class KeyExists(StoreError):
    """create: the key is taken."""


class KeyMissing(StoreError):
    """update, delete: there is no such key."""


class RevisionMismatch(StoreError):
    """update, delete: the key is not at the expected revision any more."""


class RevisionCompacted(StoreError):
    """list, watch: the revision asked for is older than the history kept."""


class WatcherTooSlow(StoreError):
    """watch: the reader fell further behind than its buffer holds; it must list again."""


class StoreUnavailable(StoreError):
    """The write may or may not have happened: the disk or the peer did not answer."""


class StoreInUse(StoreError):
    """open: another process serves this data."""


class Changes(Protocol):
    """A watch: batches of changes, until the store closes or somebody has enough."""

    def __aiter__(self) -> Changes: ...

    async def __anext__(self) -> Sequence[Change]:
        """Everything that waits, at least one. Raises RevisionCompacted, WatcherTooSlow."""
        ...

    @property
    def caught_up(self) -> bool:
        """Whether every change committed so far has been handed out."""
        ...

    async def aclose(self) -> None:
        """Unregister."""
        ...


class Store(Protocol):
    """Durable bytes with optimistic concurrency.

    A write returns when it would survive `kill -9`, and readers and watchers see only such writes.
    Writes that wait at the same time share one commit. Revisions grow by one with each write to
    any key; every change is delivered to every watcher of its prefix exactly once, in order.
    """

    async def open(self) -> None:
        """Load the state. Raises StoreInUse."""
        ...

    async def close(self) -> None:
        """Commit what is under way, end all watches, release the data."""
        ...

    async def failed(self) -> str:
        """Return once the store cannot write any more and must be opened anew, with the reason."""
        ...

    @property
    def revision(self) -> int:
        """The revision of the newest committed write; 0 when nothing was ever written."""
        ...

    async def get(self, key: str) -> Record | None:
        """The committed record of a key."""
        ...

    async def list(self, prefix: str, revision: int | None = None) -> Sequence[Record]:
        """Records whose key starts with prefix, sorted by key, now or as of a past revision.

        Raises RevisionCompacted.
        """
        ...

    async def page(self, prefix: str, after: str, limit: int, revision: int | None = None) -> Slice:
        """The first `limit` records (0: all) under a prefix with key > after, as `list` has them.

        Costs what it answers, and what was written since `revision`. Raises RevisionCompacted.
        """
        ...

    async def create(self, key: str, value: Value) -> int:
        """Write a new key; the write's revision. Raises KeyExists."""
        ...

    async def create_all(self, values: Sequence[tuple[str, Value]]) -> Sequence[int | None]:
        """Write many new keys in one commit; each write's revision, None where a key is taken."""
        ...

    async def update(self, key: str, value: Value, expected: int) -> int:
        """Replace a key that is still at revision `expected`.

        Raises KeyMissing, RevisionMismatch. A write that waits for its commit counts: of two
        writes with the same `expected`, one fails.
        """
        ...

    async def delete(self, key: str, expected: int) -> int:
        """Remove a key that is still at `expected`. Raises as update does."""
        ...

    def watch(self, prefix: str, after: int, buffer_max: int = 10_000) -> Changes:
        """Batches of changes under a prefix with revision > after: history first, then live.

        Registered when called, not when first iterated: nothing committed in between is missed.
        The iterator raises RevisionCompacted, or WatcherTooSlow once more than buffer_max changes
        wait for its reader; it ends cleanly when the store closes. aclose() unregisters it.
        """
        ...
