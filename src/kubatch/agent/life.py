"""What goes on beside a pod's turns: its probes and hooks, a task each.

A probe's task lives while its container runs and may be asked; whatever it finds out wakes the pod,
whose next turn decides what follows. A pod without probes and hooks has no part in this.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from kubatch.agent.checks import Asker
from kubatch.agent.facts import ContainerFacts, PodFacts
from kubatch.agent.hooks import run_hook
from kubatch.agent.probes import (
    TRIES,
    Answer,
    Outcome,
    Probe,
    begin,
    judged,
    observe,
    probes_of,
    told,
    wanted,
)
from kubatch.agent.record import PodRecord
from kubatch.agent.vitals import Hook
from kubatch.reconcile.events import Recorder
from kubatch.runtime.protocol import ContainerId, Runtime
from kubatch.world import World

log = logging.getLogger(__name__)

POST_START, PRE_STOP = "postStart", "preStop"


class Life:
    """Looks after the probes and hooks of all pods of a node."""

    def __init__(
        self,
        runtime: Runtime,
        world: World,
        recorder: Recorder,
        address: str,
        wake: Callable[[PodRecord], None],
    ) -> None:
        self._runtime = runtime
        self._asker = Asker(runtime)
        self._world = world
        self._recorder = recorder
        self._address = address
        self._wake = wake
        self._began = world.now()

    def follow(self, record: PodRecord, facts: PodFacts | None, *, stopping: bool) -> None:
        """Ask those that are to be asked now, and no others. None: the pod is gone."""
        tasks = record.tasks
        due: dict[tuple[ContainerId, str], tuple[ContainerFacts, Probe]] = {}
        running = set()
        for c in facts.everything if facts is not None else ():
            if c.latest is None:
                continue
            if c.running:
                running.add(c.latest.id)
            elif (c.latest.id, POST_START) in tasks:
                self._cut_short(record, c, c.latest.id)
            for probe in probes_of(c.spec):
                if wanted(probe, c, stopping=stopping):
                    due[c.latest.id, probe.kind] = c, probe
        for key in [k for k in tasks if k not in due]:
            if key[1] not in (POST_START, PRE_STOP) or key[0] not in running:
                tasks.pop(key).cancel()
        for key, (c, probe) in due.items():
            if key not in tasks:
                watch = self._watch(record, c, key[0], probe)
                tasks[key] = asyncio.get_running_loop().create_task(watch)

    async def close(self, records: Iterable[PodRecord]) -> None:
        """End every task."""
        tasks = [task for record in records for task in record.tasks.values()]
        for record in records:
            record.tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ----- probes

    async def _watch(
        self, record: PodRecord, c: ContainerFacts, id: ContainerId, probe: Probe
    ) -> None:
        """Ask again and again, until there is nothing more to find out."""
        assert c.latest is not None
        started = c.latest.started_at or self._world.now()
        course = begin(probe, started, self._first_look(started, probe))
        while not course.over:
            # A clock that was set back must not put a question off by more than is usual.
            longest = max(probe.period, probe.initial_delay)
            await asyncio.sleep(min(self._until(course.next_at), longest))
            answer = await self._ask(record, c, id, probe)
            self._tell(record, c, told(probe, answer))
            course = observe(probe, course, answer.outcome, self._world.now())
            before = record.vitals.health.get(id, c.health)
            health = judged(before, probe, course.verdict)
            if health != before:
                record.vitals.health[id] = health
                self._wake(record)

    def _first_look(self, started: datetime, probe: Probe) -> datetime:
        """Now; but not everybody at once who ran before we did (prober/worker.go: run)."""
        share = self._world.rng.random() if started < self._began else 0.0
        return self._world.now() + timedelta(seconds=share * probe.period)

    def _until(self, moment: datetime) -> float:
        return max(0.0, (moment - self._world.now()).total_seconds())

    async def _ask(
        self, record: PodRecord, c: ContainerFacts, id: ContainerId, probe: Probe
    ) -> Answer:
        answer = Answer(Outcome.UNKNOWN)
        for _ in range(TRIES):
            try:
                answer = await self._asker.ask(probe, c.spec, id, self._address_of(record))
            except Exception as error:
                log.exception("the %s probe of %s cannot be put", probe.kind, id)
                answer = Answer(Outcome.UNKNOWN, str(error))
            if answer.outcome is not Outcome.UNKNOWN:
                break
        return answer

    def _address_of(self, record: PodRecord) -> str:
        status = record.pod.status if record.pod is not None else None
        told = status.podIP if status is not None else None
        return record.address or told or self._address

    def _tell(self, record: PodRecord, c: ContainerFacts, event: tuple[str, str] | None) -> None:
        if event is not None and record.pod is not None:
            reason, message = event
            self._recorder.record(record.pod, "Warning", reason, message, field_path=c.field_path)

    # ----- hooks

    def begin_post_start(
        self, record: PodRecord, c: ContainerFacts, id: ContainerId, pod: str
    ) -> None:
        """Run a container's postStart hook, if it has one."""
        if c.spec.lifecycle is not None and c.spec.lifecycle.postStart is not None:
            record.vitals.post_start[id] = Hook()
            self._begin(record, c, id, POST_START, pod)

    def begin_pre_stop(self, record: PodRecord, c: ContainerFacts, pod: str) -> None:
        """Run a container's preStop hook."""
        assert c.latest is not None
        record.vitals.pre_stop[c.latest.id] = Hook()
        self._begin(record, c, c.latest.id, PRE_STOP, pod)

    def _begin(
        self, record: PodRecord, c: ContainerFacts, id: ContainerId, kind: str, pod: str
    ) -> None:
        hook = self._hook(record, c, id, kind, pod)
        record.tasks[id, kind] = asyncio.get_running_loop().create_task(hook)

    async def _hook(
        self, record: PodRecord, c: ContainerFacts, id: ContainerId, kind: str, pod: str
    ) -> None:
        assert c.spec.lifecycle is not None
        handler = c.spec.lifecycle.postStart if kind == POST_START else c.spec.lifecycle.preStop
        assert handler is not None

        def warn(reason: str, message: str) -> None:
            self._tell(record, c, (reason, message))

        try:
            error = await run_hook(
                self._runtime, handler, c.spec, id, pod, self._address_of(record), warn
            )
        except Exception as failure:
            log.exception("the %s hook of %s cannot be run", kind, id)
            error = str(failure)
        record.tasks.pop((id, kind), None)
        self._done(record, c, id, kind, error)

    def _done(
        self, record: PodRecord, c: ContainerFacts, id: ContainerId, kind: str, error: str | None
    ) -> None:
        """Take note of a hook's end. The event does not say why: an answer may hold secrets."""
        if kind == POST_START:
            record.vitals.post_start[id] = Hook(done=True, error=error)
            event = "FailedPostStartHook", "PostStartHook failed"
        else:
            record.vitals.pre_stop[id] = Hook(done=True, error=error)
            event = "FailedPreStopHook", "PreStopHook failed"
        if error is not None:
            self._tell(record, c, event)
        self._wake(record)

    def _cut_short(self, record: PodRecord, c: ContainerFacts, id: ContainerId) -> None:
        """The container ended before its postStart hook, and with it what ran there."""
        record.tasks.pop((id, POST_START)).cancel()
        assert c.spec.lifecycle is not None
        assert c.spec.lifecycle.postStart is not None
        ran = c.spec.lifecycle.postStart.exec is not None
        error = f'container not found ("{c.name}")' if ran else None
        self._done(record, c, id, POST_START, error)
