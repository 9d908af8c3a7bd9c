"""Logs of this node's containers, programs run in them, and connections to their ports.

pkg/registry/core/pod/strategy.go: LogLocation; pkg/kubelet/kubelet.go: GetKubeletContainerLogs,
validateContainerLogStatus, GetExec, GetAttach, GetPortForward. The messages are theirs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from kubatch.agent.dial import dial
from kubatch.agent.facts import container_id
from kubatch.agent.logs import LogOptions, read
from kubatch.agent.prepare import logs_directory, pod_log_directory
from kubatch.agent.status import is_terminal
from kubatch.api import models as m
from kubatch.api.errors import ApiError, bad_request
from kubatch.api.resource import PODS
from kubatch.client.protocol import (
    Client,
    Dialer,
    NodeRefused,
    Opener,
    Session,
    StreamFailed,
    StreamOptions,
)
from kubatch.runtime.pod_network import PodNetwork
from kubatch.runtime.protocol import (
    ContainerId,
    ContainerNotFound,
    ContainerState,
    ExecFailed,
    Runtime,
    RuntimeUnavailable,
)
from kubatch.world import World


class AgentStreams:
    """The PodStreams of the node whose data directory this is."""

    def __init__(
        self,
        client: Client,
        runtime: Runtime,
        data_dir: Path,
        world: World | None = None,
        network: PodNetwork | None = None,
    ) -> None:
        self._client = client
        self._network = network
        self._containers = runtime
        self._runtime = runtime.name
        self._logs = logs_directory(data_dir)
        self._world = world or World()

    async def logs(
        self, namespace: str, name: str, container: str, query: Mapping[str, Any]
    ) -> AsyncIterator[bytes]:
        """The log of one container. Raises ApiError before the first output."""
        pod = await self._client.get(PODS, namespace, name)
        assert pod.spec is not None
        container = choose_container(pod, container)
        if not pod.spec.nodeName:
            return
        options = log_options(query, self._world.now())
        id = choose_attempt(pod, container, options.previous, self._runtime)
        folder = pod_log_directory(self._logs, namespace, name, id.pod_uid)
        path = folder / container / f"{id.attempt}.log"

        async def ended() -> bool:
            return await self._has_ended(namespace, name, id)

        try:
            async for data in read(path, options, ended):
                yield data
        except FileNotFoundError:
            shown = container_id(self._runtime, id)
            yield f"unable to retrieve container logs for {shown}".encode()

    async def exec(
        self,
        namespace: str,
        name: str,
        container: str,
        command: Sequence[str],
        options: StreamOptions,
    ) -> Opener:
        """Run a program in a running container."""
        id = await self._running(namespace, name, container)

        async def start() -> Session:
            with _told(id):
                return await self._containers.exec(
                    id, command, tty=options.tty, stdin=options.stdin
                )

        return start

    async def attach(
        self, namespace: str, name: str, container: str, options: StreamOptions
    ) -> Opener:
        """Attach to a running container."""
        id = await self._running(namespace, name, container)

        async def start() -> Session:
            with _told(id):
                return await self._containers.attach(id, stdin=options.stdin)

        return start

    async def port_forward(self, namespace: str, name: str) -> Dialer:
        """Connect to ports of a pod; without a network of its own, to those of this machine."""
        pod = await self._client.get(PODS, namespace, name)
        if not await self._attempts_running(pod):
            raise NodeRefused(500, "", f'pod not found ("{name}_{namespace}")')
        uid = (pod.metadata.uid if pod.metadata is not None else None) or ""
        place = self._network.find(uid) if self._network is not None else None
        return dial if place is None else partial(dial, namespace=place.namespace)

    async def _running(self, namespace: str, name: str, container: str) -> ContainerId:
        """The attempt that runs. It is the runtime that knows: a status may lag behind."""
        pod = await self._client.get(PODS, namespace, name)
        container = choose_container(pod, container)
        found = [id for id in await self._attempts_running(pod) if id.container == container]
        if not found:
            raise NodeRefused(500, "", f'container not found ("{container}")')
        return max(found)

    async def _attempts_running(self, pod: m.Pod) -> list[ContainerId]:
        assert pod.metadata is not None
        try:
            known = await self._containers.observe()
        except RuntimeUnavailable as error:
            raise NodeRefused(500, "", str(error)) from error
        return [
            c.id
            for c in known
            if c.id.pod_uid == pod.metadata.uid and c.state is ContainerState.RUNNING
        ]

    async def _has_ended(self, namespace: str, name: str, id: ContainerId) -> bool:
        """Whether the API shows an attempt as ended, or no more."""
        try:
            pod = await self._client.get(PODS, namespace, name)
        except ApiError as error:
            if error.code != 404:
                raise
            return True
        status = _container_status(pod, id.container)
        return (
            pod.metadata is None
            or pod.metadata.uid != id.pod_uid
            or status is None
            or status.state is None
            or status.state.running is None
            or status.restartCount != id.attempt
        )


@contextmanager
def _told(id: ContainerId) -> Iterator[None]:
    """The runtime's errors as those of a stream."""
    try:
        yield
    except ContainerNotFound:
        raise StreamFailed(f'container not found ("{id.container}")') from None
    except (ExecFailed, RuntimeUnavailable) as error:
        raise StreamFailed(str(error)) from error


