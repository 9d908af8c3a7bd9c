"""Connections: how many, and what one may keep waiting for how long.

aiohttp's handler of a connection, with limits that cost nothing while they are kept: no table is
written for a request, only at the beginning, the end and the stalling of a connection.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import http_exceptions, web

from kubatch.settings import Settings

logger = logging.getLogger(__name__)

# Go's net/http: DefaultMaxHeaderBytes and the slop of initialReadLimitSize. Selectors may be long.
HEAD_BYTES_MAX = (1 << 20) + 4096
LINE_BYTES_MAX = 1 << 20
HEADERS_MAX = 256
# Files that are no connections: the store, logs, pipes and sockets of the node's work.
_OTHER_FILES = 512
_FILES_MAX = 65536

_TOO_MANY_HEADERS = "Too many headers"


class Listener(web.Server):
    """Makes a handler for each connection, and knows them all."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        settings: Settings,
    ) -> None:
        super().__init__(
            handler,
            # A watch whose client has gone must not wait for an event to notice it.
            handler_cancellation=True,
            access_log=None,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX - 1,
            max_headers=HEADERS_MAX,
            keepalive_timeout=settings.idle_timeout,
        )
        self.stall_timeout = settings.stall_timeout
        self._most = min(settings.connections_max, max(16, raise_file_limit() - _OTHER_FILES))
        self._open: dict[Connection, None] = {}

    def __call__(self) -> Connection:
        """For one more connection, before its TLS handshake."""
        return Connection(self, loop=self._loop, **self._kwargs)

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    def joined(self, connection: Connection) -> None:
        """One more. When there are too many, the oldest that asks nothing has to go."""
        if len(self._open) >= self._most:
            resting = next((c for c in self._open if c.is_resting), None)
            if resting is None:
                logger.warning("a connection was refused: there are %d", len(self._open))
                connection.force_close()
                return
            resting.force_close()
        self._open[connection] = None

    def left(self, connection: Connection) -> None:
        """One less."""
        self._open.pop(connection, None)


class Connection(web.RequestHandler):
    """One client's connection."""

    __slots__ = ("_head_bytes", "_listener", "_stalled_at", "_timer", "is_patient")

    def __init__(self, listener: Listener, **options: Any) -> None:
        super().__init__(listener, **options)
        self._listener = listener
        self._head_bytes = 0
        self._stalled_at = 0  # bytes that waited when the timer was set
        self._timer: asyncio.TimerHandle | None = None
        # A person may look at a log or a terminal for long before going on to read.
        self.is_patient = False

    @property
    def is_resting(self) -> bool:
        """Whether no request is being read or answered."""
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._listener.joined(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._listener.left(self)
        self._set_timer(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.is_resting:
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX and self.transport is not None:
            self.transport.write(_bare_answer(431))
            self.force_close()

    # ----- clients that do not read

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        self._set_timer(None)
        super().resume_writing()

    def _watch_stall(self) -> None:
        if self.transport is not None:
            self._stalled_at = self.transport.get_write_buffer_size()
            check = self._loop.call_later(self._listener.stall_timeout, self._check_stall)
            self._set_timer(check)

    def _check_stall(self) -> None:
        if self.transport is None:
            return
        if self.is_patient or self.transport.get_write_buffer_size() < self._stalled_at:
            self._watch_stall()
        else:
            self.transport.abort()

    def _set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    # ----- what is no HTTP

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """In Go's words (net/http/server.go: serve); the text of a stranger is not logged."""
        if status >= 500:
            logger.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        if status == 400:
            status = _code(exc)
        response = web.Response(status=status, text=_text(status))
        response.headers["Server"] = "kubatch"
        response.force_close()
        return response


def _code(error: BaseException | None) -> int:
    if isinstance(error, http_exceptions.LineTooLong):
        return 414 if error.args[1] == LINE_BYTES_MAX else 431
    if isinstance(error, http_exceptions.BadHttpMessage) and _TOO_MANY_HEADERS in error.message:
        return 431
    return 400


_REASONS = {
    400: "Bad Request",
    414: "Request URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    504: "Gateway Timeout",
}


def _text(status: int) -> str:
    return f"{status} {_REASONS[status]}"


def _bare_answer(status: int) -> bytes:
    text = _text(status)
    head = "Content-Type: text/plain; charset=utf-8\r\nConnection: close"
    return f"HTTP/1.1 {text}\r\n{head}\r\n\r\n{text}".encode()


def raise_file_limit() -> int:
    """As many files as the machine lets this process have, as Go programs do; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, _FILES_MAX)
    if soft == resource.RLIM_INFINITY:
        return _FILES_MAX
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
