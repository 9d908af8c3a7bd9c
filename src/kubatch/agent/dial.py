"""Connections to pods' ports, for port-forward: containers here use this machine's own ports."""

from __future__ import annotations

import asyncio
import os

from kubatch.client.protocol import StreamFailed

_ADDRESS = "127.0.0.1"
_READ_BYTES = 64 * 1024
_CONNECT_S = 30.0


async def dial(port: int) -> PortConnection:
    """Connect to a port of a pod. Raises StreamFailed."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await asyncio.open_connection(_ADDRESS, port, limit=_READ_BYTES)
    except TimeoutError:
        why = "i/o timeout"
    except OSError as error:
        # An event loop may word the error itself; Go says what the system says.
        why = f"connect: {os.strerror(error.errno).lower()}" if error.errno else str(error)
    else:
        return PortConnection(reader, writer)
    raise StreamFailed(f"failed to connect to localhost:{port}: dial tcp4 {_ADDRESS}:{port}: {why}")


class PortConnection:
    """The Connection to a port of this machine; see client/protocol.py."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """What comes next; b"" at the end, a broken one included."""
        try:
            return await self._reader.read(_READ_BYTES)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send, waiting while the other side does not read. Raises ConnectionError."""
        self._writer.write(data)
        await self._writer.drain()

    async def end(self) -> None:
        """Nothing more will be sent."""
        try:
            self._writer.write_eof()
        except (OSError, RuntimeError):
            pass  # it is closed already

    async def close(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()
