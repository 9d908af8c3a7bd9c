"""A peer of the stores: etcd with one member, asked over HTTP by a client that costs little."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import uvloop

from bench import load

NAME = "etcd, a put each"
READY_SECONDS_MAX = 20.0
SECONDS = 2.0


def puts_per_second(directory: Path, data: bytes, writers: int) -> float | None:
    """Creates by writers that each wait for their own; None where it is not installed."""
    program = shutil.which("etcd")
    if program is None:
        return None
    client, peer = _free_address(), _free_address()
    argv = [program, "--data-dir", str(directory), "--log-level", "error", "--name", "bench"]
    argv += ["--listen-client-urls", client, "--advertise-client-urls", client]
    argv += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    argv += ["--initial-cluster", f"bench={peer}"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            return uvloop.run(_measure((client, None), data, writers))
        finally:
            process.terminate()
            process.wait(timeout=30)


async def _measure(target: load.Target, data: bytes, writers: int) -> float:
    requests = _puts(data)
    end = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:  # one put says that it has a leader
            await load.per_second(target, iter([next(requests)]), 1, SECONDS)
            break
        except (OSError, RuntimeError):
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)
    return await load.per_second(target, requests, writers, SECONDS)


def _puts(data: bytes) -> Iterator[bytes]:
    value = base64.b64encode(data).decode()
    number = 0
    while True:
        key = base64.b64encode(f"/pods/default/{number}".encode()).decode()
        body = json.dumps({"key": key, "value": value}).encode()
        yield load.request("POST", "/v3/kv/put", body)
        number += 1


def _free_address() -> str:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
