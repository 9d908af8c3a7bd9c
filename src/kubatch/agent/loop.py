"""The node agent: this node's pods, run over a Runtime, their statuses written to the API."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from kubatch.agent import node as node_rules
from kubatch.agent.api_access import variables
from kubatch.agent.env import PodContext
from kubatch.agent.facts import Capabilities
from kubatch.agent.gate import Gate
from kubatch.agent.heartbeat import Heartbeat
from kubatch.agent.life import Life
from kubatch.agent.machine import home_of, read_machine
from kubatch.agent.measures import Measures, spent
from kubatch.agent.monitor import Monitor
from kubatch.agent.places import Places
from kubatch.agent.prepare import Host, logs_directory
from kubatch.agent.record import PodRecord, Said, by_pod, uid_of
from kubatch.agent.services import Services
from kubatch.agent.storage import Storage
from kubatch.agent.volumes import Tokens, Volumes
from kubatch.agent.worker import PodWorker
from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import PODS
from kubatch.client.cache import Cache
from kubatch.client.protocol import Client
from kubatch.meters import Meters
from kubatch.reconcile.events import Recorder
from kubatch.runtime.images import ImageMap
from kubatch.runtime.pod_network import PodNetwork
from kubatch.runtime.protocol import (
    Container,
    ContainerId,
    ContainerState,
    Features,
    Runtime,
    RuntimeUnavailable,
)
from kubatch.world import World

log = logging.getLogger(__name__)

RETRY = 0.1  # seconds after a turn that failed; doubled with each failure that follows
RETRY_MAX = 30.0
OPEN_TRIES = 5  # at the start; a runtime that is gone for longer is a reason to stop
RECONNECT = 1.0  # seconds between attempts to reach the API or the runtime
SETTLE = 0.02
# containerd's default, where the agent itself has no PATH
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Agent:
    """Looks after the pods of one node, each with a worker that exists while there is work."""

    def __init__(
        self,
        client: Client,
        runtime: Runtime,
        images: ImageMap,
        world: World,
        node_name: str,
        data_dir: Path,
        recorder: Recorder,
        capabilities: Capabilities | None = None,
        *,
        address: str = "127.0.0.1",
        max_pods: int = 110,
        container_env: Mapping[str, str] | None = None,
        machine: node_rules.Machine | None = None,
        settle: float = SETTLE,
        tokens: Tokens | None = None,
        api: tuple[str, int] | None = None,
        services: Services | None = None,
        thresholds: Mapping[str, str] | None = None,
        meters: Meters | None = None,
        network: PodNetwork | None = None,
    ) -> None:
        """`api`: where the server listens. `thresholds`: the machine is looked at, and pods go."""
        self.ready = asyncio.Event()  # the node is registered and its pods are known
        self.logs_dir = logs_directory(data_dir)
        self._runtime = runtime
        data_dir.mkdir(parents=True, exist_ok=True)
        machine = machine or read_machine(data_dir, max_pods, images.names())
        env = _own_env() if container_env is None else container_env
        self.host = Host(
            node_name, address, runtime.name, self.logs_dir, images,
            capabilities or _capabilities(runtime.features),
            {**env, **(variables(*api) if api is not None else {})},
            allocatable=node_rules.allocatable(machine), home_of=home_of,
        )  # fmt: skip
        self._volumes = _volumes(client, world, self.host, data_dir, tokens)
        self._world = world
        self._gate = Gate(
            client, runtime, world, recorder, node_name, self.host.allocatable,
            node=lambda: self._heartbeat.node, pressure=self._pressure,
        )  # fmt: skip
        self._life = Life(runtime, world, recorder, address, self._wake)
        self._worker = PodWorker(
            client, runtime, world, recorder, self.host, self._volumes, life=self._life,
            services=services, settle=settle, gate=self._gate, places=Places(network, recorder),
        )  # fmt: skip
        self._heartbeat = Heartbeat(
            client, world, recorder, machine,
            name=node_name, address=address, runtime=f"{runtime.name}://{runtime.version}",
            problem=self._look_around, pressure=self._pressure,
        )  # fmt: skip
        self._measures = Measures(meters)
        self.monitor = self._new_monitor(recorder, data_dir, thresholds)
        self._pods: Cache[m.Pod] = Cache(client, PODS, field_selector=f"spec.nodeName={node_name}")
        self._pods.add_listener(self._pod_changed)
        self._records: dict[str, PodRecord] = {}
        self._found: dict[str, dict[ContainerId, Container]] = {}  # not yet matched with pods
        self._matched = self._running = False
        self._network, self._services = network, services
        self._stopping, self._stopped = asyncio.Event(), asyncio.Event()

    def _new_monitor(
        self, recorder: Recorder, data_dir: Path, thresholds: Mapping[str, str] | None
    ) -> Monitor | None:
        if thresholds is None:
            return None
        storage = Storage(
            self._world, data_dir, self.logs_dir,
            self._volumes.place if self._volumes is not None else None,
        )  # fmt: skip
        return Monitor(
            self._runtime, self._world, recorder, storage, thresholds,
            records=lambda: list(self._records.values()), wake=self._wake,
            node=lambda: self._heartbeat.node, report=self._heartbeat.report,
            measures=self._measures,
        )  # fmt: skip

    def _pressure(self) -> Sequence[str]:
        return self.monitor.pressure if self.monitor is not None else ()

    async def run(self) -> None:
        """Work until stop() or cancellation. Raises RuntimeUnavailable if there is no runtime."""
        self._running = True
        try:
            # Everything that runs already is adopted, before any pod could be started anew.
            self._found = by_pod(await self._open_runtime())
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._watch_runtime()),
                    group.create_task(self._register_and_beat()),
                    group.create_task(self._pods.run()),
                    group.create_task(self._match()),
                ]
                if self._services is not None:
                    tasks.append(group.create_task(self._services.run(self._names_changed)))
                if self.monitor is not None:
                    tasks.append(group.create_task(self._watch_machine(self.monitor)))
                await self._stopping.wait()
                for task in tasks:
                    task.cancel()
        finally:
            await self._end_workers()
            self._stopped.set()

    async def _open_runtime(self) -> Sequence[Container]:
        """Connect; what runs already. Raises RuntimeUnavailable when that stays impossible."""
        tries_left = OPEN_TRIES
        while True:
            try:
                await self._runtime.open()
                return await self._runtime.observe()
            except RuntimeUnavailable as error:  # perhaps it ended at this very moment
                tries_left -= 1
                if not tries_left:
                    raise
                log.warning("the runtime cannot be reached: %s", error)
            await self._runtime.close(kill=False)
            await asyncio.sleep(RECONNECT)

    async def stop(self, *, kill: bool) -> None:
        """End run(); with kill, end every container too. Nothing more is written to the API."""
        self._stopping.set()
        if self._running:
            await self._stopped.wait()
            await self._runtime.close(kill=kill)
            if kill and self._volumes is not None:
                self._volumes.close()

    # ----- what wakes a pod

    def _pod_changed(self, before: m.Pod | None, after: m.Pod | None) -> None:
        self._gate.follow(before, after)
        if before is not None and (after is None or uid_of(after) != uid_of(before)):
            record = self._records.get(uid_of(before))
            if record is not None:
                record.gone = True
                self._wake(record)
        if after is None:
            return
        uid = uid_of(after)
        record = self._records.get(uid)
        if record is None:
            record = PodRecord(uid, after, self._found.pop(uid, {}))
            self._records[uid] = record
        elif not record.take(after):
            return  # the echo of our own write
        self._wake(record)

    def _names_changed(self) -> None:
        for record in self._records.values():
            self._worker.rename(record)

    def spent(self, uid: str) -> Mapping[str, int]:
        """What the ended containers of a pod used, in words and numbers."""
        record = self._records.get(uid)
        return {} if record is None else spent(record)

    def explain(self, uid: str) -> Said | None:
        """The last decision about a pod; None when it needs no looking after any more."""
        record = self._records.get(uid)
        return None if record is None else record.said

    async def _watch_runtime(self) -> None:
        while True:
            try:
                async for seen in self._runtime.changes():
                    self._observed(seen)
                return  # the runtime was closed
            except RuntimeUnavailable as error:
                log.warning("the runtime cannot be reached: %s", error)
                await asyncio.sleep(RECONNECT)

    def _observed(self, seen: Container) -> None:
        record = self._records.get(seen.id.pod_uid)
        if record is not None:
            self._measures.saw(record, seen, self._world.now())
            if record.learn(seen):
                self._wake(record)
        elif not self._matched:
            known = self._found.setdefault(seen.id.pod_uid, {})
            before = known.get(seen.id)
            if before is None or before.state is not ContainerState.EXITED:
                known[seen.id] = seen

    async def _look_around(self) -> str:
        """Compare what the runtime knows with what we do; why the node is not ready, or ""."""
        try:
            for seen in await self._runtime.observe():
                self._observed(seen)
        except RuntimeUnavailable:
            return "container runtime is down"  # pkg/kubelet/runtime.go: runtimeErrors
        return ""

    async def _watch_machine(self, monitor: Monitor) -> None:
        await self.ready.wait()
        await monitor.run()

    async def _match(self) -> None:
        """Once the pods are known: what runs without a pod is ended, and its logs go."""
        await self._pods.synced.wait()
        self._matched = True
        for uid in sorted(self._found):
            record = PodRecord(uid, None, self._found[uid], gone=True)
            self._records[uid] = record
            self._wake(record)
        self._found = {}
        self._sweep()
        if self._network is not None:
            await self._network.sweep(self._records)

    def _sweep(self) -> None:
        kept = {uid for uid, record in self._records.items() if not record.gone}
        if self._volumes is not None:
            self._volumes.sweep(kept)
        if not self.logs_dir.is_dir():
            return
        for folder in self.logs_dir.iterdir():
            if folder.name.rpartition("_")[2] not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    async def _register_and_beat(self) -> None:
        while True:
            try:
                await self._heartbeat.register()
                break
            except ApiError as error:
                log.warning("node %s cannot register: %s", self.host.node_name, error)
                await asyncio.sleep(RECONNECT)
        await self._pods.synced.wait()
        self.ready.set()
        await self._heartbeat.run()

    # ----- workers

    def _wake(self, record: PodRecord) -> None:
        record.wanted.set()
        if record.worker is None and not self._stopping.is_set():
            record.worker = asyncio.get_running_loop().create_task(self._work(record))

    async def _work(self, record: PodRecord) -> None:
        """Take turns while there is something to do; then only a timer is left, or nothing."""
        if record.timer is not None:
            record.timer.cancel()
            record.timer = None
        delay: float | None = None
        try:
            while record.wanted.is_set():
                delay = await self._turn(record)
        finally:
            record.worker = None
        if record.gone and not record.attempts and delay is None:
            if not self._is_cached(record):
                self._records.pop(record.uid, None)
        elif delay is not None:
            loop = asyncio.get_running_loop()
            record.timer = loop.call_later(delay, self._wake, record)

    def _is_cached(self, record: PodRecord) -> bool:
        """Whether the cache still has a pod, which perhaps the API has no more.

        Such a record stays: forgotten, the pod would be taken for a new one at its next late
        event, and its containers would run again.
        """
        meta = record.pod.metadata if record.pod is not None else None
        known = self._pods.get(meta.namespace, meta.name or "") if meta is not None else None
        return known is not None and uid_of(known) == record.uid

    async def _turn(self, record: PodRecord) -> float | None:
        """One turn; the seconds after which the next is due."""
        try:
            wake_at = await self._worker.turn(record)
        except (ApiError, RuntimeUnavailable) as error:
            log.warning("pod %s: %s", _name(record), error)
        except Exception:
            log.exception("pod %s could not be looked after", _name(record))
        else:
            record.failures = 0
            if wake_at is None:
                return None
            return max(0.0, (wake_at - self._world.now()).total_seconds())
        record.failures += 1
        record.wanted.clear()
        return min(RETRY * 2.0 ** (record.failures - 1), RETRY_MAX)

    async def _end_workers(self) -> None:
        self._stopping.set()
        workers = [r.worker for r in self._records.values() if r.worker is not None]
        for record in self._records.values():
            if record.timer is not None:
                record.timer.cancel()
                record.timer = None
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await self._life.close(self._records.values())


def _name(record: PodRecord) -> str:
    if record.pod is None or record.pod.metadata is None:
        return record.uid
    return f"{record.pod.metadata.namespace}/{record.pod.metadata.name}"


def _capabilities(features: Features) -> Capabilities:
    """What can be asked for here, beyond what every runtime does."""
    return Capabilities(
        mounts=features.mounts,
        users=features.users,
        groups=features.groups,
        capabilities=features.capabilities,
        privileged=features.privileged,
        probes=True,
        hooks=True,
        uid=os.getuid(),
        gid=os.getgid(),
    )


def _volumes(
    client: Client, world: World, host: Host, data_dir: Path, tokens: Tokens | None
) -> Volumes | None:
    if not host.capabilities.mounts:
        return None
    context = PodContext(host.node_name, host.address, host.allocatable)
    return Volumes(client, world, data_dir.absolute() / "pods", context, tokens=tokens)


def _own_env() -> dict[str, str]:
    """What containers get of the agent's environment: where programs are, and a home."""
    return {
        "PATH": os.environ.get("PATH", DEFAULT_PATH),
        "HOME": os.environ.get("HOME", "/"),
    }
