"""The Runtime waist: what the node agent asks of whatever runs containers.

The values here carry no Pod rules. A container engine behind CRI, a bubblewrap sandbox, a plain
host process and a script in a simulation all fit behind these methods, and the shared suite
tests/suites/runtime_suite.py holds each of them to the same behaviour.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

SIGHUP, SIGKILL = 1, 9
LIMITS = frozenset(("cpu", "memory", "pids"))


class ContainerId(NamedTuple):
    """Names one attempt to run one container of one pod; unique on a node for ever."""

    pod_uid: str
    container: str
    attempt: int  # 0 for the first run, as restartCount


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or directory of this machine, or fresh memory, at a path of the container."""

    target: str  # absolute, as the container sees it
    source: Path | None = None  # None: an empty file system in memory
    read_only: bool = False
    size_bytes: int | None = None  # of memory; None: what the kernel allows
    # (st_dev, st_ino) of the source. A container that shares the volume could put something else
    # in its place between a look at it and the mount, so it is compared once it is mounted.
    identity: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Isolation:
    """How a container is kept apart, and who it runs as."""

    hostname: str = ""
    user: int | None = None  # None: whoever runs the runtime
    group: int | None = None
    groups: tuple[int, ...] = ()  # supplementary
    read_only_root: bool = False
    capabilities_add: frozenset[str] = frozenset()  # without CAP_
    capabilities_drop: frozenset[str] = frozenset()  # "ALL" drops the defaults too
    privileged: bool = False  # every capability, and the machine's devices
    # Namespaces of others instead of the container's own.
    host_processes: bool = False
    host_ipc: bool = False
    pod_processes: bool = False  # shared with the pod's other containers
    pod_ipc: bool = False
    processes_of: str = ""  # those of this container of the pod, which must run


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container may use, in the kernel's units; None: as much as there is."""

    memory_bytes: int | None = None
    cpu_quota_us: int | None = None  # of every 100 ms
    cpu_shares: int | None = None  # 1024 for one CPU; counts when CPUs are short
    pids: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a running container uses."""

    id: ContainerId
    cpu_seconds: float  # since it started
    memory_bytes: int  # what could not be taken from it: its working set
    layer: Path | None = None  # where what it writes outside volumes lies, if anywhere of its own


@dataclass(frozen=True, slots=True)
class Features:
    """What a runtime can do beyond running a program as itself."""

    mounts: bool = False  # mounts and isolation; else a spec must have neither
    users: bool = False  # any user and group
    groups: bool = False  # supplementary groups
    capabilities: frozenset[str] = frozenset()  # those it can give
    privileged: bool = False  # privileged containers, and namespaces of the pod or the machine
    limits: frozenset[str] = LIMITS  # those it enforces, known once it is open


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Everything needed to run a container, with nothing left to look up."""

    id: ContainerId
    argv: tuple[str, ...]  # never empty; argv[0] is searched on env["PATH"]
    env: Mapping[str, str]  # the whole environment
    working_dir: str | None  # None: the runtime's default
    log_path: Path  # absolute; the runtime makes parent directories, and writes CRI log lines
    labels: Mapping[str, str] = field(default_factory=dict)  # returned by observe, not interpreted
    tty: bool = False  # on a pseudo terminal, whose output is all stdout
    stdin: bool = False  # an input that stays open; else there is nothing to read
    stdin_once: bool = False  # the input ends with the first attach that wrote to it
    mounts: tuple[Mount, ...] = ()  # later ones over earlier ones
    isolation: Isolation | None = None
    limits: Limits | None = None  # None: the runtime need not keep account of it
    pod_limits: Limits | None = None  # of all containers of the pod together
    network: Path | None = None  # the network namespace it is put into; None: the runtime's own


