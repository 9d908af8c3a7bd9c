"""managedFields through every other write: who owns what, and which writes track at all."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api import codec
from kubatch.api.models import Job, JobStatus, ManagedFieldsEntry
from kubatch.api.resource import CONFIGMAPS, EVENTS, EVENTS_V1, JOBS, PODS
from kubatch.client.local import LocalClient
from kubatch.registry.api import Registry
from kubatch.registry.strategy import RequestContext
from kubatch.registry.tracking import Apply
from tests.unit.registry.conftest import StoppedClock, decoded, job, obj_of, pod
from tests.unit.registry.test_apply import config, entries, fields_of, writer


async def made(registry: Registry, manager: str = "maker", **data: str) -> Any:
    obj = decoded(CONFIGMAPS, config(**(data or {"a": "1"})))
    return obj_of(await registry.create(CONFIGMAPS, "default", obj, writer(manager)))


async def put(registry: Registry, obj: Any, manager: str) -> Any:
    entry, _ = await registry.update(CONFIGMAPS, "default", "cm", obj, writer(manager), owned=False)
    return entry.obj


async def patch(registry: Registry, changes: Any, manager: str, kind: Any = "merge") -> Any:
    return obj_of(await registry.patch(CONFIGMAPS, "default", "cm", kind, changes, writer(manager)))


# ----- who owns what


async def test_who_creates_owns_what_was_said_and_its_defaults(registry: Registry) -> None:
    obj = obj_of(await registry.create(JOBS, "default", job(), writer("kubectl-create")))
    assert entries(obj) == ["kubectl-create/Update"]
    spec = fields_of(obj, "kubectl-create")["f:spec"]
    assert "f:backoffLimit" in spec
    assert "f:selector" not in spec  # the server's own
    assert "f:status" not in fields_of(obj, "kubectl-create")
    assert "f:name" not in str(fields_of(obj, "kubectl-create").get("f:metadata"))


async def test_who_changes_a_field_takes_it(registry: Registry, clock: StoppedClock) -> None:
    obj = await made(registry, a="1", b="2")
    clock.advance(2)
    obj = await put(registry, replace(obj, data={"a": "9", "b": "2"}), "updater")
    assert entries(obj) == ["maker/Update", "updater/Update"]
    assert fields_of(obj, "updater") == {"f:data": {"f:a": {}}}
    assert fields_of(obj, "maker") == {"f:data": {".": {}, "f:b": {}}}
    obj = await patch(registry, {"data": {"a": None}}, "remover")
    assert entries(obj) == ["maker/Update"]


async def test_a_write_that_changes_nothing_is_none(
    registry: Registry, clock: StoppedClock
) -> None:
    first = await made(registry)
    clock.advance(2)
    assert await put(registry, first, "updater") is first
    assert await put(registry, replace(first, metadata=_unversioned(first)), "updater") is first
    assert await patch(registry, {}, "updater") is first
    assert await patch(registry, {"data": {"a": "1"}}, "maker") is first


def _unversioned(obj: Any) -> Any:
    return replace(obj.metadata, resourceVersion=None, managedFields=None)


async def test_a_time_is_new_only_with_a_change(registry: Registry, clock: StoppedClock) -> None:
    first = await made(registry)
    clock.advance(2)
    second = await patch(registry, {"data": {"a": "2"}}, "maker")
    (before,), (after,) = first.metadata.managedFields, second.metadata.managedFields
    assert (after.time - before.time).total_seconds() == 2
    assert after.fieldsV1 == before.fieldsV1


async def test_a_plain_writer_takes_fields_from_an_applier(registry: Registry) -> None:
    request = Apply(CONFIGMAPS, config(a="1"), "applier")
    await registry.apply(request, "default", "cm", RequestContext())
    obj = await patch(registry, {"data": {"a": "2"}}, "updater")
    assert entries(obj) == ["updater/Update"]


async def test_status_writes_have_entries_of_their_own(registry: Registry) -> None:
    obj: Job = obj_of(await registry.create(JOBS, "default", job(), writer("maker")))
    client = LocalClient(registry, manager="kube-controller-manager")
    changed = await client.update(JOBS, replace(obj, status=JobStatus(active=1)), "status")
    assert entries(changed) == ["kube-controller-manager/Update/status", "maker/Update"]
    assert fields_of(changed, "kube-controller-manager") == {"f:status": {"f:active": {}}}


async def test_many_writers_melt(registry: Registry, clock: StoppedClock) -> None:
    obj = await made(registry)
    for i in range(12):
        clock.advance(1)
        obj = await patch(registry, {"data": {f"k{i}": "x"}}, f"m{i:02}")
    assert len(obj.metadata.managedFields) == 10
    assert entries(obj)[0] == "ancient-changes/Update"


async def test_nobody_is_unknown(registry: Registry) -> None:
    assert entries(await made(registry, "")) == ["unknown/Update"]


# ----- what is tracked


async def test_what_this_process_makes_is_not_tracked(registry: Registry) -> None:
    client = LocalClient(registry, manager="kube-controller-manager")
    obj = pod()
    obj.metadata.namespace = "default"
    obj.metadata.finalizers = ["x.io/f"]
    made = await client.create(PODS, obj)
    assert made.metadata is not None
    assert made.metadata.managedFields is None
    patched = await client.patch(PODS, "default", "p", {"metadata": {"labels": {"a": "b"}}})
    assert entries(patched) == []
    # Not by others' plain writes either, until somebody applies.
    ctx = writer("kubectl-label")
    change = {"metadata": {"labels": {"a": "c"}}}
    assert entries((await registry.patch(PODS, "default", "p", "merge", change, ctx)).obj) == []


async def test_what_others_made_is_tracked_whoever_writes(registry: Registry) -> None:
    obj = pod(finalizers=["x.io/f"])
    await registry.create(PODS, "default", obj, writer("maker"))
    client = LocalClient(registry, manager="kube-controller-manager")
    freed: Any = await client.remove_finalizer(PODS, "default", "p", "x.io/f")
    assert "f:metadata" not in fields_of(freed, "maker")
    assert entries(freed) == ["maker/Update"]


# ----- entries as clients send them


@pytest.mark.parametrize("sent", [[], [{}]])
async def test_an_empty_list_resets(registry: Registry, sent: list[Any]) -> None:
    await made(registry)
    obj = await patch(registry, {"metadata": {"managedFields": sent}}, "x")
    assert obj.metadata.managedFields is None
    assert b"managedFields" not in codec.encode(obj)
    obj = await patch(registry, {"data": {"b": "2"}}, "x")
    assert obj.metadata.managedFields is None
    applied, _ = await registry.apply(
        Apply(CONFIGMAPS, config(a="1"), "alice"), "default", "cm", RequestContext()
    )
    assert entries(applied.obj) == ["alice/Apply", "before-first-apply/Update"]


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [{"manager": "x", "operation": "Update", "fieldsV1": {}}],
        [{"manager": "x", "fieldsType": "FieldsV1", "fieldsV1": {"f:a": 1}}],
        [{"manager": "x", "fieldsType": "FieldsV1", "fieldsV1": {"k:{": {}}}],
    ],
)
async def test_no_entries_or_senseless_ones_keep_what_was(
    registry: Registry, sent: list[Any] | None
) -> None:
    first = await made(registry)
    assert await patch(registry, {"metadata": {"managedFields": sent}}, "x") is first


async def test_entries_can_be_written(registry: Registry) -> None:
    first = await made(registry)
    entry = {
        "manager": "rewritten",
        "operation": "Apply",
        "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {".": {}}}},
    }
    operations = [
        {"op": "replace", "path": "/metadata/managedFields", "value": [entry]},
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": first.metadata.resourceVersion,
        },
    ]
    obj = await patch(registry, operations, "x", "json")
    assert entries(obj) == ["rewritten/Apply"]
    assert fields_of(obj, "rewritten") == {"f:data": {"f:a": {}}}


async def test_entries_sent_with_a_new_object_count(registry: Registry) -> None:
    obj = decoded(CONFIGMAPS, config(a="1"))
    obj.metadata.managedFields = [
        ManagedFieldsEntry(
            manager="old",
            operation="Apply",
            apiVersion="v1",
            fieldsType="FieldsV1",
            fieldsV1={"f:data": {"f:b": {}}},
        )
    ]
    stored = obj_of(await registry.create(CONFIGMAPS, "default", obj, writer("maker")))
    assert entries(stored) == ["old/Apply", "maker/Update"]


async def test_a_status_write_cannot_bring_entries(registry: Registry) -> None:
    obj: Job = obj_of(await registry.create(JOBS, "default", job(), writer("maker")))
    assert obj.metadata is not None
    forged = replace(obj, metadata=replace(obj.metadata, managedFields=[ManagedFieldsEntry()]))
    entry, _ = await registry.update(
        JOBS, "default", "pi", forged, writer("x"), subresource="status", owned=False
    )
    assert entries(entry.obj) == ["maker/Update"]


async def test_an_events_entries_outlive_its_other_form(registry: Registry) -> None:
    body = {
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"namespace": "default"},
        "reason": "Tested",
        "message": "said",
    }
    await registry.create(EVENTS, "default", decoded(EVENTS, body), writer("maker"))
    change = {"metadata": {"labels": {"a": "b"}}}
    entry = await registry.patch(EVENTS_V1, "default", "e", "merge", change, writer("other"))
    assert entries(entry.obj) == ["maker/Update", "other/Update"]
    assert "f:message" in fields_of(entry.obj, "maker")
