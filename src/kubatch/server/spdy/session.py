"""SPDY over a Wire: streams to read from and write to, one task that reads for all of them.

Without flow control one stream that nobody reads could only be bounded by stopping them all; that
is what happens once so much is unread, as with Kubernetes' own library.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

from kubatch.server.spdy import connection as spdy
from kubatch.server.spdy.frames import SpdyError
from kubatch.server.upgrade import Wire

_UNREAD_BYTES_MAX = 1 << 20


class SpdyStream:
    """One stream that the client opened."""

    def __init__(self, session: SpdySession, number: int, headers: Mapping[str, str]) -> None:
        self.number = number
        self.headers = headers
        self._session = session
        self._unread: deque[bytes] = deque()
        self._state = "open"  # or: ended, broken
        self._wanted = True
        self._news = asyncio.Event()

    async def read(self) -> bytes:
        """The next data; b"" at the end. Raises ConnectionError when there is no clean one."""
        while not self._unread:
            if self._state == "ended":
                return b""
            if self._state == "broken":
                raise ConnectionResetError(f"stream {self.number} was broken off")
            self._news.clear()
            await self._news.wait()
        data = self._unread.popleft()
        self._session.was_read(len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Send data. Raises ConnectionError."""
        await self._session.say(self._session.protocol.send(self.number, data))

    async def end(self) -> None:
        """Send nothing more. Raises ConnectionError."""
        await self._session.say(self._session.protocol.send(self.number, b"", fin=True))

    async def reset(self) -> None:
        """Close it in both directions. Raises ConnectionError."""
        self.abandon()
        self.finish("broken")
        await self._session.say(self._session.protocol.reset(self.number))

    def abandon(self) -> None:
        """Read nothing more: what comes is thrown away, and holds up nobody."""
        self._wanted = False
        self._session.was_read(sum(map(len, self._unread)))
        self._unread.clear()

    def take(self, data: bytes) -> int:
        """Data came; how much of it waits to be read."""
        if not self._wanted:
            return 0
        self._unread.append(data)
        self._news.set()
        return len(data)

    def finish(self, state: str) -> None:
        """No data comes any more."""
        if self._state == "open":
            self._state = state
            self._news.set()


class SpdySession:
    """The server's side of a connection."""

    def __init__(self, wire: Wire) -> None:
        self.protocol = spdy.Connection()
        self._wire = wire
        self._streams: dict[int, SpdyStream] = {}
        self._arrived: asyncio.Queue[SpdyStream | None] = asyncio.Queue()
        self._replies: list[bytes] = []
        self._unread = 0
        self._room = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._active_at = self._loop.time()
        self._reading = asyncio.create_task(self._read())

    @property
    def idle_s(self) -> float:
        """How long nothing came or went."""
        return self._loop.time() - self._active_at

    @property
    def gone(self) -> asyncio.Future[None]:
        """Done when the client has gone."""
        return self._reading

    async def accept(self) -> SpdyStream | None:
        """The next stream that the client opens; None when it opens none any more."""
        stream = await self._arrived.get()
        if stream is None:
            self._arrived.put_nowait(None)  # and so it stays
        return stream

    async def say(self, data: bytes) -> None:
        """Send what the protocol gave. Raises ConnectionError."""
        if data:
            self._active_at = self._loop.time()
            await self._wire.write(data)

    async def close(self) -> None:
        """End every stream and the connection, after what was said."""
        protocol = self.protocol
        farewell = b"".join(protocol.reset(number) for number in sorted(protocol.streams))
        self._reading.cancel()
        await asyncio.wait((self._reading,))
        try:
            await self._wire.write(farewell + protocol.go_away())
        except ConnectionError:
            pass
        await self._wire.close()

    def was_read(self, size: int) -> None:
        """Make room for more."""
        self._unread -= size
        self._room.set()

    async def _read(self) -> None:
        try:
            while data := await self._wire.read():
                self._active_at = self._loop.time()
                for event in self.protocol.receive(data):
                    self._take(event)
                answer, self._replies = b"".join(self._replies), []
                if answer := answer + self.protocol.output():
                    await self._wire.write(answer)
                while self._unread > _UNREAD_BYTES_MAX:
                    self._room.clear()
                    await self._room.wait()
        except (SpdyError, ConnectionError):
            pass  # who speaks it badly is let go as one who has gone
        finally:
            for stream in self._streams.values():
                stream.finish("broken")
            self._arrived.put_nowait(None)

    def _take(self, event: spdy.Event) -> None:
        match event:
            case spdy.Opened(number, headers):
                stream = self._streams[number] = SpdyStream(self, number, headers)
                self._replies.append(self.protocol.accept(number))
                self._arrived.put_nowait(stream)
            case spdy.Received(number, data) if number in self._streams:
                self._unread += self._streams[number].take(data)
            case spdy.Ended(number) if number in self._streams:
                self._streams.pop(number).finish("ended")
            case spdy.Aborted(number) if number in self._streams:
                self._streams.pop(number).finish("broken")
            case _:
                pass
