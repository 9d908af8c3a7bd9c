"""SPDY/3.1 frames: bytes to values and back. Pure.

The format is section 2 of the SPDY/3 draft. Names and values of a header block are compressed, with
one compressor for each direction of a connection, so frames must be sent in the order they are
made in, and every header block must be read, also of a stream nobody wants.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kubatch.server.spdy.dictionary import DICTIONARY

VERSION = 3
FLAG_FIN = 0x01
FLAG_UNIDIRECTIONAL = 0x02

# RST_STREAM status codes (section 2.6.3).
PROTOCOL_ERROR = 1
INVALID_STREAM = 2
REFUSED_STREAM = 3
CANCEL = 5
STREAM_ALREADY_CLOSED = 9

DATA_BYTES_MAX = 0xFFFFFF
# Control frames are small; a header block of these streams has some hundred bytes.
CONTROL_BYTES_MAX = 64 * 1024
HEADERS_BYTES_MAX = 64 * 1024  # decompressed: a small block can unpack to very much
_SPLIT_BYTES = 64 * 1024  # data is handed on in pieces no larger than this

_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _SETTINGS = 1, 2, 3, 4
_PING, _GOAWAY, _HEADERS, _WINDOW_UPDATE = 6, 7, 8, 9
_HEAD = struct.Struct(">II")
_CONTROL = 0x80000000
_ID_MASK = 0x7FFFFFFF


class SpdyError(Exception):
    """The other side broke the protocol; the connection cannot go on."""


@dataclass(frozen=True, slots=True)
class SynStream:
    """Opens a stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False
    unidirectional: bool = False
    priority: int = 0


@dataclass(frozen=True, slots=True)
class SynReply:
    """Accepts a stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    """Ends a stream at once."""

    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Wishes about a connection; nobody here acts on them."""

    flags: int = 0
    body: bytes = b"\0\0\0\0"


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back as it is."""

    id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """No new streams any more."""

    last_stream: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class Headers:
    """More headers for a stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class WindowUpdate:
    """Flow control, which Kubernetes' SPDY does not use."""

    stream: int
    delta: int


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream; one frame may arrive as several of these."""

    stream: int
    data: bytes
    fin: bool = False


Frame = SynStream | SynReply | RstStream | Settings | Ping | GoAway | Headers | WindowUpdate | Data


class Encoder:
    """Makes the frames of one direction."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        """The frame's bytes; to be sent before those of any later one."""
        match frame:
            case Data(stream, data, fin):
                return _HEAD.pack(stream, (fin * FLAG_FIN) << 24 | len(data)) + data
            case SynStream(stream, headers, fin, unidirectional, priority):
                flags = fin * FLAG_FIN | unidirectional * FLAG_UNIDIRECTIONAL
                lead = struct.pack(">IIBB", stream, 0, priority << 5, 0)
                return _control(_SYN_STREAM, flags, lead + self._block(headers))
            case SynReply(stream, headers, fin):
                body = struct.pack(">I", stream) + self._block(headers)
                return _control(_SYN_REPLY, fin * FLAG_FIN, body)
            case Headers(stream, headers, fin):
                body = struct.pack(">I", stream) + self._block(headers)
                return _control(_HEADERS, fin * FLAG_FIN, body)
            case RstStream(stream, status):
                return _control(_RST_STREAM, 0, _HEAD.pack(stream, status))
            case Ping(id):
                return _control(_PING, 0, struct.pack(">I", id))
            case GoAway(last, status):
                return _control(_GOAWAY, 0, _HEAD.pack(last, status))
            case WindowUpdate(stream, delta):
                return _control(_WINDOW_UPDATE, 0, _HEAD.pack(stream, delta))
            case Settings(flags, body):
                return _control(_SETTINGS, flags, body)

    def _block(self, headers: Mapping[str, str]) -> bytes:
        parts = [len(headers).to_bytes(4, "big")]
        for pair in headers.items():
            for text in pair:
                raw = text.encode()
                parts += (len(raw).to_bytes(4, "big"), raw)
        block = self._compressor.compress(b"".join(parts))
        return block + self._compressor.flush(zlib.Z_SYNC_FLUSH)


