"""Resources that show another one's objects: batch/v1beta1 CronJobs."""

from __future__ import annotations

from kubatch.api.resource import CRONJOBS, CRONJOBS_V1BETA1
from kubatch.registry.api import Registry
from kubatch.registry.values import DeleteRequest, ListRequest
from tests.unit.registry.conftest import context, decoded, obj_of
from tests.unit.registry.kinds.making import CRONJOB


async def test_one_object_under_two_versions(registry: Registry) -> None:
    old = await registry.create(
        CRONJOBS_V1BETA1, "default", decoded(CRONJOBS_V1BETA1, CRONJOB), context()
    )
    new = await registry.get(CRONJOBS, "default", "n")
    assert (new.data, new.revision) == (old.data, old.revision)
    assert obj_of(new) is obj_of(old)
    patch = {"spec": {"suspend": True}}
    await registry.patch(CRONJOBS, "default", "n", "merge", patch, context())
    page = await registry.list(CRONJOBS_V1BETA1, "default", ListRequest())
    assert [obj_of(e).spec.suspend for e in page.entries] == [True]


async def test_the_old_version_leaves_its_jobs_behind(registry: Registry) -> None:
    made = decoded(CRONJOBS_V1BETA1, CRONJOB)
    await registry.create(CRONJOBS_V1BETA1, "default", made, context())
    kept, gone = await registry.delete(CRONJOBS_V1BETA1, "default", "n", DeleteRequest(), context())
    assert (obj_of(kept).metadata.finalizers, gone) == (["orphan"], False)


async def test_a_watch_of_one_sees_the_other(registry: Registry) -> None:
    request = ListRequest(resource_version=str(registry.revision))
    watch = registry.watch(CRONJOBS_V1BETA1, "default", request)
    await registry.create(CRONJOBS, "default", decoded(CRONJOBS, CRONJOB), context())
    events = await anext(watch)
    assert [(e.type, obj_of(e.entry).metadata.name) for e in events] == [("ADDED", "n")]
    await watch.aclose()
