"""The kuard workload, as real processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from kubatch.runtime.workloads import kuard

PROGRAM = Path(kuard.__file__)
COMMAND = (sys.executable, "-S", "-E", str(PROGRAM))


def run(*flags: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *flags], capture_output=True, text=True, timeout=60, env=env)


def test_a_key_is_one_and_its_fingerprint_what_ssh_says() -> None:
    words = kuard.new_key().split()
    assert words[0] == b"ssh-rsa"
    assert len(b64decode(words[1])) == 4 + 7 + 4 + 3 + 4 + 1 + 4096 // 8
    # What `ssh-keygen -lf` says of this line.
    line = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEIK+HDr0vPR+mGvCSS4u4dKpG7sjDAOpLXJYXYmxbWw"
    assert kuard.fingerprint(line) == "SHA256:Zpo3j5wIY0FMtY/wN3sEApv/695TjX3qqPlc+FlkeKU"


@pytest.mark.parametrize("count", [("--keygen-num-to-gen=2",), ("-keygen-num-to-gen", "2")])
def test_keygen_prints_its_items_and_exits(count: tuple[str, ...]) -> None:
    done = run("--keygen-enable", "--keygen-exit-on-complete", *count)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    pattern = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \(ID 0 %d/2\) Item done: SHA256:[A-Za-z0-9+/]{43}"
    for number, line in enumerate(lines[1:3], start=1):
        assert re.fullmatch(pattern % number, line)
    assert lines[-1].endswith(" (ID 0) Workload exiting")
    assert len({line.rpartition(":")[2] for line in lines[1:3]}) == 2


def test_exit_code_is_the_one_asked_for() -> None:
    flags = ("--keygen-enable", "--keygen-exit-on-complete", "--keygen-num-to-gen=1")
    assert run(*flags, "--keygen-exit-code=1").returncode == 1


def test_time_to_run_ends_an_endless_workload() -> None:
    done = run("--keygen-enable", "--keygen-exit-on-complete", "--keygen-time-to-run=0.05")
    assert done.returncode == 0
    assert " 1/Inf) Item done" in done.stdout


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


@pytest.mark.parametrize(
    ("flags", "address"),
    [
        ([], ":8080"),
        (["--address=127.0.0.1:9000"], "127.0.0.1:9000"),
        (["--port", "9000"], ":9000"),
        (["--address=[::1]:80", "--port=9000"], "[::1]:9000"),
    ],
)
def test_where_it_serves(flags: list[str], address: str) -> None:
    assert kuard.parse(flags).address == address


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
    assert call("GET", f"{queues}/keygen") == (
        200,
        {
            "kind": "queue",
            "name": "keygen",
            "depth": 0,
            "enqueued": 3,
            "dequeued": 1,
            "drained": 2,
        },
    )
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
    assert call("GET", f"{queues}/keygen")[0] == 404
    assert call("POST", f"{queues}/keygen")[0] == 405


def test_a_worker_empties_the_queue_and_exits(server: str) -> None:
    memq = f"{server}/memq/server"
    call("PUT", f"{memq}/queues/keygen")
    for number in range(3):
        call("POST", f"{memq}/queues/keygen/enqueue", b"item %d" % number)
    flags = ("--keygen-enable", "--keygen-exit-on-complete", "--keygen-memq-queue=keygen")
    done = run(*flags, f"--keygen-memq-server={memq}")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.partition(" Item done: ")[2] for line in done.stdout.splitlines()]
    assert [line.partition(" for ")[2] for line in lines if line] == [
        f"'item {n}'" for n in range(3)
    ]
    assert call("GET", f"{memq}/stats")[1]["queues"][0]["dequeued"] == 3


def test_a_worker_finds_a_service_by_its_variable(server: str) -> None:
    port = server.rpartition(":")[2]
    call("PUT", f"{server}/memq/server/queues/keygen")
    flags = ("--keygen-enable", "--keygen-exit-on-complete", "--keygen-memq-queue=keygen")
    done = run(
        *flags,
        f"--keygen-memq-server=http://work-queue:{port}/memq/server",
        env={"WORK_QUEUE_SERVICE_HOST": "127.0.0.1"},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_queues_hold_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kuard, "_MESSAGES_MAX", 3)
    monkeypatch.setattr(kuard, "_MESSAGE_BYTES_MAX", 6)
    broker = kuard.Broker()
    path = "/memq/server/queues/q"
    assert broker.handle("PUT", path, b"")[0] == 200
    codes = [broker.handle("POST", f"{path}/enqueue", b"ab")[0] for _ in range(4)]
    assert codes == [200, 200, 200, 507]
    assert broker.handle("POST", f"{path}/dequeue", b"")[0] == 200
    assert broker.handle("POST", f"{path}/enqueue", b"abc")[0] == 507
    assert broker.handle("POST", f"{path}/drain", b"") == (200, {"kind": "queue", "drained": 2})
    assert broker.handle("POST", f"{path}/enqueue", b"abcdef")[0] == 200
    assert broker.handle("DELETE", path, b"")[0] == 200
    assert broker.handle("PUT", path, b"")[0] == 200
    assert broker.handle("POST", f"{path}/enqueue", b"abcdef")[0] == 200


def test_a_worker_waits_for_its_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kuard, "_RETRY_S", 0.01)
    queue = ("--keygen-enable", "--keygen-exit-on-complete", "--keygen-memq-queue=q")
    for_a_moment = ("--keygen-time-to-run=0.1", "--keygen-memq-server=http://127.0.0.1:1/memq")
    assert kuard.main([*queue, *for_a_moment]) == 0
    lines = capsys.readouterr().out.splitlines()
    tries = [line for line in lines if "Error getting work item, trying again: " in line]
    assert len(tries) > 1
    assert "refused" in tries[0]


@pytest.mark.parametrize("url", ["ftp://h/", "http://h:port/", "http:///path"])
def test_a_server_that_cannot_be_is_not_waited_for(url: str) -> None:
    flags = ["--keygen-enable", "--keygen-memq-queue=q", f"--keygen-memq-server={url}"]
    assert kuard.main(flags) == 2
