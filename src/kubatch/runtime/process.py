"""Containers as plain host processes, children of a shim that outlives this server.

`ProcessRuntime` is a client: shim/ does the work, and keeps doing it while nobody is connected.
A shim that died is replaced at once; what it ran is found again through its journal, running but
with an unknown end to come, or ended in an unknown way.

A supervisor must leave the shim alone when it stops the server: under systemd, KillMode=process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from kubatch import __version__
from kubatch.runtime.protocol import (
    SIGHUP,
    Container,
    ContainerId,
    ContainerNotFound,
    ContainerSpec,
    ContainerState,
    Limits,
    Runtime,
    RuntimeUnavailable,
    Usage,
)
from kubatch.runtime.session import ProcessSession, start_session
from kubatch.runtime.usage import Running, measure

_PROTOCOL = 2  # shim/server.py: PROTOCOL
_SOCKET = "shim.sock"
_PROGRAM = Path(__file__).with_name("shim") / "__main__.py"
_LAUNCH_TIMEOUT_S = 10.0
_RETRY_S = 0.02
_SHIM_LOG_BYTES_MAX = 1 << 20
_LOCKED = 3  # exit code: another shim has the directory
# All that a Python started by us may need; the server's environment may hold secrets.
_SHIM_ENV = ("PATH", "LD_LIBRARY_PATH", "TZ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class ProcessRuntime(Runtime):
    """The Runtime whose containers are host processes; see runtime/protocol.py."""

    name = "process"
    version = __version__

    def __init__(
        self,
        directory: Path,
        *,
        log_file_bytes_max: int = 10 * 1024 * 1024,
        log_files_max: int = 5,
    ) -> None:
        self._directory = directory
        self._log_file_bytes_max = log_file_bytes_max
        self._log_files_max = log_files_max
        self._link: _Link | None = None
        self._linking = asyncio.Lock()
        self._reconnect: asyncio.Task[None] | None = None
        self._known: dict[ContainerId, Container] = {}
        self._groups: dict[ContainerId, Mapping[str, str]] = {}  # of containers with limits
        self._changes: deque[Container] = deque()
        self._changed = asyncio.Event()
        self._open = False

    async def open(self) -> None:
        """Connect to the shim, or start one, and learn what it knows."""
        self._open = True
        try:
            await self._connected()
        except BaseException:
            self._open = False
            raise
        self._changes.clear()  # what ran before is for observe() to tell

    async def start(self, spec: ContainerSpec) -> Container:
        """Start a container; many starts may be under way at once."""
        answer = await self._ask("start", **self._request(spec))
        return _container(answer["c"])

    def _request(self, spec: ContainerSpec) -> dict[str, Any]:
        """What the shim is told to start a container."""
        request: dict[str, Any] = {
            "id": spec.id,
            "argv": spec.argv,
            "env": dict(spec.env),
            "cwd": spec.working_dir,
            "log": str(spec.log_path),
            "labels": dict(spec.labels),
            "tty": spec.tty,
            "stdin": spec.stdin,
            "stdin_once": spec.stdin_once,
            "log_bytes": self._log_file_bytes_max,
            "log_files": self._log_files_max,
        }
        if spec.limits is not None or spec.pod_limits is not None:
            request["limits"] = {**_limits(spec.limits), "pod": _limits(spec.pod_limits)}
        if spec.network is not None:
            request["network"] = str(spec.network)
        if spec.mounts and not self.features.mounts:
            request["refused"] = f"the {self.name} runtime cannot mount {spec.mounts[0].target}"
        return request

    async def signal(self, id: ContainerId, number: int) -> None:
        """Send a signal to the container's process group."""
        await self._ask("signal", id=id, signal=int(number))

    async def observe(self) -> Sequence[Container]:
        """Ask the shim for everything it knows."""
        answer = await self._ask("list")
        return [_container(record) for record in answer["all"]]

    async def changes(self) -> AsyncIterator[Container]:
        """Starts and exits as they happen, until close()."""
        while True:
            while self._changes:
                yield self._changes.popleft()
            if not self._open:
                return
            self._changed.clear()
            await self._changed.wait()

    async def remove(self, id: ContainerId) -> None:
        """Forget an attempt; one that runs is killed, and its exit is seen first."""
        await self._ask("remove", id=id)

    async def exec(
        self,
        id: ContainerId,
        argv: Sequence[str],
        *,
        tty: bool,
        stdin: bool,
        on_close: int = SIGHUP,
    ) -> ProcessSession:
        """Start one more program beside a container's own."""
        request = {"op": "exec", "id": id, "argv": list(argv), "tty": tty, "on_close": on_close}
        return await start_session(await self._session_socket(), request, tty=tty, stdin=stdin)

    async def attach(self, id: ContainerId, *, stdin: bool) -> ProcessSession:
        """The streams of a container's own program."""
        request = {"op": "attach", "id": id}
        return await start_session(await self._session_socket(), request, tty=False, stdin=stdin)

    async def usage(self) -> Sequence[Usage]:
        """What each running container uses, read in a thread of its own."""
        running = [
            Running(id, seen.pid, self._groups.get(id, {}), self._layer(id))
            for id, seen in self._known.items()
            if seen.state is ContainerState.RUNNING and seen.pid
        ]
        return await asyncio.to_thread(measure, running) if running else ()

    def _layer(self, id: ContainerId) -> Path | None:
        """Where a container's own files lie; a plain process has none."""
        return None

    async def _session_socket(self) -> socket.socket:
        """A connection of its own for one session, to a shim that answers."""
        await self._connected()
        sock = await asyncio.to_thread(_reach, self._directory)
        if sock is None:
            raise RuntimeUnavailable("the shim has gone")
        return sock

    async def close(self, *, kill: bool) -> None:
        """Disconnect; with kill, end every container and the shim."""
        if not self._open:
            return
        try:
            self._open = False
            if kill:
                await self._end_everything()
        finally:
            self._changed.set()
            if self._reconnect is not None:
                self._reconnect.cancel()
                with contextlib.suppress(asyncio.CancelledError, RuntimeUnavailable):
                    await self._reconnect
            if self._link is not None:
                await self._link.close()
                self._link = None

    async def _end_everything(self) -> None:
        for tries_left in (1, 0):
            link = await self._linked()
            try:
                await link.ask("shutdown", {})
                break
            except RuntimeUnavailable:  # died just now: another one must end what it left
                if not tries_left:
                    raise
        await link.gone()

    async def _ask(self, op: str, **values: Any) -> dict[str, Any]:
        link = await self._connected()
        answer = await link.ask(op, values)
        if "missing" in answer:
            raise ContainerNotFound(ContainerId(*values["id"]))
        return answer

    async def _connected(self) -> _Link:
        """The living connection, made if there is none."""
        if not self._open:
            raise RuntimeUnavailable("the process runtime is not open")
        return await self._linked()

    async def _linked(self) -> _Link:
        async with self._linking:
            if self._link is None or self._link.lost:
                link = await _connect(self._directory, self._received, self._disconnected)
                self._link = link
            return self._link

    def _disconnected(self) -> None:
        if self._open and (self._reconnect is None or self._reconnect.done()):
            self._reconnect = asyncio.get_running_loop().create_task(self._connect_again())

    async def _connect_again(self) -> None:
        while self._open:
            try:
                await self._connected()
                return
            except RuntimeUnavailable:
                await asyncio.sleep(1.0)

    def _received(self, message: Mapping[str, Any]) -> None:
        """Learn from what the shim says, asked or not."""
        if "limits" in message:
            self.features = replace(self.features, limits=frozenset(message["limits"]))
        if "all" in message:
            for record in message["all"]:
                self._learn(record)
            present = {ContainerId(*record["id"]) for record in message["all"]}
            for id in self._known.keys() - present:
                del self._known[id]
        if "c" in message:
            self._learn(message["c"])
        if "gone" in message:
            self._known.pop(ContainerId(*message["gone"]), None)

    def _learn(self, record: Mapping[str, Any]) -> None:
        seen = _container(record)
        known = self._known.get(seen.id)
        # A list made before an end can arrive after it; an ended attempt does not run again.
        if seen == known or (known is not None and known.state is ContainerState.EXITED):
            return
        self._known[seen.id] = seen
        if "cgroup" in record and seen.state is ContainerState.RUNNING:
            self._groups[seen.id] = record["cgroup"]
        else:
            self._groups.pop(seen.id, None)
        self._changes.append(seen)
        self._changed.set()


