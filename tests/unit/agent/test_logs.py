"""Log files: what is read, from where, and when following ends."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.agent.logs import (
    LineFilter,
    LogOptions,
    full_stamp,
    message_from_log,
    parse_stamp,
    read,
    tail_offset,
)

LOG = (
    b"2026-11-22T03:00:00.1Z stdout F one\n"
    b"2026-11-22T03:00:01.123456789Z stderr P tw\n"
    b"2026-11-22T03:00:02Z stderr F o\n"
    b"2026-11-22T03:00:03.000000001Z stdout F three\n"
)


def show(options: LogOptions, records: bytes = LOG) -> bytes:
    return LineFilter(options).feed(records)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (LogOptions(), b"one\ntwo\nthree\n"),
        (
            LogOptions(timestamps=True),
            b"2026-11-22T03:00:00.100000000Z one\n"
            b"2026-11-22T03:00:01.123456789Z two\n"
            b"2026-11-22T03:00:03.000000001Z three\n",
        ),
        (LogOptions(since=datetime(2026, 11, 22, 3, 0, 3, tzinfo=UTC)), b"three\n"),
        (LogOptions(limit_bytes=6), b"one\ntw"),
        (LogOptions(stream="stdout"), b"one\nthree\n"),
    ],
)
def test_filter(options: LogOptions, expected: bytes) -> None:
    assert show(options) == expected


def test_a_torn_record_is_passed_over() -> None:
    assert show(LogOptions(), b"2026-11-22T03:00\n" + LOG[:36]) == b"one\n"


def test_stamps() -> None:
    assert full_stamp(b"2026-11-22T03:00:02Z") == b"2026-11-22T03:00:02.000000000Z"
    expected = datetime(2026, 11, 22, 3, 0, 1, 123456, tzinfo=UTC)
    assert parse_stamp(b"2026-11-22T03:00:01.123456789Z") == expected
    assert parse_stamp(b"nonsense") is None


@given(st.lists(st.binary(max_size=5).map(lambda b: b.replace(b"\n", b"")), max_size=12),
       st.integers(0, 14))  # fmt: skip
def test_tail_is_that_of_the_slow_twin(lines: list[bytes], count: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    file = io.BytesIO(data)
    expected = b"".join(line + b"\n" for line in lines[max(0, len(lines) - count) :])
    assert data[tail_offset(file, count) :] == (expected if count else b"")


def test_tail_across_blocks() -> None:
    lines = [b"%07d" % i + b"x" * 1000 for i in range(500)]
    data = b"".join(line + b"\n" for line in lines)
    found = data[tail_offset(io.BytesIO(data), 200) :]
    assert found.split(b"\n")[0] == lines[300]


async def never() -> bool:
    return False


async def always() -> bool:
    return True


async def collect(path: Path, options: LogOptions) -> bytes:
    return b"".join([part async for part in read(path, options, always)])


async def test_read_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LOG * 5000)
    assert await collect(path, LogOptions()) == b"one\ntwo\nthree\n" * 5000


async def test_read_the_tail(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LOG)
    assert await collect(path, LogOptions(tail_lines=2)) == b"o\nthree\n"
    assert await collect(path, LogOptions(tail_lines=0)) == b""


async def test_limit(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LOG * 5000)
    assert await collect(path, LogOptions(limit_bytes=9)) == b"one\ntwo\nt"


async def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await collect(tmp_path / "none", LogOptions())


async def test_follow_is_prompt_and_ends_with_the_container(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LOG[:36])
    done = False

    async def ended() -> bool:
        return done

    stream = read(path, LogOptions(follow=True), ended)
    assert await anext(stream) == b"one\n"
    loop = asyncio.get_running_loop()
    pending = asyncio.ensure_future(anext(stream))
    await asyncio.wait({pending}, timeout=0.1)  # by then the reader looks less often
    assert not pending.done()
    with path.open("ab") as file:
        file.write(LOG[36:])
    before = loop.time()
    assert await pending == b"two\nthree\n"
    assert loop.time() - before < 0.5
    with path.open("ab") as file:
        file.write(b"2026-11-22T03:00:04Z stdout P last words\n")
    done = True
    assert [part async for part in stream] == [b"last words"]


async def test_follow_survives_rotation(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LOG)
    done = False

    async def ended() -> bool:
        return done

    stream = read(path, LogOptions(follow=True), ended)
    assert await anext(stream) == b"one\ntwo\nthree\n"
    path.rename(tmp_path / "0.log.20261122-030405")
    path.write_bytes(LOG[:36])
    assert await anext(stream) == b"one\n"
    done = True
    assert [part async for part in stream] == []


async def test_without_follow_the_end_is_the_end(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LOG)
    found = [part async for part in read(path, LogOptions(), never)]
    assert found == [b"one\ntwo\nthree\n"]


def test_message_from_log(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LOG * 100)
    text = message_from_log(path)
    assert text.endswith("one\ntwo\nthree\n")
    assert len(text) <= 2048
    assert text.count("\n") <= 80
    assert message_from_log(tmp_path / "none") == ""
