"""SPDY frames: to bytes and back, what real clients send, and what is refused."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.server.spdy import frames
from kubatch.server.spdy.dictionary import DICTIONARY
from kubatch.server.spdy.frames import (
    Data,
    Decoder,
    Encoder,
    Frame,
    GoAway,
    Headers,
    Ping,
    RstStream,
    Settings,
    SpdyError,
    SynReply,
    SynStream,
    WindowUpdate,
)

# What kubectl 1.29 sent for `exec -i`: four streams, then input and its end.
CAPTURED = bytes.fromhex(
    "80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000"
    "ffff"
    "800300010000001700000003000000000000c22e555c92929907000000ffff"
    "800300010000001900000005000000000000c22ac5565c92925f5a02000000ffff"
    "800300010000001500000007000000000000c229975a5404000000ffff"
    "000000030000000668656c6c6f0a0000000301000000"
)
SPOKEN: list[Frame] = [
    SynStream(1, {"streamtype": "error"}),
    SynStream(3, {"streamtype": "stdin"}),
    SynStream(5, {"streamtype": "stdout"}),
    SynStream(7, {"streamtype": "stderr"}),
    Data(3, b"hello\n"),
    Data(3, b"", fin=True),
]

streams = st.integers(0, 2**31 - 1)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
headers = st.dictionaries(words, words, max_size=5)
numbers = st.integers(0, 2**31 - 1)
any_frame: st.SearchStrategy[Frame] = st.one_of(
    st.builds(SynStream, streams, headers, st.booleans(), st.booleans(), st.integers(0, 7)),
    st.builds(SynReply, streams, headers, st.booleans()),
    st.builds(Headers, streams, headers, st.booleans()),
    st.builds(RstStream, streams, numbers),
    st.builds(GoAway, streams, numbers),
    st.builds(WindowUpdate, streams, numbers),
    st.builds(Ping, numbers),
    st.builds(Settings, st.integers(0, 255), st.binary(max_size=20)),
    st.builds(Data, streams, st.binary(max_size=200), st.booleans()),
)


def test_the_dictionary_is_the_one_everybody_has() -> None:
    assert len(DICTIONARY) == 1423
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2


def test_what_kubectl_sends() -> None:
    assert Decoder().feed(CAPTURED) == SPOKEN


def test_what_we_send_is_laid_out_as_kubectls() -> None:
    encoder = Encoder()
    sent = [encoder.encode(frame) for frame in SPOKEN]
    assert sent[0][:18] == CAPTURED[:18].replace(b"\x29\0\0\0\x01", sent[0][7:8] + b"\0\0\0\x01")
    assert sent[0][20:24] == bytes.fromhex("e3c6a7c2")
    assert b"".join(sent[4:]) == CAPTURED[-22:]
    assert Decoder().feed(b"".join(sent)) == SPOKEN


@given(st.lists(any_frame, max_size=8), st.data())
def test_what_is_encoded_is_decoded(sent: list[Frame], data: st.DataObject) -> None:
    encoder, decoder = Encoder(), Decoder()
    raw = b"".join(encoder.encode(frame) for frame in sent)
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=5).map(sorted))
    received: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        received += decoder.feed(raw[start:end])
    assert joined(received) == joined(sent)


def joined(frames_: list[Frame]) -> list[Frame]:
    """The same with the data of one stream in one piece, as cutting changes no more than that."""
    out: list[Frame] = []
    for frame in frames_:
        last = out[-1] if out else None
        if (
            isinstance(frame, Data)
            and isinstance(last, Data)
            and last.stream == frame.stream
            and not last.fin
        ):
            out[-1] = Data(frame.stream, last.data + frame.data, frame.fin)
        elif frame != Data(getattr(frame, "stream", 0), b""):
            out.append(frame)
    return out


@given(st.binary(max_size=300))
def test_nonsense_is_an_error_or_nothing(raw: bytes) -> None:
    decoder = Decoder()
    try:
        decoder.feed(raw)
        decoder.feed(b"\x80\x03" + raw)
    except SpdyError:
        pass


def test_data_is_handed_on_before_it_is_whole() -> None:
    decoder = Decoder()
    head = struct.pack(">II", 5, frames.FLAG_FIN << 24 | 10)
    assert decoder.feed(head + b"abc") == [Data(5, b"abc")]
    assert decoder.feed(b"defghi") == [Data(5, b"defghi")]
    assert decoder.feed(b"j") == [Data(5, b"j", fin=True)]


def control(kind: int, body: bytes, *, version: int = 3, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return struct.pack(">II", 0x80000000 | version << 16 | kind, size) + body


def block(raw: bytes) -> bytes:
    compressor = zlib.compressobj(zdict=DICTIONARY)
    return compressor.compress(raw) + compressor.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (control(6, b"\0\0\0\1", version=2), "version 2"),
        (control(6, b"", length=1 << 20), "a control frame of 1048576 bytes"),
        (control(6, b"\0\0"), "shorter"),
        (control(3, b"\0\0\0\1"), "shorter"),
        (control(1, b"\0\0\0\1\0\0"), "shorter"),
        (control(1, b"\0\0\0\1\0\0\0\0\0\0not zlib"), "cannot be unpacked"),
        (control(2, b"\0\0\0\1" + block(b"\0\0")), "shorter"),
        (control(2, b"\0\0\0\1" + block(b"\0\0\0\1\0\0\0\x05abc")), "shorter"),
        (control(2, b"\0\0\0\1" + block(b"\0\0\0\1\0\0\0\1\xff\0\0\0\0")), "no text"),
        (control(2, b"\0\0\0\1" + block(b"\0" * (1 << 20))), "too large"),
    ],
)
def test_what_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(SpdyError, match=message):
        Decoder().feed(raw)


def test_unknown_control_frames_are_passed_over() -> None:
    assert Decoder().feed(control(77, b"whatever") + control(6, b"\0\0\0\1")) == [Ping(1)]
