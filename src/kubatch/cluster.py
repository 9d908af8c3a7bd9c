"""The composition root: puts store, registry, controllers, agent and server together.

The one module that knows all rooms. Nothing here decides anything about Jobs or pods.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from kubatch import controllers
from kubatch.agent.loop import Agent
from kubatch.agent.services import Services
from kubatch.agent.streams import AgentStreams
from kubatch.api.resource import PODS, Resource
from kubatch.client.local import LocalClient
from kubatch.controllers import rootca
from kubatch.meters import Meters, by_labels
from kubatch.network.loop import Network
from kubatch.reconcile.controller import Key
from kubatch.reconcile.events import EventRecorder
from kubatch.reconcile.loop import Caches, Runner
from kubatch.registry.api import Registry
from kubatch.registry.bootstrap import (
    ensure_kubernetes_service,
    ensure_namespaces,
    ensure_priority_classes,
    expire_events,
)
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.registry.rbac_policy import ensure_policy
from kubatch.runtime.images import load_image_map
from kubatch.runtime.protocol import Runtime
from kubatch.scheduler import controller as scheduler_controller
from kubatch.scheduler.facts import SCHEDULER_NAME
from kubatch.settings import Settings, local_zone
from kubatch.store.protocol import Store, StoreUnavailable
from kubatch.world import World

if TYPE_CHECKING:
    from kubatch.network.pods import BridgedPods
    from kubatch.server.insight import Insight, Why
    from kubatch.server.wire import ApiServer

log = logging.getLogger(__name__)

EVENT_SWEEP_INTERVAL = 60.0  # seconds


class Cluster:
    """Everything one process runs. start() and stop() once each."""

    def __init__(
        self,
        settings: Settings,
        world: World,
        store: Store,
        runtime: Runtime,
        pod_network: BridgedPods | None = None,
    ) -> None:
        """Without a `pod_network` all pods have the machine's."""
        self.settings = settings
        self.world = world
        self.node_name = settings.node_name or socket.gethostname().lower()
        self._store = store
        self._runtime = runtime
        self.registry = Registry(
            store,
            world,
            STRATEGIES,
            settings.watch_buffer_events_max,
            # The default accounts are a controller's work: without controllers nobody makes them.
            accounts_required=settings.controllers,
        )
        self.client = LocalClient(self.registry)
        self.caches = Caches(self.client)
        self._pod_network = pod_network
        self.streams = AgentStreams(self.client, runtime, settings.data_dir, network=pod_network)
        self.server: ApiServer | None = None
        self._agent: Agent | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ready = False
        self.runners: list[Runner] = []
        self.meters = Meters()

    async def start(self, *, serve: bool) -> None:
        """Bring everything up; returns once requests are answered and pods would run."""
        await self._store.open()
        await ensure_namespaces(self.registry)
        await ensure_priority_classes(self.registry)
        if serve:
            await ensure_policy(self.registry)
            await self._serve()
        if self._pod_network is not None:
            await self._pod_network.open(self._api_of_pods())
        self._start_controllers()
        if self.settings.agent:
            self._start_agent()
        self._background(self._sweep_events(), "event expiry")
        self._background(self._watch_store(), "store")
        await self.caches.synced()
        self._ready = True

    async def _serve(self) -> None:
        from kubatch.server.access import policy
        from kubatch.server.wire import ApiServer

        roles = policy.Policy(self.caches)
        for index in policy.INDEXES:
            self.caches.of(index.resource).add_index(index.name, index.keys)
        for resource in policy.WATCHED:
            self.caches.of(resource).add_listener(roles.forget)
        self.server = ApiServer(
            self.registry, self.streams, self.settings, self.world,
            ready=lambda: self._ready, policy=roles, insight=self._insight(),
        )  # fmt: skip
        await self.server.start()
        await ensure_kubernetes_service(self.registry, self.settings.address, self.server.port)

    def _insight(self) -> Insight:
        from kubatch.server.insight import Insight
        from kubatch.server.metrics import OBJECTS, REVISION

        self.meters.gauge(REVISION, lambda: [((), self.registry.revision)])
        self.meters.gauge(OBJECTS, lambda: by_labels(self.caches.sizes()))
        return Insight(
            self.meters, self._explain, lambda: self._agent.monitor if self._agent else None
        )

    def _explain(self, resource: Resource[Any], namespace: str, name: str, uid: str) -> list[Why]:
        """Every decision about an object that a part of this process remembers."""
        from kubatch.server.insight import Why

        key = Key(namespace, name)
        reasons = [
            Why(
                runner.controller.name, told.because, told.at, told.wake_at, told.facts,
                told.error, told.retry_at, told.earlier,
            )
            for runner in self.runners
            if runner.controller.about is resource
            and (told := runner.explanations.get(key)) is not None
        ]  # fmt: skip
        if resource is PODS and self._agent is not None:
            said = self._agent.explain(uid)
            if said is not None:
                reasons.append(
                    Why(
                        f"node {self.node_name}",
                        said.because,
                        said.at,
                        said.wake_at,
                        self._agent.spent(uid),
                    )
                )
        return reasons

    def _api_of_pods(self) -> tuple[str, int] | None:
        """Where packets that pods send to the Service `kubernetes` go."""
        if self.server is None or ":" in self.settings.address:
            return None
        address = self.settings.address
        return (
            "127.0.0.1" if address in ("", "0.0.0.0", "localhost") else address,
            self.server.port,
        )

    def _start_controllers(self) -> None:
        wanted = controllers.all_controllers(local_zone=local_zone())
        records = list(wanted) if self.settings.controllers else []
        if self.settings.controllers and self.server is not None:
            records.append(rootca.controller(self.server.ca.decode()))
        if self.settings.scheduler:
            records.append(scheduler_controller())
        self.runners = [
            Runner(
                record, self._writer(record.name), self.caches, self.world, self.node_name,
                self.meters,
            )
            for record in records
        ]  # fmt: skip
        if self.settings.proxy:
            own = (self._pod_network.gateway,) if self._pod_network is not None else ()
            network = Network(self.caches, self.settings.address or "127.0.0.1", own)
            self._background(network.run(), "service proxy")
        self._background(self.caches.run(), "caches")
        for runner in self.runners:
            self._background(runner.run(), runner.controller.name)

    def _writer(self, controller: str) -> LocalClient:
        """A client whose writes show in managedFields under the name Kubernetes has for them."""
        part = "kube-scheduler" if controller == SCHEDULER_NAME else "kube-controller-manager"
        return LocalClient(self.registry, manager=part)

    def _start_agent(self) -> None:
        recorder = EventRecorder(
            self.client, self.world, "kubelet", host=self.node_name, instance=self.node_name
        )
        self._agent = Agent(
            LocalClient(self.registry, manager="kubelet"),
            self._runtime,
            load_image_map(self.settings.image_map),
            self.world,
            self.node_name,
            self.settings.data_dir,
            recorder,
            tokens=self.server.issue_token if self.server is not None else None,
            api=(self.settings.address, self.server.port) if self.server is not None else None,
            services=Services(self.client),
            max_pods=self.settings.max_pods,
            thresholds=self.settings.eviction_hard,
            meters=self.meters,
            network=self._pod_network,
            address=self._pod_network.gateway if self._pod_network is not None else "127.0.0.1",
        )
        self._background(recorder.run(), "agent events")
        self._background(self._agent.run(), "agent")

    async def _sweep_events(self) -> None:
        while True:
            await asyncio.sleep(EVENT_SWEEP_INTERVAL)
            await expire_events(self.registry, self.settings.event_ttl)

    async def _watch_store(self) -> None:
        raise StoreUnavailable(await self._store.failed())

    def _background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def failed(self) -> None:
        """Wait until a part ends by itself, which none should; raises what ended it."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        raise RuntimeError(f"{next(iter(done)).get_name()} ended")

    async def stop(self, *, kill: bool) -> None:
        """Stop everything; with kill, end every container, else leave them to the next server."""
        self._ready = False
        if self.server is not None:
            await self.server.stop()
        if self._agent is not None:
            await self._agent.stop(kill=kill)
        if self._pod_network is not None:
            await self._pod_network.close(kill=kill)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.close()
