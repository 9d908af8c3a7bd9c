"""Quotas held against updates that ask for more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kubatch.api.errors import ApiError
from kubatch.api.resource import PERSISTENTVOLUMECLAIMS, PODS, RESOURCEQUOTAS, SERVICES
from kubatch.registry.api import Registry
from tests.unit.registry.conftest import context, decoded, pod


async def quota(registry: Registry, *, scopes: list[str] | None = None, **hard: str) -> None:
    named = {name.replace("_", "."): amount for name, amount in hard.items()}
    spec = {"hard": named, **({"scopes": scopes} if scopes else {})}
    body = decoded(RESOURCEQUOTAS, {"metadata": {"name": "q"}, "spec": spec})
    await registry.create(RESOURCEQUOTAS, "default", body, context())


async def patch(registry: Registry, resource: Any, name: str, change: Any) -> None:
    await registry.patch(resource, "default", name, "merge", change, context())


async def bound_claim(registry: Registry, name: str, size: str) -> None:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "volumeName": "v",
        "resources": {"requests": {"storage": size}},
    }
    body = decoded(PERSISTENTVOLUMECLAIMS, {"metadata": {"name": name}, "spec": spec})
    await registry.create(PERSISTENTVOLUMECLAIMS, "default", body, context())
    status = {"status": {"phase": "Bound", "capacity": {"storage": size}}}
    await registry.patch(
        PERSISTENTVOLUMECLAIMS, "default", name, "merge", status, context(), subresource="status"
    )


def sized(size: str) -> dict[str, Any]:
    return {"spec": {"resources": {"requests": {"storage": size}}}}


async def test_a_claim_that_grows(registry: Registry) -> None:
    await quota(registry, requests_storage="10Gi")
    await bound_claim(registry, "a", "4Gi")
    await bound_claim(registry, "b", "4Gi")
    message = (
        'persistentvolumeclaims "a" is forbidden: exceeded quota: q, requested: '
        "requests.storage=3Gi, used: requests.storage=8Gi, limited: requests.storage=10Gi"
    )
    with pytest.raises(ApiError) as refused:
        await patch(registry, PERSISTENTVOLUMECLAIMS, "a", sized("7Gi"))
    assert (refused.value.code, str(refused.value)) == (403, message)
    await patch(registry, PERSISTENTVOLUMECLAIMS, "a", sized("5Gi"))
    results = await asyncio.gather(
        *(patch(registry, PERSISTENTVOLUMECLAIMS, n, sized("5Gi")) for n in ("a", "b")),
        return_exceptions=True,
    )
    assert results == [None, None]
    both = [patch(registry, PERSISTENTVOLUMECLAIMS, n, sized("6Gi")) for n in ("a", "b")]
    assert len([r for r in await asyncio.gather(*both, return_exceptions=True) if r]) == 2


async def test_a_service_that_opens_a_port(registry: Registry) -> None:
    await quota(registry, services="2", services_nodeports="1")
    for name, kind in (("a", "NodePort"), ("b", "ClusterIP")):
        spec = {"type": kind, "ports": [{"port": 80}]}
        body = decoded(SERVICES, {"metadata": {"name": name}, "spec": spec})
        await registry.create(SERVICES, "default", body, context())
    with pytest.raises(ApiError, match=r"requested: services\.nodeports=1, used: services\.node"):
        await patch(registry, SERVICES, "b", {"spec": {"type": "NodePort"}})
    await patch(registry, SERVICES, "a", {"metadata": {"labels": {"x": "y"}}})


async def test_a_pod_that_comes_into_a_scope(registry: Registry) -> None:
    await quota(registry, pods="1", scopes=["Terminating"])
    for name in ("a", "b"):
        await registry.create(PODS, "default", pod(name), context())
    deadline = {"spec": {"activeDeadlineSeconds": 60}}
    await patch(registry, PODS, "a", deadline)
    with pytest.raises(ApiError, match="exceeded quota: q, requested: pods=1, used: pods=1"):
        await patch(registry, PODS, "b", deadline)


async def test_more_than_too_much_may_become_less(registry: Registry) -> None:
    await bound_claim(registry, "a", "4Gi")
    await patch(registry, PERSISTENTVOLUMECLAIMS, "a", sized("9Gi"))
    await quota(registry, requests_storage="1Gi")
    await patch(registry, PERSISTENTVOLUMECLAIMS, "a", sized("8Gi"))
    with pytest.raises(ApiError, match=r"used: requests\.storage=8Gi"):
        await patch(registry, PERSISTENTVOLUMECLAIMS, "a", sized("9Gi"))
