"""A disk that is full, read-only or damaged, under a real server."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.kubectl import tools

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(path)]
    made = subprocess.run(mount, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr}")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def core(server: tools.Server) -> Any:
    return client.CoreV1Api(config.new_client_from_config(str(server.kubeconfig)))  # type: ignore[no-untyped-call]


def write(api: Any, name: str) -> None:
    data = {"x": "x" * 100_000}
    meta = client.V1ObjectMeta(name=name)
    api.create_namespaced_config_map("default", client.V1ConfigMap(metadata=meta, data=data))


def test_a_full_disk(small_disk: Path) -> None:
    idle = ("--no-controllers", "--no-agent", "--no-scheduler")
    acknowledged: list[str] = []
    ballast = small_disk / "ballast"
    with tools.running_server(small_disk, *idle) as server:
        ballast.write_bytes(bytes(14_000_000))
        api = core(server)
        refused = None
        while refused is None and len(acknowledged) < 100:
            name = f"n-{len(acknowledged):03}"
            try:
                write(api, name)
            except client.ApiException as error:
                refused = error
            else:
                acknowledged.append(name)
        assert refused is not None
        assert refused.status == 500
        assert "state.db failed: database or disk is full" in str(refused.body)
        assert [name for name in names(api) if name.startswith("n-")] == acknowledged
        ballast.unlink()
        write(api, "z-last")
        acknowledged.append("z-last")
    with tools.running_server(small_disk, *idle) as server:
        assert [name for name in names(core(server)) if name[:2] in ("n-", "z-")] == acknowledged


def names(api: Any) -> list[str]:
    return [item.metadata.name for item in api.list_namespaced_config_map("default").items]


def up(data_dir: Path) -> subprocess.CompletedProcess[str]:
    """A server that should not come up."""
    argv = [str(tools.KUBATCH), "up", "--data-dir", str(data_dir), "--port", "0", "--no-agent"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            out, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate()
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def test_a_read_only_disk(small_disk: Path) -> None:
    with tools.running_server(small_disk, "--no-agent"):
        pass
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = up(small_disk / "data")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"kubatch: cannot use the data directory {small_disk / 'data'}: Read-only file system\n"
    )


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("not a database", r"state\.db cannot be opened: file is not a database; restore a backup"),
        ("cut short", r"state\.db cannot be opened: database disk image is malformed; restore .*"),
        ("one letter", r"state\.db is damaged: 1 of \d+ objects .* restore a backup"),
        ("newer", r"state\.db was written by a newer kubatch, in format 99; .*"),
    ],
)
def test_a_damaged_file(tmp_path: Path, damage: str, said: str) -> None:
    with tools.running_server(tmp_path, "--no-agent") as server:
        pass
    path = server.data_dir / "state.db"
    data = path.read_bytes()
    if damage == "not a database":
        path.write_bytes(b"hello" * 1000)
    elif damage == "cut short":
        path.write_bytes(data[: len(data) // 2 // 4096 * 4096])
    elif damage == "one letter":
        at = data.index(b'"name":"kube-system"')
        path.write_bytes(data[:at] + data[at:].replace(b"kube-system", b"cube-system", 1))
    else:
        sql = "UPDATE meta SET value = 99 WHERE name = 'schema'"
        with sqlite3.connect(path) as connection:
            connection.execute(sql)
        connection.close()
    done = up(server.data_dir)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"kubatch: {re.escape(str(path.parent))}/{said}\n", done.stderr)
