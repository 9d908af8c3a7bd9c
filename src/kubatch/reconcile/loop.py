"""The one async shell around the rules: cache to queue to decide to apply.

Promises to the rules: a key never has two turns at once; a key rests until the caches have seen
everything its last turn wrote, so facts always include one's own writes, also those that were done
although the answer was an error; a turn that failed comes back after a back-off and is decided
anew; bursts of events for one key melt into one turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from kubatch.api.errors import ApiError, qualified
from kubatch.api.resource import Resource
from kubatch.client.cache import Cache
from kubatch.client.protocol import Client
from kubatch.meters import Count, Meters
from kubatch.reconcile.apply import NOT_CACHED, Applied, apply
from kubatch.reconcile.controller import Controller, Index, Key
from kubatch.reconcile.decision import Decision
from kubatch.reconcile.events import EventRecorder
from kubatch.reconcile.explanation import Explanations
from kubatch.reconcile.measures import QueueMeter, Wrote
from kubatch.reconcile.queue import Queue
from kubatch.world import World

T = TypeVar("T")

log = logging.getLogger(__name__)


class Caches:
    """One cache per resource, shared by all controllers of a process; the View of their rules."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._caches: dict[Resource[Any], Cache[Any]] = {}
        self._progress_listeners: list[Callable[[], None]] = []

    def add_progress_listener(self, listener: Callable[[], None]) -> None:
        """Call listener() whenever any cache has moved on, also one that nobody has made yet."""
        self._progress_listeners.append(listener)

    def _progressed(self) -> None:
        for listener in self._progress_listeners:
            listener()

    def of(self, resource: Resource[T]) -> Cache[T]:
        """The resource's cache, made on first use (before run)."""
        if resource not in self._caches:
            cache = self._caches[resource] = Cache(self._client, resource)
            cache.add_batch_listener(self._progressed)
        return self._caches[resource]

    def get(self, resource: Resource[T], namespace: str | None, name: str) -> T | None:
        return self.of(resource).get(namespace, name)

    def list(self, resource: Resource[T]) -> Sequence[T]:
        return self.of(resource).list()

    def indexed(self, index: Index, key: str) -> Sequence[Any]:
        return self.of(index.resource).indexed(index.name, key)

    def revision_of(self, resource: Resource[Any]) -> int:
        """How far a cache has come; writes to resources nobody caches count as seen."""
        cache = self._caches.get(resource)
        return cache.revision if cache is not None else NOT_CACHED

    def sizes(self) -> dict[str, float]:
        """How many objects each cache holds, by resource: `jobs.batch`."""
        return {qualified(r.group, r.plural): len(cache) for r, cache in self._caches.items()}

    async def run(self) -> None:
        """Keep all caches current until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for cache in self._caches.values():
                tasks.create_task(cache.run(), name=f"cache {cache.resource.plural}")

    async def synced(self) -> None:
        """Wait until every cache has listed once."""
        for cache in self._caches.values():
            await cache.synced.wait()


class Runner:
    """One Controller record, brought to life."""

    def __init__(
        self,
        controller: Controller[Any],
        client: Client,
        caches: Caches,
        world: World,
        host: str = "",
        meters: Meters | None = None,
    ) -> None:
        self.controller = controller
        self.meters = meters if meters is not None else Meters()
        self._client = client
        self._caches = caches
        self._world = world
        self._queue: Queue[Key] = Queue(
            controller.error_backoff_base,
            controller.error_backoff_max,
            QueueMeter(self.meters, controller.queue or controller.name),
        )
        self._memory: dict[Key, Any] = {}
        self._unseen: dict[Key, Applied] = {}  # what a key's last turn wrote, until it is seen
        # Keys due whose writes are unseen; in the order they came, so that every run is alike.
        self._resting: dict[Key, None] = {}
        self.explanations = Explanations()
        self.recorder = EventRecorder(
            client,
            world,
            controller.name,
            instance=f"{controller.name}-{host}" if controller.events_v1 and host else "",
            events_v1=controller.events_v1,
        )
        for index in controller.indexes:
            caches.of(index.resource).add_index(index.name, index.keys)
        for resource, keys in controller.watches.items():
            caches.of(resource).add_listener(self._listener(keys))
        self.meters.declare(*controller.measures.all())
        for resource, counts in controller.measures.seen.items():
            caches.of(resource).add_listener(self._counter(counts))
        # A turn may write what its controller does not watch, so any cache may end a rest.
        caches.add_progress_listener(self._wake_rested)

    def _listener(self, keys: Any) -> Any:
        def changed(before: Any, after: Any) -> None:
            for key in keys(before, after):
                self._queue.add(key)

        return changed

    def _counter(self, counts: Any) -> Any:
        return lambda before, after: self.meters.count(counts(before, after))

    def _wake_rested(self) -> None:
        for key in [k for k in self._resting if self._has_seen_own_writes(k)]:
            del self._resting[key]
            self._queue.add(key)

    def _has_seen_own_writes(self, key: Key) -> bool:
        applied = self._unseen.get(key)
        if applied is None:
            return True
        if not applied.seen_by(self._caches, self._caches.revision_of):
            return False
        del self._unseen[key]
        return True

    async def run(self) -> None:
        """Give keys their turns until cancelled."""
        await self._caches.synced()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.recorder.run(), name=f"{self.controller.name} events")
                for number in range(self.controller.workers):
                    name = f"{self.controller.name} worker {number}"
                    tasks.create_task(self._work(), name=name)
        finally:
            self._queue.close()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                if not await self._knows_own_writes(key):
                    self._queue.retry(key)
                elif self._has_seen_own_writes(key):
                    await self._turn(key)
                else:
                    self._rest(key)
            except asyncio.CancelledError:
                raise
            except Exception:
                # A bug in a rule must not take the other keys down with it.
                log.exception("%s failed on %s/%s", self.controller.name, *key)
                self._queue.retry(key)
            finally:
                self._queue.done(key)

    async def _knows_own_writes(self, key: Key) -> bool:
        """Settle what the last turn's errors left open; False while the API does not answer."""
        applied = self._unseen.get(key)
        if applied is None or not applied.doubts:
            return True
        try:
            await applied.settle(self._client, self._caches, self._caches.revision_of)
        except ApiError as error:
            log.info("%s %s/%s: %s", self.controller.name, *key, error)
            return False
        return True

    def _rest(self, key: Key) -> None:
        self._resting[key] = None
        if (metric := self.controller.measures.rests) is not None:
            behind = self._unseen[key].behind(self._caches.revision_of)
            self.meters.count(Count(metric, (r.group, r.plural)) for r in behind)

    async def _turn(self, key: Key) -> None:
        facts = self.controller.read(self._caches, key, self._memory.get(key))
        if facts is None:
            self._memory.pop(key, None)
            self.explanations.pop(key, None)
            self._queue.forget(key)
            return
        started, now = asyncio.get_running_loop().time(), self._world.now()
        decision = self.controller.decide(facts, now)
        log.debug("%s %s/%s: %s", self.controller.name, *key, decision.because)
        self.explanations.note(key, decision, now)
        if decision.stages:
            applied = await apply(
                decision, self._client, self.recorder, partial(self._count_write, decision)
            )
            if not applied.empty:
                self._unseen[key] = applied
            self._count_turn(decision, applied.error, started)
            if applied.error is not None:
                if applied.covered:
                    self._remember(key, decision)
                delay = self._queue.retry(key)
                self.explanations.failed(
                    key, str(applied.error), self._world.now() + timedelta(seconds=delay)
                )
                log.info(
                    "%s %s/%s: %s; again in %gs", self.controller.name, *key, applied.error, delay
                )
                return
        else:
            self._count_turn(decision, None, started)
        self._queue.forget(key)
        self._remember(key, decision)
        if decision.wake_at is not None:
            self._queue.add_after(key, (decision.wake_at - now).total_seconds())

    def _remember(self, key: Key, decision: Decision) -> None:
        if decision.remember is None:
            self._memory.pop(key, None)
        else:
            self._memory[key] = decision.remember

    def _count_write(self, decision: Decision, wrote: Wrote) -> None:
        self.meters.count(self.controller.measures.wrote(decision, wrote))

    def _count_turn(self, decision: Decision, error: ApiError | None, started: float) -> None:
        measures = self.controller.measures
        labels = measures.turn(decision, "success" if error is None else "error")
        if labels is None:
            return
        if measures.turns is not None:
            self.meters.add(measures.turns, labels)
        if measures.turn_seconds is not None:
            seconds = asyncio.get_running_loop().time() - started
            self.meters.observe(measures.turn_seconds, labels, seconds)
