"""The processes under test: `kubatch up`, its shim and its pods; how they die, what they leave."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from kubatch.agent.volumes import memory_directory
from tests.kubectl import tools

MARK = "KUBATCH_CHAOS"
"""An environment variable that every pod of a run carries, so that none can hide."""
CRON_NAME = "minutely"
"""The CronJob that runs beside all rounds."""


class Machine:
    """One data directory, and whatever serves it."""

    def __init__(self, directory: Path, runtime: str, *options: str) -> None:
        self.runtime = runtime
        self._options = options
        self.data_dir = directory / "data"
        self.kubeconfig = directory / "kubeconfig"
        self.log = directory / "stderr"
        self._process: subprocess.Popen[str] | None = None
        # The port stays, so that clients find the next server.
        self._port = 0

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start a server and wait until it serves."""
        argv = [str(tools.KUBATCH), "up", "--data-dir", str(self.data_dir)]
        argv += ["--port", str(self._port), "--kubeconfig", str(self.kubeconfig)]
        argv += ["--runtime", self.runtime, *self._options]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        line = tools.lines_of(self._process)()
        assert str(self.kubeconfig) in line, f"the server did not start: {self.log.read_text()}"

    def kill_server(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop_server(self) -> None:
        """SIGTERM: pods go on."""
        self._end(signal.SIGTERM)

    def end(self) -> None:
        """As Ctrl-C: pods end too."""
        if self._process is not None:
            self._end(signal.SIGINT)

    def kill_shim(self) -> None:
        """kill -9 of the parent of all containers."""
        for pid in self.shims():
            _kill(pid)

    def cut_power(self) -> None:
        """Everything dies at once, as far as one process can do that to others."""
        victims = [*self.shims(), *self.monitors(), *self.pods()]
        for pid in victims:
            _signal(pid, signal.SIGSTOP)
        self.kill_server()
        for pid in victims:
            _kill(pid)
        for pid in self.pods():  # born while we looked
            _kill(pid)

    def pause(self) -> None:
        """The server stands still until it is resumed."""
        _signal(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        _signal(self.pid, signal.SIGCONT)

    def shims(self) -> list[int]:
        """Shims that serve this data directory."""
        place = os.fsencode(self.data_dir / "runtime")
        return [pid for pid, argv in _command_lines() if b"shim" in argv and place in argv]

    def pods(self) -> list[int]:
        """Processes of pods, by the mark in their environment."""
        mark = f"{MARK}={self.data_dir}".encode()
        return [pid for pid, environ in _read_all("environ") if mark in environ.split(b"\0")]

    def monitors(self) -> list[int]:
        """Processes outside of sandboxes that wait for what runs in them."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                # shim/sandboxed.py: file 4 is where they tell how it ended
                if os.readlink(entry / "fd/4").startswith(f"{self.data_dir}/runtime/"):
                    found.append(int(entry.name))
            except (OSError, ValueError):
                continue
        shims = self.shims()
        return [pid for pid in found if pid not in shims]

    def left_over(self) -> list[str]:
        """What pods left behind that are all deleted: processes, mounts, control groups, files."""
        found = [f"process {pid}: {_argv(pid)}" for pid in (*self.pods(), *self.monitors())]
        mounts = Path("/proc/mounts").read_text().splitlines()
        found += [f"mount {line}" for line in mounts if str(self.data_dir) in line]
        found += [f"control group {path}" for path in self.control_groups()]
        found += [f"file {path}" for path in self.in_memory()]
        for name in ("pods", "logs/pods", "runtime/containers"):
            place = self.data_dir / name
            if place.is_dir():
                # A CronJob of the whole run keeps the pods of its last Jobs.
                files = (path for path in place.iterdir() if CRON_NAME not in path.name)
                found += [f"file {path}" for path in files]
        return found

    def control_groups(self) -> list[Path]:
        """Those of pods; the shim's own, above them, may stay while it does."""
        here = (self.data_dir / "runtime").stat()
        name = f"kubatch-{here.st_dev:x}-{here.st_ino:x}"
        return [path for path in Path("/sys/fs/cgroup").glob(f"**/{name}/*") if path.is_dir()]

    def in_memory(self) -> list[Path]:
        """What volumes hold that must not touch the disk."""
        place = memory_directory(self.data_dir)
        # What says whose it is begins with a dot and stays.
        return [path for path in place.glob("*") if not path.name.startswith(".")]

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def keep_port(self, port: int) -> None:
        """Serve there from now on."""
        self._port = port


def _argv(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "gone"


def _command_lines() -> Iterator[tuple[int, bytes]]:
    return _read_all("cmdline")


def _read_all(name: str) -> Iterator[tuple[int, bytes]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                yield int(entry.name), Path(entry.path, name).read_bytes()
            except OSError:
                continue


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _kill(pid: int) -> None:
    _signal(pid, signal.SIGKILL)
