"""Keys that wait for their turn: one entry per key, delays, error back-off.

The promises are those of client-go's workqueue: a key that is added while its turn runs comes back
after it, never beside it; adding a key twice before its turn makes one turn; a later wake-up never
postpones an earlier one.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from kubatch.reconcile.measures import QueueMeter

K = TypeVar("K", bound=Hashable)


class Queue(Generic[K]):
    """For one event loop; times are the loop's."""

    def __init__(
        self,
        backoff_base: float = 1.0,
        backoff_max: float = 60.0,
        meter: QueueMeter | None = None,
    ) -> None:
        self._ready: deque[K] = deque()
        self._queued: set[K] = set()  # in _ready, or to be put there when its turn ends
        self._running: set[K] = set()
        self._timers: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}  # the earliest wake-up of a key
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._failures: dict[K, int] = {}
        self._backoff_base = backoff_base
        self._backoff_max = backoff_max
        self._meter = meter
        self._added: dict[K, float] = {}  # kept for the meter alone: when a key was added, ...
        self._started: dict[K, float] = {}  # ... and when its turn began
        if meter is not None:
            meter.watch(lambda: len(self._queued), self._running_seconds)

    def add(self, key: K) -> None:
        """Give the key a turn as soon as one is free."""
        if key in self._queued:
            return
        self._queued.add(key)
        if self._meter is not None:
            self._meter.added()
            self._added[key] = asyncio.get_running_loop().time()
        if key not in self._running:
            self._ready.append(key)
            self._wake_one()

    def add_after(self, key: K, delay: float) -> None:
        """Give the key a turn in `delay` seconds, or earlier when something else adds it."""
        if delay <= 0:
            self.add(key)
            return
        if self._meter is not None:
            self._meter.retried()
        due = asyncio.get_running_loop().time() + delay
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        self._serial += 1
        heapq.heappush(self._timers, (due, self._serial, key))
        self._arm()

    def retry(self, key: K) -> float:
        """Give the key a turn after its error back-off; the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # A key may fail for weeks, and 2.0**1024 is no float any more.
        delay = min(self._backoff_base * 2.0 ** min(failures, 60), self._backoff_max)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """The key's turn went well: its next error starts the back-off anew."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key; its turn runs until done(key)."""
        while not self._ready:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                elif self._ready:
                    self._wake_one()
                raise
        key = self._ready.popleft()
        self._queued.discard(key)
        self._running.add(key)
        if self._meter is not None:
            now = self._started[key] = asyncio.get_running_loop().time()
            self._meter.waited(now - self._added.pop(key, now))
        return key

    def done(self, key: K) -> None:
        """The key's turn is over; it comes back if it was added meanwhile."""
        self._running.discard(key)
        if self._meter is not None:
            now = asyncio.get_running_loop().time()
            self._meter.worked(now - self._started.pop(key, now))
        if key in self._queued:
            self._ready.append(key)
            self._wake_one()

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing is ready; timers may be pending."""
        return not self._ready and not self._running

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _running_seconds(self) -> list[float]:
        now = asyncio.get_running_loop().time()
        return [now - started for started in self._started.values()]

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _arm(self) -> None:
        if not self._timers:
            return
        due = self._timers[0][0]
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._timers and self._timers[0][0] <= now:
            due, _, key = heapq.heappop(self._timers)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        self._arm()
