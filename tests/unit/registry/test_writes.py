"""create, update and patch: what every kind has in common."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api import codec
from kubatch.api.errors import ApiError
from kubatch.api.models import JobStatus
from kubatch.api.resource import CONFIGMAPS, JOBS, LEASES, NAMESPACES, PODS
from kubatch.registry.api import Registry
from kubatch.registry.values import ListRequest

from .conftest import StoppedClock, context, decoded, job, obj_of, pod


def config_map(name: str = "cm", **data: str) -> Any:
    return decoded(CONFIGMAPS, {"metadata": {"name": name}, "data": data})


async def test_create_sets_what_only_the_server_may_set(registry: Registry) -> None:
    new = job()
    new.metadata.uid = "mine"
    new.metadata.generation = 7
    entry = await registry.create(JOBS, "default", new, context())
    meta = obj_of(entry).metadata
    assert meta.uid != "mine"
    assert meta.generation == 1
    assert meta.namespace == "default"
    assert meta.creationTimestamp is not None
    assert meta.creationTimestamp.microsecond == 0
    assert meta.resourceVersion == str(entry.revision) == str(registry.revision)


async def test_what_is_read_is_what_was_written(registry: Registry) -> None:
    created = await registry.create(JOBS, "default", job(), context())
    assert (await registry.get(JOBS, "default", "pi")).obj is created.obj
    assert codec.decode(JOBS, created.data, created.revision) == created.obj


async def test_generated_names_end_in_five_characters(registry: Registry) -> None:
    new = pod()
    new.metadata.name, new.metadata.generateName = None, "x" * 70
    name = (await registry.create(PODS, "default", new, context())).obj.metadata.name
    assert name[:58] == "x" * 58
    assert len(name) == 63


@pytest.mark.parametrize(
    ("namespace", "own", "code", "message"),
    [
        ("nope", None, 404, 'namespaces "nope" not found'),
        (
            "default", "other", 400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ],
)  # fmt: skip
async def test_create_in_the_wrong_namespace(
    registry: Registry, namespace: str, own: str | None, code: int, message: str
) -> None:
    new = job()
    new.metadata.namespace = own
    with pytest.raises(ApiError) as caught:
        await registry.create(JOBS, namespace, new, context())
    assert (caught.value.code, caught.value.message) == (code, message)


async def test_a_taken_name_is_refused(registry: Registry) -> None:
    await registry.create(JOBS, "default", job(), context())
    with pytest.raises(ApiError, match=r'jobs\.batch "pi" already exists') as caught:
        await registry.create(JOBS, "default", job(), context())
    assert caught.value.reason == "AlreadyExists"


async def test_a_dry_run_answers_and_stores_nothing(registry: Registry) -> None:
    before = registry.revision
    entry = await registry.create(JOBS, "default", job(), context(), dry_run=True)
    assert obj_of(entry).metadata.uid
    assert obj_of(entry).metadata.resourceVersion is None
    assert registry.revision == before


async def test_invalid_objects_are_refused_with_every_cause(registry: Registry) -> None:
    with pytest.raises(ApiError) as caught:
        await registry.create(JOBS, "default", job(backoffLimit=-1, parallelism=-1), context())
    assert caught.value.code == 422
    assert caught.value.details is not None
    assert len(caught.value.details.causes) == 2
    assert 'Job.batch "pi" is invalid: [' in caught.value.message


async def test_a_stale_update_conflicts_and_changes_nothing(registry: Registry) -> None:
    first = await registry.create(CONFIGMAPS, "default", config_map(a="1"), context())
    fresh = codec.copy(first.obj)
    fresh.data = {"a": "2"}
    second, _ = await registry.update(CONFIGMAPS, "default", "cm", fresh, context())
    stale = codec.copy(first.obj)
    stale.data = {"a": "3"}
    with pytest.raises(ApiError, match="the object has been modified") as caught:
        await registry.update(CONFIGMAPS, "default", "cm", stale, context())
    assert caught.value.code == 409
    assert (await registry.get(CONFIGMAPS, "default", "cm")).obj is second.obj


async def test_an_update_without_revision_overwrites(registry: Registry) -> None:
    await registry.create(CONFIGMAPS, "default", config_map(a="1"), context())
    entry, created = await registry.update(
        CONFIGMAPS, "default", "cm", config_map(b="2"), context()
    )
    assert obj_of(entry).data == {"b": "2"}
    assert not created


async def test_an_update_that_changes_nothing_writes_nothing(registry: Registry) -> None:
    created = await registry.create(JOBS, "default", job(), context())
    before = registry.revision
    entry, _ = await registry.update(JOBS, "default", "pi", codec.copy(created.obj), context())
    assert registry.revision == before
    assert entry.revision == created.revision


async def test_generation_counts_changes_of_the_spec_alone(registry: Registry) -> None:
    await registry.create(JOBS, "default", job(), context())

    async def patched(patch: dict[str, Any]) -> int | None:
        entry = await registry.patch(JOBS, "default", "pi", "merge", patch, context())
        generation: int | None = obj_of(entry).metadata.generation
        return generation

    assert await patched({"metadata": {"labels": {"a": "b"}}}) == 1
    assert await patched({"spec": {"parallelism": 3}}) == 2
    assert await patched({"status": {"active": 3}}) == 2


async def test_each_path_changes_its_own_half(registry: Registry) -> None:
    created = await registry.create(JOBS, "default", job(), context())
    with_both = replace(
        created.obj,
        spec=replace(obj_of(created).spec, parallelism=9),
        status=JobStatus(active=4, ready=0, terminating=0),
    )
    entry, _ = await registry.update(
        JOBS, "default", "pi", with_both, context(), subresource="status", owned=False
    )
    assert obj_of(entry).status.active == 4
    assert obj_of(entry).spec.parallelism == 1


async def test_an_absent_lease_is_created_by_put(registry: Registry) -> None:
    lease = decoded(LEASES, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}})
    entry, created = await registry.update(LEASES, "default", "l", lease, context())
    assert created
    assert obj_of(entry).metadata.uid
    with pytest.raises(ApiError, match='configmaps "cm" not found'):
        await registry.update(CONFIGMAPS, "default", "cm", config_map(), context())


async def test_racing_patches_all_take_effect(registry: Registry) -> None:
    await registry.create(CONFIGMAPS, "default", config_map(), context())
    await asyncio.gather(
        *(
            registry.patch(CONFIGMAPS, "default", "cm", "merge", {"data": {k: "x"}}, context())
            for k in "abcd"
        )
    )
    found = await registry.get(CONFIGMAPS, "default", "cm")
    assert obj_of(found).data == dict.fromkeys("abcd", "x")


async def test_a_patch_with_an_old_revision_conflicts(registry: Registry) -> None:
    created = await registry.create(CONFIGMAPS, "default", config_map(), context())
    patch = {"metadata": {"resourceVersion": str(created.revision - 1)}, "data": {"a": "b"}}
    with pytest.raises(ApiError) as caught:
        await registry.patch(CONFIGMAPS, "default", "cm", "merge", patch, context())
    assert caught.value.code == 409


async def test_racing_creates_have_one_winner(registry: Registry) -> None:
    results = await asyncio.gather(
        *(registry.create(JOBS, "default", job(), context()) for _ in range(5)),
        return_exceptions=True,
    )
    assert sum(isinstance(r, ApiError) and r.code == 409 for r in results) == 4


async def test_what_is_handed_in_unowned_stays_as_it_was(registry: Registry) -> None:
    new = job()
    before = codec.encode_json(new)
    await registry.create(JOBS, "default", new, context(), owned=False)
    assert codec.encode_json(new) == before


async def test_nothing_new_in_a_terminating_namespace(
    registry: Registry, clock: StoppedClock
) -> None:
    space = decoded(NAMESPACES, {"metadata": {"name": "q"}})
    await registry.create(NAMESPACES, None, space, context())
    from kubatch.registry.values import DeleteRequest

    entry, gone = await registry.delete(NAMESPACES, None, "q", DeleteRequest(), context())
    assert not gone
    assert obj_of(entry).status.phase == "Terminating"
    assert obj_of(entry).metadata.deletionGracePeriodSeconds is None
    with pytest.raises(ApiError, match="because it is being terminated") as caught:
        await registry.create(CONFIGMAPS, "q", config_map(), context())
    assert caught.value.details is not None
    assert caught.value.details.causes[0].reason == "NamespaceTerminating"
    await registry.patch(
        NAMESPACES, None, "q", "merge", {"spec": {"finalizers": None}}, context(),
        subresource="finalize",
    )  # fmt: skip
    names = [obj_of(e).metadata.name for e in (await _namespaces(registry))]
    assert "q" not in names


async def _namespaces(registry: Registry) -> Any:
    return (await registry.list(NAMESPACES, None, ListRequest())).entries
