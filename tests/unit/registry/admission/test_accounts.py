"""A pod runs as a service account that exists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.errors import ApiError
from kubatch.api.resource import PODS, SERVICEACCOUNTS
from kubatch.registry.api import Registry
from kubatch.registry.bootstrap import ensure_namespaces
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.registry.strategy import RequestContext
from kubatch.store.memory import MemoryStore
from kubatch.world import World
from tests.suites.virtual_time import virtual_time


@asynccontextmanager
async def registry(*, accounts_required: bool = True) -> AsyncIterator[Registry]:
    store = MemoryStore()
    await store.open()
    made = Registry(store, World(), STRATEGIES, accounts_required=accounts_required)
    await ensure_namespaces(made)
    yield made
    await store.close()


async def create_pod(on: Registry, **spec: Any) -> Any:
    value = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }
    pod = codec.from_dict(PODS, value)[0]
    return (await on.create(PODS, "default", pod, RequestContext())).obj


async def create_account(on: Registry, name: str, **more: Any) -> None:
    account = codec.from_dict(SERVICEACCOUNTS, {"metadata": {"name": name}, **more})[0]
    await on.create(SERVICEACCOUNTS, "default", account, RequestContext())


@virtual_time
async def test_an_account_that_is_not_there() -> None:
    async with registry() as on:
        started = asyncio.get_running_loop().time()
        with pytest.raises(ApiError) as raised:
            await create_pod(on, serviceAccountName="robot")
        assert (raised.value.code, raised.value.message) == (
            403,
            'pods "p" is forbidden: error looking up service account default/robot: '
            'serviceaccount "robot" not found',
        )
        assert asyncio.get_running_loop().time() == started


@virtual_time
async def test_the_default_account_is_waited_for() -> None:
    async with registry() as on:

        async def later() -> None:
            await asyncio.sleep(0.5)
            await create_account(on, "default")

        made, _ = await asyncio.gather(create_pod(on), later())
        assert made.spec.serviceAccountName == "default"


@virtual_time
async def test_but_not_for_ever() -> None:
    async with registry() as on:
        with pytest.raises(ApiError, match='serviceaccount "default" not found'):
            await create_pod(on)
        assert 1 <= asyncio.get_running_loop().time() <= 3


@virtual_time
async def test_an_accounts_pull_secrets() -> None:
    async with registry() as on:
        await create_account(on, "robot", imagePullSecrets=[{"name": "s"}])
        made = await create_pod(on, serviceAccountName="robot")
        assert [s.name for s in made.spec.imagePullSecrets] == ["s"]
        assert made.spec.serviceAccount == "robot"


@virtual_time
async def test_without_controllers_nobody_makes_accounts() -> None:
    async with registry(accounts_required=False) as on:
        assert (await create_pod(on)).spec.serviceAccountName == "default"


PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


@virtual_time
async def test_the_token_is_mounted_into_every_container() -> None:
    async with registry() as on:
        await create_account(on, "default")
        made = await create_pod(
            on, initContainers=[{"name": "i", "image": "i"}],
            volumes=[{"name": "data", "emptyDir": {}}],
        )  # fmt: skip
        data, volume = codec.to_dict(PODS, made)["spec"]["volumes"]
        assert data["name"] == "data"
        name = volume.pop("name")
        assert name[:16] == "kube-api-access-"
        assert len(name) == 21
        field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
        items = [{"key": "ca.crt", "path": "ca.crt"}]
        assert volume == {
            "projected": {
                "defaultMode": 420,
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": items}},
                    {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
                ],
            }
        }
        mount = {"name": name, "readOnly": True, "mountPath": PATH}
        shown = codec.to_dict(PODS, made)["spec"]
        for c in (*shown["initContainers"], *shown["containers"]):
            assert c["volumeMounts"] == [mount]


@virtual_time
@pytest.mark.parametrize(
    ("of_account", "of_pod", "mounted"),
    [
        (None, None, True), (False, None, False), (True, None, True),
        (False, True, True), (True, False, False), (None, False, False),
    ],
)  # fmt: skip
async def test_who_says_that_it_is_not(
    of_account: bool | None, of_pod: bool | None, mounted: bool
) -> None:
    async with registry() as on:
        await create_account(on, "default", automountServiceAccountToken=of_account)
        made = await create_pod(on, automountServiceAccountToken=of_pod)
        assert bool(made.spec.volumes) is mounted
        assert bool(made.spec.containers[0].volumeMounts) is mounted


@virtual_time
async def test_what_a_pod_says_about_the_place_itself_stays() -> None:
    async with registry() as on:
        await create_account(on, "default")
        own = {"name": "own", "mountPath": PATH}
        containers = [
            {"name": "a", "image": "i", "volumeMounts": [own]}, {"name": "b", "image": "i"},
        ]  # fmt: skip
        volumes = [{"name": "own", "emptyDir": {}}]
        made = await create_pod(on, containers=containers, volumes=volumes)
        a, b = made.spec.containers
        assert [mount.name for mount in a.volumeMounts] == ["own"]
        assert b.volumeMounts[0].name.startswith("kube-api-access-")
        alone = codec.from_dict(
            PODS,
            {
                "metadata": {"name": "q"},
                "spec": {"containers": containers[:1], "volumes": volumes},
            },
        )[0]
        stored: Any = (await on.create(PODS, "default", alone, RequestContext())).obj
        assert [volume.name for volume in stored.spec.volumes] == ["own"]


@virtual_time
async def test_a_volume_that_is_there_is_used_again() -> None:
    async with registry() as on:
        await create_account(on, "default")
        given = {"name": "kube-api-access-mine", "emptyDir": {}}
        made = await create_pod(on, volumes=[given])
        assert [volume.name for volume in made.spec.volumes] == ["kube-api-access-mine"]
        assert made.spec.containers[0].volumeMounts[0].name == "kube-api-access-mine"
