"""Answers that go on: watches and logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kubatch.api import codec
from kubatch.api.errors import ApiError
from kubatch.api.resource import Resource
from kubatch.meters import Meters
from kubatch.registry.values import Entry, WatchEvent
from kubatch.server import negotiate, tables
from kubatch.server.metrics import WATCH_EVENTS
from kubatch.server.negotiate import Form
from kubatch.server.replies import LOG_TEXT, Sink
from kubatch.server.tables import Tabler

# The annotation that tells client-go's informers that they have seen the whole present state
# (apimachinery/pkg/apis/meta/v1/types.go: InitialEventsAnnotationKey).
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
# How long a log may take to say that it cannot be read, before 200 is sent.
_LOG_PATIENCE = 0.2
_PART_BYTES = 256 * 1024


class Watch(Protocol):
    """What the registry's watch offers."""

    @property
    def revision(self) -> int:
        """How far it has come."""
        ...

    @property
    def initial_done(self) -> bool:
        """Whether the present state has been delivered."""
        ...

    async def __anext__(self) -> Sequence[WatchEvent[Any]]: ...

    async def aclose(self) -> None:
        """Stop watching."""
        ...


class EventWriter:
    """Turns events into lines, in the form the client asked for."""

    def __init__(
        self, resource: Resource[Any], form: Form, tabler: Tabler | None, meters: Meters
    ) -> None:
        self._meters = meters
        self._labels = (resource.group, resource.version, resource.plural)
        self._resource = resource
        self._form = form
        self._tabler = tabler

    def event(self, type_: str, entry: Entry[Any]) -> bytes:
        """One change."""
        self._meters.add(WATCH_EVENTS, self._labels)
        return _line(type_.encode(), self._object(entry))

    def _object(self, entry: Entry[Any]) -> bytes:
        if self._tabler is not None:
            return self._tabler.one(entry)
        if self._form.transform:
            return tables.partial_json(entry, self._form.version)
        return codec.wire(self._resource, entry.data, entry.revision)

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        """How far the watch has come; nothing of the object but its resourceVersion is real."""
        meta: dict[str, Any] = {"resourceVersion": str(revision)}
        if initial_end:
            meta["annotations"] = {INITIAL_EVENTS_END: "true"}
        metadata = codec.encode_json(meta)
        if self._tabler is not None:
            return _line(b"BOOKMARK", self._tabler.bookmark(metadata, revision))
        kind, version = self._resource.kind, self._resource.api_version
        if self._form.transform:
            kind, version = "PartialObjectMetadata", f"meta.k8s.io/{self._form.version}"
        head = codec.type_head(kind, version)
        return _line(b"BOOKMARK", b'%b"metadata":%b}' % (head, metadata))


def error_line(error: ApiError) -> bytes:
    """The last line of a watch that cannot go on."""
    return _line(b"ERROR", codec.encode_json(error.to_status()))


