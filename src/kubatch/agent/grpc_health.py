"""The gRPC health check (grpc.health.v1.Health/Check), as the kubelet's grpc probe asks it.

pkg/probe/grpc/grpc.go: Probe. One request on a connection of its own, without TLS.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from kubatch.agent.http_get import RequestFailed, connect
from kubatch.agent.probes import Answer, Outcome

_PATH = "/grpc.health.v1.Health/Check"
_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_SERVING = 1
_BYTES_MAX = 64 * 1024
_READ_BYTES = 4096
# google.golang.org/grpc/codes, as fmt prints them
_CODES = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound",
    "AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted",
    "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated",
)  # fmt: skip
_UNIMPLEMENTED, _UNAVAILABLE = 12, 14


@dataclass(slots=True)
class _Reply:
    """What came so far."""

    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    ended: bool = False


async def check(host: str, port: int, service: str, seconds: float, user_agent: str) -> Answer:
    """Ask whether a service serves."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    connected = False
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await connect(host, port)
            connected = True
            try:
                reply = await _call(reader, writer, where, service, user_agent)
            finally:
                writer.transport.abort()
    except TimeoutError:
        if connected:
            return _failure(f"timeout: health rpc did not complete within {seconds:g}s")
        return _failure(
            f'timeout: failed to connect service "{where}" within {seconds:g}s: '
            "context deadline exceeded"
        )
    except RequestFailed as error:
        why = f'connection error: desc = "transport: Error while dialing: {error}"'
        return _failure(f'error: failed to connect service at "{where}": {why}')
    except OSError as error:
        return _failed_call(_UNAVAILABLE, str(error))
    return judge(reply.headers, reply.data)


def judge(headers: dict[str, str], data: bytes) -> Answer:
    """What a reply says."""
    text = headers.get("grpc-status", "")
    if not text.isdigit():
        return _failed_call(_UNAVAILABLE, "the answer is not gRPC's")
    if int(text):
        return _failed_call(int(text), unquote(headers.get("grpc-message", "")))
    status = _status(data)
    if status != _SERVING:
        name = _STATUSES[status] if status < len(_STATUSES) else str(status)
        return _failure(f'service unhealthy (responded with "{name}")')
    return Answer(Outcome.SUCCESS, "service healthy")


def _failure(text: str) -> Answer:
    return Answer(Outcome.FAILURE, text)


def _failed_call(code: int, message: str) -> Answer:
    if code == _UNIMPLEMENTED:
        return _failure(
            "error: this server does not implement the grpc health protocol "
            f"(grpc.health.v1.Health): {message}"
        )
    name = _CODES[code] if code < len(_CODES) else f"Code({code})"
    return _failure(f"error: health rpc probe failed: rpc error: code = {name} desc = {message}")


def question(service: str) -> bytes:
    """A HealthCheckRequest in its envelope: no compression, the length, field 1."""
    name = service.encode()
    body = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\x00" + len(body).to_bytes(4, "big") + body


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _status(data: bytes) -> int:
    """The status of a HealthCheckResponse; 0 when it names none."""
    body = data[5 : 5 + int.from_bytes(data[1:5], "big")]
    return body[1] if len(body) >= 2 and body[0] == 0x08 else 0


async def _call(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    where: str,
    service: str,
    user_agent: str,
) -> _Reply:
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.exceptions import ProtocolError

    connection = H2Connection(H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    stream = connection.get_next_available_stream_id()
    headers = [
        (":method", "POST"), (":scheme", "http"), (":path", _PATH), (":authority", where),
        ("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", user_agent),
    ]  # fmt: skip
    connection.send_headers(stream, headers)
    connection.send_data(stream, question(service), end_stream=True)
    writer.write(connection.data_to_send())
    reply = _Reply()
    while not reply.ended:
        data = await reader.read(_READ_BYTES)
        if not data:
            raise ConnectionError("error reading server preface: EOF")
        try:
            for event in connection.receive_data(data):
                _take(reply, event)
        except ProtocolError as error:
            raise ConnectionError(f"connection error: {error}") from error
        if len(reply.data) > _BYTES_MAX:
            raise ConnectionError("the answer is too long")
        writer.write(connection.data_to_send())
    return reply


def _take(reply: _Reply, event: Any) -> None:
    from h2 import events

    match event:
        case events.ResponseReceived() | events.TrailersReceived():
            reply.headers.update({str(k): str(v) for k, v in event.headers})
        case events.DataReceived():
            reply.data += event.data
        case events.StreamEnded():
            reply.ended = True
        case events.StreamReset() | events.ConnectionTerminated():
            raise ConnectionError("the stream was reset")