def _control(kind: int, flags: int, body: bytes) -> bytes:
    return _HEAD.pack(_CONTROL | VERSION << 16 | kind, flags << 24 | len(body)) + body


class Decoder:
    """Takes the frames of one direction apart, however the bytes arrive."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(zdict=DICTIONARY)
        self._buffer = bytearray()
        self._stream = 0  # of the data frame being read
        self._left = 0  # bytes of it still to come
        self._fin = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole now, and the data that is there. Raises SpdyError."""
        self._buffer += data
        return list(self._frames())

    def _frames(self) -> Iterator[Frame]:
        while True:
            if self._left:
                if not self._buffer:
                    return
                yield self._piece()
                continue
            if len(self._buffer) < _HEAD.size:
                return
            first, second = _HEAD.unpack_from(self._buffer)
            flags, length = second >> 24, second & DATA_BYTES_MAX
            if not first & _CONTROL:
                del self._buffer[: _HEAD.size]
                self._stream, self._left, self._fin = first, length, bool(flags & FLAG_FIN)
                if not length:
                    yield Data(self._stream, b"", self._fin)
                continue
            if first >> 16 & 0x7FFF != VERSION:
                raise SpdyError(f"version {first >> 16 & 0x7FFF} is not spoken here")
            if length > CONTROL_BYTES_MAX:
                raise SpdyError(f"a control frame of {length} bytes")
            if len(self._buffer) < _HEAD.size + length:
                return
            body = bytes(self._buffer[_HEAD.size : _HEAD.size + length])
            del self._buffer[: _HEAD.size + length]
            frame = self._control(first & 0xFFFF, flags, body)
            if frame is not None:
                yield frame

    def _piece(self) -> Data:
        size = min(self._left, len(self._buffer), _SPLIT_BYTES)
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._left -= size
        return Data(self._stream, piece, self._fin and not self._left)

    def _control(self, kind: int, flags: int, body: bytes) -> Frame | None:
        """One control frame; None for a kind that is not known, which is to be passed over."""
        fin = bool(flags & FLAG_FIN)
        match kind:
            case 1:
                _need(body, 10)
                stream, _, priority, _ = struct.unpack_from(">IIBB", body)
                one_way = bool(flags & FLAG_UNIDIRECTIONAL)
                headers = self._headers(body[10:])
                return SynStream(stream & _ID_MASK, headers, fin, one_way, priority >> 5)
            case 2 | 8:
                _need(body, 4)
                stream = int.from_bytes(body[:4], "big") & _ID_MASK
                headers = self._headers(body[4:])
                if kind == _SYN_REPLY:
                    return SynReply(stream, headers, fin)
                return Headers(stream, headers, fin)
            case 3 | 7 | 9:
                _need(body, 8)
                stream, number = _HEAD.unpack_from(body)
                stream &= _ID_MASK
                if kind == _RST_STREAM:
                    return RstStream(stream, number)
                return GoAway(stream, number) if kind == _GOAWAY else WindowUpdate(stream, number)
            case 4:
                return Settings(flags, body)
            case 6:
                _need(body, 4)
                return Ping(int.from_bytes(body[:4], "big"))
            case _:
                return None

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            raw = self._decompressor.decompress(block, HEADERS_BYTES_MAX)
        except zlib.error as error:
            raise SpdyError(f"headers cannot be unpacked: {error}") from None
        if self._decompressor.unconsumed_tail:
            raise SpdyError("headers too large")
        words = _words(raw)
        headers: dict[str, str] = {}
        for name in words:
            headers[name] = next(words)
        return headers


def _words(raw: bytes) -> Iterator[str]:
    """Names and values in turn; several values of a name are separated by NUL."""
    _need(raw, 4)
    position = 4
    for _ in range(2 * int.from_bytes(raw[:4], "big")):
        _need(raw, position + 4)
        size = int.from_bytes(raw[position : position + 4], "big")
        position += 4
        _need(raw, position + size)
        try:
            yield raw[position : position + size].decode()
        except UnicodeDecodeError:
            raise SpdyError("headers that are no text") from None
        position += size


def _need(raw: bytes, size: int) -> None:
    if len(raw) < size:
        raise SpdyError("a frame is shorter than it says")
