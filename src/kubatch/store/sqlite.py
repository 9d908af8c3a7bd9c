"""The default store: a SQLite file that survives `kill -9`, its whole state also in memory.

The event loop checks a write against memory and puts it into the batch that gathers; one thread
commits a batch in one transaction with one fsync; then the loop shows it to readers and watchers
and answers its writers. While a batch is being committed, the next one gathers.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kubatch.store.database import Connect, Database, may_go_on
from kubatch.store.mirror import Mirror
from kubatch.store.protocol import Change, StoreError, StoreUnavailable, Value
from kubatch.store.state import HISTORY_CHANGES_MAX

# A busy event loop lets go of the interpreter's lock for a microsecond at every turn. A thread that
# waits for it wakes too late for that, and insists only after waiting this long undisturbed: with
# Python's 5 ms a commit can starve for seconds, with 20 us it is through within milliseconds.
_SWITCH_INTERVAL_SECONDS_MAX = 20e-6


class _Batch:
    """Writes that share one commit, and who waits for it."""

    __slots__ = ("changes", "refused", "writers")

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.writers: list[asyncio.Future[int] | None] = []  # one for each change, if it waits
        self.refused: list[asyncio.Future[None]] = []  # writes that lost against one of these

    def succeed(self) -> None:
        """Answer everyone, leaving out who was cancelled meanwhile."""
        for change, writer in zip(self.changes, self.writers, strict=True):
            if writer is not None and not writer.done():
                writer.set_result(change.revision)
        for waiter in self.refused:
            if not waiter.done():
                waiter.set_result(None)

    def fail(self, reason: str, cause: BaseException) -> None:
        """Answer everyone with StoreUnavailable."""
        futures: list[asyncio.Future[Any] | None] = [*self.writers, *self.refused]
        for future in futures:
            if future is not None and not future.done():
                error = StoreUnavailable(reason)
                error.__cause__ = cause
                future.set_exception(error)


class SqliteStore(Mirror):
    """A Store in one SQLite file. Only one process at a time may have it open.

    A commit that finds the disk full or read-only fails its writers with StoreUnavailable, and the
    next one is tried. After any other failure nobody knows what the disk holds: `failed` tells, and
    every further write is refused until the store is opened anew. Reads go on with what was
    committed.
    """

    def __init__(
        self,
        path: Path,
        history_changes_max: int = HISTORY_CHANGES_MAX,
        connect: Connect | None = None,
    ) -> None:
        """`path` is the database; SQLite's own files and the lock lie beside it."""
        super().__init__(history_changes_max)
        self.commits = 0
        """How many transactions were committed since the store was opened."""
        self._database = Database(path) if connect is None else Database(path, connect)
        self._thread: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop
        self._gathering = _Batch()
        self._committing: _Batch | None = None
        self._begin_scheduled = False
        self._switch_interval = sys.getswitchinterval()
        self._idle = asyncio.Event()
        self._idle.set()
        self._broken = asyncio.Event()
        self._refusal = "the store is not open"  # why writes are refused; empty: they are not

    async def open(self) -> None:
        """Lock the file, creating it if needed, and load it.

        Raises StoreInUse, StoreUnavailable when the file cannot be read, and StoreError when it
        is not one of ours.
        """
        self._loop = asyncio.get_running_loop()
        # One thread from opening to closing: SQLite connections stay where they were made.
        thread = ThreadPoolExecutor(1, thread_name_prefix="kubatch-store")
        try:
            records, revision = await self._loop.run_in_executor(thread, self._database.open)
        except BaseException:
            thread.submit(self._database.close)  # for a caller who was cancelled meanwhile
            thread.shutdown(wait=False)
            raise
        self._thread = thread
        self._switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(min(self._switch_interval, _SWITCH_INTERVAL_SECONDS_MAX))
        self._state.load(records, revision)
        self._refusal = ""

    async def close(self) -> None:
        """Commit what is under way, end all watches, release the file. Reads go on."""
        thread = self._thread
        if thread is None:
            return
        self._refusal = self._refusal or "the store is closed"
        await self._idle.wait()
        self._feed.close()
        await self._loop.run_in_executor(thread, self._database.close)
        if self._thread is not None:  # else another close() was as quick
            thread.shutdown(wait=False)
            self._thread = None
            sys.setswitchinterval(self._switch_interval)

    async def failed(self) -> str:
        """Return once the store cannot write any more, with the reason."""
        await self._broken.wait()
        return self._refusal

    async def create(self, key: str, value: Value) -> int:
        """Write a new key; the write's revision. Raises KeyExists, StoreUnavailable."""
        self._check_writable()
        try:
            change = self._state.create(key, value)
        except StoreError:
            await self._settled(key)
            raise
        return await self._enqueue(change)

    async def create_all(self, values: Sequence[tuple[str, Value]]) -> Sequence[int | None]:
        """Write many new keys in one commit; each write's revision, None where a key is taken.

        Raises StoreUnavailable.
        """
        self._check_writable()
        changes = self._state.create_all(values)
        made = [change for change in changes if change is not None]
        if made:
            # One batch takes all of them, so whoever waits for the last waits for all.
            self._gathering.changes += made[:-1]
            self._gathering.writers += [None] * (len(made) - 1)
            await self._enqueue(made[-1])
        return [None if change is None else change.revision for change in changes]

    async def update(self, key: str, value: Value, expected: int) -> int:
        """Replace a key at revision `expected`.

        Raises KeyMissing, RevisionMismatch, StoreUnavailable.
        """
        self._check_writable()
        try:
            change = self._state.update(key, value, expected)
        except StoreError:
            await self._settled(key)
            raise
        return await self._enqueue(change)

    async def delete(self, key: str, expected: int) -> int:
        """Remove a key at revision `expected`. Raises as update does."""
        self._check_writable()
        try:
            change = self._state.delete(key, expected)
        except StoreError:
            await self._settled(key)
            raise
        return await self._enqueue(change)

    def _check_writable(self) -> None:
        if self._refusal:
            raise StoreUnavailable(self._refusal)

    def _enqueue(self, change: Change) -> asyncio.Future[int]:
        """Put a staged change into the batch that gathers; done once it is committed."""
        writer: asyncio.Future[int] = self._loop.create_future()
        self._gathering.changes.append(change)
        self._gathering.writers.append(writer)
        if not self._begin_scheduled and self._committing is None:
            self._schedule_begin()
        return writer

    async def _settled(self, key: str) -> None:
        """Return when a refused write's answer agrees with what a reader sees.

        A write that lost against one still waiting must not say so before that one is committed:
        its caller would read again, find nothing changed, and come back at once. Raises
        StoreUnavailable when the commit fails, for then neither write took place.
        """
        if self._state.is_staged(key):
            batch = self._gathering if self._gathering.changes else self._committing
            assert batch is not None, "a staged write is in one of the two batches"
            waiter: asyncio.Future[None] = self._loop.create_future()
            batch.refused.append(waiter)
            await waiter

    def _schedule_begin(self) -> None:
        # Not at once: whoever is ready to run in this turn of the loop joins the same commit.
        self._begin_scheduled = True
        self._idle.clear()
        self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Hand the gathered batch to the thread."""
        assert self._thread is not None
        assert self._committing is None
        self._begin_scheduled = False
        self._committing, self._gathering = self._gathering, _Batch()
        self._thread.submit(self._commit, self._committing)

    def _commit(self, batch: _Batch) -> None:
        """In the thread: write a batch, and tell the loop how it went."""
        error: BaseException | None = None
        try:
            self._database.write(batch.changes)
        except BaseException as e:
            error = e
        try:
            self._loop.call_soon_threadsafe(self._finish, batch, error)
            # After the answer is on its way, since it is as good without.
            self._checkpoint()
        except RuntimeError:
            pass  # the loop was closed without closing the store: nobody is left to be told

    def _checkpoint(self) -> None:
        """In the thread: keep the log short. Raises RuntimeError when the loop is closed."""
        if self._refusal:
            return
        try:
            self._database.checkpoint_if_due()
        except BaseException as error:
            # The log still has everything; but a disk that loses pages is none to build on.
            if not may_go_on(error):
                self._loop.call_soon_threadsafe(self._stop_writing, error)

    def _finish(self, batch: _Batch, error: BaseException | None) -> None:
        """Back in the loop: show the batch to readers, then to watchers, then answer its writers.

        In this order a writer that reads, or watches from its own revision, finds its write.
        """
        self._committing = None
        if error is not None:
            self._fail(batch, error)
            return
        self.commits += 1
        self._publish(batch.changes)
        batch.succeed()
        # After the writers were woken, so that one who writes again at once joins this commit.
        if self._gathering.changes:
            self._schedule_begin()
        else:
            self._idle.set()

    def _fail(self, batch: _Batch, error: BaseException) -> None:
        """Answer those of a failed commit, and those that gathered: they may build on them."""
        reason = f"writing to {self._database.path} failed: {error}"
        if not may_go_on(error):
            self._stop_writing(error)
        self._state.abandon()
        gathered, self._gathering = self._gathering, _Batch()
        batch.fail(reason, error)
        gathered.fail(reason, error)
        self._idle.set()

    def _stop_writing(self, error: BaseException) -> None:
        self._refusal = f"writing to {self._database.path} failed: {error}"
        self._broken.set()
