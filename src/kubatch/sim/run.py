"""One seed, one run: from a number to a trace and a verdict.

First faults strike while people use the cluster; whatever happens, nothing bad may. Then the faults
stop, and everything that was begun must end. The same seed gives the same trace, byte for byte.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubatch.api import models as m
from kubatch.api.resource import NAMESPACES, SERVICES
from kubatch.client.local import LocalClient
from kubatch.registry.api import Registry
from kubatch.registry.bootstrap import ensure_namespaces
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.runtime.protocol import Container
from kubatch.sim import checks, ends, services, shapes
from kubatch.sim.faults import Faults, FaultyClient, swarm
from kubatch.sim.loop import NothingToWaitFor, TimeStandsStill, VirtualLoop
from kubatch.sim.parts import ControlPlane, Node, Process
from kubatch.sim.runtime import ScriptedRuntime
from kubatch.sim.truth import Truth
from kubatch.sim.users import ADOPTABLE, TEAM, Users
from kubatch.sim.world import SimClock, SimWorld, chance
from kubatch.store.memory import MemoryStore
from kubatch.store.protocol import Change

# Everything must have ended this long after the faults: well beyond the longest back-offs in a row.
LIVENESS_SECONDS_MAX = 6 * 3600.0
LOOK_SECONDS = 15.0  # between looks whether all has come to rest
QUIET_SECONDS = 60.0  # a cluster at rest writes no Job and no pod for so long
QUIET_TRIES = 10  # what was delayed may still have to arrive
HOUR = 3600.0


@dataclass(frozen=True)
class Verdict:
    """What became of one seed."""

    seed: int
    complaints: tuple[str, ...]
    trace: bytes
    seconds: float  # of virtual time
    writes: int
    jobs: int
    pods: int
    crashes: int
    faults: str


class _WatchedStore(MemoryStore):
    """A store with somebody who sees every commit as it happens."""

    def __init__(self, history_changes_max: int, saw: Callable[[Change], None]) -> None:
        super().__init__(history_changes_max)
        self._saw = saw

    def _publish(self, changes: Sequence[Change]) -> None:
        super()._publish(changes)
        for change in changes:
            self._saw(change)


class _Errors(logging.Handler):
    """Turns what the product logs as an error into complaints: none is expected."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._complain = complain

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._complain(f"logged: {record.getMessage()}: {error!r}")


