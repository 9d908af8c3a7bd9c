"""A client that costs little: requests over kept connections, answers counted and thrown away.

The server shares the machine with whoever measures it. A client library spends as much on a request
as the server does, so that half of what one would see were the client. Here a request is bytes made
before, and of an answer only its status and its end are looked at.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import TypeVar, cast
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"

Target = tuple[str, ssl.SSLContext | None]
Requests = Iterator[bytes]


def request(
    method: str, path: str, body: bytes = b"", content_type: str = "application/json"
) -> bytes:
    """One request of HTTP/1.1 as it is sent."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
    if body:
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def per_second(
    target: Target, requests: Iterator[bytes], clients: int, seconds: float
) -> float:
    """Answers per second to clients that each wait for their answer before they ask again."""
    end = time.perf_counter() + seconds
    limited = takewhile(lambda _: time.perf_counter() < end, requests)
    lines = [await _open(target, lambda: _Asker(limited)) for _ in range(clients)]
    begun = time.perf_counter()
    for line in lines:
        line.ask()
    try:
        await asyncio.gather(*(line.done for line in lines))
    finally:
        for line in lines:
            line.close()
    return sum(line.answered for line in lines) / (time.perf_counter() - begun)


async def watch(target: Target, path: str, count: int) -> Watches:
    """So many watches of a path, once all of them are answered."""
    heard: asyncio.Queue[float] = asyncio.Queue()
    lines = [await _open(target, lambda: _Watcher(path, heard)) for _ in range(count)]
    await asyncio.gather(*(line.ready for line in lines))
    return Watches(lines, heard)


class Watches:
    """Many open watches of the same thing."""

    def __init__(self, lines: list[_Watcher], heard: asyncio.Queue[float]) -> None:
        self._lines = lines
        self._heard = heard

    async def moments(self) -> list[float]:
        """When each of them read its next event."""
        return [await self._heard.get() for _ in self._lines]

    def close(self) -> None:
        """End all."""
        for line in self._lines:
            line.close()


async def sender(target: Target) -> _Line:
    """A connection on which one only writes: what is answered is not looked at."""
    return await _open(target, _Line)


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type

    def write(self, data: bytes) -> None:
        """Send."""
        assert self.transport is not None
        self.transport.write(data)

    def close(self) -> None:
        """Hang up without ceremony."""
        if self.transport is not None:
            self.transport.abort()


class _Asker(_Line):
    """Asks one request after the other."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        super().__init__()
        self.answered = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._head = b""
        self._left = -1  # bytes of this answer still to come; negative: its head is not read yet
        self._tail = b""  # the end of a chunked answer so far
        self._chunked = False

    def ask(self) -> None:
        """The next request, if there is one."""
        wanted = next(self._requests, None)
        if wanted is not None:
            self.write(wanted)
        elif not self.done.done():
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            data = self._begin(self._head[:end], self._head[end + 4 :])
        if self._chunked:
            self._tail = (self._tail + data)[-len(_LAST_CHUNK) :]
            ended = self._tail == _LAST_CHUNK
        else:
            self._left -= len(data)
            ended = self._left == 0
        if ended:
            self._head, self._tail, self._left = b"", b"", -1
            self.answered += 1
            self.ask()

    def _begin(self, head: bytes, rest: bytes) -> bytes:
        """Learn how the answer will end."""
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
            self._fail(RuntimeError(f"answered: {head.decode()} {rest.decode()}"))
        found = _LENGTH.search(head)
        self._chunked = found is None
        self._left = int(found[1]) if found else 0
        return rest

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or RuntimeError("the server hung up"))

    def _fail(self, why: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(why)


class _Watcher(_Line):
    """One watch; notes when an event comes."""

    def __init__(self, path: str, heard: asyncio.Queue[float]) -> None:
        super().__init__()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._path = path
        self._heard = heard
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.write(request("GET", self._path))

    def data_received(self, data: bytes) -> None:
        if not self.ready.done():
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self.ready.set_exception(RuntimeError(f"not watched: {self._head.decode()}"))
                return
            self.ready.set_result(None)
        for _ in range(data.count(b"}\n")):
            self._heard.put_nowait(time.perf_counter())


_Kind = TypeVar("_Kind", bound=_Line)


async def _open(target: Target, make: Callable[[], _Kind]) -> _Kind:
    address, context = target
    url = urlsplit(address)
    assert url.hostname
    assert url.port
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(make, url.hostname, url.port, ssl=context)
    return line
