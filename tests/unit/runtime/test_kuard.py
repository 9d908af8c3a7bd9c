"""The kuard workload, as real processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

import kubatch.runtime.workloads

PROGRAM = Path(kubatch.runtime.workloads.__file__).with_name("kuard.py")
COMMAND = (sys.executable, "-S", "-E", str(PROGRAM))


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *flags], capture_output=True, text=True, timeout=10)


@pytest.mark.parametrize("count", [("--keygen-num-to-gen=3",), ("-keygen-num-to-gen", "3")])
def test_keygen_prints_its_items_and_exits(count: tuple[str, ...]) -> None:
    done = run("--keygen-enable", "--keygen-exit-on-complete", *count)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    pattern = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \(ID 0 %d/3\) Item done: SHA256:[A-Za-z0-9+/]{43}"
    for number, line in enumerate(lines[1:4], start=1):
        assert re.fullmatch(pattern % number, line)
    assert lines[-1].endswith(" (ID 0) Workload exiting")
    assert len({line.rpartition(":")[2] for line in lines[1:4]}) == 3


def test_exit_code_is_the_one_asked_for() -> None:
    flags = ("--keygen-enable", "--keygen-exit-on-complete", "--keygen-num-to-gen=1")
    assert run(*flags, "--keygen-exit-code=1").returncode == 1


def test_time_to_run_ends_an_endless_workload() -> None:
    done = run("--keygen-enable", "--keygen-exit-on-complete", "--keygen-time-to-run=0.05")
    assert done.returncode == 0
    assert " 1) Item done" in done.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--nope",), "unknown flag: --nope"),
        (("word",), "unexpected argument 'word'"),
        (("--keygen-num-to-gen",), "flag needs an argument: --keygen-num-to-gen"),
        (("--keygen-num-to-gen=x",), "invalid literal"),
        (("--keygen-enable=maybe",), "invalid value 'maybe'"),
    ],
)
def test_bad_flags_are_refused(flags: tuple[str, ...], message: str) -> None:
    done = run(*flags)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.fixture
def server() -> Iterator[str]:
    with subprocess.Popen(
        [*COMMAND, "--address=127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip().rpartition(":")[2]
        yield f"http://127.0.0.1:{port}"
        process.kill()


def call(method: str, url: str, body: bytes | None = None) -> tuple[int, Any]:
    try:
        with urlopen(Request(url, data=body, method=method), timeout=5) as response:
            data = response.read()
            return response.status, json.loads(data) if data.startswith(b"{") else data.decode()
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_the_server_is_a_work_queue(server: str) -> None:
    queues = f"{server}/memq/server/queues"
    assert call("GET", f"{server}/healthy") == (200, "ok")
    assert call("GET", f"{server}/ready") == (200, "ok")
    assert call("POST", f"{queues}/keygen/dequeue")[0] == 404
    assert call("PUT", f"{queues}/keygen")[0] == 200
    assert call("PUT", f"{queues}/keygen")[0] == 409
    assert call("POST", f"{queues}/keygen/dequeue") == (204, "")
    for text in (b"one", b"two", b"three"):
        status, message = call("POST", f"{queues}/keygen/enqueue", text)
        assert (status, message["kind"]) == (200, "message")
    status, message = call("POST", f"{queues}/keygen/dequeue")
    assert (status, message["kind"], message["body"]) == (200, "message", "one")
    assert call("POST", f"{queues}/keygen/drain")[0] == 200
    assert call("GET", f"{server}/memq/server/stats") == (
        200,
        {
            "kind": "stats",
            "queues": [{"name": "keygen", "depth": 0, "enqueued": 3, "dequeued": 1, "drained": 2}],
        },
    )
    assert call("DELETE", f"{queues}/keygen")[0] == 200
    assert call("DELETE", f"{queues}/keygen")[0] == 404
    assert call("GET", f"{server}/memq/server/nope")[0] == 404
    assert call("GET", f"{queues}/keygen")[0] == 405


def test_a_worker_empties_the_queue_and_exits(server: str) -> None:
    memq = f"{server}/memq/server"
    call("PUT", f"{memq}/queues/keygen")
    for number in range(3):
        call("POST", f"{memq}/queues/keygen/enqueue", b"item %d" % number)
    flags = ("--keygen-enable", "--keygen-exit-on-complete", "--keygen-memq-queue=keygen")
    done = run(*flags, f"--keygen-memq-server={memq}")
    assert (done.returncode, done.stderr) == (0, "")
    assert [f"'item {n}' done: SHA256:" in done.stdout for n in range(3)] == [True] * 3
    assert call("GET", f"{memq}/stats")[1]["queues"][0]["dequeued"] == 3


def test_a_worker_without_a_server_fails() -> None:
    flags = ("--keygen-enable", "--keygen-exit-on-complete", "--keygen-memq-queue=q")
    done = run(*flags, "--keygen-memq-server=http://127.0.0.1:1/memq/server")
    assert done.returncode == 1
    assert "Failed:" in done.stdout
