"""The peer of bench/http: aiohttp behind the same TLS, which answers without a thought.

`python -m bench.bare DIRECTORY`, that of a server's certificates, prints its address and serves
until it is told to end.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from aiohttp import web

from kubatch.server import certificates

ANSWER = b"{}" * 400  # about as long as a small Job


@contextmanager
def running(directory: Path) -> Iterator[str]:
    """Its address, while the block runs."""
    argv = [sys.executable, "-m", "bench.bare", str(directory)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(timeout=30)


async def _serve(directory: Path) -> None:
    pki = certificates.ensure(directory, ["127.0.0.1"], datetime.now(UTC))
    listener = await asyncio.get_running_loop().create_server(
        web.Server(_answer, access_log=None), "127.0.0.1", 0, ssl=pki.server_context()
    )
    print(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}", flush=True)
    await listener.serve_forever()


async def _answer(request: web.BaseRequest) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json")


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
