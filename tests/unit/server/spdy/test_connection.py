"""Two ends of a SPDY connection, back to back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kubatch.server.spdy import frames
from kubatch.server.spdy.connection import (
    Aborted,
    Accepted,
    Connection,
    Ended,
    Event,
    GoneAway,
    Opened,
    Received,
)
from kubatch.server.spdy.frames import Data, Encoder, SpdyError, SynStream


class Pair:
    """A client and a server, and everything each of them heard."""

    def __init__(self, streams_max: int = 100) -> None:
        self.client = Connection(client=True)
        self.server = Connection(streams_max=streams_max)
        self.at_client: list[Event] = []
        self.at_server: list[Event] = []

    def to_server(self, data: bytes) -> Sequence[Event]:
        events = self.server.receive(data)
        self.at_server += events
        self.at_client += self.client.receive(self.server.output())
        return events

    def to_client(self, data: bytes) -> Sequence[Event]:
        events = self.client.receive(data)
        self.at_client += events
        self.at_server += self.server.receive(self.client.output())
        return events

    def open(self, **headers: str) -> int:
        number, data = self.client.open(headers)
        assert self.to_server(data) == [Opened(number, headers)]
        assert self.to_client(self.server.accept(number)) == [Accepted(number)]
        return number


def test_a_conversation() -> None:
    pair = Pair()
    first, second = pair.open(streamtype="stdin"), pair.open(streamtype="stdout")
    assert (first, second) == (1, 3)
    assert pair.to_server(pair.client.send(1, b"in", fin=True)) == [Received(1, b"in"), Ended(1)]
    assert pair.to_client(pair.server.send(3, b"out")) == [Received(3, b"out")]
    assert pair.to_client(pair.server.send(3, b"", fin=True)) == [Ended(3)]
    assert pair.to_server(pair.client.send(3, b"", fin=True)) == [Ended(3)]
    assert pair.server.streams == pair.client.streams == {1}
    assert pair.to_client(pair.server.reset(1)) == [Aborted(1, frames.CANCEL)]
    assert pair.to_client(pair.server.go_away()) == [GoneAway()]
    assert pair.server.streams == pair.client.streams == set()


def test_nothing_is_sent_on_what_is_closed() -> None:
    pair = Pair()
    number = pair.open()
    assert pair.server.send(number, b"x", fin=True) != b""
    assert pair.server.send(number, b"x") == b""
    assert pair.server.reset(number) != b""
    assert pair.server.reset(number) == b""
    assert pair.server.send(number, b"x") == b""


def test_a_server_opens_streams_with_even_numbers() -> None:
    pair = Pair()
    number, data = pair.server.open({"a": "b"})
    assert number == 2
    assert pair.to_client(data) == [Opened(2, {"a": "b"})]


def test_pings_come_back() -> None:
    pair = Pair()
    assert pair.server.receive(pair.client.ping(1)) == []
    assert pair.server.output() == pair.client.ping(1)
    assert pair.client.receive(pair.client.ping(1)) == []
    assert pair.client.output() == b""  # our own one, answered


def test_too_many_streams_are_refused() -> None:
    pair = Pair(streams_max=2)
    pair.open()
    pair.open()
    number, data = pair.client.open({"x": "y"})
    assert pair.to_server(data) == []
    assert pair.at_client[-1] == Aborted(number, frames.REFUSED_STREAM)
    assert pair.to_client(pair.server.reset(1)) == [Aborted(1, frames.CANCEL)]
    assert pair.open(z="w") == number + 2  # headers are still understood


def test_data_for_a_stream_that_never_was() -> None:
    pair = Pair()
    number = pair.open()
    assert pair.server.receive(Encoder().encode(Data(99, b"x"))) == []
    assert Connection(client=True).receive(pair.server.output()) == []
    pair.server.reset(number)
    assert pair.server.receive(pair.client.send(number, b"late")) == []
    assert pair.server.output() == b""  # it was on its way


def test_data_after_the_end() -> None:
    pair = Pair()
    number = pair.open()
    encode = Encoder().encode
    pair.server.receive(encode(Data(number, b"", fin=True)))
    status = frames.STREAM_ALREADY_CLOSED
    assert pair.server.receive(encode(Data(number, b"more"))) == [Aborted(number, status)]


@pytest.mark.parametrize("numbers", [(2,), (0,), (3, 3), (5, 3)])
def test_stream_numbers_are_odd_and_grow(numbers: tuple[int, ...]) -> None:
    encoder, server = Encoder(), Connection()
    sent = b"".join(encoder.encode(SynStream(number)) for number in numbers)
    with pytest.raises(SpdyError, match="cannot be opened"):
        server.receive(sent)


def test_large_data_is_split_into_frames() -> None:
    pair = Pair()
    number = pair.open()
    size = frames.DATA_BYTES_MAX + 10
    events = pair.to_client(pair.server.send(number, bytes(size), fin=True))
    received = [event for event in events if isinstance(event, Received)]
    assert sum(len(event.data) for event in received) == size
    assert events[-1] == Ended(number)


class Conversation(RuleBasedStateMachine):
    """Whatever two ends say to each other, both know the same streams, and no byte is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair()
        self.sent: dict[tuple[str, int], bytes] = {}
        self.numbers: list[int] = []

    @rule(headers=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
    def open(self, headers: dict[str, str]) -> None:
        self.numbers.append(self.pair.open(**headers))

    @precondition(lambda self: self.numbers)
    @rule(data=st.data(), text=st.binary(max_size=20), fin=st.booleans(), up=st.booleans())
    def say(self, data: st.DataObject, text: bytes, fin: bool, up: bool) -> None:
        number = data.draw(st.sampled_from(self.numbers))
        side = self.pair.client if up else self.pair.server
        raw = side.send(number, text, fin=fin)
        if raw:
            key = ("up" if up else "down", number)
            self.sent[key] = self.sent.get(key, b"") + text
        (self.pair.to_server if up else self.pair.to_client)(raw)

    @precondition(lambda self: self.numbers)
    @rule(data=st.data(), up=st.booleans())
    def reset(self, data: st.DataObject, up: bool) -> None:
        number = data.draw(st.sampled_from(self.numbers))
        if up:
            self.pair.to_server(self.pair.client.reset(number))
        else:
            self.pair.to_client(self.pair.server.reset(number))

    @invariant()
    def both_know_the_same(self) -> None:
        assert self.pair.client.streams == self.pair.server.streams

    @invariant()
    def nothing_is_lost(self) -> None:
        heard: dict[tuple[str, int], bytes] = {}
        for way, events in (("up", self.pair.at_server), ("down", self.pair.at_client)):
            for event in events:
                if isinstance(event, Received):
                    key = (way, event.stream)
                    heard[key] = heard.get(key, b"") + event.data
        assert heard == {key: text for key, text in self.sent.items() if text}


TestConversation = Conversation.TestCase
