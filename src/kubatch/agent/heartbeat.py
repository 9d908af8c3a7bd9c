"""Keeping this machine's Node and its lease alive in the API."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from msgspec.structs import replace

from kubatch.agent import node as rules
from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import LEASES, NODES
from kubatch.client.protocol import Client
from kubatch.reconcile.events import Recorder
from kubatch.world import World

log = logging.getLogger(__name__)

# kubelet_node_status.go: updateNodeStatus tries five times, soon after one another
_TRIES = 5


class Heartbeat:
    """Registers the node, then says that it lives."""

    def __init__(
        self,
        client: Client,
        world: World,
        recorder: Recorder,
        machine: rules.Machine,
        *,
        name: str,
        address: str,
        runtime: str,
        problem: Callable[[], Awaitable[str]],
        pressure: Callable[[], Collection[str]] = lambda: (),
    ) -> None:
        self._client = client
        self._world = world
        self._recorder = recorder
        self._machine = machine
        self._name = name
        self._address = address
        self._runtime = runtime
        self._pressure = pressure  # the conditions of pressure that are true
        self._problem = problem  # why the node is not ready; "" when it is
        self.node: m.Node | None = None  # as seen last
        self._lease: m.Lease | None = None

    async def register(self) -> None:
        """Make the Node exist with a present status. Raises ApiError."""
        self.node = await self._registered()
        self._recorder.record(self.node, "Normal", "Starting", "Starting kubelet.")
        await self.report(force=True)
        await self._renew()

    async def run(self) -> None:
        """Renew the lease every ten seconds, and the status when it is time, until cancelled."""
        while True:
            await asyncio.sleep(rules.LEASE_RENEW)
            try:
                await self._renew()
                await self.report()
            except ApiError as error:
                log.warning("node %s could not report: %s", self._name, error)

    async def _registered(self) -> m.Node:
        wanted = rules.new(self._name, self._machine)
        try:
            return await self._client.create(NODES, wanted)
        except ApiError as error:
            if error.code != 409:
                raise
        known = await self._client.get(NODES, None, self._name)
        assert known.metadata is not None
        assert wanted.metadata is not None
        old = known.metadata.labels or {}
        labels = {**old, **(wanted.metadata.labels or {})}
        if labels == old:
            return known
        metadata = replace(known.metadata, labels=labels)
        return await self._client.update(NODES, replace(known, metadata=metadata))

    async def _present(self) -> m.Node:
        """The node as it is: others write into its status, too, and may have called it dead."""
        try:
            return await self._client.get(NODES, None, self._name)
        except ApiError as error:
            if error.code != 404:
                raise
        return await self._registered()

    async def report(self, *, force: bool = False) -> None:
        """Write the node's status if it changed or it is time. Raises ApiError."""
        problem = await self._problem()
        for left in reversed(range(_TRIES)):
            before, node = self.node, await self._present()
            self.node = node
            for kind, reason, message in rules.schedulable_changes(before, node):
                self._recorder.record(node, kind, reason, message)
            now = self._world.now()
            wanted = rules.with_status(
                node, self._machine, name=self._name, address=self._address,
                runtime=self._runtime, now=now, problem=problem,
                pressure=self._pressure(),
            )  # fmt: skip
            if not force and not rules.needs_report(node, wanted, now):
                return
            try:
                self.node = await self._client.update(NODES, wanted, "status")
            except ApiError as error:
                if error.code not in (404, 409) or not left:
                    raise
                continue
            for kind, reason, message in rules.changes(node, self.node):
                self._recorder.record(self.node, kind, reason, message)
            return

    async def _renew(self) -> None:
        now = self._world.now()
        assert self.node is not None
        try:
            if self._lease is None:
                try:
                    self._lease = await self._client.create(LEASES, rules.lease(self.node, now))
                    return
                except ApiError as error:
                    if error.code != 409:
                        raise
                    self._lease = await self._client.get(LEASES, rules.LEASE_NAMESPACE, self._name)
            self._lease = await self._client.update(
                LEASES, rules.renewed(self._lease, self._name, now)
            )
        except ApiError as error:
            # A lease missed is no harm: there are four in every lease duration.
            self._lease = None
            log.warning("node %s could not renew its lease: %s", self._name, error)
