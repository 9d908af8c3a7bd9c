"""Volumes set up, kept up to date and taken down, over the real registry."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kubatch.agent.env import PodContext
from kubatch.agent.volumes import Mounted, Volumes, memory_directory
from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.models import core_v1
from kubatch.api.resource import (
    CONFIGMAPS,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    SECRETS,
    Resource,
)
from kubatch.client.protocol import Client
from kubatch.world import World
from tests.unit.agent.harness import harness
from tests.unit.agent.pods import container, pod


@dataclass
class Shop:
    """Volumes over a registry, with directories of the test."""

    client: Client
    world: World
    root: Path

    def __post_init__(self) -> None:
        (self.root / "data").mkdir()
        (self.root / "shm").mkdir()
        self.asked: list[m.TokenRequest] = []
        self.volumes = self.again()

    def again(self) -> Volumes:
        """As after a restart."""
        return Volumes(
            self.client, self.world, self.root / "data" / "pods", PodContext("node-1", "10.0.0.1"),
            tokens=self.issue, memory=self.root / "shm",
        )  # fmt: skip

    async def issue(self, namespace: str, name: str, asked: m.TokenRequest) -> m.TokenRequest:
        self.asked.append(asked)
        if name == "nobody":
            raise ApiError(404, "NotFound", 'serviceaccounts "nobody" not found')
        expires = self.world.now() + timedelta(hours=1)
        status = m.TokenRequestStatus(token=f"t{len(self.asked)}", expirationTimestamp=expires)
        return m.TokenRequest(spec=asked.spec, status=status)

    async def create(self, resource: Resource[Any], obj: Any) -> None:
        await self.client.create(resource, obj)

    async def set_up(self, *volumes: m.Volume, **spec: Any) -> dict[str, Mounted]:
        mounted, problems = await self.volumes.set_up(made(*volumes, **spec))
        assert problems == []
        return mounted

    async def problem(self, *volumes: m.Volume, **spec: Any) -> str:
        _, (problem,) = await self.volumes.set_up(made(*volumes, **spec))
        return problem


def made(*volumes: m.Volume, **spec: Any) -> m.Pod:
    """A pod with one container that mounts all of them, and one that nobody mounts."""
    mounts = [m.VolumeMount(name=v.name, mountPath=f"/{v.name}") for v in volumes]
    unused = m.Volume(name="unused", configMap=core_v1.ConfigMapVolumeSource(name="none"))
    containers = spec.pop("containers", None) or [container("c", volumeMounts=mounts)]
    return pod(*containers, volumes=[*volumes, unused], **spec)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with harness(tmp_path / "agent") as h:
        yield Shop(h.client, h.world, tmp_path)


def named(**fields: Any) -> m.ObjectMeta:
    return m.ObjectMeta(name=fields.pop("name"), namespace="default", **fields)


def config(data: dict[str, str]) -> m.ConfigMap:
    return m.ConfigMap(metadata=named(name="cm"), data=data)


CONFIG = m.Volume(name="config", configMap=core_v1.ConfigMapVolumeSource(name="cm"))
SECRET = m.Volume(name="secret", secret=core_v1.SecretVolumeSource(secretName="s"))
CLAIM = m.Volume(
    name="pv", persistentVolumeClaim=core_v1.PersistentVolumeClaimVolumeSource(claimName="claim")
)
TOKEN = m.Volume(
    name="token",
    projected=core_v1.ProjectedVolumeSource(
        sources=[
            core_v1.VolumeProjection(
                serviceAccountToken=core_v1.ServiceAccountTokenProjection(
                    path="token", audience="vault", expirationSeconds=600
                )
            )
        ]
    ),
)


def empty(name: str = "e", **fields: Any) -> m.Volume:
    return m.Volume(name=name, emptyDir=core_v1.EmptyDirVolumeSource(**fields))


def host(path: Path | str, kind: str | None = None) -> m.Volume:
    return m.Volume(name="h", hostPath=core_v1.HostPathVolumeSource(path=str(path), type=kind))


async def test_what_nobody_mounts_is_not_set_up(shop: Shop) -> None:
    assert list(await shop.set_up(empty())) == ["e"]


async def test_config_maps_and_their_changes(shop: Shop) -> None:
    await shop.create(CONFIGMAPS, config({"a": "1"}))
    mounted = (await shop.set_up(CONFIG))["config"]
    assert mounted.read_only
    assert mounted.source is not None
    assert (mounted.source / "a").read_text() == "1"
    await shop.client.patch(CONFIGMAPS, "default", "cm", {"data": {"a": "2", "b": "3"}})
    await shop.volumes.refresh(made(CONFIG))
    assert (mounted.source / "a").read_text() == "2"
    assert (mounted.source / "b").read_text() == "3"
    await shop.client.delete(CONFIGMAPS, "default", "cm")
    await shop.volumes.refresh(made(CONFIG))  # what was there stays
    assert (mounted.source / "a").read_text() == "2"


async def test_secrets_stay_in_memory_and_private(shop: Shop) -> None:
    secret = m.Secret(metadata=named(name="s"), stringData={"password": "hunter2"})
    await shop.create(SECRETS, secret)
    source = (await shop.set_up(SECRET))["secret"].source
    assert source is not None
    assert (source / "password").read_text() == "hunter2"
    memory = memory_directory(shop.root / "data", shop.root / "shm")
    assert source.parents[2] == memory
    for path in (memory, *source.parents[:2]):
        assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("made", ["open to all", "a link"])
async def test_a_directory_of_somebody_else_is_not_used_for_secrets(shop: Shop, made: str) -> None:
    theirs, memory = shop.root / "theirs", memory_directory(shop.root / "data", shop.root / "shm")
    theirs.mkdir()
    (theirs / "file").write_text("")
    memory.rmdir()
    if made == "a link":
        memory.symlink_to(theirs)
    else:
        memory.mkdir(mode=0o755)
    shop.volumes = shop.again()
    await shop.create(SECRETS, m.Secret(metadata=named(name="s")))
    source = (await shop.set_up(SECRET))["secret"].source
    assert source is not None
    assert (shop.root / "data") in source.parents
    shop.volumes.sweep(set())
    assert (theirs / "file").exists()


async def test_an_empty_directory_is_kept_until_the_pod_ends(shop: Shop) -> None:
    source = (await shop.set_up(empty()))["e"].source
    assert source is not None
    assert source.stat().st_mode & 0o777 == 0o777
    (source / "file").write_text("x")
    shop.volumes = shop.again()
    assert (await shop.set_up(empty()))["e"].source == source
    assert (source / "file").read_text() == "x"
    await shop.volumes.release("u1")
    assert not source.exists()
    await shop.volumes.release("u1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
async def test_an_empty_directory_of_a_group(shop: Shop) -> None:
    security = m.PodSecurityContext(fsGroup=4321)
    source = (await shop.set_up(empty(), securityContext=security))["e"].source
    assert source is not None
    assert (source.stat().st_gid, source.stat().st_mode & 0o7777) == (4321, 0o2777)


MEMORY = empty(medium="Memory", sizeLimit="1Mi")
MOUNT = m.VolumeMount(name="e", mountPath="/e")


@pytest.mark.parametrize(
    ("spec", "own"),
    [
        ({}, True),
        ({"restart": "OnFailure"}, False),
        (
            {"containers": [container("a", volumeMounts=[MOUNT]), container("b")]},
            True,
        ),
        (
            {
                "containers": [
                    container("a", volumeMounts=[MOUNT]),
                    container("b", volumeMounts=[MOUNT]),
                ]
            },
            False,
        ),
    ],
)
async def test_memory_is_a_containers_own_where_nobody_else_looks(
    shop: Shop, spec: dict[str, Any], own: bool
) -> None:
    mounted = (await shop.set_up(MEMORY, **spec))["e"]
    if own:
        assert mounted == Mounted(None, size_bytes=1 << 20)
    else:
        assert mounted.source is not None
        assert (shop.root / "shm") in mounted.source.parents


async def test_paths_of_the_host(shop: Shop) -> None:
    path = shop.root / "there"
    assert (await shop.set_up(host(path)))["h"] == Mounted(path, shared=True)
    assert path.is_dir()
    assert await shop.problem(host(path, "File")) == (
        'MountVolume.SetUp failed for volume "h" : '
        f"hostPath type check failed: {path} is not a file"
    )


async def test_our_own_state_is_no_path_of_the_host(shop: Shop) -> None:
    (shop.root / "data" / "pki").mkdir()
    (shop.root / "link").symlink_to(shop.root / "data" / "pki")
    for path in (shop.root / "data", shop.root / "data" / "pki", shop.root / "link"):
        problem = await shop.problem(host(path))
        assert problem.endswith(f"{path} is part of this node's own state")


async def test_what_is_missing_is_told_volume_by_volume(shop: Shop) -> None:
    nfs = m.Volume(name="n", nfs=core_v1.NFSVolumeSource(server="s", path="/"))
    mounted, problems = await shop.volumes.set_up(made(empty(), CONFIG, SECRET, nfs))
    assert list(mounted) == ["e"]
    assert problems == [
        'MountVolume.SetUp failed for volume "config" : configmap "cm" not found',
        'MountVolume.SetUp failed for volume "secret" : secret "s" not found',
        "Unable to attach or mount volumes: unmounted volumes=[n], unattached volumes=[], failed "
        'to process volumes=[n]: failed to get Plugin from volumeSpec for volume "n" err=no '
        "volume plugin matched: nfs volumes are not supported here",
    ]


# Claims


async def volume_and_claim(
    shop: Shop, phase: str, *, volume: bool = True, node: str = "", **source: Any
) -> None:
    claim = m.PersistentVolumeClaim(
        metadata=named(name="claim"),
        spec=m.PersistentVolumeClaimSpec(
            accessModes=["ReadWriteOnce"],
            volumeName="pv-1",
            resources=core_v1.VolumeResourceRequirements(requests={"storage": "1Gi"}),
        ),
    )
    await shop.create(PERSISTENTVOLUMECLAIMS, claim)
    status = {"status": {"phase": phase}}
    await shop.client.patch(
        PERSISTENTVOLUMECLAIMS, "default", "claim", status, subresource="status"
    )
    if not volume:
        return
    term = m.NodeSelectorTerm(
        matchExpressions=[
            m.NodeSelectorRequirement(key="kubernetes.io/hostname", operator="In", values=[node])
        ]
    )
    required = m.NodeSelector(nodeSelectorTerms=[term])
    spec = m.PersistentVolumeSpec(
        accessModes=["ReadWriteOnce"],
        capacity={"storage": "1Gi"},
        nodeAffinity=core_v1.VolumeNodeAffinity(required=required) if node else None,
        **source,
    )
    meta = m.ObjectMeta(name="pv-1")
    await shop.create(PERSISTENTVOLUMES, m.PersistentVolume(metadata=meta, spec=spec))


NOT_PROCESSED = (
    "Unable to attach or mount volumes: unmounted volumes=[pv], unattached volumes=[], failed to "
    "process volumes=[pv]: error processing PVC default/claim: "
)


async def test_a_claim_that_is_not_there(shop: Shop) -> None:
    assert await shop.problem(CLAIM) == NOT_PROCESSED + (
        'failed to fetch PVC from API server: persistentvolumeclaims "claim" not found'
    )


async def test_a_claim_that_is_not_bound(shop: Shop) -> None:
    await volume_and_claim(shop, "Pending", volume=False)
    assert await shop.problem(CLAIM) == NOT_PROCESSED + "PVC is not bound"


async def test_a_claim_whose_volume_is_gone(shop: Shop) -> None:
    await volume_and_claim(shop, "Bound", volume=False)
    assert await shop.problem(CLAIM) == NOT_PROCESSED + (
        'failed to fetch PV pv-1 from API server: persistentvolumes "pv-1" not found'
    )


async def test_a_volume_that_is_a_path(shop: Shop) -> None:
    path = core_v1.HostPathVolumeSource(path=str(shop.root / "pv"))
    await volume_and_claim(shop, "Bound", hostPath=path)
    assert (await shop.set_up(CLAIM))["pv"] == Mounted(shop.root / "pv", shared=True)


@pytest.mark.parametrize(
    ("node", "exists", "problem"),
    [
        ("node-1", True, None),
        ("node-1", False, 'path "{path}" does not exist'),
        (
            "elsewhere",
            True,
            'MountVolume.NodeAffinity check failed for volume "pv-1" : '
            "no matching NodeSelectorTerms",
        ),
    ],
)
async def test_a_volume_of_one_node(
    shop: Shop, node: str, exists: bool, problem: str | None
) -> None:
    path = shop.root / "local"
    if exists:
        path.mkdir()
    local = core_v1.LocalVolumeSource(path=str(path))
    await volume_and_claim(shop, "Bound", node=node, local=local, storageClassName="x")
    if problem is None:
        assert (await shop.set_up(CLAIM))["pv"].source == path
    else:
        told = await shop.problem(CLAIM)
        assert told.endswith(problem.format(path=path))


# Tokens


async def test_a_token_is_for_the_pod_and_kept_for_most_of_its_life(shop: Shop) -> None:
    source = (await shop.set_up(TOKEN))["token"].source
    assert source is not None
    assert (source / "token").read_text() == "t1"
    spec = shop.asked[0].spec
    assert spec is not None
    assert (spec.audiences, spec.expirationSeconds) == (["vault"], 600)
    assert spec.boundObjectRef == m.BoundObjectReference(
        apiVersion="v1", kind="Pod", name="p", uid="u1"
    )
    await shop.volumes.refresh(made(TOKEN))
    assert (source / "token").read_text() == "t1"
    assert len(shop.asked) == 1


async def test_a_token_that_is_refused(shop: Shop) -> None:
    assert await shop.problem(TOKEN, serviceAccountName="nobody") == (
        'MountVolume.SetUp failed for volume "token" : '
        'failed to fetch token: serviceaccounts "nobody" not found'
    )


async def test_what_is_left_of_other_pods_goes(shop: Shop) -> None:
    await shop.create(SECRETS, m.Secret(metadata=named(name="s")))
    await shop.set_up(empty(), SECRET)
    shop.volumes.sweep({"u1"})
    assert len(list((shop.root / "data" / "pods").iterdir())) == 1
    shop.volumes.close()
    assert list((shop.root / "data" / "pods").iterdir()) == []
    assert list((shop.root / "shm").iterdir()) == []
