"""One turn for one pod: decide, carry out, write the status, as often as it takes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from msgspec import structs

from kubatch.agent import facts as facts_of
from kubatch.agent.commands import (
    Command,
    DeletePod,
    Emit,
    ForgetPod,
    PodDecision,
    ReleaseVolumes,
    RemoveContainer,
    RunPreStop,
    SetUpVolumes,
    Signal,
    StartContainer,
)
from kubatch.agent.decide import decide
from kubatch.agent.ending import bury
from kubatch.agent.env import References, Sources, references
from kubatch.agent.facts import (
    ContainerFacts,
    MountTrouble,
    PodFacts,
    Problem,
    VolumesState,
)
from kubatch.agent.gate import Gate
from kubatch.agent.life import Life
from kubatch.agent.logs import message_from_log
from kubatch.agent.places import Places
from kubatch.agent.pod_files import lay_out, message, rewrite_hosts, texts
from kubatch.agent.prepare import Host, log_path, pod_log_directory, prepare
from kubatch.agent.record import PodRecord, Said, bare
from kubatch.agent.services import Services
from kubatch.agent.status import is_terminal
from kubatch.agent.targets import not_followed
from kubatch.agent.unenforced import Unenforced
from kubatch.agent.vitals import is_plain
from kubatch.agent.volumes import Volumes, changes
from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import CONFIGMAPS, PODS, SECRETS, Resource
from kubatch.client.protocol import Client
from kubatch.reconcile.events import Recorder
from kubatch.runtime.protocol import (
    Container,
    ContainerId,
    ContainerNotFound,
    ContainerState,
    Mount,
    Runtime,
)
from kubatch.world import World

# So many pods under way double the time for a start to settle; it never grows beyond the maximum.
SETTLE_SHARE = 4
SETTLE_MAX = 1.0

MOUNT_RETRY = 0.5
MOUNT_RETRY_MAX = 122.0
# pkg/kubelet/apis/config/v1beta1/defaults.go: syncFrequency, and up to half as much again
REFRESH = 60.0
REFRESH_JITTER = 0.5

T = TypeVar("T")
Teller = Callable[[str, str, str], None]


class PodWorker:
    """Carries out decisions about pods. It holds nothing: everything is in their records."""

    def __init__(
        self,
        client: Client,
        runtime: Runtime,
        world: World,
        recorder: Recorder,
        host: Host,
        volumes: Volumes | None = None,
        services: Services | None = None,
        *,
        life: Life,
        settle: float,
        gate: Gate | None = None,
        places: Places | None = None,
    ) -> None:
        self._places = places or Places(None, recorder)
        self._life = life
        self._gate = gate  # None: whoever comes is taken in
        self._unenforced = Unenforced()
        self._volumes = volumes  # None: the runtime mounts nothing
        self._services = services  # None: containers are told of none
        self._client = client
        self._runtime = runtime
        self._world = world
        self._recorder = recorder
        self._host = host
        # Seconds to wait after a start before "Running" is written: a program that ends within
        # them costs one write, not two. Nothing else waits for it.
        self._settle_seconds = settle
        self._under_way = 0

    async def turn(self, record: PodRecord) -> datetime | None:
        """Do all that can be done now; when to come back. Raises ApiError, RuntimeUnavailable."""
        self._under_way += 1
        try:
            if not record.admitted and self._gate is not None:
                await self._gate.admit(record)
            wake_at = await self._turn(record)
            await self._places.clear_up(record)
            return await self._refreshed(record, wake_at)
        finally:
            self._under_way -= 1

    async def _turn(self, record: PodRecord) -> datetime | None:
        if self._is_done(record):
            record.wanted.clear()
            return None
        started = False
        while True:
            record.wanted.clear()
            facts, decision = self._decide(record)
            record.memory = decision.memory
            self._life.follow(record, facts, stopping=decision.memory.stopping is not None)
            record.said = Said(decision.because, self._world.now(), decision.wake_at)
            for command in decision.commands:
                await self._carry_out(record, facts, command)
            if any(isinstance(c, StartContainer) for c in decision.commands):
                # What to show depends on how it went; where nothing else does, on how it ends.
                started = not self._only_ends(record, decision) or await self._settle(record)
                continue
            if SetUpVolumes() in decision.commands:
                continue
            if not record.needs(decision.status):
                return decision.wake_at
            status = decision.status
            assert status is not None
            if started and not is_terminal(status.phase or "") and await self._settle(record):
                started = False
                continue
            if not await self._write(record, status) or not is_terminal(status.phase or ""):
                return decision.wake_at

    def _only_ends(self, record: PodRecord, decision: PodDecision) -> bool:
        """Whether what was started has nothing before it but its end."""
        spec = record.pod.spec if record.pod is not None else None
        return spec is not None and decision.wake_at is None and is_plain(spec)

    def _is_done(self, record: PodRecord) -> bool:
        """Whether the pod has ended and was cleared up: only others' writes are still to come."""
        pod = record.pod
        if pod is None or record.gone or record.attempts or record.tasks:
            return False
        assert pod.metadata is not None
        return (
            pod.status is not None
            and is_terminal(pod.status.phase or "")
            and self._volumes_of(record) in (VolumesState.NONE, VolumesState.RELEASED)
            and pod.metadata.deletionTimestamp is None
        )

    def _decide(self, record: PodRecord) -> tuple[PodFacts | None, PodDecision]:
        now = self._world.now()
        if record.gone or record.pod is None:
            left = frozenset(record.attempts)
            containers = bare(record.attempts.values())
            return None, bury(containers, left, record.memory.stopping, now)
        self._read_tails(record)
        facts = facts_of.read(
            record.pod,
            record.attempts.values(),
            record.memory,
            host_ip=self._host.address,
            runtime=self._host.runtime_name,
            tails=record.tails,
            volumes=self._volumes_of(record),
            vitals=record.vitals,
            pod_ip=self._places.address_of(record.pod),
        )
        return facts, decide(facts, now)

    def _read_tails(self, record: PodRecord) -> None:
        """What attempts left as their message, or their log's end where they want that."""
        assert record.pod is not None
        assert record.pod.spec is not None
        assert record.pod.metadata is not None
        meta = record.pod.metadata
        own = record.pod.spec
        added = own.ephemeralContainers or ()
        for spec in (*(own.initContainers or ()), *own.containers, *added):
            falls_back = spec.terminationMessagePolicy == "FallbackToLogsOnError"
            for id, attempt in record.attempts.items():
                if id.container != spec.name or id in record.tails:
                    continue
                if self._volumes is not None and attempt.state is ContainerState.EXITED:
                    record.tails[id] = message(self._volumes.directory(record.uid), id)
                if not falls_back or not _ran_and_failed(attempt) or record.tails.get(id):
                    continue
                folder = pod_log_directory(
                    self._host.logs, meta.namespace or "default", meta.name or "", record.uid
                )
                path = folder / spec.name / f"{id.attempt}.log"
                record.tails[id] = message_from_log(path)

    async def _carry_out(self, record: PodRecord, facts: PodFacts | None, command: Command) -> None:
        match command:
            case StartContainer():
                assert facts is not None
                await self._start(record, facts, command)
            case Signal():
                try:
                    await self._runtime.signal(command.id, command.number)
                except ContainerNotFound:
                    record.lost(command.id)
                    record.wanted.set()
            case RunPreStop():
                assert facts is not None
                self._life.begin_pre_stop(record, command.container, facts.full_name)
            case SetUpVolumes():
                await self._set_up_volumes(record)
            case ReleaseVolumes():
                await self._release_volumes(record)
            case RemoveContainer():
                await self._remove(record, facts, command)
            case DeletePod():
                await self._delete(record)
            case Emit():
                self._emit(record, command)
            case ForgetPod():
                await self._release_volumes(record)
                self._delete_logs(record)

    # ----- containers

    async def _start(self, record: PodRecord, facts: PodFacts, command: StartContainer) -> None:
        container = command.container
        wanted = references(container.spec)
        sources = await self._sources(facts.namespace, wanted) if wanted else Sources()
        if self._services is not None:
            await self._services.synced()
            sources = replace(sources, services=self._services.variables_for(facts.pod))
        now = self._world.now()
        id = ContainerId(facts.uid, container.name, command.attempt)
        host = await self._places.enter(record, self._host)
        more = self._lay_out(facts, container.spec, id)
        spec = prepare(
            facts, container.spec, command.attempt, sources, host, now, record.volumes, more
        )
        told = self._telling(record, container)
        image = container.spec.image or ""
        pulled = f'Container image "{image}" already present on machine'
        if isinstance(spec, Problem):
            told("Normal", "Pulled", f"{pulled} and can be accessed by the pod")
            told("Warning", "Failed", f"Error: {spec.message}")
            problems = {**record.memory.problems, container.name: spec}
            record.memory = replace(record.memory, problems=problems)
            return
        seen = await self._runtime.start(spec)
        record.learn(seen)
        if container.name in record.memory.problems:
            problems = {k: v for k, v in record.memory.problems.items() if k != container.name}
            record.memory = replace(record.memory, problems=problems)
        told("Normal", "Pulled", f"{pulled} and can be accessed by the pod")
        told("Normal", "Created", "Container created")
        if seen.reason == "StartError":
            told("Warning", "Failed", f"Error: {seen.message}")
        else:
            told("Normal", "Started", "Container started")
            if why := not_followed(facts, container.name, self._host.capabilities):
                told("Warning", "TargetNotFollowed", why)
            self._life.begin_post_start(record, container, id, facts.full_name)

    async def _sources(self, namespace: str, wanted: References) -> Sources:
        config_maps: dict[str, m.ConfigMap] = {}
        secrets: dict[str, m.Secret] = {}
        for name in wanted.config_maps:
            if (config_map := await self._find(CONFIGMAPS, namespace, name)) is not None:
                config_maps[name] = config_map
        for name in wanted.secrets:
            if (secret := await self._find(SECRETS, namespace, name)) is not None:
                secrets[name] = secret
        return Sources(config_maps, secrets)

    async def _find(self, resource: Resource[T], namespace: str, name: str) -> T | None:
        try:
            return await self._client.get(resource, namespace, name)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    async def _remove(
        self, record: PodRecord, facts: PodFacts | None, command: RemoveContainer
    ) -> None:
        try:
            await self._runtime.remove(command.id)
        except ContainerNotFound:
            pass
        record.attempts.pop(command.id, None)
        record.tails.pop(command.id, None)
        record.vitals.forget(command.id)
        if command.with_log and facts is not None:
            id = command.id
            _unlink(log_path(self._host.logs, facts, id.container, id.attempt))

    # ----- volumes

    def _volumes_of(self, record: PodRecord) -> VolumesState:
        if self._volumes is None:
            return VolumesState.NONE
        if record.released:
            return VolumesState.RELEASED
        return VolumesState.WANTED if record.volumes is None else VolumesState.READY

    async def _set_up_volumes(self, record: PodRecord) -> None:
        assert self._volumes is not None
        assert record.pod is not None
        mounted, problems = await self._volumes.set_up(record.pod)
        trouble = None
        if problems:
            # pkg/util/goroutinemap/exponentialbackoff: from half a second to two minutes
            before = record.memory.mounting
            delay = MOUNT_RETRY if before is None else min(before.delay * 2, MOUNT_RETRY_MAX)
            trouble = MountTrouble(self._world.now() + timedelta(seconds=delay), delay)
            for problem in problems:
                self._emit(record, Emit("Warning", "FailedMount", problem))
        else:
            record.volumes = mounted
        record.memory = replace(record.memory, mounting=trouble)

    async def _release_volumes(self, record: PodRecord) -> None:
        if self._volumes is not None:
            await self._volumes.release(record.uid)
        record.volumes, record.released = None, True

    async def _refreshed(self, record: PodRecord, wake_at: datetime | None) -> datetime | None:
        """Bring volumes up to date when it is time; when to come back."""
        pod = record.pod
        if self._volumes is None or pod is None or record.gone or record.released:
            return wake_at
        if not changes(pod) or all(
            a.state is not ContainerState.RUNNING for a in record.attempts.values()
        ):
            return wake_at
        assert pod.metadata is not None
        now, shown = self._world.now(), (pod.metadata.labels, pod.metadata.annotations)
        due = record.refresh_at
        if due is None or now >= due or shown != record.shown_by_volumes:
            if due is not None:
                await self._volumes.refresh(pod)
            share = 1 + self._world.rng.random() * REFRESH_JITTER
            due = record.refresh_at = now + timedelta(seconds=REFRESH * share)
            record.shown_by_volumes = shown
        return due if wake_at is None else min(wake_at, due)

    def _lay_out(
        self, facts: PodFacts, container: m.Container, id: ContainerId
    ) -> tuple[Mount, ...]:
        """The files of one attempt that are no volume's."""
        if self._volumes is None:
            return ()
        self._unenforced.look(facts.pod)
        directory = self._volumes.directory(facts.uid)
        found = lay_out(directory, container, id, *self._texts(facts.pod))
        memory = self._volumes.shared_memory(facts.pod)
        return found if memory is None else (*found, Mount("/dev/shm", memory))

    def _texts(self, pod: m.Pod) -> tuple[str, str | None]:
        names = self._services.lines_for(pod) if self._services is not None else ""
        own = self._places.address_of(pod)
        return texts(pod, own or self._host.address, names, own_network=own is not None)

    def rename(self, record: PodRecord) -> None:
        """Bring a pod's /etc/hosts up to date, where it has one."""
        if self._volumes is not None and record.pod is not None and not record.released:
            rewrite_hosts(self._volumes.directory(record.uid), self._texts(record.pod)[0])

    # ----- the API

    async def _settle(self, record: PodRecord) -> bool:
        """Wait a moment for a change of the pod; whether one came."""
        if self._settle_seconds <= 0 or record.wanted.is_set():
            return record.wanted.is_set()
        # Busy times are when writes must be saved, and when ends are seen late.
        seconds = min(self._settle_seconds * (1 + self._under_way / SETTLE_SHARE), SETTLE_MAX)
        try:
            async with asyncio.timeout(seconds):
                await record.wanted.wait()
        except TimeoutError:
            return False
        return True

    async def _write(self, record: PodRecord, status: m.PodStatus) -> bool:
        """Write the status; False when the pod changed or went meanwhile: it is decided anew."""
        pod = record.pod
        assert pod is not None
        try:
            answer = await self._client.update(PODS, structs.replace(pod, status=status), "status")
        except ApiError as error:
            if error.code == 404:
                record.gone = True
            elif error.code == 409:
                await self._read_again(record)
            else:
                raise
            record.wanted.set()
            return False
        record.written, record.answered = status, answer.status
        record.take(answer)
        return True

    async def _read_again(self, record: PodRecord) -> None:
        assert record.pod is not None
        meta = record.pod.metadata
        assert meta is not None
        fresh = await self._find(PODS, meta.namespace or "default", meta.name or "")
        if fresh is None or fresh.metadata is None or fresh.metadata.uid != record.uid:
            record.gone = True
        else:
            record.take(fresh)

    async def _delete(self, record: PodRecord) -> None:
        assert record.pod is not None
        meta = record.pod.metadata
        assert meta is not None
        try:
            answer = await self._client.delete(
                PODS, meta.namespace, meta.name or "", grace_period_seconds=0, uid=record.uid
            )
            if answer is not None:
                record.take(answer)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            record.gone = True  # it, or whoever has its name now, is not ours any more
            record.wanted.set()

    def _emit(self, record: PodRecord, event: Emit) -> None:
        if record.pod is not None:
            self._recorder.record(
                record.pod, event.type, event.reason, event.message, field_path=event.field_path
            )

    def _telling(self, record: PodRecord, container: ContainerFacts) -> Teller:
        def tell(type: str, reason: str, message: str) -> None:
            self._emit(record, Emit(type, reason, message, container.field_path))

        return tell

    def _delete_logs(self, record: PodRecord) -> None:
        if record.pod is None or record.pod.metadata is None:
            return
        meta = record.pod.metadata
        folder = pod_log_directory(
            self._host.logs, meta.namespace or "default", meta.name or "", record.uid
        )
        shutil.rmtree(folder, ignore_errors=True)


def _ran_and_failed(attempt: Container) -> bool:
    return (
        attempt.state is ContainerState.EXITED
        and attempt.exit_code != 0
        and attempt.reason != "StartError"
    )


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
