"""A RabbitMQ of a test's own: its own ports, names and files, gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kubectl import tools

# Debian's /usr/sbin/rabbitmq-server insists on being the user rabbitmq.
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_SECONDS_MAX = 90


def why_not() -> str:
    """Why no broker can run here, "" when one can."""
    missing = [name for name in ("epmd", "amqp-publish", "curl") if shutil.which(name) is None]
    if not PROGRAM.exists() or missing:
        return "it takes Debian's rabbitmq-server and amqp-tools"
    return ""


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(directory: Path) -> Iterator[int]:
    """A broker in a directory, until the block is left; its port."""
    port, names_port, other_port = (free_port() for _ in range(3))
    (directory / "plugins").write_text("[].\n", encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),  # Erlang's cookie
        "LANG": "C.UTF-8",
        "ERL_EPMD_PORT": str(names_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"kubatch-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(other_port),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
        "RABBITMQ_CONFIG_FILE": str(directory / "none"),
        # One scheduler, which does not wait for work by spinning.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
    }
    epmd = ["epmd", "-port", str(names_port), "-address", "127.0.0.1"]
    log = directory / "output"
    with (
        log.open("w") as out,
        subprocess.Popen(epmd, stdout=out, stderr=out, env=environment) as names,
    ):
        try:
            with subprocess.Popen([PROGRAM], stdout=out, stderr=out, env=environment) as server:
                try:
                    ready = tools.eventually(
                        lambda: server.poll() is not None or _answers(port),
                        seconds=START_SECONDS_MAX,
                    )
                    assert ready, log.read_text()
                    assert server.poll() is None, log.read_text()
                    yield port
                finally:
                    server.terminate()
                    server.wait(timeout=30)
        finally:
            names.kill()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            # A broker that is still starting closes at once; a ready one names its version.
            connection.sendall(b"AMQP\0\0\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False
