"""The volumes of this node's pods, as directories of this machine.

Set up before a container starts, kept up to date while it runs, removed when the pod has ended.
What they hold is decided in volume_files; how containers see them, in mounting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import stat
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from kubatch.agent import volume_files
from kubatch.agent.api_access import is_given_volume
from kubatch.agent.env import PodContext, Sources
from kubatch.agent.host_paths import give_to_group, host_path
from kubatch.agent.refuse import has_company
from kubatch.agent.volume_files import Inputs, TokenWanted, VolumeError
from kubatch.agent.volume_writer import write
from kubatch.api import models as m
from kubatch.api import quantity
from kubatch.api.errors import ApiError
from kubatch.api.resource import (
    CONFIGMAPS,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    SECRETS,
    Resource,
)
from kubatch.client.protocol import Client
from kubatch.world import World

log = logging.getLogger(__name__)

# pkg/kubelet/token/token_manager.go: renewed after so much of a token's life, or a day
TOKEN_SHARE = 0.8
TOKEN_AGE_MAX = timedelta(hours=24)
# A pod's `kube-api-access` volume, and every other that holds secrets, stays off the disk here.
MEMORY = Path("/dev/shm")
_OWNER = ".of"  # says whose directory in memory it is

T = TypeVar("T")
# Namespace and name of the account, and what is asked for; the answer's status has the token.
Tokens = Callable[[str, str, m.TokenRequest], Awaitable[m.TokenRequest]]


@dataclass(frozen=True, slots=True)
class Mounted:
    """A volume that is ready for containers."""

    source: Path | None  # None: memory that a container gets for itself
    read_only: bool = False
    size_bytes: int | None = None
    # Containers of the pod write to it, so what lies in it may change at any time.
    shared: bool = False


class Volumes:
    """Sets volumes up, and takes them down. Below `directory` there is a directory for each pod."""

    def __init__(
        self,
        client: Client,
        world: World,
        directory: Path,
        context: PodContext,
        *,
        tokens: Tokens | None = None,
        memory: Path | None = MEMORY,
    ) -> None:
        self._client = client
        self._world = world
        self._directory = directory
        self._context = context
        self._issue = tokens
        # There from the start to the end, for what is hidden from a container must be there first.
        self._memory: Path | None = None
        if memory is not None and _made_private(path := memory_directory(directory.parent, memory)):
            self._memory = path
            _remove_orphans(path)
        self._tokens: dict[tuple[str, TokenWanted], tuple[str, datetime]] = {}

    def directory(self, uid: str) -> Path:
        """Where everything of one pod is."""
        assert "/" not in uid
        assert uid.strip(".")
        return self._directory / uid

    def place(self, uid: str, volume: str, in_memory: bool) -> Path:
        """Where a volume of a pod lies, if it has files of its own."""
        base = self.directory(uid)
        if in_memory and self._memory is not None:
            base = self._memory / uid
        return base / "volumes" / volume

    async def set_up(self, pod: m.Pod) -> tuple[dict[str, Mounted], list[str]]:
        """Every volume that a container mounts, and what went wrong with the others."""
        mounted: dict[str, Mounted] = {}
        problems: list[str] = []
        for volume in used(pod):
            if self._issue is None and is_given_volume(volume):
                continue  # there is no API to reach
            try:
                mounted[volume.name] = await self._set_up(pod, volume)
            except _NotProcessed as error:
                problems.append(
                    f"Unable to attach or mount volumes: unmounted volumes=[{volume.name}], "
                    f"unattached volumes=[], failed to process volumes=[{volume.name}]: {error}"
                )
            except (VolumeError, OSError) as error:
                problems.append(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}')
        return mounted, problems

    async def refresh(self, pod: m.Pod) -> None:
        """Bring what volumes hold of other objects up to date. Raises ApiError."""
        for volume in used(pod):
            if not volume_files.made_of_files(volume):
                continue
            if self._issue is None and is_given_volume(volume):
                continue
            try:
                await self._write(pod, volume)
            except (VolumeError, OSError) as error:
                # What was there stays; the object may come back.
                log.info("volume %s of pod %s stays as it is: %s", volume.name, _uid(pod), error)

    async def release(self, uid: str) -> None:
        """Remove everything of a pod."""
        for key in [key for key in self._tokens if key[0] == uid]:
            del self._tokens[key]
        found = [root / uid for root in self._roots() if (root / uid).exists()]
        if found:
            await asyncio.to_thread(_remove, found)

    def shared_memory(self, pod: m.Pod) -> Path | None:
        """What a pod's containers have in common at /dev/shm; None: each has its own."""
        assert pod.spec is not None
        if self._memory is None or pod.spec.hostIPC or not has_company(pod.spec):
            return None
        path = self._place(pod, "shm", in_memory=True).parent.with_name("shm")
        if not path.is_dir():
            path.mkdir()
            path.chmod(0o1777)
        return path

    def sweep(self, kept: set[str]) -> None:
        """Remove what is left of pods that are no more."""
        for root in self._roots():
            for folder in root.iterdir():
                if folder.name not in kept:
                    shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything: no container is left."""
        self.sweep(set())
        if self._memory is not None:
            with contextlib.suppress(OSError):
                (self._memory / _OWNER).unlink(missing_ok=True)
                self._memory.rmdir()

    def _roots(self) -> list[Path]:
        """The directories below which pods have theirs, as far as they are there."""
        roots = [self._directory] if self._directory.is_dir() else []
        if self._memory is not None:
            roots.append(self._memory)
        return roots

    def _place(self, pod: m.Pod, name: str, *, in_memory: bool) -> Path:
        place = self.place(_uid(pod), name, in_memory)
        if in_memory and self._memory is not None and not (self._memory / _OWNER).exists():
            (self._memory / _OWNER).write_text(str(self._directory.parent))
        folder = place.parent
        if not folder.is_dir():
            for path in (folder.parent.parent, folder.parent, folder):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place

    # ----- one volume

    async def _set_up(self, pod: m.Pod, volume: m.Volume) -> Mounted:
        if volume_files.made_of_files(volume):
            return Mounted(await self._write(pod, volume), read_only=True)
        if volume.emptyDir is not None:
            return self._empty_dir(pod, volume)
        if volume.hostPath is not None:
            path = host_path(volume.hostPath.path, volume.hostPath.type or "")
            return Mounted(self._foreign(path), shared=True)
        if volume.persistentVolumeClaim is not None:
            claim = volume.persistentVolumeClaim
            return await self._claimed(pod, claim.claimName, bool(claim.readOnly))
        if volume.ephemeral is not None:
            # pkg/controller/volume/ephemeral: the claim has the names of pod and volume
            assert pod.metadata is not None
            return await self._claimed(pod, f"{pod.metadata.name}-{volume.name}", False)
        raise _NotProcessed(
            f'failed to get Plugin from volumeSpec for volume "{volume.name}" '
            f"err=no volume plugin matched: {_kind(volume)} volumes are not supported here"
        )

    def _empty_dir(self, pod: m.Pod, volume: m.Volume) -> Mounted:
        source = volume.emptyDir
        assert source is not None
        in_memory = source.medium == "Memory"
        size = None if source.sizeLimit is None else int(quantity.parse(str(source.sizeLimit)))
        if in_memory and _is_of_one_run(pod, volume.name):
            return Mounted(None, size_bytes=size)
        path = self._place(pod, volume.name, in_memory=in_memory)
        if not path.is_dir():
            path.mkdir()
            path.chmod(0o777)
        self._give_to_group(pod, path, only_if_root_differs=True)
        return Mounted(path, shared=True)

    async def _write(self, pod: m.Pod, volume: m.Volume) -> Path:
        meta = pod.metadata
        assert meta is not None
        namespace = meta.namespace or "default"
        config_maps = await self._all(CONFIGMAPS, namespace, volume_files.config_maps(volume))
        secrets = await self._all(SECRETS, namespace, volume_files.secrets(volume))
        tokens = {}
        for wanted in volume_files.tokens(volume):
            if (token := await self._token(pod, wanted)) is not None:
                tokens[wanted] = token
        inputs = Inputs(pod, self._context, Sources(config_maps, secrets), tokens)
        files = volume_files.files_of(volume, inputs)
        path = self._place(pod, volume.name, in_memory=volume_files.is_secret(volume))
        suffix = f"{self._world.rng.randrange(10**10):010d}"
        write(path, files, self._world.now(), suffix, fs_group(pod))
        return path

    async def _claimed(self, pod: m.Pod, name: str, read_only: bool) -> Mounted:
        """desired_state_of_world_populator.go: createVolumeSpec."""
        assert pod.metadata is not None
        namespace = pod.metadata.namespace or "default"
        where = f"error processing PVC {namespace}/{name}:"
        try:
            claim = await self._client.get(PERSISTENTVOLUMECLAIMS, namespace, name)
        except ApiError as error:
            if error.code != 404:
                raise
            message = f"{where} failed to fetch PVC from API server: {error}"
            raise _NotProcessed(message) from error
        bound = claim.status is not None and claim.status.phase == "Bound"
        volume_name = claim.spec.volumeName if claim.spec is not None else None
        if not bound or not volume_name:
            raise _NotProcessed(f"{where} PVC is not bound")
        try:
            volume = await self._client.get(PERSISTENTVOLUMES, None, volume_name)
        except ApiError as error:
            if error.code != 404:
                raise
            message = f"{where} failed to fetch PV {volume_name} from API server: {error}"
            raise _NotProcessed(message) from error
        return self._persistent(pod, volume, read_only)

    def _persistent(self, pod: m.Pod, volume: m.PersistentVolume, read_only: bool) -> Mounted:
        spec, name = volume.spec, volume.metadata.name if volume.metadata else ""
        assert spec is not None
        if not _is_for_node(spec, self._context.node_name):
            raise VolumeError(
                f'MountVolume.NodeAffinity check failed for volume "{name}" : '
                "no matching NodeSelectorTerms"
            )
        if spec.hostPath is not None:
            path = host_path(spec.hostPath.path, spec.hostPath.type or "")
        elif spec.local is not None:
            path = Path(spec.local.path)
            if not path.exists():
                raise VolumeError(f'path "{path}" does not exist')
            always = _group_policy(pod) != "OnRootMismatch"
            self._give_to_group(pod, self._foreign(path), only_if_root_differs=not always)
        else:
            raise VolumeError(f'volume "{name}" is neither a hostPath nor a local volume')
        return Mounted(self._foreign(path), read_only=read_only, shared=True)

    def _foreign(self, path: Path) -> Path:
        """A path of the machine that is not part of what we keep ourselves."""
        real = os.path.realpath(path)
        for root in (self._directory.parent, self._memory):
            own = None if root is None else os.path.realpath(root)
            if own is not None and (real == own or real.startswith(own + "/")):
                raise VolumeError(f"{path} is part of this node's own state")
        return path

    def _give_to_group(self, pod: m.Pod, path: Path, *, only_if_root_differs: bool) -> None:
        group = fs_group(pod)
        if group is not None:
            give_to_group(path, group, only_if_root_differs=only_if_root_differs)

    # ----- what volumes are made from

    async def _all(
        self, resource: Resource[T], namespace: str, names: tuple[str, ...]
    ) -> Mapping[str, T]:
        found = {}
        for name in dict.fromkeys(names):
            try:
                found[name] = await self._client.get(resource, namespace, name)
            except ApiError as error:
                if error.code != 404:
                    raise
        return found

    async def _token(self, pod: m.Pod, wanted: TokenWanted) -> str | None:
        meta, spec = pod.metadata, pod.spec
        assert meta is not None
        assert spec is not None
        if self._issue is None:
            return None
        now = self._world.now()
        known = self._tokens.get((_uid(pod), wanted))
        if known is not None and now < known[1]:
            return known[0]
        asked = m.TokenRequest(
            spec=m.TokenRequestSpec(
                audiences=[wanted.audience] if wanted.audience else [],
                expirationSeconds=wanted.seconds,
                boundObjectRef=m.BoundObjectReference(
                    apiVersion="v1", kind="Pod", name=meta.name, uid=meta.uid
                ),
            )
        )
        account = spec.serviceAccountName or "default"
        try:
            answer = await self._issue(meta.namespace or "default", account, asked)
        except ApiError as error:
            raise VolumeError(f"failed to fetch token: {error}") from error
        token = answer.status.token if answer.status is not None else None
        if answer.status is None or not token:
            raise VolumeError("failed to fetch token: the answer has none")
        expires = answer.status.expirationTimestamp or now
        renewed = now + min((expires - now) * TOKEN_SHARE, TOKEN_AGE_MAX)
        self._tokens[_uid(pod), wanted] = token, renewed
        return token


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


class _NotProcessed(Exception):
    """A volume could not even be understood: the kubelet words this in its own way."""


def used(pod: m.Pod) -> list[m.Volume]:
    """The volumes that a container mounts (pkg/volume/util/util.go: GetPodVolumeNames)."""
    spec = pod.spec
    assert spec is not None
    containers = (*(spec.initContainers or ()), *spec.containers)
    names = {mount.name for c in containers for mount in c.volumeMounts or ()}
    return [volume for volume in spec.volumes or () if volume.name in names]


def changes(pod: m.Pod) -> bool:
    """Whether volumes of the pod follow other objects."""
    return any(volume_files.made_of_files(volume) for volume in used(pod))


def fs_group(pod: m.Pod) -> int | None:
    """The group that the pod's volumes belong to."""
    assert pod.spec is not None
    security = pod.spec.securityContext
    if security is None or os.geteuid() != 0:
        return None  # all is ours, and so the one user's who runs as us
    return security.fsGroup


