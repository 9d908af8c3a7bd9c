"""Cluster addresses and node ports of Services: unique among the Services that are stored.

pkg/registry/core/service/storage/alloc.go. What is taken is read from the stored Services each
time, so nothing has to be released: a deleted Service holds nothing. Only what requests under way
have been promised is kept here, since their Services cannot be seen yet.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from kubatch.api import errors
from kubatch.api.models import Service
from kubatch.api.resource import SERVICES, Resource
from kubatch.registry.kinds.service import allocation
from kubatch.registry.lookup import Lookup
from kubatch.world import Rng

_NOTHING = nullcontext()


class ServiceAddresses:
    """Promises addresses and ports to the requests under way."""

    def __init__(self) -> None:
        self._promised = allocation.Taken()

    def held(
        self, resource: Resource[Any], lookup: Lookup, obj: Any, rng: Rng
    ) -> AbstractAsyncContextManager[None]:
        """Fill in what a Service lacks, and keep it from others until the block is left.

        Objects of other kinds lack nothing. Raises ApiError 422 for what cannot be had.
        """
        return self._held(lookup, obj, rng) if resource is SERVICES else _NOTHING

    @asynccontextmanager
    async def _held(self, lookup: Lookup, service: Service, rng: Rng) -> AsyncIterator[None]:
        stored = await lookup.all(SERVICES)
        # No waiting from here until the promise is made.
        taken = allocation.taken(stored, service) | self._promised.without(service)
        causes = allocation.allocate(service, taken, rng)
        if causes:
            meta = service.metadata
            raise errors.invalid("", "Service", (meta and meta.name) or "", causes)
        mine = allocation.taken([service])
        self._promised = self._promised | mine
        try:
            yield
        finally:
            self._promised = self._promised - mine
