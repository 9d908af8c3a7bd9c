"""Namespaces that a pod's containers share: each such pod has a process that holds them.

To the shim it is one more container, so it outlives us and the shim as the others do; nobody else
hears of it. It comes with the pod's first container that runs, and goes with the last.

It keeps every capability, and so none of the pod's processes, which have fewer, may look through
/proc at its files (ptrace(2), "access mode checking").
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kubatch.runtime.protocol import (
    Container,
    ContainerId,
    ContainerNotFound,
    ContainerSpec,
    ContainerState,
    RuntimeUnavailable,
)

NAME = "@pod"  # no container can be called so
# Process 1 of the pod, where processes are shared: what is left by others becomes its own.
PROGRAM = ("sh", "-c", "while :; do sleep 1000000 & wait; done")
_READY_S = 5.0
_READY_LOOKS = 1000


def is_holder(id: ContainerId) -> bool:
    """Whether an attempt is not a container's."""
    return id.container == NAME


def told(path: str) -> list[str]:
    """bubblewrap's arguments for a holder."""
    own = ["--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts"]
    files = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--chdir", "/"]
    return [*own, *files, "--clearenv", "--setenv", "PATH", path]


def needed(spec: ContainerSpec) -> bool:
    """Whether a container shares something with its pod."""
    return spec.isolation is not None and (spec.isolation.pod_processes or spec.isolation.pod_ipc)


@dataclass
class _Pod:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    holder: ContainerId | None = None
    process: int | None = None
    users: int = 0  # starts under way


class Holders:
    """The holders of all pods that have one."""

    def __init__(
        self,
        known: Mapping[ContainerId, Container],
        start: Callable[[ContainerId], Awaitable[Container]],
        remove: Callable[[ContainerId], Awaitable[None]],
        process: Callable[[ContainerId], int | None],
    ) -> None:
        """`process` is a holder's process once its namespaces are there, until then None."""
        self._known = known
        self._start = start
        self._remove = remove
        self._process = process
        self._pods: dict[str, _Pod] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def adopt(self) -> None:
        """Take over what is known already; whoever has nothing to hold any more is ended."""
        for id, seen in self._known.items():
            if is_holder(id) and seen.state is ContainerState.RUNNING:
                self._pods[id.pod_uid] = _Pod(holder=id, process=self._process(id))
                self.noticed(id.pod_uid)

    def process_of(self, spec: ContainerSpec) -> int | None:
        """The process whose namespaces a container is to join."""
        pod = self._pods.get(spec.id.pod_uid)
        return pod.process if pod is not None and needed(spec) else None

    @asynccontextmanager
    async def held(self, spec: ContainerSpec) -> AsyncIterator[None]:
        """Make sure that a container's pod has a holder while it is started."""
        if not needed(spec):
            yield
            return
        uid = spec.id.pod_uid
        pod = self._pods.setdefault(uid, _Pod())
        pod.users += 1
        try:
            async with pod.lock:
                if pod.holder is None or not self._runs(pod.holder):
                    pod.holder = self._fresh(uid)
                    await self._start(pod.holder)
                pod.process = await self._made(pod.holder)
            yield
        finally:
            pod.users -= 1
            self.noticed(uid)

    def noticed(self, uid: str) -> None:
        """Something of a pod has changed."""
        pod = self._pods.get(uid)
        if pod is not None and not self._in_use(uid, pod):
            task = asyncio.get_running_loop().create_task(self._end(uid, pod))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def settled(self) -> None:
        """Wait until what is being ended has ended."""
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _end(self, uid: str, pod: _Pod) -> None:
        async with pod.lock:
            if self._in_use(uid, pod):
                return
            if pod.holder is not None:
                try:
                    await self._remove(pod.holder)
                except (ContainerNotFound, RuntimeUnavailable):
                    pass  # looked at again when we next meet it
            pod.holder = pod.process = None
        if not pod.users:
            self._pods.pop(uid, None)

    def _in_use(self, uid: str, pod: _Pod) -> bool:
        return pod.users > 0 or any(
            id.pod_uid == uid and not is_holder(id) and seen.state is ContainerState.RUNNING
            for id, seen in self._known.items()
        )

    def _runs(self, id: ContainerId) -> bool:
        seen = self._known.get(id)
        return seen is not None and seen.state is ContainerState.RUNNING

    def _fresh(self, uid: str) -> ContainerId:
        used = [id.attempt for id in self._known if id.pod_uid == uid and is_holder(id)]
        return ContainerId(uid, NAME, max(used, default=-1) + 1)

    async def _made(self, id: ContainerId) -> int:
        for _ in range(_READY_LOOKS):
            process = self._process(id)
            if process is not None:
                return process
            if not self._runs(id):
                break
            await asyncio.sleep(_READY_S / _READY_LOOKS)
        raise RuntimeUnavailable("the pod's namespaces could not be made")
