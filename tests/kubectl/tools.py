"""A real server and real kubectl, as subprocesses, each with a home of its own."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
KUBATCH = Path(sys.executable).with_name("kubatch")

# All the commands of a session on each of these and on the one on PATH; a short one on the others.
FULL = ("1.29", "1.31", "1.33")
START_SECONDS_MAX = 30
COMMAND_SECONDS_MAX = 90


@dataclass(frozen=True)
class Server:
    """A running `kubatch up`."""

    kubeconfig: Path
    data_dir: Path


@dataclass(frozen=True)
class Kubectl:
    """One kubectl binary, talking to one server, in one namespace."""

    binary: Path
    version: str
    kubeconfig: Path
    home: Path  # kubectl keeps what it discovered under $HOME/.kube
    namespace: str = "default"

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command that goes on until it is ended."""
        return subprocess.Popen(
            self._argv(words), stdout=subprocess.PIPE, text=True, env=self._environment()
        )

    def result(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever comes of it."""
        return subprocess.run(
            self._argv(words),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env=self._environment(),
            timeout=COMMAND_SECONDS_MAX,
        )

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        """What a command that must succeed prints."""
        done = self.result(*words, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        """What `kubectl ... -o json` says."""
        return json.loads(self(*words, "-o", "json"))

    def _argv(self, words: tuple[str, ...]) -> list[str]:
        return [str(self.binary), "--namespace", self.namespace, *words]

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": os.environ["PATH"],
            "TZ": "UTC",
        }


def example(name: str) -> str:
    """The path of an example's manifest, by its name."""
    (path,) = EXAMPLES.glob(f"*/{name}.yaml")
    return str(path)


@cache
def find_kubectls() -> dict[str, Path]:
    """Every kubectl here by its version: the one on PATH, and kubectl.1.* beside its real file."""
    on_path = shutil.which("kubectl")
    if on_path is None:
        return {}
    found = {
        binary.name.removeprefix("kubectl."): binary
        for binary in Path(on_path).resolve().parent.glob("kubectl.1.*")
    }
    said = subprocess.run(
        [on_path, "version", "--client", "--output=json"], capture_output=True, text=True
    ).stdout
    git_version = json.loads(said or "{}").get("clientVersion", {}).get("gitVersion", "")
    version = re.match(r"v(\d+\.\d+)\S*", git_version)
    # A dispatcher starts another kubectl by the server's version: a program of its own.
    if version and (version[1] not in found or "dispatcher" in git_version):
        found["PATH"] = Path(on_path)
    return dict(sorted(found.items()))


def full_matrix() -> list[str]:
    """The versions that do everything."""
    found = find_kubectls()
    return [v for v in found if v in FULL or v == "PATH"] or list(found)[-1:]


def smoke_matrix() -> list[str]:
    """The versions that do a little."""
    full = full_matrix()
    return [v for v in find_kubectls() if v not in full]


@contextmanager
def running_server(directory: Path, *options: str) -> Iterator[Server]:
    """`kubatch up` in a directory, on a free port, until the block is left."""
    data_dir, kubeconfig = directory / "data", directory / "kubeconfig"
    argv = [str(KUBATCH), "up", "--data-dir", str(data_dir), "--port", "0"]
    argv += ["--kubeconfig", str(kubeconfig), *options]
    if "--runtime" not in options:
        argv += ["--runtime", "process"]  # where tests and containers share files
    log = directory / "stderr"
    with (
        log.open("w") as stderr,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            line = lines_of(process)()
            assert str(kubeconfig) in line, f"{line!r}, {log.read_text()}"
            yield Server(kubeconfig, data_dir)
        finally:
            # As Ctrl-C: unlike SIGTERM it ends the pods too.
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
    assert process.returncode == 130, log.read_text()


def lines_of(process: subprocess.Popen[str]) -> Callable[[], str]:
    """A way to take the next line of a process's output, "" at its end, without hanging."""
    lines: queue.Queue[str] = queue.Queue()
    out = process.stdout
    assert out is not None

    def pump() -> None:
        for line in out:
            lines.put(line)
        lines.put("")

    threading.Thread(target=pump, daemon=True).start()

    def take() -> str:
        try:
            return lines.get(timeout=START_SECONDS_MAX)
        except queue.Empty:
            raise AssertionError(f"{process.args!r} printed nothing more") from None

    return take


def eventually(check: Callable[[], bool], *, seconds: float = 30.0) -> bool:
    """Whether a check made over and over comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
    return False
