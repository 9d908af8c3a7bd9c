"""The shim's journal: what it adds up to, torn lines, compaction, a full disk."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kubatch.runtime.shim import journal as module
from kubatch.runtime.shim.journal import Journal, replay

if TYPE_CHECKING:
    from kubatch.runtime.shim.journal import Record


def record(number: int, state: str = "running", **values: object) -> Record:
    return {"id": [f"pod-{number}", "main", 0], "state": state, **values}


def lines(*records: Record) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in records)


def test_the_last_record_counts() -> None:
    data = lines(record(1), record(2), record(1, "exited", exit_code=3), record(2, "removed"))
    assert replay(data) == {("pod-1", "main", 0): record(1, "exited", exit_code=3)}


@pytest.mark.parametrize("torn", [b'{"id":["pod-1"', b"\0\0\0\n", b"[]\n", b'{"id":3}\n'])
def test_a_torn_line_is_passed_over(torn: bytes) -> None:
    assert replay(lines(record(1)) + torn) == {("pod-1", "main", 0): record(1)}


def test_what_was_flushed_is_read_again(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal"), list)
    assert journal.read() == {}
    journal.compact()
    journal.append(record(1))
    journal.append(record(2, "starting", labels={"a": "ü\udc80"}))
    assert journal.flush()
    assert Journal(str(tmp_path / "journal"), list).read().keys() == {
        ("pod-1", "main", 0),
        ("pod-2", "main", 0),
    }


def test_it_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMPACT_BYTES_MIN", 1000)
    state = [record(1)]
    journal = Journal(str(tmp_path / "journal"), lambda: state)
    journal.compact()
    for number in range(2, 200):
        journal.append(record(number))
        journal.append(record(number, "removed"))
        assert journal.flush()
        assert (tmp_path / "journal").stat().st_size < 1200
    assert journal.read() == {("pod-1", "main", 0): record(1)}


def test_compaction_keeps_lines_that_the_state_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COMPACT_BYTES_MIN", 0)
    journal = Journal(str(tmp_path / "journal"), list)
    journal.compact()
    journal.append(record(1, "starting"))
    assert journal.flush()
    assert journal.read() == {("pod-1", "main", 0): record(1, "starting")}


def test_a_disk_that_refuses_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = [record(1)]
    journal = Journal(str(tmp_path / "journal"), lambda: state)
    journal.compact()

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        journal.append(record(1, "exited"))
        assert not journal.flush()
        assert not journal.flush()
    assert "No space left" in capsys.readouterr().err
    state[0] = record(1, "exited")
    assert journal.flush()
    assert journal.read() == {("pod-1", "main", 0): record(1, "exited")}
