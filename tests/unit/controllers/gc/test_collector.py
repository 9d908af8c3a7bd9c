"""The collector at work in the real engine; the cases of garbage_collector.go and its e2e tests."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from kubatch.api.models import (
    ConfigMap,
    Container,
    Job,
    JobSpec,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodSpec,
    PodTemplateSpec,
)
from kubatch.api.resource import CONFIGMAPS, EVENTS, JOBS, PODS, Resource
from kubatch.controllers import gc
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time
from tests.unit.controllers.gc.objects import ref

T = TypeVar("T")

SPEC = PodSpec(containers=[Container(name="main", image="busybox")], restartPolicy="Never")


async def make_job(on: Engine, name: str = "owner") -> Job:
    spec = JobSpec(template=PodTemplateSpec(spec=SPEC))
    return await on.client.create(JOBS, Job(metadata=meta(name), spec=spec))


async def make_pod(
    on: Engine, name: str, *owners: OwnerReference, namespace: str = "default", **words: Any
) -> Pod:
    pod = Pod(metadata=meta(name, *owners, namespace=namespace, **words), spec=SPEC)
    return await on.client.create(PODS, pod)


async def make_config(on: Engine, name: str, *owners: OwnerReference, **words: Any) -> ConfigMap:
    return await on.client.create(CONFIGMAPS, ConfigMap(metadata=meta(name, *owners, **words)))


def meta(name: str, *owners: OwnerReference, **words: Any) -> ObjectMeta:
    words.setdefault("namespace", "default")
    return ObjectMeta(name=name, ownerReferences=list(owners) or None, **words)


async def delete(on: Engine, resource: Resource[T], name: str, how: str | None) -> None:
    await on.client.delete(resource, "default", name, propagation=how)


async def owners_of(on: Engine, pod: str) -> list[str]:
    found = await on.client.get(PODS, "default", pod)
    assert found.metadata is not None
    return [owner.name for owner in found.metadata.ownerReferences or ()]


@virtual_time
async def test_background_the_job_goes_then_its_pods() -> None:
    async with engine(gc.controller()) as on:
        job = await make_job(on)
        for name in "abc":
            await make_pod(on, name, ref(job, True))
        await make_pod(on, "stranger")
        await delete(on, JOBS, "owner", "Background")
        await on.until(lambda: len(on.caches.of(PODS)) == 1)
        assert on.logged("deleted", JOBS, PODS)[0] == "jobs/default/owner"
        assert await on.names(PODS) == ["stranger"]


@virtual_time
async def test_foreground_the_pods_go_then_their_job() -> None:
    async with engine(gc.controller()) as on:
        job = await make_job(on)
        for name in "abc":
            await make_pod(on, name, ref(job, True))
        await delete(on, JOBS, "owner", "Foreground")
        await on.until(lambda: not on.caches.of(JOBS))
        assert on.logged("deleted", JOBS, PODS)[-1] == "jobs/default/owner"
        assert await on.names(PODS) == []


@virtual_time
async def test_a_job_deleted_without_a_word_leaves_its_pods_alone() -> None:
    async with engine(gc.controller()) as on:
        job = await make_job(on)
        for name in "abc":
            await make_pod(on, name, ref(job, True))
        await delete(on, JOBS, "owner", None)
        await on.until(lambda: not on.caches.of(JOBS))
        await on.quiet()
        assert await on.names(PODS) == ["a", "b", "c"]
        assert [await owners_of(on, name) for name in "abc"] == [[], [], []]


@virtual_time
async def test_more_dependents_than_one_turn_takes() -> None:
    async with engine() as on:
        owner = await make_config(on, "owner")
        for number in range(1201):
            await make_config(on, f"c{number}", ref(owner))
        on.run(gc.controller())
        await delete(on, CONFIGMAPS, "owner", "Background")
        await on.until(lambda: not on.caches.of(CONFIGMAPS))


@virtual_time
async def test_a_cascade_over_three_generations() -> None:
    async with engine(gc.controller()) as on:
        top = await make_config(on, "top")
        middle = await make_job(on)
        await on.client.patch(
            JOBS, "default", "owner",
            {"metadata": {"ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "top",
                 "uid": top.metadata.uid if top.metadata else ""}
            ]}},
        )  # fmt: skip
        await make_pod(on, "bottom", ref(middle, True))
        await delete(on, CONFIGMAPS, "top", "Background")
        await on.until(lambda: not on.caches.of(PODS))
        assert on.logged("deleted", CONFIGMAPS, JOBS, PODS) == [
            "configmaps/default/top",
            "jobs/default/owner",
            "pods/default/bottom",
        ]


@virtual_time
async def test_pods_of_two_owners_survive_the_first() -> None:
    async with engine(gc.controller()) as on:
        one, two = await make_config(on, "one"), await make_config(on, "two")
        await make_pod(on, "mine", ref(one, True))
        await make_pod(on, "ours", ref(one, True), ref(two))
        await delete(on, CONFIGMAPS, "one", "Foreground")
        await on.until(lambda: len(on.caches.of(CONFIGMAPS)) == 1)
        await on.quiet()
        assert await on.names(PODS) == ["ours"]
        assert await owners_of(on, "ours") == ["two"]
        await delete(on, CONFIGMAPS, "two", "Background")
        await on.until(lambda: not on.caches.of(PODS))


@virtual_time
async def test_a_circle_of_blocking_pods_goes() -> None:
    async with engine(gc.controller()) as on:
        one = await make_pod(on, "one")
        two = await make_pod(on, "two", ref(one, True))
        three = await make_pod(on, "three", ref(two, True))
        assert three.metadata is not None
        reference = {"apiVersion": "v1", "kind": "Pod", "name": "three"}
        reference |= {"uid": three.metadata.uid or ""}
        patch = {"metadata": {"ownerReferences": [{**reference, "blockOwnerDeletion": True}]}}
        await on.client.patch(PODS, "default", "one", patch)
        await delete(on, PODS, "one", "Foreground")
        await on.until(lambda: not on.caches.of(PODS))


@pytest.mark.parametrize("blocks", [None, False])
def test_a_stuck_dependent_that_does_not_block_is_not_waited_for(blocks: bool | None) -> None:
    @virtual_time
    async def scenario() -> None:
        async with engine(gc.controller()) as on:
            owner = await make_config(on, "owner")
            await make_pod(on, "stuck", ref(owner, blocks), finalizers=["example.com/x"])
            await delete(on, CONFIGMAPS, "owner", "Foreground")
            await on.until(lambda: not on.caches.of(CONFIGMAPS))

    scenario()


@virtual_time
async def test_a_stuck_dependent_that_blocks_is_waited_for() -> None:
    async with engine(gc.controller()) as on:
        owner = await make_config(on, "owner")
        await make_pod(on, "stuck", ref(owner, True), finalizers=["example.com/x"])
        await delete(on, CONFIGMAPS, "owner", "Foreground")
        await on.quiet(3600)
        assert await on.names(CONFIGMAPS) == ["owner"]
        await on.client.remove_finalizer(PODS, "default", "stuck", "example.com/x")
        await on.until(lambda: not on.caches.of(CONFIGMAPS) and not on.caches.of(PODS))


@virtual_time
async def test_foreground_deletion_takes_off_its_own_finalizer_only() -> None:
    async with engine(gc.controller()) as on:
        await make_config(on, "owner", finalizers=["example.com/x"])
        for _ in range(2):
            await delete(on, CONFIGMAPS, "owner", "Foreground")
            await on.quiet()
            kept = await on.client.get(CONFIGMAPS, "default", "owner")
            assert kept.metadata is not None
            assert kept.metadata.finalizers == ["example.com/x"]
        await on.client.remove_finalizer(CONFIGMAPS, "default", "owner", "example.com/x")
        assert await on.names(CONFIGMAPS) == []


@virtual_time
async def test_a_pod_made_for_nobody_is_collected() -> None:
    async with engine(gc.controller()) as on:
        nobody = OwnerReference(apiVersion="v1", kind="ConfigMap", name="nobody", uid="u")
        await make_pod(on, "a", nobody)
        await on.until(lambda: "deleted pods/default/a" in on.log)


@virtual_time
async def test_an_owner_in_another_namespace_does_not_count() -> None:
    async with engine(gc.controller()) as on:
        await on.namespace("q")
        owner = await make_config(on, "n")
        await make_pod(on, "good", ref(owner))
        await make_pod(on, "stray", ref(owner), namespace="q")
        await on.until(lambda: "deleted pods/q/stray" in on.log)
        await on.quiet()
        assert await on.names(PODS) == ["good"]
        [event] = (await on.client.list(EVENTS, "q")).items
        assert (event.type, event.reason) == ("Warning", "OwnerRefInvalidNamespace")
        assert event.involvedObject.name == "stray"
        assert event.source is not None
        assert event.source.component == "garbage-collector-controller"


@virtual_time
async def test_an_owner_the_cache_has_not_seen_yet_keeps_its_dependents() -> None:
    async with engine(gc.controller()) as on:
        await on.quiet()
        on.client.hold(CONFIGMAPS)
        owner = await make_config(on, "owner")
        await make_pod(on, "a", ref(owner, True))
        await on.quiet(3600)
        assert await on.names(PODS) == ["a"]
        on.client.release(CONFIGMAPS)
        await on.quiet(3600)
        assert await on.names(PODS) == ["a"]


@virtual_time
async def test_what_was_left_over_before_the_start_is_found() -> None:
    async with engine() as on:
        gone, going = await make_config(on, "gone"), await make_config(on, "going")
        await make_pod(on, "a", ref(gone))
        await make_pod(on, "b", ref(going, True))
        await delete(on, CONFIGMAPS, "gone", "Background")
        await delete(on, CONFIGMAPS, "going", "Foreground")
        on.run(gc.controller())
        await on.until(lambda: not on.caches.of(CONFIGMAPS) and not on.caches.of(PODS))
        assert on.logged("deleted", CONFIGMAPS, PODS)[-1] == "configmaps/default/going"


@virtual_time
async def test_an_idle_cluster_costs_no_turn() -> None:
    async with engine(gc.controller()) as on:
        owner = await make_config(on, "owner")
        await make_pod(on, "a", ref(owner, True))
        await on.quiet()
        [runner] = on.runners
        assert not runner.explanations
