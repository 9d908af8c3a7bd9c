"""Looking at the machine every ten seconds: what is used, what runs short, who has to go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kubatch.agent import eviction, reclaim, signals
from kubatch.agent.admission import is_critical, is_over
from kubatch.agent.measures import Measures
from kubatch.agent.record import PodRecord
from kubatch.agent.storage import Storage
from kubatch.agent.usage import History, Reading, of_pods
from kubatch.agent.verdict import eviction as evicted
from kubatch.api import models as m
from kubatch.api.consumption import NodeUse, PodUse
from kubatch.api.errors import ApiError
from kubatch.api.requests import amounts
from kubatch.reconcile.events import Recorder
from kubatch.runtime.protocol import ContainerState, Runtime, RuntimeUnavailable, Usage
from kubatch.world import World

log = logging.getLogger(__name__)

INTERVAL = 10.0  # kubelet: evictionMonitoringPeriod


class Monitor:
    """What a node knows of its load. Decides with agent/eviction, and tells the pods' workers."""

    def __init__(
        self,
        runtime: Runtime,
        world: World,
        recorder: Recorder,
        storage: Storage,
        thresholds: Mapping[str, str],
        *,
        records: Callable[[], Iterable[PodRecord]],
        wake: Callable[[PodRecord], None],
        node: Callable[[], m.Node | None],
        report: Callable[[], Awaitable[None]],
        measures: Measures,
        look: Callable[[Path], signals.Look] = signals.look,
    ) -> None:
        self.pressure: tuple[str, ...] = ()
        self._runtime = runtime
        self._world = world
        self._recorder = recorder
        self._storage = storage
        self._thresholds = thresholds
        self._records = records
        self._wake = wake
        self._node = node
        self._report = report
        self._look = look
        self._measures = measures
        self._history = History()
        measures.show(records, self._history)
        self._state = eviction.State()

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            try:
                await self.turn()
            except (ApiError, RuntimeUnavailable) as error:
                log.warning("the node could not be looked at: %s", error)
            except Exception:
                log.exception("the node could not be looked at")
            await asyncio.sleep(INTERVAL)

    async def turn(self) -> None:
        """One look, and what follows from it."""
        seen = await asyncio.to_thread(self._look, self._storage.disk)
        usages = await self._runtime.usage()
        now = self._world.now()
        machine = Reading(now, seen.cpu_seconds, seen.memory_bytes)
        self._history.take(now, usages, machine)
        running = [r for r in self._records() if _runs(r)]
        if eviction.disk_is_short(seen.signals, self._thresholds):
            ended = reclaim.leftovers(self._storage.logs, self._records())
            await asyncio.to_thread(reclaim.remove, ended)
            seen = await asyncio.to_thread(self._look, self._storage.disk)
        disk_short = eviction.disk_is_short(seen.signals, self._thresholds)
        await self._storage.measure(running, usages, everything=disk_short)
        for record in running:
            why = self._storage.too_much(record)
            if why:
                self._end(record, why, "ephemeral-storage", disruption=False)
        candidates = self._candidates(running, usages)
        outcome = eviction.decide(seen.signals, self._thresholds, candidates, self._state, now)
        self._state = outcome.state
        before, self.pressure = self.pressure, outcome.pressure
        node = self._node()
        if outcome.attempt and node is not None:
            message = f"Attempting to reclaim {outcome.attempt}"
            self._recorder.record(node, "Warning", "EvictionThresholdMet", message)
        for record in running:
            if record.uid == outcome.victim:
                self._end(record, outcome.message, outcome.signal, disruption=True)
        if before != self.pressure:
            await self._report()

    def _end(self, record: PodRecord, message: str, signal: str, *, disruption: bool) -> None:
        if record.pod is None or record.memory.verdict is not None:
            return
        verdict = evicted(message, disruption=disruption)
        record.memory = replace(record.memory, verdict=verdict)
        self._recorder.record(record.pod, "Warning", verdict.reason, message)
        self._measures.evicted(signal)
        log.info("pod %s is evicted: %s", record.uid, message)
        self._wake(record)

    def _candidates(
        self, running: Sequence[PodRecord], usages: Iterable[Usage]
    ) -> list[eviction.Candidate]:
        memory = of_pods(usages)
        found = []
        for record in running:
            pod = record.pod
            assert pod is not None
            assert pod.spec is not None
            asked = {
                c.name: amounts(c.resources.requests) for c in pod.spec.containers if c.resources
            }
            found.append(
                eviction.Candidate(
                    record.uid,
                    (pod.metadata.name if pod.metadata is not None else None) or "",
                    pod.spec.priority or 0,
                    is_critical(pod),
                    {
                        resource: {name: a[resource] for name, a in asked.items() if resource in a}
                        for resource in ("memory", "ephemeral-storage")
                    },
                    {
                        "memory": {
                            name: usage.memory_bytes
                            for name, usage in memory.get(record.uid, {}).items()
                        },
                        "ephemeral-storage": self._storage.by_container(record),
                    },
                )
            )
        return found

    # ----- what is told to others

    def nodes(self) -> Sequence[NodeUse]:
        """What this node uses, once it was looked at twice."""
        known, node, machine = self._history.node(), self._node(), self._history.machine
        if known is None or node is None or machine is None or node.metadata is None:
            return ()
        use, seconds = known
        meta = node.metadata
        return (NodeUse(meta.name or "", meta.labels or {}, machine.at, seconds, use),)

    def pods(self) -> Sequence[PodUse]:
        """What the pods use that run."""
        found = []
        machine = self._history.machine
        for record in self._records():
            if not _runs(record) or machine is None:
                continue
            assert record.pod is not None
            meta = record.pod.metadata
            assert meta is not None
            used = [
                (id.container, known)
                for id, attempt in sorted(record.attempts.items())
                if (known := self._history.container(id, attempt.started_at)) is not None
            ]
            if used:
                found.append(
                    PodUse(
                        meta.namespace or "default",
                        meta.name or "",
                        meta.labels or {},
                        machine.at,
                        used[0][1][1],
                        [(name, use) for name, (use, _) in used],
                    )
                )
        return found


def _runs(record: PodRecord) -> bool:
    return (
        record.pod is not None
        and not record.gone
        and not is_over(record.pod)
        and any(a.state is ContainerState.RUNNING for a in record.attempts.values())
    )
