"""What pods have on disk: measured for those that may only have so much, and not more often than
the measuring is worth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubatch.agent.eviction import Stored, too_much_stored
from kubatch.agent.prepare import pod_log_directory
from kubatch.agent.record import PodRecord
from kubatch.agent.signals import size_of
from kubatch.api import models as m
from kubatch.runtime.protocol import ContainerId, Usage
from kubatch.world import World

# A look may take this share of the time: who has millions of files is looked at less often.
_SHARE = 0.05
_EPHEMERAL = "ephemeral-storage"


@dataclass(frozen=True, slots=True)
class _Places:
    """Where one pod's files are, and what it may have there, as written."""

    volumes: Mapping[str, tuple[Path, str]]
    in_memory: Mapping[str, tuple[Path, str]]  # only what containers share has files here
    containers: Mapping[str, list[Path]]
    limits: Mapping[str, str]


@dataclass(slots=True)
class Storage:
    """Knows where pods' files are, and how much they were when last looked at."""

    world: World
    disk: Path  # where all of it lies
    logs: Path
    # Where a pod's volume is, in memory or not; None: pods have no volumes.
    volumes: Callable[[str, str, bool], Path] | None = None
    _known: dict[str, Stored] = field(default_factory=dict)
    _rests: int = 0  # looks to leave out

    async def measure(
        self, records: Iterable[PodRecord], usages: Iterable[Usage], *, everything: bool
    ) -> None:
        """Look at what is limited; at everything when the disk runs short."""
        if self._rests:
            self._rests -= 1
            return
        wanted = [r for r in records if r.pod is not None and (everything or is_limited(r.pod))]
        if not wanted:
            self._known = {}
            return
        began = self.world.now()
        layers = {usage.id: usage.layer for usage in usages}
        places = {r.uid: self._places(r, layers) for r in wanted}
        self._known = await asyncio.to_thread(
            lambda: {uid: _measured(place) for uid, place in places.items()}
        )
        took = (self.world.now() - began).total_seconds()
        self._rests = int(took / _SHARE / 10)

    def too_much(self, record: PodRecord) -> str:
        """Why a pod has to go, "" when it may stay."""
        known = self._known.get(record.uid)
        return "" if known is None else too_much_stored(known)

    def by_container(self, record: PodRecord) -> Mapping[str, int]:
        """What each container has, as far as it was measured; volumes count for the first."""
        known = self._known.get(record.uid)
        if known is None:
            return {}
        sizes = dict(known.containers)
        for first in list(sizes)[:1]:
            sizes[first] += sum(used for used, _ in known.volumes.values())
        return sizes

    def _places(self, record: PodRecord, layers: Mapping[ContainerId, Path | None]) -> _Places:
        pod = record.pod
        assert pod is not None
        assert pod.spec is not None
        assert pod.metadata is not None
        volumes: dict[str, tuple[Path, str]] = {}
        in_memory: dict[str, tuple[Path, str]] = {}
        for volume in pod.spec.volumes or () if self.volumes is not None else ():
            if volume.emptyDir is not None:
                assert self.volumes is not None
                memory = volume.emptyDir.medium == "Memory"
                place = self.volumes(record.uid, volume.name, memory)
                allowed = str(volume.emptyDir.sizeLimit or "")
                (in_memory if memory else volumes)[volume.name] = (place, allowed)
        logs = pod_log_directory(
            self.logs, pod.metadata.namespace or "default", pod.metadata.name or "", record.uid
        )
        containers: dict[str, list[Path]] = {}
        limits: dict[str, str] = {}
        for container in (*(pod.spec.initContainers or ()), *pod.spec.containers):
            containers[container.name] = [logs / container.name]
            containers[container.name] += [
                path
                for id in record.attempts
                if id.container == container.name and (path := layers.get(id)) is not None
            ]
            limit = _limit(container)
            if limit:
                limits[container.name] = limit
        return _Places(volumes, in_memory, containers, limits)


def is_limited(pod: m.Pod) -> bool:
    """Whether there is a limit to what the pod may store."""
    spec = pod.spec
    assert spec is not None
    return any(_limit(c) for c in spec.containers) or any(
        v.emptyDir is not None and v.emptyDir.sizeLimit for v in spec.volumes or ()
    )


def _limit(container: m.Container) -> str:
    limits = (container.resources.limits if container.resources is not None else None) or {}
    return str(limits.get(_EPHEMERAL, ""))


def _measured(places: _Places) -> Stored:
    return Stored(
        {name: (size_of([path]), limit) for name, (path, limit) in places.volumes.items()},
        {name: size_of(paths) for name, paths in places.containers.items()},
        places.limits,
        {name: (size_of([path]), limit) for name, (path, limit) in places.in_memory.items()},
    )
