"""Connections to pods' ports, for port-forward: this machine's, or those of a pod's own network."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from kubatch.agent.netns import open_socket
from kubatch.client.protocol import StreamFailed

_ADDRESS = "127.0.0.1"
_READ_BYTES = 64 * 1024
_CONNECT_S = 30.0


async def dial(port: int, namespace: Path | None = None) -> PortConnection:
    """Connect to a port of a pod, in its network if it has its own. Raises StreamFailed."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await _connect(port, namespace)
    except TimeoutError:
        why = "i/o timeout"
    except OSError as error:
        # An event loop may word the error itself; Go says what the system says.
        why = f"connect: {os.strerror(error.errno).lower()}" if error.errno else str(error)
    else:
        return PortConnection(reader, writer)
    raise StreamFailed(f"failed to connect to localhost:{port}: dial tcp4 {_ADDRESS}:{port}: {why}")


async def _connect(
    port: int, namespace: Path | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if namespace is None:
        return await asyncio.open_connection(_ADDRESS, port, limit=_READ_BYTES)
    sock = await asyncio.to_thread(open_socket, namespace)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (_ADDRESS, port))
    except BaseException:
        sock.close()
        raise
    return await asyncio.open_connection(sock=sock, limit=_READ_BYTES)


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