@dataclass
class Simulation:
    """A whole cluster under one seed."""

    seed: int
    directory: Path
    tell: Callable[[str], None] | None = None  # hears each line of the trace as it comes
    faults: Faults | None = None  # instead of those that the seed draws
    complaints: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def run(self) -> Verdict:
        """From nothing to the verdict."""
        logger = logging.getLogger("kubatch")
        level, propagate = logger.level, logger.propagate
        handler = _Errors(self._complain)
        logger.addHandler(handler)
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        # Collections at moments of their own would be one more thing that differs between runs.
        gc.disable()
        try:
            with asyncio.Runner(loop_factory=VirtualLoop) as runner:
                loop = runner.get_loop()
                loop.set_exception_handler(lambda _, what: self._complain(f"loop: {what}"))
                try:
                    return runner.run(self._run())
                except (NothingToWaitFor, TimeStandsStill) as error:
                    self._complain(f"{type(error).__name__}: nothing goes on")
                    return self._verdict()
        finally:
            gc.enable()
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate

    # ----- the cluster

    def _build(self) -> None:
        if self.faults is None:
            self.faults = swarm(chance(self.seed, "faults"))
        self._now = asyncio.get_running_loop().time
        self._note(f"seed {self.seed}: {self.faults}")
        self.clock = SimClock()
        self.world = SimWorld(self.clock, chance(self.seed, "world"))
        self.truth = Truth()
        self.store = _WatchedStore(self.faults.history_changes_max, self._saw)
        self.registry = Registry(
            self.store, self.world, STRATEGIES, self.faults.watch_buffer_events_max
        )
        self.users_client = LocalClient(self.registry, "user")
        self.plane = ControlPlane(self.world)
        rng = chance(self.seed, "nodes")
        self.nodes = [
            Node(
                f"node-{number}",
                self.world,
                ScriptedRuntime(
                    self.world,
                    shapes.programs(
                        chance(self.seed, f"work {number}"), chance(self.seed, f"checks {number}")
                    ),
                    witness=self._witness,
                ),
                self.directory,
            )
            for number in range(rng.choice([1, 1, 2]))
        ]
        self.processes = [self._process("control plane", self.plane.main)]
        self.processes += [self._process(f"agent {n.name}", n.main) for n in self.nodes]
        if self.faults.together:
            for process in self.processes:
                process.companions = [p for p in self.processes if p is not process]
        self._broken = asyncio.Event()

    def _process(self, name: str, main: Any) -> Process:
        assert self.faults is not None
        rng, faults = chance(self.seed, name), self.faults
        inner = LocalClient(self.registry)

        def connect(crash: Callable[[str], None]) -> FaultyClient:
            return FaultyClient(inner, faults, rng, crash, self._note)

        return Process(name, main, connect, faults, rng, self._note)

    async def _run(self) -> Verdict:
        self._build()
        await self.store.open()
        await ensure_namespaces(self.registry)
        team = m.Namespace(metadata=m.ObjectMeta(name=TEAM))
        await self.users_client.create(NAMESPACES, team)
        await self.users_client.create(SERVICES, services.service("web", dict(ADOPTABLE)))
        life = asyncio.create_task(self._live())
        broken = asyncio.create_task(self._broken.wait())
        parts = [asyncio.create_task(process.run()) for process in self.processes]
        await asyncio.wait([life, broken, *parts], return_when=asyncio.FIRST_COMPLETED)
        for task in (life, *parts):
            if task.done() and task.exception() is not None:
                self._complain(repr(task.exception()))
        everything = [life, broken, *parts]
        for one in everything:
            one.cancel()
        await asyncio.gather(*everything, return_exceptions=True)
        await self.store.close()
        return self._verdict()

    async def _live(self) -> None:
        """The phases: misfortune, then peace, then silence."""
        users = Users(
            self.users_client, chance(self.seed, "users"), self.truth, self._note,
            watched=chance(self.seed, "probes"),
        )  # fmt: skip
        mischief = asyncio.create_task(self._mischief())
        try:
            await users.run()
        finally:
            mischief.cancel()
        assert self.faults is not None
        self._note("faults stop")
        self.faults.stop()
        for node in self.nodes:
            node.runtime.available = True
        await users.settle()
        for _ in range(QUIET_TRIES):
            await self._come_to_rest(users)
            revision = self._last_write
            await asyncio.sleep(QUIET_SECONDS)
            if self._last_write == revision:
                break
        else:
            self._complain("a cluster at rest goes on writing")
        for complaint in ends.look_at_the_end(self.truth):
            self._complain(complaint)
        for complaint in await services.look_at_endpoints(self.users_client):
            self._complain(complaint)

    async def _come_to_rest(self, users: Users) -> None:
        end = self._now() + LIVENESS_SECONDS_MAX
        while left := list(ends.unsettled(self.truth, await self._namespaces())):
            if self._now() > end:
                for complaint in left:
                    self._complain(f"after {LIVENESS_SECONDS_MAX:g}s of peace {complaint}")
                return
            await asyncio.sleep(LOOK_SECONDS)
            await users.tidy()

    async def _namespaces(self) -> list[m.Namespace]:
        return list((await self.users_client.list(NAMESPACES)).items)

    # ----- misfortune that comes by itself

    async def _mischief(self) -> None:
        faults, rng = self.faults, chance(self.seed, "mischief")
        assert faults is not None
        kinds = [
            (faults.kills, self._kill),
            (faults.reboots, self._reboot),
            (faults.outages, self._outage),
            (faults.jumps, self._jump),
        ]
        total = sum(rate for rate, _ in kinds)
        while total > 0:
            await asyncio.sleep(rng.expovariate(total / HOUR))
            strike = rng.choices([k for _, k in kinds], [rate for rate, _ in kinds])[0]
            await strike(rng, faults)

    async def _kill(self, rng: Any, faults: Faults) -> None:
        rng.choice(self.processes).crash("while it waits")

    async def _reboot(self, rng: Any, faults: Faults) -> None:
        number = rng.randrange(len(self.nodes))
        node = self.nodes[number]
        self._note(f"{node.name} loses its power")
        self.processes[1 + number].crash("with its machine")
        for uid in await node.lose_everything():
            self.truth.lose(uid)

    async def _outage(self, rng: Any, faults: Faults) -> None:
        node = rng.choice(self.nodes)
        self._note(f"the runtime of {node.name} is out")
        node.runtime.available = False
        await asyncio.sleep(rng.expovariate(1.0) * faults.outage_seconds)
        self._note(f"the runtime of {node.name} is back")
        node.runtime.available = True

    async def _jump(self, rng: Any, faults: Faults) -> None:
        seconds = rng.uniform(-1.0, 1.0) * faults.jump_seconds
        self._note(f"the clock jumps by {seconds:.3f}s")
        self.clock.jump(seconds)
        for job in self.truth.jobs.values():
            if job.spec.activeDeadlineSeconds is not None:
                job.disturbed = True

    # ----- what is seen

    _last_write = 0

    def _saw(self, change: Change) -> None:
        data = change.record.value.data if change.record else b""
        verb = "delete" if not data else "create" if change.previous is None else "update"
        line = f"{change.revision} {verb} {change.key} {zlib.crc32(data):08x}"
        concerned = self.truth.take(change)
        if concerned is not None:
            whose, before, after = concerned
            self._last_write = change.revision
            self._note(f"{line} {_gist(after)}")
            for complaint in checks.look(self.truth, self.plane.decision, whose, before, after):
                self._complain(complaint)
        else:
            self._note(line)

    def _witness(self, seen: Container) -> None:
        id = f"{seen.id.pod_uid[:8]}/{seen.id.container}/{seen.id.attempt}"
        if self.truth.saw(seen):
            self._note(f"container {id} starts")
            for check in checks.START_CHECKS:
                for complaint in check(self.truth, seen):
                    self._complain(f"{complaint} [{check.__name__}]")
        if seen.exit_code is not None:
            self._note(f"container {id} ends with {seen.exit_code} {seen.reason}".rstrip())

    def _note(self, text: str) -> None:
        line = f"{self._now():.6f} {text}"
        self.lines.append(line)
        if self.tell is not None:
            self.tell(line)

    def _complain(self, text: str) -> None:
        self.complaints.append(text)
        self._note(f"VIOLATION {text}")
        self._broken.set()

    def _verdict(self) -> Verdict:
        return Verdict(
            self.seed,
            tuple(self.complaints),
            "\n".join(self.lines).encode(),
            self._now(),
            self.store.revision,
            len(self.truth.jobs),
            len(self.truth.pods),
            sum(process.crashes for process in self.processes),
            str(self.faults),
        )