def _group_policy(pod: m.Pod) -> str:
    assert pod.spec is not None
    security = pod.spec.securityContext
    return (security.fsGroupChangePolicy if security is not None else None) or "Always"


def _uid(pod: m.Pod) -> str:
    assert pod.metadata is not None
    return pod.metadata.uid or ""


def _kind(volume: m.Volume) -> str:
    fields = (f for f in volume.__struct_fields__ if f != "name")
    return next((f for f in fields if getattr(volume, f) is not None), "empty")


def _is_of_one_run(pod: m.Pod, name: str) -> bool:
    """Whether one container mounts a volume, once: then its memory can be its own, with a limit."""
    spec = pod.spec
    assert spec is not None
    containers = (*(spec.initContainers or ()), *spec.containers)
    users = [c for c in containers for mount in c.volumeMounts or () if mount.name == name]
    if len(users) != 1 or spec.restartPolicy != "Never" or users[0].restartPolicy is not None:
        return False
    # A rule of one container may start all of them again, and variables may come from a file in it.
    return not any(
        c.restartPolicyRules
        or any(
            var.valueFrom is not None and var.valueFrom.fileKeyRef is not None
            for var in c.env or ()
        )
        for c in containers
    )


def _is_for_node(spec: m.PersistentVolumeSpec, node: str) -> bool:
    """As far as a volume says by host name where it is; that is how local volumes say it."""
    affinity = spec.nodeAffinity
    if affinity is None or affinity.required is None:
        return True
    for term in affinity.required.nodeSelectorTerms:
        names = [
            e.operator == "In" and node in (e.values or ())
            for e in term.matchExpressions or ()
            if e.key == "kubernetes.io/hostname"
        ]
        if all(names):
            return True
    return False


def memory_directory(data_dir: Path, memory: Path = MEMORY) -> Path:
    """Where the agent with an existing data directory keeps what must not be on a disk."""
    info = data_dir.stat()
    return memory / f"kubatch-{info.st_dev:x}-{info.st_ino:x}"


def _remove_orphans(path: Path) -> None:
    """Remove what servers left in memory whose data directory is gone; `path` is our own."""
    for other in path.parent.glob("kubatch-*"):
        try:
            info, of = other.lstat(), Path((other / _OWNER).read_text())
        except OSError:
            continue
        if other == path or info.st_uid != os.geteuid() or not stat.S_ISDIR(info.st_mode):
            continue
        if not of.is_dir() or memory_directory(of, path.parent) != other:
            shutil.rmtree(other, ignore_errors=True)


def _made_private(path: Path) -> bool:
    """Make a directory for us alone; whether it is ours, for others could have been first."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError:
        return False
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return mine and stat.S_IMODE(found.st_mode) == 0o700
