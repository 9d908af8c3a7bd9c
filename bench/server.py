"""A `kubatch up` to measure, and a plain HTTPS connection to it."""

from __future__ import annotations

import base64
import json
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

KUBATCH = Path(sys.executable).with_name("kubatch")


def jobs_in(namespace: str) -> str:
    """The path of a namespace's Jobs."""
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


JOBS = jobs_in("default")


@dataclass(frozen=True)
class Server:
    """A server that is ready, and how long it took to get there."""

    kubeconfig: Path
    ready_seconds: float
    pid: int


@contextmanager
def running(directory: Path, *options: str) -> Iterator[Server]:
    """Start a server; end it and its pods when the block is left."""
    kubeconfig = directory / "kubeconfig"
    argv = [str(KUBATCH), "up", "--data-dir", str(directory / "data"), "--port", "0"]
    argv += ["--kubeconfig", str(kubeconfig), *options]
    begun = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError("kubatch up ended before it was ready")
            yield Server(kubeconfig, time.perf_counter() - begun, process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def target(server: Server) -> tuple[str, ssl.SSLContext]:
    """The server's address, and how to connect as the kubeconfig's user."""
    config = yaml.safe_load(server.kubeconfig.read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(
        cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
    )
    pair = server.kubeconfig.with_name("client.pem")
    pair.touch(0o600)
    names = ("client-certificate-data", "client-key-data")
    pair.write_bytes(b"".join(base64.b64decode(user[name]) for name in names))
    context.load_cert_chain(pair)
    return cluster["server"], context


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    """A session as the kubeconfig's user; paths are enough."""
    address, context = target(server)
    connector = aiohttp.TCPConnector(limit=0, ssl=context)
    async with aiohttp.ClientSession(
        address, connector=connector, raise_for_status=True
    ) as session:
        yield session


def job(name: str, *, completions: int = 1, parallelism: int = 1) -> dict[str, Any]:
    """A Job of /bin/true."""
    container = {"name": "true", "image": "busybox", "command": ["/bin/true"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "completions": completions,
            "parallelism": parallelism,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }


async def finished_jobs(session: aiohttp.ClientSession) -> AsyncGenerator[str, None]:
    """The name of each Job as soon as a watch shows it Complete; RuntimeError when one failed."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with session.get(JOBS, params={"watch": "true"}, timeout=timeout) as response:
        async for line in response.content:
            found = json.loads(line)["object"]
            for condition in found.get("status", {}).get("conditions", ()):
                if condition["status"] == "True" and condition["type"] == "Complete":
                    yield found["metadata"]["name"]
                if condition["status"] == "True" and condition["type"] == "Failed":
                    raise RuntimeError(f"{found['metadata']['name']}: {condition['message']}")