def _gist(obj: Any) -> str:
    """What a reader of the trace wants to know of a version."""
    if obj is None:
        return ""
    meta = obj.metadata
    parts = ["deleting" if meta.deletionTimestamp is not None else ""]
    parts += [f"finalizers={','.join(f.rpartition('/')[2] for f in meta.finalizers or ())}"]
    status = obj.status
    if isinstance(obj, m.Pod):
        parts += [(status.phase if status else None) or "", (obj.spec and obj.spec.nodeName) or ""]
    elif status is not None:
        lists = status.uncountedTerminatedPods
        parts += [
            f"active={status.active or 0}/{obj.spec.parallelism}",
            f"succeeded={status.succeeded or 0} failed={status.failed or 0}",
            f"terminating={status.terminating or 0}",
            f"uncounted={len(lists.succeeded or ())}+{len(lists.failed or ())}" if lists else "",
            f"indexes={status.completedIndexes}" if status.completedIndexes else "",
            ",".join(c.type for c in status.conditions or () if c.status == "True"),
        ]
    return " ".join(part for part in parts if part)


def run_seed(seed: int, directory: Path, tell: Callable[[str], None] | None = None) -> Verdict:
    """Run one seed; `directory` is where node agents may keep files."""
    return Simulation(seed, directory, tell).run()
