"""Answers sent in pieces: a list of any length takes little memory, and holds nobody else up."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

# Up to here an answer is sent whole, and not compressed: it would cost more than to send it
# (apiserver/pkg/endpoints/handlers/responsewriters: defaultGzipThresholdBytes).
SHORT_BYTES_MAX = 128 * 1024
# Small enough for malloc to give out memory that was used before: new pages cost more than copying.
PIECE_BYTES_MIN = 64 * 1024
_COMPRESSED_TOGETHER = 4  # pieces: going to another thread and back is worth more than one
_GZIP_FORMAT = 16 + zlib.MAX_WBITS


@dataclass(slots=True)
class Pieces:
    """A long answer of compact JSON; each piece is made when the one before has been sent."""

    pieces: Iterator[bytes]

    def whole(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)

    def whole_if_short(self) -> bytes | None:
        """All of it, unless it is long."""
        begun: list[bytes] = []
        size = 0
        for piece in self.pieces:
            begun.append(piece)
            size += len(piece)
            if size > SHORT_BYTES_MAX:
                self.pieces = chain(begun, self.pieces)
                return None
        return b"".join(begun)


async def send(
    http: web.BaseRequest, response: web.StreamResponse, pieces: Iterator[bytes], gzip: bool
) -> None:
    """Write everything, compressed in another thread. Raises ConnectionError."""
    response.enable_chunked_encoding()
    await response.prepare(http)
    if gzip:
        await _send_compressed(response, pieces)
    else:
        for piece in pieces:
            await response.write(piece)
            # While the client is quicker than we are, writing never waits: others' turn is here.
            await asyncio.sleep(0)
    await response.write_eof()


async def send_whole(http: web.BaseRequest, response: web.StreamResponse, body: bytes) -> None:
    """Write what is there already, no quicker than the client takes it. Raises ConnectionError."""
    response.content_length = len(body)
    await response.prepare(http)
    view = memoryview(body)
    for start in range(0, len(body), PIECE_BYTES_MIN):
        await response.write(view[start : start + PIECE_BYTES_MIN])
        await asyncio.sleep(0)
    await response.write_eof()


async def _send_compressed(response: web.StreamResponse, pieces: Iterator[bytes]) -> None:
    compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP_FORMAT)
    while together := b"".join(islice(pieces, _COMPRESSED_TOGETHER)):
        if compressed := await asyncio.to_thread(compressor.compress, together):
            await response.write(compressed)
    await response.write(compressor.flush())
