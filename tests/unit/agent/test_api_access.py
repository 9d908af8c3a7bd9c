"""The token's volume that every pod is given: where it can be had, and where not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kubatch.agent.api_access import MOUNT_PATH, VOLUME, is_given, variables
from kubatch.agent.env import PodContext
from kubatch.agent.facts import Capabilities
from kubatch.agent.mounting import MountError, mounts
from kubatch.agent.refuse import refusal
from kubatch.agent.volumes import Mounted, Volumes
from kubatch.api import codec
from kubatch.api import models as m
from kubatch.api.models import core_v1
from kubatch.api.resource import CONFIGMAPS, PODS, SERVICEACCOUNTS
from kubatch.client.local import LocalClient
from kubatch.registry.admission.accounts import TOKEN_PATH, TOKEN_VOLUME
from kubatch.registry.api import Registry
from kubatch.registry.bootstrap import ensure_namespaces
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.store.memory import MemoryStore
from kubatch.world import World
from tests.unit.agent.pods import START, container, pod

NAME = f"{VOLUME}x2x4z"
MOUNT = m.VolumeMount(name=NAME, mountPath=MOUNT_PATH, readOnly=True)


class Clock:
    """A time that the test moves."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> Any:
        return self.time


def test_the_agent_and_admission_mean_the_same() -> None:
    assert (VOLUME, MOUNT_PATH) == (TOKEN_VOLUME, TOKEN_PATH)


@pytest.mark.parametrize(
    ("mount", "given"),
    [
        (MOUNT, True),
        (m.VolumeMount(name=NAME, mountPath="/elsewhere"), False),
        (m.VolumeMount(name="mine", mountPath=MOUNT_PATH), False),
    ],
)
def test_without_mounts_only_what_was_asked_for_is_refused(
    mount: m.VolumeMount, given: bool
) -> None:
    c = container("c", volumeMounts=[mount])
    assert is_given(mount) is given
    why = refusal(c, pod(c), Capabilities(), "process")
    assert (why is None) is given
    if given:
        assert mounts(c, {}, {}) == ()
    else:
        with pytest.raises(MountError, match="cannot find volume"):
            mounts(c, {}, {})


def test_what_is_asked_for_beside_it_is_refused_as_before() -> None:
    c = container("c", volumeMounts=[MOUNT, m.VolumeMount(name="data", mountPath="/data")])
    why = refusal(c, pod(c), Capabilities(), "process")
    assert (why or "").startswith('volume "data" cannot be mounted at /data')


def test_it_is_mounted_read_only() -> None:
    c = container("c", volumeMounts=[MOUNT])
    (found,) = mounts(c, {NAME: Mounted(Path("/v"), read_only=True)}, {})
    assert (found.target, found.source, found.read_only) == (MOUNT_PATH, Path("/v"), True)


@pytest.mark.parametrize(
    ("address", "host", "url"),
    [
        ("127.0.0.1", "127.0.0.1", "tcp://127.0.0.1:6443"),
        ("0.0.0.0", "127.0.0.1", "tcp://127.0.0.1:6443"),
        ("::1", "::1", "tcp://[::1]:6443"),
    ],
)
def test_where_the_api_is(address: str, host: str, url: str) -> None:
    found = variables(address, 6443)
    assert (found["KUBERNETES_SERVICE_HOST"], found["KUBERNETES_SERVICE_PORT"]) == (host, "6443")
    assert found["KUBERNETES_PORT"] == found["KUBERNETES_PORT_6443_TCP"] == url


