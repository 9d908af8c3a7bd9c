"""What another user of the machine can see of a server: nothing."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubatch.agent.volumes import memory_directory
from kubatch.runtime.shim.wire import accepted

NOBODY = 65534
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("perl") is None, reason="only root can be somebody else"
)


@dataclass(frozen=True)
class Up:
    """A server of its own process, and all it said."""

    data_dir: Path
    process: subprocess.Popen[str]
    said: str


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    # The user made the directory, as everybody makes directories.
    data_dir = tmp_path_factory.mktemp("state")
    data_dir.chmod(0o755)
    for parent in list(data_dir.parents)[:3]:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/tmp"):
            parent.chmod(0o755)
    command = [sys.executable, "-m", "kubatch", "up", "--port", "0", "--data-dir", str(data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "kubeconfig" in line.lower():
            break
    try:
        yield Up(data_dir, process, "".join(lines))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def as_nobody(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", text=True,
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip


def secrets_of(up: Up) -> list[str]:
    token = (up.data_dir / "tokens").read_text().partition(",")[0]
    key = (up.data_dir / "pki" / "admin.key").read_text().splitlines()[1]
    assert len(token) > 20
    assert len(key) > 20
    return [token, key]


def test_nobody_else_reads_a_file(up: Up) -> None:
    roots = [str(up.data_dir), str(memory_directory(up.data_dir))]
    script = 'use File::Find; find({no_chdir=>1, wanted=>sub { print "$_\\n" if -f && -r }}, @ARGV)'
    (up.data_dir / "open").write_text("for everybody, so that the search is one")
    (up.data_dir / "open").chmod(0o644)
    assert as_nobody("perl", "-e", script, *roots).stdout == f"{up.data_dir}/open\n"
    assert not [p for p in up.data_dir.iterdir() if p.is_dir() and p.stat().st_mode & 0o077]
    open_paths = [
        path
        for path in up.data_dir.rglob("*")
        if path.name in ("tokens", "kubeconfig", "lock", "shim.log")
        or path.suffix in (".key", ".db")
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert open_paths == []


def test_nobody_else_connects_to_a_socket(up: Up) -> None:
    script = "use IO::Socket::UNIX; exit(IO::Socket::UNIX->new(Peer=>$_) ? 0 : 1) for @ARGV"
    for path in up.data_dir.rglob("*"):
        if path.is_socket():
            assert as_nobody("perl", "-e", script, str(path)).returncode == 1, path


def test_nothing_secret_is_said_or_shown(up: Up) -> None:
    secrets = secrets_of(up)
    texts = [up.said]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            texts.append(Path(f"/proc/{pid}/cmdline").read_text(errors="replace"))
        except OSError:
            continue
    texts += [p.read_text(errors="replace") for p in up.data_dir.rglob("*.log")]
    assert not [secret for secret in secrets if any(secret in text for text in texts)]


def test_a_second_server_is_refused(up: Up) -> None:
    command = [sys.executable, "-m", "kubatch", "up", "--port", "0"]
    second = subprocess.run(
        [*command, "--data-dir", str(up.data_dir)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert second.returncode == 2
    assert re.search(rf"in use by process {up.process.pid}", second.stderr)


async def test_the_shim_talks_to_its_own_user_only(tmp_path: Path) -> None:
    for parent in (tmp_path, *list(tmp_path.parents)[:2]):
        parent.chmod(0o755)
    path = tmp_path / "s"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o777)
    listener.listen()
    # It connects, and is told of the end at once.
    script = (
        "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer=>$ARGV[0]) or exit 3;"
        "exit(defined(<$s>) ? 1 : 0)"
    )
    other = asyncio.create_task(asyncio.to_thread(as_nobody, "perl", "-e", script, str(path)))
    assert await asyncio.to_thread(accepted, listener) is None
    assert (await other).returncode == 0
    ours = socket.socket(socket.AF_UNIX)
    ours.connect(str(path))
    found = accepted(listener)
    assert found is not None
    for sock in (ours, found, listener):
        sock.close()
