"""The shim when the disk is full, and what a shim that died has left to the next one."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from kubatch.runtime.shim import complain as complaining
from kubatch.runtime.shim.cri_log import CriLog
from kubatch.runtime.shim.kin import kin_of
from tests.suites.runtime_suite import Watcher, log_records, make_spec
from tests.unit.runtime.tools import Opener, alive, eventually, pids_in, shim_of, shims_of

API = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
CHILD = "setsid sleep 1000 & echo $!; sleep 1000"


def test_a_line_that_a_full_disk_cut_short_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "0.log"
    log = CriLog(str(path), 1 << 20, 5)
    log.feed("stdout", b"first\n")
    write = os.write
    refusing = [True]

    def full(fd: int, data: bytes) -> int:
        if len(data) > 10:
            return write(fd, data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: full(fd, data) if refusing else write(fd, data))
        log.feed("stdout", b"lost\n")
        log.feed("stdout", b"lost\n")
        refusing.clear()
        log.feed("stdout", b"last\n")
    log.close()
    assert [text for _, _, text in log_records(path)] == ["first", "last"]
    assert capsys.readouterr().err.count("No space left") == 1


def test_a_complaint_that_cannot_be_made_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    full = open("/dev/full", "w")  # noqa: SIM115  # closing it fails too
    monkeypatch.setattr(sys, "stderr", full)
    complaining.complain("one")
    complaining.complain("two")
    monkeypatch.undo()
    with contextlib.suppress(OSError):
        full.close()


@pytest.mark.parametrize(
    ("env", "known"),
    [
        ({"HOSTNAME": "a", **API, "X": "y"}, "a\n127.0.0.1\n1"),
        ({"HOSTNAME": "a"}, ""),
        (API, ""),
        ({}, ""),
    ],
)
def test_who_can_be_known(env: dict[str, str], known: str) -> None:
    assert kin_of(env) == known


async def test_what_ran_in_sessions_of_its_own_is_found_by_the_next_shim(
    opened: Opener, directory: Path, tmp_path: Path
) -> None:
    """Children of nobody end with the last container of their kind, and no others do."""
    runtime = await opened()
    watcher = Watcher(runtime)
    pods = {}
    for name, attempt in (("one", 0), ("one", 1), ("two", 0)):
        env = {"PATH": os.environ["PATH"], "HOSTNAME": name, **API}
        spec = make_spec(tmp_path, "sh", "-c", CHILD, env=env)
        await runtime.start(spec)
        log = spec.log_path
        pods[name, attempt] = (spec.id, (await pids_in(log, 1))[0])
    old = shim_of(directory)
    os.kill(old, signal.SIGKILL)
    await eventually(lambda: shims_of(directory) not in ([], [old]))
    first, second = pods["one", 0], pods["one", 1]
    await runtime.signal(first[0], signal.SIGKILL)
    await watcher.exit(first[0])
    assert alive(first[1])  # whose it is of the two cannot be told
    await runtime.signal(second[0], signal.SIGKILL)
    await watcher.exit(second[0])
    await eventually(lambda: not alive(first[1]) and not alive(second[1]))
    assert alive(pods["two", 0][1])
