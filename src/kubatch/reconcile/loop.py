"""The one async shell around the rules: cache to queue to decide to apply.

Promises to the rules: a key never has two turns at once; a key rests until the caches have seen
everything its last turn wrote, so facts always include one's own writes; a turn that failed comes
back after a back-off and is decided anew; bursts of events for one key melt into one turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kubatch.api.resource import Resource
from kubatch.client.cache import Cache
from kubatch.client.protocol import Client
from kubatch.reconcile.apply import Applied, apply
from kubatch.reconcile.controller import Controller, Index, Key
from kubatch.reconcile.decision import Decision
from kubatch.reconcile.events import EventRecorder
from kubatch.reconcile.queue import Queue
from kubatch.world import World

T = TypeVar("T")

log = logging.getLogger(__name__)

EXPLANATIONS_MAX = 10_000  # decisions remembered for `kubatch explain`


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
        return cache.revision if cache is not None else 1 << 62

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
    ) -> None:
        self.controller = controller
        self._client = client
        self._caches = caches
        self._world = world
        self._queue: Queue[Key] = Queue(controller.error_backoff_base, controller.error_backoff_max)
        self._memory: dict[Key, Any] = {}
        self._unseen: dict[Key, Applied] = {}  # what a key's last turn wrote, until it is seen
        self._resting: set[Key] = set()  # keys due whose writes are unseen
        self.explanations: OrderedDict[Key, Decision] = OrderedDict()
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
        # A turn may write what its controller does not watch, so any cache may end a rest.
        caches.add_progress_listener(self._wake_rested)

    def _listener(self, keys: Any) -> Any:
        def changed(before: Any, after: Any) -> None:
            for key in keys(before, after):
                self._queue.add(key)

        return changed

    def _wake_rested(self) -> None:
        for key in [k for k in self._resting if self._has_seen_own_writes(k)]:
            self._resting.discard(key)
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
                if self._has_seen_own_writes(key):
                    await self._turn(key)
                else:
                    self._resting.add(key)
            except asyncio.CancelledError:
                raise
            except Exception:
                # A bug in a rule must not take the other keys down with it.
                log.exception("%s failed on %s/%s", self.controller.name, *key)
                self._queue.retry(key)
            finally:
                self._queue.done(key)

    async def _turn(self, key: Key) -> None:
        facts = self.controller.read(self._caches, key, self._memory.get(key))
        if facts is None:
            self._memory.pop(key, None)
            self._queue.forget(key)
            return
        now = self._world.now()
        decision = self.controller.decide(facts, now)
        self._explain(key, decision)
        if decision.stages:
            applied = await apply(decision, self._client, self.recorder)
            if applied.revisions or applied.bound:
                self._unseen[key] = applied
            if applied.error is not None:
                if applied.covered:
                    self._remember(key, decision)
                delay = self._queue.retry(key)
                log.info(
                    "%s %s/%s: %s; again in %gs", self.controller.name, *key, applied.error, delay
                )
                return
        self._queue.forget(key)
        self._remember(key, decision)
        if decision.wake_at is not None:
            self._queue.add_after(key, (decision.wake_at - now).total_seconds())

    def _remember(self, key: Key, decision: Decision) -> None:
        if decision.remember is None:
            self._memory.pop(key, None)
        else:
            self._memory[key] = decision.remember

    def _explain(self, key: Key, decision: Decision) -> None:
        log.debug("%s %s/%s: %s", self.controller.name, *key, decision.because)
        self.explanations[key] = decision
        self.explanations.move_to_end(key)
        if len(self.explanations) > EXPLANATIONS_MAX:
            self.explanations.popitem(last=False)
