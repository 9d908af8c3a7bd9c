"""Misfortune: how often each kind strikes, and a Client through which it does.

Each seed draws its own mixture: a kind of fault is off, or comes at a rate that differs wildly from
the next seed's. Uniform rates would never show what one fault does without the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeVar

from kubatch.api import errors
from kubatch.api.errors import ApiError
from kubatch.api.resource import EVENTS, EVENTS_V1, PODS, Resource
from kubatch.client.events import one_by_one
from kubatch.client.local import LocalClient
from kubatch.client.protocol import Event, Listing, PatchType
from kubatch.world import Rng

T = TypeVar("T")


@dataclass
class Faults:
    """Chances per occasion, unless said otherwise. All zero: nothing goes wrong."""

    # per write
    meddled: float = 0.0  # somebody changes the object just before: a true conflict
    refused: float = 0.0  # an error, and nothing was written
    doubtful: float = 0.0  # an error, though it was written
    crashed_before: float = 0.0
    crashed_after: float = 0.0
    slow: float = 0.0
    # per read
    misread: float = 0.0
    # per batch of a watch
    cut: float = 0.0  # the watch ends
    expired: float = 0.0  # 410: list again
    stalled: float = 0.0
    split: float = 0.0  # events of one moment come one by one
    # means, in seconds
    slow_seconds: float = 0.0
    lag_seconds: float = 0.0  # of every batch of a watch
    stall_seconds: float = 0.0
    downtime_seconds: float = 0.0  # of a process after a crash
    # per hour
    kills: float = 0.0  # of a process that is doing nothing
    reboots: float = 0.0  # of a machine: its containers are gone
    outages: float = 0.0  # of a container runtime: what runs goes on
    jumps: float = 0.0  # of the clock
    outage_seconds: float = 0.0
    jump_seconds: float = 0.0
    # of the whole run
    together: bool = False  # the parts are one process, as in `kubatch up`, and crash as one
    history_changes_max: int = 20_000  # small: a watch that comes back late gets a true 410
    watch_buffer_events_max: int = 10_000  # small: a slow reader is thrown out

    def stop(self) -> None:
        """From now on nothing goes wrong. What holds for the whole run stays."""
        for field in fields(self):
            if field.type == "float":
                setattr(self, field.name, 0.0)

    def __str__(self) -> str:
        chosen = {f.name: getattr(self, f.name) for f in fields(self)}
        return " ".join(f"{k}={v:.3g}" for k, v in chosen.items() if v) or "none"


def swarm(rng: Rng) -> Faults:
    """A mixture of faults, drawn."""

    def rate(low: float, high: float) -> float:
        """Off half of the time, else anything between, small as often as large."""
        drawn = rng.random(), rng.random()
        return float(low * (high / low) ** drawn[1]) if drawn[0] < 0.5 else 0.0

    return Faults(
        meddled=rate(0.002, 0.3),
        refused=rate(0.002, 0.2),
        doubtful=rate(0.002, 0.1),
        crashed_before=rate(0.001, 0.05),
        crashed_after=rate(0.001, 0.05),
        slow=rate(0.005, 0.3),
        misread=rate(0.005, 0.3),
        cut=rate(0.001, 0.1),
        expired=rate(0.001, 0.1),
        stalled=rate(0.001, 0.05),
        split=rate(0.05, 1.0),
        slow_seconds=rate(0.01, 5.0) or 0.1,
        lag_seconds=rate(0.001, 5.0),
        stall_seconds=rate(1.0, 60.0) or 5.0,
        downtime_seconds=rate(0.1, 60.0),
        kills=rate(1.0, 60.0),
        reboots=rate(1.0, 60.0),
        outages=rate(1.0, 60.0),
        jumps=rate(1.0, 60.0),
        outage_seconds=rate(0.1, 60.0) or 1.0,
        jump_seconds=rate(0.1, 600.0) or 1.0,
        together=rng.random() < 0.5,
        history_changes_max=rng.choice((20, 200, 20_000, 20_000)),
        watch_buffer_events_max=rng.choice((5, 50, 10_000, 10_000)),
    )


_BEFORE = (
    ApiError(429, "TooManyRequests", "Too many requests, please try again later."),
    ApiError(500, "InternalError", "Internal error occurred: the disk is full"),
    ApiError(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
    ApiError(504, "Timeout", "Timeout: request did not complete within the allotted timeout"),
)
# What may come although the write was done: nobody can tell it from one that was not.
_AFTER = (_BEFORE[1], _BEFORE[3])


class FaultyClient:
    """The Client of one process, which dies with it."""

    def __init__(
        self,
        inner: LocalClient,
        faults: Faults,
        rng: Rng,
        crash: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self.dead = False
        self._inner = inner
        self._faults = faults
        self._rng = rng
        self._crash = crash
        self._note = note

    # ----- what happens around a call

    def _enter(self) -> None:
        if self.dead:
            raise asyncio.CancelledError

    def _strikes(self, rate: float) -> bool:
        return rate > 0.0 and self._rng.random() < rate

    def _drawn(self, errors_: Sequence[ApiError]) -> ApiError:
        error = self._rng.choice(errors_)
        return ApiError(error.code, error.reason, error.message)

    async def _die(self, where: str) -> None:
        self._crash(where)
        await asyncio.get_running_loop().create_future()  # until the process is cleared away

    async def _read(self, call: Callable[[], Awaitable[T]]) -> T:
        self._enter()
        if self._strikes(self._faults.misread):
            raise self._drawn(_BEFORE)
        result = await call()
        self._enter()
        return result

    async def _write(
        self, what: str, resource: Resource[Any], call: Callable[[], Awaitable[T]]
    ) -> T:
        """Around one write: the crash, the error or the delay that the draw has for it."""
        faults = self._faults
        self._enter()
        quiet = resource is EVENTS or resource is EVENTS_V1  # most writes, and the least important
        if not quiet and self._strikes(faults.crashed_before):
            await self._die(f"before {what}")
        if self._strikes(faults.slow):
            await asyncio.sleep(self._rng.expovariate(1.0) * faults.slow_seconds)
            self._enter()
        if self._strikes(faults.refused):
            self._note(f"refused: {what}")
            raise self._drawn(_BEFORE)
        result = await call()
        self._enter()
        if not quiet and self._strikes(faults.crashed_after):
            await self._die(f"after {what}")
        if self._strikes(faults.doubtful):
            self._note(f"doubtful: {what}")
            raise self._drawn(_AFTER)
        if self._strikes(faults.slow):
            await asyncio.sleep(self._rng.expovariate(1.0) * faults.slow_seconds)
            self._enter()
        return result

    async def _meddle(self, resource: Resource[Any], namespace: str | None, name: str) -> None:
        """Change something that nobody minds, so that the write that follows is outdated."""
        if self.dead or not self._strikes(self._faults.meddled):
            return
        patch = {"metadata": {"annotations": {"meddled": f"{self._rng.getrandbits(32):x}"}}}
        try:
            await self._inner.patch(resource, namespace, name, patch)
        except ApiError:
            return

    # ----- the Client protocol

    async def get(self, resource: Resource[T], namespace: str | None, name: str) -> T:
        return await self._read(lambda: self._inner.get(resource, namespace, name))

    async def list(
        self,
        resource: Resource[T],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Listing[T]:
        return await self._read(
            lambda: self._inner.list(
                resource, namespace, label_selector=label_selector, field_selector=field_selector
            )
        )

    async def watch(
        self,
        resource: Resource[T],
        namespace: str | None = None,
        *,
        after: int,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Sequence[Event[T]]]:
        self._enter()
        if self._strikes(self._faults.misread):
            raise self._drawn(_BEFORE)
        watch = self._inner.watch(
            resource, namespace, after=after,
            label_selector=label_selector, field_selector=field_selector,
        )  # fmt: skip
        async with aclosing(watch) as batches:  # type: ignore[type-var]
            async for batch in batches:
                for part in self._parts(batch):
                    await self._lag()
                    self._enter()
                    if self._strikes(self._faults.cut):
                        return
                    if self._strikes(self._faults.expired):
                        raise errors.expired()
                    yield part

    def _parts(self, batch: Sequence[Event[T]]) -> Iterator[Sequence[Event[T]]]:
        if len(batch) > 1 and self._strikes(self._faults.split):
            yield from ([event] for event in batch)
        else:
            yield batch

    async def _lag(self) -> None:
        faults = self._faults
        seconds = 0.0
        if faults.lag_seconds > 0:
            seconds += self._rng.expovariate(1.0) * faults.lag_seconds
        if self._strikes(faults.stalled):
            seconds += self._rng.expovariate(1.0) * faults.stall_seconds
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def create(self, resource: Resource[T], obj: T) -> T:
        what = f"create of a {resource.kind}"
        return await self._write(what, resource, lambda: self._inner.create(resource, obj))

    async def write_events(
        self, resource: Resource[T], events: Sequence[T]
    ) -> Sequence[ApiError | None]:
        return await one_by_one(self, resource, events)

    async def update(self, resource: Resource[T], obj: T, subresource: str = "") -> T:
        meta: Any = obj.metadata  # type: ignore[attr-defined]
        await self._meddle(resource, meta.namespace, meta.name)
        what = f"update of {resource.plural}/{meta.name} {subresource}".rstrip()
        call = partial(self._inner.update, resource, obj, subresource)
        return await self._write(what, resource, call)

    async def patch(
        self,
        resource: Resource[T],
        namespace: str | None,
        name: str,
        patch: Any,
        *,
        type: PatchType = "merge",
        subresource: str = "",
    ) -> T:
        call = partial(
            self._inner.patch, resource, namespace, name, patch, type=type, subresource=subresource
        )
        return await self._write(f"patch of {resource.plural}/{name}", resource, call)

    async def remove_finalizer(
        self, resource: Resource[T], namespace: str | None, name: str, finalizer: str
    ) -> T | None:
        call = partial(self._inner.remove_finalizer, resource, namespace, name, finalizer)
        return await self._write(f"finalizer of {resource.plural}/{name}", resource, call)

    async def delete(
        self,
        resource: Resource[T],
        namespace: str | None,
        name: str,
        *,
        grace_period_seconds: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
    ) -> T:
        call = partial(
            self._inner.delete, resource, namespace, name,
            grace_period_seconds=grace_period_seconds, propagation=propagation, uid=uid,
        )  # fmt: skip
        return await self._write(f"delete of {resource.plural}/{name}", resource, call)

    async def bind(self, namespace: str, name: str, uid: str, node: str) -> None:
        call = partial(self._inner.bind, namespace, name, uid, node)
        await self._write(f"binding of {name}", PODS, call)