def _line(type_: bytes, body: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (type_, body)


@dataclass
class WatchStream:
    """A watch as chunks of lines: one write for what became known together."""

    watch: Watch | ApiError  # an error is what the watch says first and last
    writer: EventWriter
    before_batch: Callable[[], None]  # brings a table's clock up to date
    timeout: float  # seconds until the watch ends
    bookmark_interval: float | None  # None: no bookmarks
    mark_initial_end: bool  # a bookmark follows the last of the initial events

    async def run(self, sink: Sink, closing: asyncio.Future[None]) -> None:
        """Write events until the client leaves, the time is over or the server stops."""
        await sink.start(negotiate.JSON)
        if isinstance(self.watch, ApiError):
            await sink.write(error_line(self.watch))
            return
        reader = _Reader(self.watch, closing)
        try:
            await self._pump(reader, self.watch, sink, closing)
        except ApiError as error:
            await sink.write(error_line(error))
        finally:
            reader.close()
            await self.watch.aclose()

    async def _pump(
        self, reader: _Reader, watch: Watch, sink: Sink, closing: asyncio.Future[None]
    ) -> None:
        now = asyncio.get_running_loop().time
        ends_at = now() + self.timeout
        bookmark_at = now() + self.bookmark_interval if self.bookmark_interval else None
        unmarked = self.mark_initial_end
        while not closing.done():
            wakes_at = ends_at if bookmark_at is None or unmarked else min(ends_at, bookmark_at)
            batch = await reader.next(wakes_at)
            if batch is Ended:
                return
            if isinstance(batch, list):
                marked = unmarked and watch.initial_done
                await self._write(batch, watch.revision if marked else None, sink)
                unmarked = unmarked and not marked
                if not watch.initial_done:
                    await asyncio.sleep(0)  # what is there already comes without waiting
            due = now() >= ends_at
            if bookmark_at is not None and (due or now() >= bookmark_at) and not unmarked:
                assert self.bookmark_interval is not None
                bookmark_at = now() + self.bookmark_interval
                await sink.write(self.writer.bookmark(watch.revision))
            if due:
                return

    async def _write(self, batch: Sequence[WatchEvent[Any]], marks: int | None, sink: Sink) -> None:
        """Much is written in parts: while a client does not read, only one of them is held.

        `marks` is the revision at which the initial events end.
        """
        self.before_batch()
        lines: list[bytes] = []
        size = 0
        for event in batch:
            line = self.writer.event(event.type, event.entry)
            lines.append(line)
            size += len(line)
            if size > _PART_BYTES:
                await sink.write(b"".join(lines))
                lines, size = [], 0
        if marks is not None:
            lines.append(self.writer.bookmark(marks, initial_end=True))
        if lines:
            await sink.write(b"".join(lines))


class Ended:
    """Marks the clean end of a watch."""


class _Reader:
    """Reads batches with a time limit. A read that is given up loses nothing of the watch.

    As asyncio.Timeout does it, but the timer is kept from one batch to the next: with hundreds of
    watchers, one for each batch costs as much as what is in it.
    """

    def __init__(self, watch: Watch, closing: asyncio.Future[None]) -> None:
        task = asyncio.current_task()
        assert task is not None, "streams run in tasks"
        self._task: asyncio.Task[Any] = task
        self._watch = watch
        self._closing = closing
        self._reading = self._given_up = False
        self._at = 0.0
        self._timer: asyncio.TimerHandle | None = None  # None once it has rung
        closing.add_done_callback(self._give_up)

    async def next(self, at: float) -> list[WatchEvent[Any]] | type[Ended] | None:
        """The next batch, Ended, or None when it is `at` that time of the loop, or closing.

        Raises ApiError.
        """
        if self._closing.done():
            return None
        self._set_timer(at)
        self._reading, self._given_up = True, False
        try:
            return list(await self._watch.__anext__())
        except StopAsyncIteration:
            return Ended
        except asyncio.CancelledError:
            # Somebody else may have cancelled the task as well.
            if self._given_up and not self._task.uncancel():
                return None
            raise
        finally:
            self._reading = False

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            if self._at == at:
                return
            self._timer.cancel()
        self._at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._give_up()

    def _give_up(self, *_: object) -> None:
        if self._reading and not self._given_up:
            self._given_up = True
            self._task.cancel()

    def close(self) -> None:
        """No more of this."""
        self._closing.remove_done_callback(self._give_up)
        if self._timer is not None:
            self._timer.cancel()


@dataclass
class LogStream:
    """A container's log. An error known at once is raised before anything is sent."""

    chunks: AsyncIterator[bytes]

    async def run(self, sink: Sink, closing: asyncio.Future[None]) -> None:
        """Copy until the log ends, the client leaves or the server stops. Raises ApiError."""
        pending = asyncio.ensure_future(self._read())
        try:
            await asyncio.wait(
                (pending, closing), timeout=_LOG_PATIENCE, return_when=asyncio.FIRST_COMPLETED
            )
            if pending.done() and pending.exception() is not None:
                raise pending.exception() or RuntimeError
            await sink.start(LOG_TEXT)
            while True:
                await asyncio.wait((pending, closing), return_when=asyncio.FIRST_COMPLETED)
                if not pending.done() or (chunk := pending.result()) is None:
                    return
                await sink.write(chunk)
                pending = asyncio.ensure_future(self._read())
        finally:
            if not pending.done():
                pending.cancel()
                await asyncio.wait((pending,))
            close = getattr(self.chunks, "aclose", None)
            if close is not None:
                await close()

    async def _read(self) -> bytes | None:
        return await anext(self.chunks, None)
