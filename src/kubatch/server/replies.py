"""What a handler answers, before it becomes HTTP."""

from __future__ import annotations

import asyncio
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kubatch.server import negotiate
from kubatch.server.auth import User
from kubatch.server.pieces import Pieces
from kubatch.server.request import RequestInfo

if TYPE_CHECKING:
    from aiohttp.web import StreamResponse

    from kubatch.server.upgrade import Door

TEXT = "text/plain; charset=utf-8"
# Logs say no more of themselves (pkg/registry/core/pod/rest/log.go: ContentType).
LOG_TEXT = "text/plain"


@dataclass(slots=True)
class Call:
    """One request, as handlers see it."""

    info: RequestInfo
    user: User
    headers: Mapping[str, str]
    body: Callable[[], Awaitable[bytes]]  # reads it whole; raises ApiError 413
    warnings: list[str] = field(default_factory=list)  # Warning headers of the answer

    def header(self, name: str) -> str:
        """A header's value, "" when absent."""
        return self.headers.get(name, "")


@dataclass(slots=True)
class Reply:
    """A complete answer."""

    body: bytes
    status: int = 200
    # "": compact JSON, to be finished as the client likes it; else the body is as it must be.
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Sink(Protocol):
    """Where a stream writes to."""

    async def start(self, content_type: str) -> None:
        """Send status 200 and the headers, now."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes, now. Raises ConnectionError when nobody reads."""
        ...


class Stream(Protocol):
    """An answer that goes on: a watch, a log."""

    async def run(self, sink: Sink, closing: asyncio.Future[None]) -> None:
        """Write until the end, or until `closing` is done."""
        ...


class Upgrade(ABC):
    """An answer that takes the connection over: exec, attach, port-forward."""

    @abstractmethod
    async def run(self, door: Door, closing: asyncio.Future[None]) -> StreamResponse:
        """Upgrade, and serve until the end, or until `closing` is done; what was answered.

        Raises ApiError before it has upgraded.
        """


Answer = Reply | Pieces | Stream | Upgrade


def json_reply(value: Any, status: int = 200) -> Reply:
    """A small value as JSON."""
    return Reply(negotiate.encode(value), status)


def text_reply(text: str, status: int = 200) -> Reply:
    """Plain text, such as `404 page not found`."""
    return Reply(text.encode(), status, TEXT, {"X-Content-Type-Options": "nosniff"})


def page_not_found() -> Reply:
    """What Go's HTTP server says of a path that no handler has."""
    return text_reply("404 page not found\n", 404)


# ----- warnings

# apiserver/pkg/endpoints/filters/warning.go: truncateAtTotalRunes, truncateItemRunes
_WARNING_CHARACTERS_MAX = 4 * 1024
_LONG_WARNING_CHARACTERS = 256


def warning_headers(texts: Sequence[str]) -> list[str]:
    """Values of Warning headers, each text once.

    When they are too much for a header, each is cut, and those too many are left out. A client
    may choose a part of a text: one that does not fit a header is not sent (NewWarningHeader).
    """
    kept = [t for t in dict.fromkeys(" ".join(text.split()) for text in texts) if _fits_header(t)]
    if sum(map(len, kept)) > _WARNING_CHARACTERS_MAX:
        kept = [text[:_LONG_WARNING_CHARACTERS] for text in kept]
    found, total = [], 0
    for text in kept:
        if total >= _WARNING_CHARACTERS_MAX:
            break
        total += len(text)
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        found.append(f'299 - "{escaped}"')
    return found


def _fits_header(text: str) -> bool:
    return bool(text) and not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
