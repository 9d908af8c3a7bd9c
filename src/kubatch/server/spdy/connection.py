"""One side of a SPDY/3.1 connection: which streams there are, and what may be said on them. Pure.

Bytes go into `receive`, events come out; what is to be sent is what the other methods and
`output` return, in that order. Flow control is left out, as in Kubernetes' own SPDY library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubatch.server.spdy import frames
from kubatch.server.spdy.frames import Data, Decoder, Encoder, Frame, SpdyError

# Two streams for each connection forwarded; a browser behind a port-forward has some dozens.
STREAMS_MAX = 1000
_ID_MAX = 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Opened:
    """The other side opened a stream."""

    stream: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The other side accepted a stream of ours."""

    stream: int


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes of a stream."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The other side sends nothing more on a stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Aborted:
    """The other side closed a stream in both directions at once."""

    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class GoneAway:
    """The other side opens no more streams."""


Event = Opened | Accepted | Received | Ended | Aborted | GoneAway


@dataclass(slots=True)
class _Stream:
    theirs_open: bool = True  # the other side may still send
    ours_open: bool = True  # we may still send


@dataclass(slots=True)
class Connection:
    """The protocol's state. A client's streams have odd numbers, a server's even ones."""

    client: bool = False
    streams_max: int = STREAMS_MAX
    _encoder: Encoder = field(default_factory=Encoder)
    _decoder: Decoder = field(default_factory=Decoder)
    _streams: dict[int, _Stream] = field(default_factory=dict)
    _last_theirs: int = 0
    _last_ours: int = 0
    _output: list[bytes] = field(default_factory=list)

    @property
    def streams(self) -> frozenset[int]:
        """The streams that are open in at least one direction."""
        return frozenset(self._streams)

    def receive(self, data: bytes) -> list[Event]:
        """What the bytes say. Raises SpdyError when the connection cannot go on."""
        events: list[Event] = []
        for frame in self._decoder.feed(data):
            events += self._receive(frame)
        return events

    def output(self) -> bytes:
        """What the protocol itself has to answer to what was received."""
        said, self._output = b"".join(self._output), []
        return said

    # ----- what we say

    def open(self, headers: Mapping[str, str], *, fin: bool = False) -> tuple[int, bytes]:
        """Open a stream: its number, and what to send."""
        first = 1 if self.client else 2
        number = self._last_ours + 2 if self._last_ours else first
        if number > _ID_MAX:
            raise SpdyError("no stream numbers are left")
        self._last_ours = number
        self._streams[number] = _Stream(ours_open=not fin)
        return number, self._encoder.encode(frames.SynStream(number, headers, fin))

    def accept(self, stream: int) -> bytes:
        """Accept a stream of the other side."""
        return self._encoder.encode(frames.SynReply(stream))

    def send(self, stream: int, data: bytes, *, fin: bool = False) -> bytes:
        """Data for a stream; nothing once it is closed in our direction."""
        state = self._streams.get(stream)
        if state is None or not state.ours_open:
            return b""
        encode, most = self._encoder.encode, frames.DATA_BYTES_MAX
        pieces = [data[i : i + most] for i in range(0, len(data), most)] or [b""]
        sent = [encode(Data(stream, piece)) for piece in pieces[:-1]]
        sent.append(encode(Data(stream, pieces[-1], fin)))
        if fin:
            state.ours_open = False
            self._tidy(stream)
        return b"".join(sent)

    def reset(self, stream: int, status: int = frames.CANCEL) -> bytes:
        """Close a stream in both directions; nothing when it is closed already."""
        if self._streams.pop(stream, None) is None:
            return b""
        return self._encoder.encode(frames.RstStream(stream, status))

    def go_away(self, status: int = 0) -> bytes:
        """Say that no more streams are wanted."""
        return self._encoder.encode(frames.GoAway(self._last_theirs, status))

    def ping(self, id: int) -> bytes:
        """A ping, which the other side sends back."""
        return self._encoder.encode(frames.Ping(id))

    # ----- what they say

    def _receive(self, frame: Frame) -> list[Event]:
        match frame:
            case Data(stream, data, fin):
                return self._data(stream, data, fin)
            case frames.SynStream():
                return self._opened(frame)
            case frames.SynReply(stream, _, fin):
                accepted: list[Event] = [Accepted(stream)] if stream in self._streams else []
                return accepted + self._end(stream, fin)
            case frames.Headers(stream, _, fin):
                return self._end(stream, fin)
            case frames.RstStream(stream, status):
                known = self._streams.pop(stream, None)
                return [] if known is None else [Aborted(stream, status)]
            case frames.Ping(id):
                if id % 2 != self.client:  # ours come back and want no answer
                    self._output.append(self._encoder.encode(frame))
                return []
            case frames.GoAway():
                return [GoneAway()]
            case _:
                return []

    def _opened(self, frame: frames.SynStream) -> list[Event]:
        number = frame.stream
        if number % 2 == self.client or number <= self._last_theirs:
            raise SpdyError(f"stream {number} cannot be opened")
        self._last_theirs = number
        if len(self._streams) >= self.streams_max:
            self._refuse(number, frames.REFUSED_STREAM)
            return []
        self._streams[number] = _Stream(ours_open=not frame.unidirectional)
        return [Opened(number, frame.headers), *self._end(number, frame.fin)]

    def _data(self, stream: int, data: bytes, fin: bool) -> list[Event]:
        state = self._streams.get(stream)
        if state is None:
            # What was on its way when a stream was closed is no offence.
            theirs = stream % 2 != self.client
            if stream > (self._last_theirs if theirs else self._last_ours) or not stream:
                self._refuse(stream, frames.INVALID_STREAM)
            return []
        if not state.theirs_open:
            self._streams.pop(stream)
            self._refuse(stream, frames.STREAM_ALREADY_CLOSED)
            return [Aborted(stream, frames.STREAM_ALREADY_CLOSED)]
        received: list[Event] = [Received(stream, data)] if data else []
        return received + self._end(stream, fin)

    def _end(self, stream: int, fin: bool) -> list[Event]:
        state = self._streams.get(stream)
        if not fin or state is None or not state.theirs_open:
            return []
        state.theirs_open = False
        self._tidy(stream)
        return [Ended(stream)]

    def _tidy(self, stream: int) -> None:
        state = self._streams[stream]
        if not (state.theirs_open or state.ours_open):
            del self._streams[stream]

    def _refuse(self, stream: int, status: int) -> None:
        self._output.append(self._encoder.encode(frames.RstStream(stream, status)))