class Issuer:
    """Tokens with numbers, that last as long as is asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked: list[m.TokenRequest] = []

    async def __call__(self, namespace: str, name: str, asked: m.TokenRequest) -> m.TokenRequest:
        assert (namespace, name) == ("default", "default")
        assert asked.spec is not None
        self.asked.append(asked)
        life = timedelta(seconds=asked.spec.expirationSeconds or 0)
        status = m.TokenRequestStatus(
            token=f"t{len(self.asked)}", expirationTimestamp=self.clock.now() + life
        )
        return m.TokenRequest(spec=asked.spec, status=status)


async def admitted() -> tuple[LocalClient, m.Pod, Clock]:
    """A pod as admission leaves it, and what its volume is made from."""
    clock, store = Clock(), MemoryStore()
    await store.open()
    registry = Registry(store, World(clock=clock), STRATEGIES, accounts_required=True)
    await ensure_namespaces(registry)
    client = LocalClient(registry)
    account = m.ObjectMeta(name="default", namespace="default")
    await client.create(SERVICEACCOUNTS, m.ServiceAccount(metadata=account))
    await client.create(
        CONFIGMAPS,
        m.ConfigMap(
            metadata=m.ObjectMeta(name="kube-root-ca.crt", namespace="default"),
            data={"ca.crt": "PEM\n"},
        ),
    )
    value = {
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {
            "containers": [{"name": "c", "image": "i", "command": ["true"]}],
            "nodeName": "n",
            "securityContext": {"runAsUser": 1234},
        },
    }
    return client, await client.create(PODS, codec.from_dict(PODS, value)[0]), clock


async def test_the_volume_and_its_token_over_time(tmp_path: Path) -> None:
    client, p, clock = await admitted()
    issuer = Issuer(clock)
    (tmp_path / "shm").mkdir()
    volumes = Volumes(
        client, World(clock=clock), tmp_path / "pods", PodContext("n", "10.0.0.1"),
        tokens=issuer, memory=tmp_path / "shm",
    )  # fmt: skip
    mounted, problems = await volumes.set_up(p)
    assert problems == []
    ((name, found),) = mounted.items()
    assert name.startswith(VOLUME)
    assert found.source is not None
    assert found.source.is_relative_to(tmp_path / "shm")
    files = {path.name: path.read_text() for path in found.source.glob("[!.]*")}
    assert files == {"token": "t1", "ca.crt": "PEM\n", "namespace": "default"}
    assert (found.source / "token").stat().st_mode & 0o777 == 0o600
    (asked,) = issuer.asked
    assert asked.spec is not None
    assert p.metadata is not None
    assert asked.spec.expirationSeconds == 3607
    assert asked.spec.boundObjectRef == m.BoundObjectReference(
        apiVersion="v1", kind="Pod", name="p", uid=p.metadata.uid
    )
    for seconds, token in ((2000, "t1"), (900, "t2"), (100, "t2")):  # 80 % of 3607 s is 2885 s
        clock.time += timedelta(seconds=seconds)
        await volumes.refresh(p)
        assert (found.source / "token").read_text() == token


async def test_where_nobody_issues_tokens_there_is_no_volume(tmp_path: Path) -> None:
    client, p, clock = await admitted()
    volumes = Volumes(
        client, World(clock=clock), tmp_path / "pods", PodContext("n", "10.0.0.1"), memory=None
    )
    assert await volumes.set_up(p) == ({}, [])
    await volumes.refresh(p)
    assert p.spec is not None
    assert mounts(p.spec.containers[0], {}, {}) == ()
    projected = core_v1.ProjectedVolumeSource(
        sources=[
            core_v1.VolumeProjection(
                serviceAccountToken=core_v1.ServiceAccountTokenProjection(path="token")
            )
        ]
    )
    own = m.Volume(name="own", projected=projected)
    c = container("c", volumeMounts=[m.VolumeMount(name="own", mountPath="/own")])
    _, (problem,) = await volumes.set_up(pod(c, volumes=[own]))
    assert "this cluster issues no tokens" in problem


async def test_memory_goes_with_its_data_directory(tmp_path: Path) -> None:
    client, p, clock = await admitted()
    memory = tmp_path / "shm"
    memory.mkdir()

    def made(name: str) -> Volumes:
        (tmp_path / name).mkdir(exist_ok=True)
        return Volumes(
            client, World(clock=clock), tmp_path / name / "pods", PodContext("n", "10.0.0.1"),
            tokens=Issuer(clock), memory=memory,
        )  # fmt: skip

    gone, stays, mine = made("gone"), made("stays"), made("mine")
    for volumes in (gone, stays):
        await volumes.set_up(p)
    assert len(list(memory.iterdir())) == 3
    (tmp_path / "gone").rename(tmp_path / "elsewhere")  # as good as gone: its memory is not found
    again = made("mine")
    assert len(list(memory.iterdir())) == 2
    for volumes in (stays, again):
        volumes.close()
    assert list(memory.iterdir()) == []
    assert mine is not again
