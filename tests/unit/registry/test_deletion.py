"""DELETE: grace, finalizers, propagation, preconditions."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api.errors import ApiError
from kubatch.api.resource import CONFIGMAPS, EVENTS, JOBS, NAMESPACES, PODS
from kubatch.registry import binding
from kubatch.registry.api import Registry
from kubatch.registry.values import DeleteRequest, ListRequest

from .conftest import StoppedClock, context, decoded, job, obj_of, pod

BACKGROUND = DeleteRequest(propagation="Background")


async def bound_pod(registry: Registry, **metadata: Any) -> Any:
    await registry.create(PODS, "default", pod(**metadata), context())
    return await binding.bind(registry, "default", "p", None, "node")


async def test_an_object_that_nothing_holds_is_gone(registry: Registry) -> None:
    await registry.create(JOBS, "default", job(), context())
    entry, gone = await registry.delete(JOBS, "default", "pi", BACKGROUND, context())
    assert gone
    assert entry.revision == registry.revision
    with pytest.raises(ApiError, match=r'jobs\.batch "pi" not found'):
        await registry.get(JOBS, "default", "pi")


async def test_a_job_deleted_without_policy_orphans_its_pods_and_warns(registry: Registry) -> None:
    await registry.create(JOBS, "default", job(), context())
    ctx = context()
    entry, gone = await registry.delete(JOBS, "default", "pi", DeleteRequest(), ctx)
    assert not gone
    assert obj_of(entry).metadata.finalizers == ["orphan"]
    assert obj_of(entry).metadata.deletionGracePeriodSeconds == 0
    assert obj_of(entry).metadata.generation == 2
    assert ctx.warnings[0].startswith("child pods are preserved by default when jobs are deleted")


async def test_foreground_deletion_waits_for_its_finalizer(registry: Registry) -> None:
    await registry.create(JOBS, "default", job(), context())
    request = DeleteRequest(propagation="Foreground")
    entry, gone = await registry.delete(JOBS, "default", "pi", request, context())
    assert not gone
    assert obj_of(entry).metadata.finalizers == ["foregroundDeletion"]
    patch = {"metadata": {"finalizers": None}}
    answer = await registry.patch(JOBS, "default", "pi", "merge", patch, context())
    assert obj_of(answer).metadata.name == "pi"
    with pytest.raises(ApiError, match="not found"):
        await registry.get(JOBS, "default", "pi")


async def test_no_new_finalizers_on_what_is_being_deleted(registry: Registry) -> None:
    await registry.create(CONFIGMAPS, "default", _held(), context())
    await registry.delete(CONFIGMAPS, "default", "cm", BACKGROUND, context())
    patch = {"metadata": {"finalizers": ["k.io/one", "k.io/two"]}}
    with pytest.raises(ApiError) as caught:
        await registry.patch(CONFIGMAPS, "default", "cm", "merge", patch, context())
    assert caught.value.message == (
        'ConfigMap "cm" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added '
        'if the object is being deleted, found new finalizers []string{"k.io/two"}'
    )


def _held() -> Any:
    return decoded(CONFIGMAPS, {"metadata": {"name": "cm", "finalizers": ["k.io/one"]}})


async def test_an_unscheduled_pod_goes_at_once(registry: Registry) -> None:
    await registry.create(PODS, "default", pod(), context())
    _, gone = await registry.delete(PODS, "default", "p", DeleteRequest(), context())
    assert gone


async def test_a_running_pod_gets_its_grace_and_a_second_delete_only_shortens_it(
    registry: Registry, clock: StoppedClock
) -> None:
    await bound_pod(registry)
    start = clock.now().replace(microsecond=0)
    entry, gone = await registry.delete(PODS, "default", "p", DeleteRequest(), context())
    meta = obj_of(entry).metadata
    assert not gone
    assert (meta.deletionTimestamp - start).total_seconds() == 30
    assert meta.deletionGracePeriodSeconds == 30

    async def again(grace: int) -> Any:
        request = DeleteRequest(grace_period_seconds=grace)
        return await registry.delete(PODS, "default", "p", request, context())

    entry, _ = await again(60)
    assert obj_of(entry).metadata.deletionGracePeriodSeconds == 30
    # Who asks for nothing gets what was granted already.
    entry, gone = await registry.delete(PODS, "default", "p", DeleteRequest(), context())
    assert (obj_of(entry).metadata, gone) == (meta, False)
    entry, _ = await again(5)
    assert obj_of(entry).metadata.deletionGracePeriodSeconds == 5
    assert (obj_of(entry).metadata.deletionTimestamp - start).total_seconds() == 5
    _, gone = await again(0)
    assert gone


async def test_a_finished_pod_keeps_the_grace_it_was_granted(registry: Registry) -> None:
    # delete.go: BeforeDelete asks the strategy only once
    await bound_pod(registry)
    granted, _ = await registry.delete(PODS, "default", "p", DeleteRequest(), context())
    over = {"status": {"phase": "Succeeded"}}
    await registry.patch(PODS, "default", "p", "merge", over, context(), subresource="status")
    entry, gone = await registry.delete(PODS, "default", "p", DeleteRequest(), context())
    assert not gone
    wanted = obj_of(granted).metadata.deletionTimestamp
    assert obj_of(entry).metadata.deletionTimestamp == wanted


async def test_a_second_delete_may_change_its_policy(registry: Registry) -> None:
    await registry.create(JOBS, "default", job(), context())
    for propagation, finalizers in (("Orphan", ["orphan"]), ("Foreground", ["foregroundDeletion"])):
        request = DeleteRequest(propagation=propagation)
        entry, gone = await registry.delete(JOBS, "default", "pi", request, context())
        assert not gone
        assert obj_of(entry).metadata.finalizers == finalizers
    # Without a policy the one that is written there stays.
    entry, gone = await registry.delete(JOBS, "default", "pi", DeleteRequest(), context())
    assert (obj_of(entry).metadata.finalizers, gone) == (["foregroundDeletion"], False)
    _, gone = await registry.delete(JOBS, "default", "pi", BACKGROUND, context())
    assert gone


async def test_a_pod_with_a_finalizer_outlives_its_grace(registry: Registry) -> None:
    await bound_pod(registry, finalizers=["batch.kubernetes.io/job-tracking"])
    _, gone = await registry.delete(PODS, "default", "p", DeleteRequest(0), context())
    assert not gone
    patch = {"metadata": {"finalizers": None}}
    await registry.patch(PODS, "default", "p", "merge", patch, context())
    with pytest.raises(ApiError, match="not found"):
        await registry.get(PODS, "default", "p")


async def test_preconditions_name_what_differs(registry: Registry) -> None:
    created = await registry.create(JOBS, "default", job(), context())
    uid = obj_of(created).metadata.uid
    with pytest.raises(ApiError) as caught:
        await registry.delete(JOBS, "default", "pi", DeleteRequest(uid="abc"), context())
    assert caught.value.message == (
        'Operation cannot be fulfilled on Job.batch "pi": the UID in the precondition (abc) does '
        f"not match the UID in record ({uid}). The object might have been deleted and then "
        "recreated"
    )
    assert caught.value.code == 409
    stale = DeleteRequest(resource_version="1")
    with pytest.raises(ApiError) as caught:
        await registry.delete(JOBS, "default", "pi", stale, context())
    assert caught.value.message == (
        'Operation cannot be fulfilled on Job.batch "pi": the ResourceVersion in the precondition '
        f"(1) does not match the ResourceVersion in record ({created.revision}). The object might "
        "have been modified"
    )


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_some_namespaces_stay(registry: Registry, name: str) -> None:
    with pytest.raises(ApiError) as caught:
        await registry.delete(NAMESPACES, None, name, DeleteRequest(), context())
    assert caught.value.code == 403
    assert caught.value.message == (
        f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    )


async def test_a_collection_is_deleted_by_selector(registry: Registry) -> None:
    for name, app in (("a", "x"), ("b", "y"), ("c", "x")):
        await registry.create(PODS, "default", pod(name, labels={"app": app}), context())
    page = await registry.delete_collection(
        PODS, "default", ListRequest(label_selector="app=x"), DeleteRequest(), context()
    )
    assert [obj_of(e).metadata.name for e in page.entries] == ["a", "c"]
    left = await registry.list(PODS, "default", ListRequest())
    assert [obj_of(e).metadata.name for e in left.entries] == ["b"]


async def test_an_unknown_policy_is_refused(registry: Registry) -> None:
    with pytest.raises(ApiError, match=r'Unsupported value: "Foo"') as caught:
        await registry.delete(JOBS, "default", "pi", DeleteRequest(propagation="Foo"), context())
    assert caught.value.code == 422


@pytest.mark.parametrize("propagation", ["Orphan", "Foreground", "Background", None])
async def test_events_own_nothing_and_go_at_once(
    registry: Registry, propagation: str | None
) -> None:
    event = decoded(
        EVENTS,
        {
            "metadata": {"name": "e"},
            "involvedObject": {"namespace": "default", "kind": "Pod", "name": "p"},
        },
    )
    await registry.create(EVENTS, "default", event, context())
    request = DeleteRequest(propagation=propagation)
    _, gone = await registry.delete(EVENTS, "default", "e", request, context())
    assert gone
