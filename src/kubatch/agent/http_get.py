"""One HTTP request, as probes and hooks make it: no cookies, no cache, certificates unverified.

pkg/probe/http/http.go: DoHTTPProbe; errors read as those of Go's net/http.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote, urljoin, urlsplit

BODY_BYTES_MAX = 10 * 1024
HEAD_BYTES_MAX = 64 * 1024
REDIRECTS_MAX = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_LINE_END = b"\r\n"
_PATH_CHARACTERS = "/%?&=:@!$'()*+,;~-._"


class RequestFailed(Exception):
    """No answer came; the text says why."""


class NotHttps(RequestFailed):
    """Something answered in the clear where TLS was spoken."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask for."""

    url: str
    headers: Mapping[str, str]

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: the beginning of it."""

    status: int
    location: str
    body: bytes

    @property
    def redirects(self) -> bool:
        return self.status in _REDIRECTS and bool(self.location)


def request(
    scheme: str,
    host: str,
    port: int,
    path: str,
    headers: Sequence[tuple[str, str]],
    user_agent: str,
) -> Request:
    """A GET (pkg/probe/http/request.go: newProbeRequest). What a manifest sends goes first."""
    shown = f"[{host}]" if ":" in host else host
    sent: dict[str, str] = {}
    for name, value in headers:
        sent[name.title()] = value
    sent.setdefault("User-Agent", user_agent)
    sent.setdefault("Accept", "*/*")
    sent.setdefault("Host", f"{shown}:{port}")
    path = quote(path if path.startswith("/") else f"/{path}", safe=_PATH_CHARACTERS)
    return Request(f"{scheme.lower()}://{shown}:{port}{path}", {k: v for k, v in sent.items() if v})


async def get(asked: Request) -> Response:
    """Ask, and follow redirects within the host. Raises RequestFailed.

    A redirect to another host is the answer: it shows that this one lives.
    """
    url, headers = asked.url, asked.headers
    for name, value in headers.items():
        if not value.isprintable():
            raise RequestFailed(f'Get "{url}": net/http: invalid header field value for "{name}"')
    for _ in range(REDIRECTS_MAX):
        response = await _once(url, headers)
        if not response.redirects:
            return response
        target = urljoin(url, response.location)
        if urlsplit(target).hostname != asked.host:
            return response
        url, headers = target, {**asked.headers, "Host": urlsplit(target).netloc}
    raise RequestFailed(f'Get "{url}": stopped after {REDIRECTS_MAX} redirects')


async def _once(url: str, headers: Mapping[str, str]) -> Response:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    writer = None
    try:
        reader, writer = await connect(parts.hostname or "", port, secure=secure)
        target = parts.path or "/"
        target += f"?{parts.query}" if parts.query else ""
        lines = [f"GET {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        lines += ["Connection: close", "", ""]
        writer.write("\r\n".join(lines).encode("latin-1", "replace"))
        return await _read(reader)
    except ssl.SSLError as error:
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
            why = "http: server gave HTTP response to HTTPS client"
            raise NotHttps(f'Get "{url}": {why}') from error
        raise RequestFailed(f'Get "{url}": tls: {error.reason or error}') from error
    except ConnectionError as error:
        raise RequestFailed(f'Get "{url}": {why_not(error)}') from error
    except (OSError, EOFError, ValueError, RequestFailed) as error:
        raise RequestFailed(f'Get "{url}": {error or "EOF"}') from error
    finally:
        if writer is not None:
            writer.transport.abort()


async def connect(
    host: str, port: int, *, secure: bool = False
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection. Raises RequestFailed with what Go's dialer says."""
    context = _unverified() if secure else None
    try:
        return await asyncio.open_connection(host, port, limit=HEAD_BYTES_MAX, ssl=context)
    except ssl.SSLError:
        raise
    except socket.gaierror as error:
        raise RequestFailed(f"dial tcp: lookup {host}: no such host") from error
    except OSError as error:
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise RequestFailed(f"dial tcp {shown}: connect: {why_not(error)}") from error


def why_not(error: OSError) -> str:
    """What the system says; an event loop may word it otherwise."""
    return os.strerror(error.errno).lower() if error.errno else str(error)


@cache
def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _read(reader: asyncio.StreamReader) -> Response:
    """The head, and of the body as much as anybody looks at."""
    try:
        head = await reader.readuntil(_LINE_END * 2)
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            raise EOFError("EOF") from error
        head = error.partial
    except asyncio.LimitOverrunError as error:
        raise RequestFailed("net/http: server response headers exceeded 65536 bytes") from error
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/") or not (code.isascii() and code.isdigit()):
        raise RequestFailed(f'net/http: HTTP/1.x transport connection broken: malformed "{first}"')
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), value.strip())
    body = b""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        body = await _body(reader, fields)
    return Response(int(code), fields.get("location", ""), body)


async def _body(reader: asyncio.StreamReader, fields: Mapping[str, str]) -> bytes:
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader)
    length = fields.get("content-length", "")
    wanted = min(int(length), BODY_BYTES_MAX) if length.isdigit() else BODY_BYTES_MAX
    body = b""
    while len(body) < wanted:
        data = await reader.read(wanted - len(body))
        if not data:
            break
        body += data
    return body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while len(body) < BODY_BYTES_MAX:
        size = int((await reader.readline()).partition(b";")[0].strip() or b"0", 16)
        if size == 0:
            break
        body += await reader.readexactly(min(size, BODY_BYTES_MAX))
        if size > BODY_BYTES_MAX:
            break
        await reader.readexactly(2)
    return body[:BODY_BYTES_MAX]