def choose_container(pod: m.Pod, container: str) -> str:
    """The container meant; "" means the only one."""
    assert pod.spec is not None
    assert pod.metadata is not None
    names = [c.name for c in (*(pod.spec.initContainers or ()), *pod.spec.containers)]
    names += [c.name for c in pod.spec.ephemeralContainers or ()]
    if container:
        if container not in names:
            raise bad_request(f"container {container} is not valid for pod {pod.metadata.name}")
        return container
    if len(pod.spec.containers) > 1:
        raise bad_request(
            f"a container name must be specified for pod {pod.metadata.name}, "
            f"choose one of: [{' '.join(names)}]"
        )
    return pod.spec.containers[0].name


def choose_attempt(pod: m.Pod, container: str, previous: bool, runtime: str) -> ContainerId:
    """The attempt whose log is meant, from the pod's status."""
    assert pod.metadata is not None
    name, uid = pod.metadata.name, pod.metadata.uid or ""
    where = f'container "{container}" in pod "{name}"'
    status = _container_status(pod, container)
    if status is None or status.state is None:
        if pod.status is not None and is_terminal(pod.status.phase or ""):
            raise bad_request(f"{where} is not available")
        raise bad_request(f"{where} is waiting to start: ContainerCreating")
    state = status.state
    last = status.lastState.terminated if status.lastState is not None else None
    last_id = last.containerID if last is not None else None
    wanted: str | None
    if previous:
        if not last_id:
            raise bad_request(f"previous terminated {where} not found")
        wanted = last_id
    elif state.running is not None:
        wanted = status.containerID
    elif state.terminated is not None:
        wanted = state.terminated.containerID or last_id
    elif last is not None:
        wanted = last_id
    else:
        raise bad_request(f"{where} is waiting to start{_why(state.waiting)}")
    if not wanted:
        raise bad_request(f"{where} is terminated")
    for attempt in range(status.restartCount, max(-1, status.restartCount - 2), -1):
        id = ContainerId(uid, container, attempt)
        if container_id(runtime, id) == wanted:
            return id
    return ContainerId(uid, container, status.restartCount)


def _container_status(pod: m.Pod, container: str) -> m.ContainerStatus | None:
    if pod.status is None:
        return None
    groups = (
        pod.status.containerStatuses,
        pod.status.initContainerStatuses,
        pod.status.ephemeralContainerStatuses,
    )
    return next((s for group in groups for s in group or () if s.name == container), None)


def _why(waiting: m.ContainerStateWaiting | None) -> str:
    reason = waiting.reason if waiting is not None else None
    if reason is None:
        return " - no logs yet"
    if reason == "ErrImagePull":
        return ": image can't be pulled"
    if reason == "ImagePullBackOff":
        return ": trying and failing to pull image"
    return f": {reason}"


def log_options(query: Mapping[str, Any], now: datetime) -> LogOptions:
    """PodLogOptions from the log subresource's query; values may be text or parsed already."""
    since = query.get("sinceTime")
    if isinstance(since, str):
        since = datetime.fromisoformat(since) if since else None
    seconds = _number(query, "sinceSeconds")
    if seconds is not None:
        since = now - timedelta(seconds=seconds)
    stream = str(query.get("stream") or "").lower()
    return LogOptions(
        follow=_flag(query, "follow"),
        previous=_flag(query, "previous"),
        since=since,
        timestamps=_flag(query, "timestamps"),
        tail_lines=_number(query, "tailLines"),
        limit_bytes=_number(query, "limitBytes"),
        stream="" if stream == "all" else stream,
    )


def _flag(query: Mapping[str, Any], name: str) -> bool:
    value = query.get(name, False)
    return value if isinstance(value, bool) else str(value).lower() in ("1", "t", "true")


def _number(query: Mapping[str, Any], name: str) -> int | None:
    value = query.get(name)
    return None if value is None or value == "" else int(value)
