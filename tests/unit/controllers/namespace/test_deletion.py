"""Namespaces deleted in the real engine."""

from __future__ import annotations

from kubatch.api.models import (
    ConfigMap,
    Container,
    Event,
    ObjectMeta,
    ObjectReference,
    Pod,
    PodSpec,
    Secret,
)
from kubatch.api.resource import CONFIGMAPS, EVENTS, NAMESPACES, PODS, SECRETS, SERVICEACCOUNTS
from kubatch.controllers import gc, namespace, serviceaccount
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time


async def fill(on: Engine, *, node: str | None = None) -> None:
    """A namespace q with something of everything."""
    await on.namespace("q")
    containers = [Container(name="main", image="busybox")]
    spec = PodSpec(containers=containers, nodeName=node)
    for name in ("a", "b"):
        await on.client.create(PODS, Pod(metadata=ObjectMeta(name=name, namespace="q"), spec=spec))
    meta = ObjectMeta(name="c", namespace="q")
    await on.client.create(CONFIGMAPS, ConfigMap(metadata=meta))
    await on.client.create(SECRETS, Secret(metadata=meta))
    about = ObjectReference(kind="Pod", namespace="q", name="a")
    await on.client.create(EVENTS, Event(metadata=meta, involvedObject=about))


@virtual_time
async def test_pods_go_first_then_everything_then_the_namespace() -> None:
    async with engine(namespace.controller()) as on:
        await fill(on)
        await on.client.delete(NAMESPACES, None, "q")
        await on.until(lambda: "deleted namespaces/q" in on.log)
        deleted = on.logged("deleted", PODS, CONFIGMAPS, SECRETS, EVENTS, NAMESPACES)
        assert deleted[:2] == ["pods/q/a", "pods/q/b"]
        assert sorted(deleted[2:-1]) == ["configmaps/q/c", "events/q/c", "secrets/q/c"]
        assert deleted[-1] == "namespaces/q"


@virtual_time
async def test_a_pod_that_lingers_keeps_what_it_may_use() -> None:
    async with engine(namespace.controller()) as on:
        await fill(on, node="somewhere")
        await on.client.delete(NAMESPACES, None, "q")
        await on.quiet(3600)
        assert await on.names(PODS, "q") == ["a", "b"]
        assert await on.names(CONFIGMAPS, "q") == ["c"]
        for name in ("a", "b"):
            await on.client.delete(PODS, "q", name, grace_period_seconds=0)
        await on.until(lambda: "deleted namespaces/q" in on.log)


@virtual_time
async def test_the_whole_house_lets_a_namespace_go() -> None:
    records = (gc.controller(), namespace.controller(), serviceaccount.controller())
    async with engine(*records) as on:
        await fill(on)
        await on.until(lambda: on.caches.get(SERVICEACCOUNTS, "q", "default"))
        await on.client.delete(NAMESPACES, None, "q")
        await on.until(lambda: "deleted namespaces/q" in on.log)
        await on.quiet()
        assert await on.names(SERVICEACCOUNTS, "q") == []
        assert await on.names(NAMESPACES) == ["default"]


@virtual_time
async def test_a_namespace_is_not_let_go_while_the_cache_is_behind() -> None:
    async with engine(namespace.controller()) as on:
        await on.quiet()
        on.client.hold(CONFIGMAPS)
        await fill(on)
        await on.client.delete(NAMESPACES, None, "q")
        await on.quiet(3600)
        assert await on.names(NAMESPACES) == ["default", "q"]
        assert await on.names(CONFIGMAPS) == ["c"]
        on.client.release(CONFIGMAPS)
        await on.until(lambda: "deleted namespaces/q" in on.log)
        assert await on.names(CONFIGMAPS) == []


@virtual_time
async def test_other_finalizers_of_its_spec_keep_a_namespace() -> None:
    async with engine(namespace.controller()) as on:
        await on.namespace("q")
        patch = {"spec": {"finalizers": ["kubernetes", "example.com/x"]}}
        await on.client.patch(NAMESPACES, None, "q", patch, subresource="finalize")
        await on.client.delete(NAMESPACES, None, "q")
        await on.quiet()
        space = await on.client.get(NAMESPACES, None, "q")
        assert space.spec is not None
        assert space.spec.finalizers == ["example.com/x"]
        await on.client.patch(
            NAMESPACES, None, "q", {"spec": {"finalizers": None}}, subresource="finalize"
        )
        assert await on.names(NAMESPACES) == ["default"]