class ContainerState(Enum):
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Container:
    """What the runtime knows about one attempt: an observation, never a wish."""

    id: ContainerId
    state: ContainerState
    pid: int | None
    started_at: datetime | None  # None only when it never started
    finished_at: datetime | None = None
    exit_code: int | None = None  # 128 + n for death by signal n
    # Set when the runtime, not the program, ended the attempt: "StartError" (exit code 128) when
    # the program could not be started, "ContainerStatusUnknown" (137) when its end was not seen,
    # "OOMKilled" when the kernel ended a process of it at its memory limit.
    reason: str = ""
    message: str = ""
    max_rss_bytes: int | None = None  # peak resident memory, from wait4
    cpu_seconds: float | None = None  # user plus system time, from wait4
    labels: Mapping[str, str] = field(default_factory=dict)


class ContainerNotFound(Exception):
    """The runtime has no such container."""


class RuntimeUnavailable(Exception):
    """The runtime cannot be reached; what it runs may still run."""


class ExecFailed(Exception):
    """A program could not be started in a container, or its streams could not be reached."""


class Session(Protocol):
    """The streams of one program, for one viewer, who closes it.

    Nothing is buffered beyond what pipes hold: a program whose output is not read waits. With a
    terminal all output is "stdout".
    """

    async def read(self, stream: str) -> bytes:
        """The next output on "stdout" or "stderr"; b"" at its end."""
        ...

    async def write(self, data: bytes) -> None:
        """Input, waiting until it is taken; dropped when the program reads no input any more."""
        ...

    async def end_input(self) -> None:
        """No more input. A terminal has no end of input, so there this does nothing."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """The terminal's size in characters; nothing without a terminal."""
        ...

    async def wait(self) -> int:
        """The exit code; 128 + n for death by signal n. Raises RuntimeUnavailable."""
        ...

    async def close(self) -> None:
        """Let go. An exec'd program that still runs is hung up on, as exec was told."""
        ...


class Runtime(Protocol):
    """Runs containers. Every method may raise RuntimeUnavailable."""

    name: str  # "process", "sandbox", "scripted", as in nodeInfo.containerRuntimeVersion
    version: str
    features: Features = Features()

    async def open(self) -> None:
        """Connect, and find again what ran before. Must be called first, once."""
        ...

    async def start(self, spec: ContainerSpec) -> Container:
        """Start a container and return its first observation.

        Idempotent by id: a second start of a known id changes nothing and returns what is known.
        A program that cannot be started is an EXITED container with reason "StartError", exit
        code 128 and a message, not an exception.
        """
        ...

    async def signal(self, id: ContainerId, number: int) -> None:
        """Send a signal to the container's whole process group; no error if it has ended."""
        ...

    async def observe(self) -> Sequence[Container]:
        """Every attempt the runtime knows and that was not removed, in no order."""
        ...

    def changes(self) -> AsyncIterator[Container]:
        """Each observation that differs from the one before: starts and exits, as they happen.

        One consumer. Nothing observed after open() returned is missed.
        """
        ...

    async def remove(self, id: ContainerId) -> None:
        """Forget an exited attempt; kills it first if it runs. Its log file stays."""
        ...

    async def exec(
        self,
        id: ContainerId,
        argv: Sequence[str],
        *,
        tty: bool,
        stdin: bool,
        on_close: int = SIGHUP,
    ) -> Session:
        """Run one more program in a running container, with its environment and directory.

        It ends with the container; when the session is closed before, it is sent the signal
        `on_close`. Raises ContainerNotFound when the container does not run, and
        ExecFailed when the program cannot be started.
        """
        ...

    async def attach(self, id: ContainerId, *, stdin: bool) -> Session:
        """The streams of the container's own program: its output from now on, and its input.

        Raises ContainerNotFound when the container does not run, and ExecFailed.
        """
        ...

    async def usage(self) -> Sequence[Usage]:
        """What each running container uses now, as far as the runtime can tell."""
        return ()

    async def close(self, *, kill: bool) -> None:
        """Disconnect. With kill, first end everything (SIGKILL) and leave no process behind."""
        ...