class _Link(asyncio.Protocol):
    """One connection to one shim."""

    def __init__(self, received: Callable[[Mapping[str, Any]], None]) -> None:
        self.lost = False
        self.shim_pid = 0
        self._received = received
        self._disconnected: Callable[[], None] = lambda: None
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.get_running_loop().create_future()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._incoming = b""
        self._outgoing: list[str] = []

    async def ask(self, op: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        if self.lost or self._transport is None:
            raise RuntimeUnavailable("the shim has gone")
        loop = asyncio.get_running_loop()
        self._number += 1
        number = self._number
        future: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._waiting[number] = future
        if not self._outgoing:
            loop.call_soon(self._flush)  # the requests of one turn make one write
        self._outgoing.append(_encode({"n": number, "op": op, **values}) + "\n")
        try:
            answer = await future
        finally:
            self._waiting.pop(number, None)
        if "error" in answer:
            raise RuntimeUnavailable(f"shim: {answer['error']}")
        return answer

    async def greet(self) -> None:
        """Learn who answers, and everything it knows."""
        hello = await self.ask("hello", {})
        self.shim_pid = hello["pid"]
        if hello["protocol"] != _PROTOCOL:
            raise RuntimeUnavailable(
                f"the shim (pid {self.shim_pid}) is of another version of kubatch; "
                "it ends by itself some seconds after its last container"
            )

    def when_lost(self, call: Callable[[], None]) -> None:
        """Set what to call when the connection breaks; at once if it has."""
        self._disconnected = call
        if self.lost:
            call()

    async def close(self) -> None:
        """Close the connection and wait until it is."""
        self._disconnected = lambda: None
        if self._transport is not None:
            self._transport.close()
            await self._closed

    async def gone(self) -> None:
        """Wait until the shim's process has ended."""
        await self._closed
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(self.shim_pid)
            loop = asyncio.get_running_loop()
            ended = asyncio.Event()
            loop.add_reader(fd, ended.set)
            try:
                await asyncio.wait_for(ended.wait(), _LAUNCH_TIMEOUT_S)
            finally:
                loop.remove_reader(fd)
                os.close(fd)

    def _flush(self) -> None:
        data = "".join(self._outgoing).encode("utf-8", "surrogatepass")
        self._outgoing.clear()
        if self._transport is not None:
            self._transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: uvloop's transports have the methods and not the base.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._incoming = (self._incoming + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            self._received(message)
            future = self._waiting.get(message.get("n", 0))
            if future is not None and not future.done():
                future.set_result(message)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._transport = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(RuntimeUnavailable("the shim has gone"))
        if not self._closed.done():
            self._closed.set_result(None)
        self._disconnected()


async def _connect(
    directory: Path,
    received: Callable[[Mapping[str, Any]], None],
    disconnected: Callable[[], None],
) -> _Link:
    """Connect to the directory's shim; start one when none answers."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LAUNCH_TIMEOUT_S
    while True:
        sock = _reach(directory)
        if sock is not None:
            _, link = await loop.create_unix_connection(lambda: _Link(received), sock=sock)
            try:
                await link.greet()
            except BaseException as error:
                lost = link.lost
                await link.close()
                # A shim may end, being idle, just when we come.
                if not (lost and isinstance(error, RuntimeUnavailable)):
                    raise
            else:
                link.when_lost(disconnected)
                return link
        if loop.time() > deadline:
            raise RuntimeUnavailable(f"no shim answers in {directory}")
        code = await asyncio.to_thread(_launch, directory)
        if code == _LOCKED:
            await asyncio.sleep(_RETRY_S)
        elif code:
            raise RuntimeUnavailable(f"the shim could not start, see {directory}/shim.log")


def _reach(directory: Path) -> socket.socket | None:
    """A socket connected to the shim; None when nobody listens."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        # Through /proc, since a socket's address has only 108 bytes.
        folder = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        try:
            sock.connect(f"/proc/self/fd/{folder}/{_SOCKET}")
        finally:
            os.close(folder)
    except OSError:
        sock.close()
        return None
    return sock


def _launch(directory: Path) -> int:
    """Start a shim and wait until it answers; its exit code otherwise."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        log_path = directory / "shim.log"
        if log_path.exists() and log_path.stat().st_size > _SHIM_LOG_BYTES_MAX:
            log_path.unlink()
        log_fd = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise RuntimeUnavailable(f"the shim could not start: {error}") from error
    try:
        # Without a timeout, for with one Python polls; the first process of the shim has its own.
        return subprocess.run(
            [sys.executable, "-X", "utf8", "-S", "-I", "-E", str(_PROGRAM), str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log_fd,
            start_new_session=True,
            cwd="/",
            env={name: os.environ[name] for name in _SHIM_ENV if name in os.environ},
            check=False,
        ).returncode
    except OSError as error:
        raise RuntimeUnavailable(f"the shim could not start: {error}") from error
    finally:
        os.close(log_fd)


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def _limits(limits: Limits | None) -> dict[str, int]:
    """Limits as the shim has them."""
    if limits is None:
        return {}
    all_of_them = {
        "memory": limits.memory_bytes,
        "cpu_quota": limits.cpu_quota_us,
        "cpu_shares": limits.cpu_shares,
        "pids": limits.pids,
    }
    return {name: value for name, value in all_of_them.items() if value}


def _container(record: Mapping[str, Any]) -> Container:
    """The shim's record as the protocol's observation."""
    exited = record["state"] == "exited"
    return Container(
        id=ContainerId(*record["id"]),
        state=ContainerState.EXITED if exited else ContainerState.RUNNING,
        pid=record.get("pid"),
        started_at=_moment(record.get("started_at")),
        finished_at=_moment(record.get("finished_at")),
        exit_code=record.get("exit_code"),
        reason=record.get("reason", ""),
        message=record.get("message", ""),
        max_rss_bytes=record.get("max_rss_bytes"),
        cpu_seconds=record.get("cpu_seconds"),
        labels=record["labels"],
    )
