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


@dataclass(slots=True)
class Storage:
    """Knows where pods' files are, and how much they were when last looked at."""

    world: World
    disk: Path  # where all of it lies
    logs: Path
    volumes: Callable[[str], Path] | None = None  # a pod's directory; None: it has no volumes
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
            lambda: {uid: _measured(*place) for uid, place in places.items()}
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

    def _places(
        self, record: PodRecord, layers: Mapping[ContainerId, Path | None]
    ) -> tuple[dict[str, tuple[Path, str]], dict[str, list[Path]], dict[str, str]]:
        pod = record.pod
        assert pod is not None
        assert pod.spec is not None
        assert pod.metadata is not None
        volumes: dict[str, tuple[Path, str]] = {}
        if self.volumes is not None:
            folder = self.volumes(record.uid) / "volumes"
            for volume in pod.spec.volumes or ():
                if volume.emptyDir is not None and volume.emptyDir.medium != "Memory":
                    limit = str(volume.emptyDir.sizeLimit or "")
                    volumes[volume.name] = (folder / volume.name, limit)
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
        return volumes, containers, limits


def is_limited(pod: m.Pod) -> bool:
    """Whether there is a limit to what the pod may store on disk."""
    spec = pod.spec
    assert spec is not None
    return any(_limit(c) for c in spec.containers) or any(
        v.emptyDir is not None and v.emptyDir.sizeLimit and v.emptyDir.medium != "Memory"
        for v in spec.volumes or ()
    )


def _limit(container: m.Container) -> str:
    limits = (container.resources.limits if container.resources is not None else None) or {}
    return str(limits.get(_EPHEMERAL, ""))


def _measured(
    volumes: Mapping[str, tuple[Path, str]],
    containers: Mapping[str, list[Path]],
    limits: Mapping[str, str],
) -> Stored:
    return Stored(
        {name: (size_of([path]), limit) for name, (path, limit) in volumes.items()},
        {name: size_of(paths) for name, paths in containers.items()},
        limits,
    )
