"""Bodies of requests as they arrive: whole, within a size and within a time."""

from __future__ import annotations

from typing import Protocol

from kubatch.api import errors
from kubatch.api.errors import ApiError, Details


class Content(Protocol):
    """A body on its way."""

    async def readany(self) -> bytes:
        """What has arrived, waiting for something; b"" at the end."""
        ...


async def read_whole(content: Content, limit: int) -> bytes:
    """The body. Raises ApiError 413 for one that goes on beyond `limit`."""
    chunks: list[bytes] = []
    size = 0
    while chunk := await content.readany():
        size += len(chunk)
        if size > limit:
            raise errors.too_large(limit)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def timed_out() -> ApiError:
    """504: it took too long (apiserver/pkg/server/filters/timeout.go: NewTimeoutError)."""
    why = "Timeout: request did not complete within the allotted timeout"
    return ApiError(504, "Timeout", why, Details())
