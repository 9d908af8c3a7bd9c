"""Asking a container: a program run in it, a request, a connection.

pkg/kubelet/prober/prober.go: runProbe, and pkg/probe for each kind of question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from kubatch.agent import grpc_health, http_get
from kubatch.agent.env import expand
from kubatch.agent.probes import Answer, Outcome, Probe
from kubatch.api import models as m
from kubatch.runtime.protocol import (
    SIGKILL,
    ContainerId,
    ContainerNotFound,
    ExecFailed,
    Runtime,
    RuntimeUnavailable,
    Session,
)

USER_AGENT = "kube-probe/1.36"
# pkg/probe/exec/exec.go: maxReadLength
OUTPUT_BYTES_MAX = 10 * 1024
# So many questions are open at a time, however many pods there are: each takes files, and a
# program that is run a process. Time begins to count for one when it is its turn.
PROGRAMS_MAX = 32
CONNECTIONS_MAX = 256


class CannotAsk(Exception):
    """The question could not be put; the text says why."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that ended."""

    code: int
    output: str
    errors: str


async def run(runtime: Runtime, id: ContainerId, argv: Sequence[str]) -> Ran:
    """Run a program in a container, and end it with whoever waits. Raises CannotAsk."""
    try:
        session = await runtime.exec(id, argv, tty=False, stdin=False, on_close=SIGKILL)
    except ContainerNotFound as error:
        raise CannotAsk(f'container not found ("{id.container}")') from error
    except (ExecFailed, RuntimeUnavailable) as error:
        raise CannotAsk(str(error)) from error
    try:
        both = _Limited()
        errors = _Limited()
        await asyncio.gather(
            _read(session, "stdout", (both,)), _read(session, "stderr", (both, errors))
        )
        code = await session.wait()
    except RuntimeUnavailable as error:
        raise CannotAsk(str(error)) from error
    finally:
        await session.close()
    return Ran(code, both.text(), errors.text())


class _Limited:
    """The beginning of an output."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        self._data += data[: OUTPUT_BYTES_MAX - len(self._data)]

    def text(self) -> str:
        return self._data.decode(errors="replace")


async def _read(session: Session, stream: str, into: Sequence[_Limited]) -> None:
    while data := await session.read(stream):
        for kept in into:
            kept.add(data)


def port_of(port: int | str, container: m.Container) -> int:
    """A port's number (pkg/probe/util.go: ResolveContainerPort). Raises CannotAsk."""
    if isinstance(port, int):
        return port
    for known in container.ports or ():
        if known.name == port:
            return known.containerPort
    if port.isdigit():
        return int(port)
    raise CannotAsk(f"strconv.Atoi: parsing {_quoted(port)}: invalid syntax")


def _quoted(text: str) -> str:
    return f'"{text}"'


def http_request(
    action: m.core_v1.HTTPGetAction, container: m.Container, address: str, user_agent: str
) -> http_get.Request:
    """The request that an httpGet means. Raises CannotAsk."""
    return http_get.request(
        action.scheme or "HTTP",
        action.host or address,
        port_of(action.port, container),
        action.path or "/",
        [(header.name, header.value) for header in action.httpHeaders or ()],
        user_agent,
    )


class Asker:
    """Puts the questions of probes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._programs = asyncio.Semaphore(PROGRAMS_MAX)
        self._connections = asyncio.Semaphore(CONNECTIONS_MAX)

    async def ask(
        self, probe: Probe, container: m.Container, id: ContainerId, address: str
    ) -> Answer:
        """One answer; an error is no answer, and is tried again at once, as upstream."""
        async with self._programs if probe.asks.exec is not None else self._connections:
            return await self._ask(probe, container, id, address)

    async def _ask(
        self, probe: Probe, container: m.Container, id: ContainerId, address: str
    ) -> Answer:
        asks = probe.asks
        try:
            if asks.exec is not None:
                return await self._run(asks.exec.command or [], container, id, probe.timeout)
            if asks.httpGet is not None:
                return await _get(asks.httpGet, container, address, probe.timeout)
            if asks.tcpSocket is not None:
                port = port_of(asks.tcpSocket.port, container)
                return await _dial(asks.tcpSocket.host or address, port, probe.timeout)
            if asks.grpc is not None:
                service = asks.grpc.service or ""
                return await grpc_health.check(
                    address, asks.grpc.port, service, probe.timeout, USER_AGENT
                )
        except CannotAsk as error:
            return Answer(Outcome.UNKNOWN, str(error))
        return Answer(Outcome.UNKNOWN, f"missing probe handler for {container.name}")

    async def _run(
        self, command: Sequence[str], container: m.Container, id: ContainerId, seconds: float
    ) -> Answer:
        """kubecontainer: ExpandContainerCommandOnlyStatic; only literal variables are known."""
        known = {var.name: var.value or "" for var in container.env or () if not var.valueFrom}
        argv = [expand(word, known) for word in command]
        try:
            async with asyncio.timeout(seconds):
                ran = await run(self._runtime, id, argv)
        except TimeoutError:
            shown = _quoted(" ".join(argv))
            return Answer(
                Outcome.FAILURE, f"command timed out: {shown} timed out after {seconds:g}s"
            )
        return Answer(Outcome.FAILURE if ran.code else Outcome.SUCCESS, ran.output)


async def _get(
    action: m.core_v1.HTTPGetAction, container: m.Container, address: str, seconds: float
) -> Answer:
    """pkg/probe/http/http.go: DoHTTPProbe."""
    asked = http_request(action, container, address, USER_AGENT)
    try:
        async with asyncio.timeout(seconds):
            response = await http_get.get(asked)
    except http_get.RequestFailed as error:
        return Answer(Outcome.FAILURE, str(error))
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Answer(Outcome.FAILURE, f'Get "{asked.url}": {why}')
    body = response.body.decode(errors="replace")
    if not 200 <= response.status < 400:
        return Answer(Outcome.FAILURE, f"HTTP probe failed with statuscode: {response.status}")
    if response.status >= 300:
        return Answer(Outcome.WARNING, f"Probe terminated redirects, Response body: {body}")
    return Answer(Outcome.SUCCESS, body)


async def _dial(host: str, port: int, seconds: float) -> Answer:
    """pkg/probe/tcp/tcp.go: DoTCPProbe."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await http_get.connect(host, port)
    except http_get.RequestFailed as error:
        return Answer(Outcome.FAILURE, str(error))
    except TimeoutError:
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return Answer(Outcome.FAILURE, f"dial tcp {shown}: i/o timeout")
    writer.transport.abort()
    return Answer(Outcome.SUCCESS)
