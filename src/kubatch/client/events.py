"""Writing many events, for a Client that has no quicker way than one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from kubatch.api.errors import ApiError
from kubatch.api.resource import Resource
from kubatch.client.protocol import Writer

T = TypeVar("T")


async def one_by_one(
    client: Writer, resource: Resource[T], events: Sequence[T]
) -> list[ApiError | None]:
    """Create each, all at once; for each of them, why it was refused."""

    async def attempt(event: T) -> ApiError | None:
        try:
            await client.create(resource, event)
        except ApiError as error:
            return error
        return None

    return await asyncio.gather(*map(attempt, events))
