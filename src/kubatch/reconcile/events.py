"""Recording Kubernetes events: correlated, limited, never in anybody's way.

The rules are those of client-go/tools/record/events_cache.go: equal events count up, many similar
ones become one, and a source that talks too much about one object is not heard.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from kubatch.api.errors import ApiError
from kubatch.api.models import (
    Event,
    EventSource,
    EventsV1Event,
    ObjectMeta,
    ObjectReference,
)
from kubatch.api.resource import EVENTS, EVENTS_V1
from kubatch.client.protocol import Client
from kubatch.world import World, whole_seconds

log = logging.getLogger(__name__)

SIMILAR_MAX = 10  # this many different messages of one kind ...
SIMILAR_WINDOW = 600.0  # ... within so many seconds become one event
SPAM_BURST = 25  # events one source may record about one object at once ...
SPAM_REFILL = 300.0  # ... and one more in so many seconds
REMEMBERED_MAX = 4096  # client-go's maxLruCacheEntries
PENDING_MAX = 1000  # events waiting to be written (event.go: maxQueuedEvents); more are dropped
DROPPED_TOLD = 60.0  # seconds, at most, until a burst that goes on is told of
MESSAGE_MAX = 1024
# Events are written so many at once, and so long after the first of them: nobody waits for one, and
# together they cost a fraction.
BATCH_MAX = 256
GATHER_SECONDS = 0.05


class Recorder(Protocol):
    """Takes note of what happened to an object."""

    def record(
        self, about: Any, type: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        """Record an event, some time soon. Never blocks, never raises."""
        ...


@dataclass
class _Known:
    """An event written before, by what it says."""

    name: str
    count: int


@dataclass
class _Similar:
    """The messages of one object, type and reason seen lately."""

    messages: dict[str, None] = field(default_factory=dict)  # in order, so that runs are alike
    last: datetime | None = None


@dataclass
class _Bucket:
    """A token bucket."""

    tokens: float
    at: datetime


@dataclass(frozen=True, slots=True)
class _Pending:
    about: ObjectReference
    type: str
    reason: str
    message: str
    at: datetime
    action: str


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    """One event to write, and how often it happened in a batch."""

    key: tuple[Any, ...]
    pending: _Pending
    times: int


class EventRecorder:
    """A Recorder that writes through a Client from a task of its own (`run`)."""

    def __init__(
        self,
        client: Client,
        world: World,
        component: str,
        *,
        host: str = "",
        instance: str = "",
        events_v1: bool = False,
    ) -> None:
        self._client = client
        self._world = world
        self._component = component
        self._host = host
        self._instance = instance
        self._events_v1 = events_v1
        self._pending: deque[_Pending] = deque()
        self._wanted = asyncio.Event()
        self._known: OrderedDict[tuple[Any, ...], _Known] = OrderedDict()
        self._similar: OrderedDict[tuple[Any, ...], _Similar] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._last_nano = 0
        self._dropped = 0  # since this was last told of ...
        self._dropping_since: datetime | None = None  # ... or began

    def record(
        self, about: Any, type: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        now = self._world.now()
        reference = _reference(about, field_path)
        if not self._allowed(reference.uid or reference.name or "", now):
            return
        if len(self._pending) >= PENDING_MAX:
            self._dropped += 1
            self._dropping_since = self._dropping_since or now
            return
        action = "Binding" if reason == "Scheduled" else "Scheduling"
        self._pending.append(_Pending(reference, type, reason, message[:MESSAGE_MAX], now, action))
        self._wanted.set()

    async def run(self) -> None:
        """Write what was recorded until cancelled."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(GATHER_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write everything recorded so far."""
        self._wanted.clear()
        while self._pending:
            batch = [self._pending.popleft() for _ in range(min(len(self._pending), BATCH_MAX))]
            await self._write(self._merged(batch))
            self._tell_of_dropped()

    def _tell_of_dropped(self) -> None:
        """Say once for each burst how many events found no room."""
        since = self._dropping_since
        if since is None:
            return
        if self._pending and (self._world.now() - since).total_seconds() < DROPPED_TOLD:
            return
        why = "%d events were dropped: more than %d waited to be written"
        log.warning(why, self._dropped, PENDING_MAX)
        self._dropped, self._dropping_since = 0, None

    def _merged(self, batch: list[_Pending]) -> list[_Write]:
        """One write per distinct event of the batch, so that no two race for one count."""
        merged: OrderedDict[tuple[Any, ...], tuple[_Pending, int]] = OrderedDict()
        for pending in batch:
            aggregated = self._aggregate(pending)
            key = _key(aggregated)
            _, count = merged.get(key, (aggregated, 0))
            merged[key] = (aggregated, count + 1)
        return [_Write(key, pending, n) for key, (pending, n) in merged.items()]

    def _allowed(self, subject: str, now: datetime) -> bool:
        bucket = self._buckets.get(subject)
        if bucket is None:
            bucket = self._buckets[subject] = _Bucket(SPAM_BURST, now)
            _trim(self._buckets)
        self._buckets.move_to_end(subject)
        gained = (now - bucket.at).total_seconds() / SPAM_REFILL
        bucket.tokens = min(SPAM_BURST, bucket.tokens + gained)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _aggregate(self, pending: _Pending) -> _Pending:
        # EventAggregatorByReasonFunc: containers of one pod (fieldPath) are not told apart.
        key = (pending.about.uid or pending.about.name, pending.type, pending.reason)
        similar = self._similar.setdefault(key, _Similar())
        self._similar.move_to_end(key)
        _trim(self._similar)
        if (
            similar.last is not None
            and (pending.at - similar.last).total_seconds() > SIMILAR_WINDOW
        ):
            similar.messages.clear()
        similar.last = pending.at
        similar.messages[pending.message] = None
        if len(similar.messages) < SIMILAR_MAX:
            return pending
        if len(similar.messages) > SIMILAR_MAX:
            del similar.messages[next(iter(similar.messages))]
        combined = f"(combined from similar events): {pending.message}"
        return _Pending(
            pending.about, pending.type, pending.reason, combined, pending.at, pending.action
        )

    async def _write(self, writes: list[_Write]) -> None:
        known = [write for write in writes if write.key in self._known]
        if known:
            counted = await asyncio.gather(*map(self._count_up, known))
            gone = {w.key for w, there in zip(known, counted, strict=True) if not there}
            told = {w.key for w in known} - gone
            writes = [w for w in writes if w.key not in told]
        if writes:
            await self._create(writes)

    async def _create(self, writes: list[_Write]) -> None:
        names = [f"{w.pending.about.name}.{self._nano(w.pending.at):x}" for w in writes]
        named = zip(writes, names, strict=True)
        refusals: Sequence[ApiError | None]
        if self._events_v1:
            modern = [self._event_v1(w.pending, name) for w, name in named]
            refusals = await self._client.write_events(EVENTS_V1, modern)
        else:
            core = [self._event(w.pending, name, w.times) for w, name in named]
            refusals = await self._client.write_events(EVENTS, core)
        for write, name, refusal in zip(writes, names, refusals, strict=True):
            if refusal is not None:  # most often since its namespace is being deleted
                _not_recorded(write, refusal)
            else:
                self._known[write.key] = _Known(name, write.times)
        _trim(self._known)

    async def _count_up(self, write: _Write) -> bool:
        """Count an event that was written before; False when it has expired since."""
        self._known.move_to_end(write.key)
        known, pending = self._known[write.key], write.pending
        known.count += write.times
        namespace = pending.about.namespace or "default"
        patch: dict[str, Any] = {
            "count": known.count,
            "lastTimestamp": whole_seconds(pending.at).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "message": pending.message,
        }
        if self._events_v1:
            patch = {
                "series": {
                    "count": known.count,
                    "lastObservedTime": pending.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                }
            }
        try:
            resource: Any = EVENTS_V1 if self._events_v1 else EVENTS
            await self._client.patch(resource, namespace, known.name, patch)
        except ApiError as error:
            if error.code == 404:
                return False
            _not_recorded(write, error)
        return True

    def _nano(self, at: datetime) -> int:
        """Unix nanoseconds, never the same twice: they end event names."""
        nano = int(at.timestamp() * 1_000_000) * 1000
        self._last_nano = nano if nano > self._last_nano else self._last_nano + 1
        return self._last_nano

    def _event(self, pending: _Pending, name: str, times: int) -> Event:
        at = whole_seconds(pending.at)
        return Event(
            metadata=ObjectMeta(name=name, namespace=pending.about.namespace or "default"),
            involvedObject=pending.about,
            type=pending.type,
            reason=pending.reason,
            message=pending.message,
            source=EventSource(component=self._component, host=self._host or None),
            firstTimestamp=at,
            lastTimestamp=at,
            count=times,
            reportingComponent=self._component,
            reportingInstance=self._instance,
        )

    def _event_v1(self, pending: _Pending, name: str) -> EventsV1Event:
        return EventsV1Event(
            metadata=ObjectMeta(name=name, namespace=pending.about.namespace or "default"),
            eventTime=pending.at,
            regarding=pending.about,
            type=pending.type,
            reason=pending.reason,
            note=pending.message,
            action=pending.action,
            reportingController=self._component,
            reportingInstance=self._instance or self._component,
        )


def _reference(about: Any, field_path: str) -> ObjectReference:
    meta = about.metadata
    return ObjectReference(
        apiVersion=about.apiVersion,
        kind=about.kind,
        name=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        resourceVersion=meta.resourceVersion,
        fieldPath=field_path or None,
    )


def _not_recorded(write: _Write, error: ApiError) -> None:
    """An event is never worth a retry."""
    log.debug("event %s about %s not recorded: %s", write.pending.reason, write.key[0], error)


def _key(pending: _Pending) -> tuple[Any, ...]:
    about = pending.about
    subject = about.uid or about.name
    # The count of a combined event goes on whatever its latest message says.
    if pending.message.startswith("(combined from similar events)"):
        return (subject, None, pending.type, pending.reason, "")
    return (subject, about.fieldPath, pending.type, pending.reason, pending.message)


def _trim(table: OrderedDict[Any, Any]) -> None:
    while len(table) > REMEMBERED_MAX:
        table.popitem(last=False)
