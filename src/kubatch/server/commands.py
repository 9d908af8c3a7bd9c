"""pods/exec and pods/attach: from a request to a program's streams and back.

registry/core/pod/rest/subresources.go, registry/core/pod/strategy.go: streamLocation;
kubelet/pkg/cri/streaming/remotecommand: ServeExec, ServeAttach. The messages are theirs.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from kubatch.api import errors
from kubatch.api.errors import Cause, Details
from kubatch.api.models import Pod
from kubatch.api.resource import PODS
from kubatch.client.protocol import Opener, PodStreams, Session, StreamFailed, StreamOptions
from kubatch.server import channels as ch
from kubatch.server import request
from kubatch.server.channels import Channels, Status
from kubatch.server.ending import end
from kubatch.server.pods import choose_container
from kubatch.server.replies import Call, Upgrade
from kubatch.server.upgrade import Door, is_spdy, is_websocket
from kubatch.settings import Settings

if TYPE_CHECKING:
    from kubatch.registry.api import Registry

logger = logging.getLogger(__name__)

_OUTPUTS = {"stdout": ch.STDOUT, "stderr": ch.STDERR}


async def execute(
    call: Call, registry: Registry, streams: PodStreams, settings: Settings
) -> Command:
    """pods/exec. Raises ApiError 400, 404 and NodeRefused."""
    info = call.info
    pod = await find_pod(call, registry)
    container = choose_container(pod, request.first(info.query, "container"))
    check_place(call, pod)
    options = _options(info.query)
    command = list(info.query.get("command", ()))
    if not command:
        raise errors.bad_request("you must specify at least one command for the container")
    opener = await streams.exec(info.namespace or "", info.name, container, command, options)
    return Command(opener, options, settings, "executing command in container", tells_code=True)


async def attach(
    call: Call, registry: Registry, streams: PodStreams, settings: Settings
) -> Command:
    """pods/attach. Raises ApiError 400, 404 and NodeRefused."""
    info = call.info
    pod = await find_pod(call, registry)
    container = choose_container(pod, request.first(info.query, "container"))
    check_place(call, pod)
    options = _options(info.query)
    opener = await streams.attach(info.namespace or "", info.name, container, options)
    return Command(opener, options, settings, "attaching to container", tells_code=False)


async def find_pod(call: Call, registry: Registry) -> Pod:
    """The pod that the path names. Raises ApiError 404."""
    entry = await registry.get(PODS, call.info.namespace, call.info.name)
    pod: Pod = entry.obj
    return pod


def check_place(call: Call, pod: Pod) -> None:
    """The pod must be on a node, and the client ready to upgrade. Raises ApiError 400."""
    if pod.spec is None or not pod.spec.nodeName:
        raise errors.bad_request(f"pod {call.info.name} does not have a host assigned")
    if not (is_websocket(call.headers) or is_spdy(call.headers)):
        raise errors.bad_request("Upgrade request required")


def _options(query: request.Query) -> StreamOptions:
    """Raises ApiError 400 (remotecommand: NewOptions)."""
    stdin, stdout, stderr, tty = (
        request.flag(query, name) for name in ("stdin", "stdout", "stderr", "tty")
    )
    options = StreamOptions(stdin, stdout, stderr and not tty, tty)
    if not (stdin or stdout or options.stderr):
        raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
    return options


@dataclass(frozen=True)
class Command(Upgrade):
    """A program's streams, for one client."""

    opener: Opener
    options: StreamOptions
    settings: Settings
    doing: str  # for messages
    tells_code: bool  # whether the client hears the exit code

    async def run(self, door: Door, closing: asyncio.Future[None]) -> web.StreamResponse:
        """Upgrade, start, and copy until the program or the client is done. Raises ApiError."""
        seconds = self.settings.stream_creation_timeout
        try:
            channels = await ch.open_channels(door, self.options, seconds)
        except TimeoutError:
            logger.debug("a client did not create its streams in time")
            return door.response
        try:
            status = await self._serve(channels, closing)
            if status is not None:
                await channels.finish(status)
        except ConnectionError:
            pass  # the client left
        finally:
            await channels.close()
        return door.response

    async def _serve(self, channels: Channels, closing: asyncio.Future[None]) -> Status | None:
        try:
            session = await self.opener()
        except StreamFailed as error:
            return self._failure(error)
        try:
            talk = _Talk(session, channels, self.options, self.settings.stream_idle_timeout)
            code = await talk.run(closing)
        except ConnectionError:
            raise
        except Exception as error:
            logger.debug("%s failed", self.doing, exc_info=True)
            return self._failure(error)
        finally:
            await session.close()
        if code is None:
            return None
        return exit_status(code) if self.tells_code else SUCCESS

    def _failure(self, error: Exception) -> Status:
        return internal_status(f"error {self.doing}: {error}")


SUCCESS: Status = {"status": "Success"}


def exit_status(code: int) -> Status:
    """What a client learns of an exit code."""
    if code == 0:
        return SUCCESS
    return {
        "status": "Failure",
        "message": "command terminated with non-zero exit code: "
        f"command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def internal_status(why: str) -> Status:
    """What a client learns when there is no exit code (api/errors: NewInternalError)."""
    error = errors.internal(why)
    error.details = Details(causes=(Cause("", why),))
    status: dict[str, Any] = error.to_status()
    return {k: v for k, v in status.items() if k not in ("kind", "apiVersion", "metadata")}


class _Talk:
    """Copying in all directions at once."""

    def __init__(
        self, session: Session, channels: Channels, options: StreamOptions, idle_s: float
    ) -> None:
        self._session = session
        self._channels = channels
        self._options = options
        self._idle_s = idle_s
        self._now = asyncio.get_running_loop().time
        self._active_at = self._now()

    async def run(self, closing: asyncio.Future[None]) -> int | None:
        """The exit code; None when the client left, or nothing happened for too long."""
        over = asyncio.create_task(self._program())
        gone = asyncio.create_task(self._input())
        try:
            while not (over.done() or gone.done() or closing.done()):
                left = self._active_at + self._idle_s - self._now()
                if left <= 0:
                    return None
                await asyncio.wait(
                    (over, gone, closing), timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
            return over.result() if over.done() else None
        finally:
            await end(over, gone)

    async def _program(self) -> int:
        copies = [
            asyncio.create_task(self._output(name, number)) for name, number in _OUTPUTS.items()
        ]
        try:
            await asyncio.gather(*copies)
        finally:
            await end(*copies)
        return await self._session.wait()

    async def _output(self, name: str, number: int) -> None:
        wanted = getattr(self._options, name)  # what nobody wants must be read all the same
        while data := await self._session.read(name):
            self._active_at = self._now()
            if wanted:
                await self._channels.send(number, data)

    async def _input(self) -> None:
        sizes = ch.Sizes()
        while (received := await self._channels.receive()) is not None:
            self._active_at = self._now()
            number, data = received
            if number == ch.STDIN and self._options.stdin:
                if data is None:
                    await self._session.end_input()
                else:
                    await self._session.write(data)
            elif number == ch.RESIZE and data is not None:
                for width, height in sizes.feed(data):
                    await self._session.resize(width, height)
