"""Bytes over TLS, for what no HTTP client would send."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from urllib.parse import urlsplit

from kubatch.server.wire import ApiServer

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
MINUTE_S = 60  # longer than anything takes; a hang is a failure


@cache
def strangers_tls() -> ssl.SSLContext:
    """Of a client that neither has a certificate nor looks at the server's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@asynccontextmanager
async def dialed(server: ApiServer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Ends]:
    """A connection, closed roughly at the end."""
    place = urlsplit(server.url)
    async with asyncio.timeout(MINUTE_S):
        reader, writer = await asyncio.open_connection(
            place.hostname, place.port, ssl=tls or strangers_tls(), limit=1 << 16
        )
    try:
        async with asyncio.timeout(MINUTE_S):
            yield reader, writer
    finally:
        writer.transport.abort()


async def exchange(server: ApiServer, sent: bytes, tls: ssl.SSLContext | None = None) -> bytes:
    """Everything the server says until it closes the connection."""
    async with dialed(server, tls) as (reader, writer):
        writer.write(sent)
        return await rest(reader)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Everything until the end, however rough."""
    said = b""
    try:
        while more := await reader.read(1 << 16):
            said += more
    except ConnectionError:
        pass
    return said


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One answer that tells its length: the code, and the body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    return int(head.split()[1]), await reader.readexactly(length)
