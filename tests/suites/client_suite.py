"""What every Client does, sentence by sentence of kubatch.client.protocol."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, cast

import pytest
from msgspec.structs import replace

from kubatch.api.errors import ApiError
from kubatch.api.models import (
    ConfigMap,
    Container,
    EventsV1Event,
    Job,
    JobSpec,
    JobStatus,
    Lease,
    LeaseSpec,
    Namespace,
    ObjectMeta,
    ObjectReference,
    Pod,
    PodSpec,
    PodTemplateSpec,
    ServiceAccount,
)
from kubatch.api.models import (
    Event as CoreEvent,
)
from kubatch.api.resource import (
    CONFIGMAPS,
    EVENTS,
    EVENTS_V1,
    JOBS,
    LEASES,
    NAMESPACES,
    PODS,
    SERVICEACCOUNTS,
    Resource,
)
from kubatch.client.protocol import Client, Event
from kubatch.world import World

SECONDS_MAX = 20
_serial = itertools.count(1)


def config(space: str, name: str, **data: str) -> ConfigMap:
    meta = ObjectMeta(name=name, namespace=space, labels={"suite": "yes", "name": name})
    return ConfigMap(metadata=meta, data=data or None)


def pod(space: str, name: str, **meta: Any) -> Pod:
    spec = PodSpec(containers=[Container(name="c", image="busybox")])
    return Pod(metadata=ObjectMeta(name=name, namespace=space, **meta), spec=spec)


def job(space: str, name: str) -> Job:
    template = PodTemplateSpec(
        spec=PodSpec(containers=[Container(name="c", image="busybox")], restartPolicy="Never")
    )
    spec = JobSpec(template=template)
    return Job(metadata=ObjectMeta(name=name, namespace=space), spec=spec)


def meta(obj: Any) -> Any:
    return obj.metadata


def revision(obj: Any) -> int:
    return int(obj.metadata.resourceVersion)


async def refused(call: Any) -> ApiError:
    """The error of a call that must fail."""
    with pytest.raises(ApiError) as caught:
        await call
    return caught.value


async def take(
    watch: AsyncIterator[Sequence[Event[Any]]], count: int
) -> list[tuple[str, str, Event[Any]]]:
    """The next events of a watch: type, name and event."""
    found: list[tuple[str, str, Event[Any]]] = []
    async with asyncio.timeout(SECONDS_MAX):
        while len(found) < count:
            batch = await anext(watch)
            found += [(e.type, e.object.metadata.name, e) for e in batch]
    return found


class ClientSuite:
    """Subclasses provide `client`; nothing controls its server."""

    @pytest.fixture
    async def space(self, client: Client) -> str:
        """A namespace of the test's own."""
        name = f"suite-{World().name_suffix()}-{next(_serial)}"
        await client.create(NAMESPACES, Namespace(metadata=ObjectMeta(name=name)))
        account = ServiceAccount(metadata=ObjectMeta(name="default", namespace=name))
        await client.create(SERVICEACCOUNTS, account)
        return name

    # ----- single objects

    async def test_what_is_created_is_found(self, client: Client, space: str) -> None:
        made = await client.create(CONFIGMAPS, config(space, "a", key="value"))
        assert (made.kind, made.apiVersion) == ("ConfigMap", "v1")
        assert meta(made).uid
        assert revision(made) > 0
        assert await client.get(CONFIGMAPS, space, "a") == made

    async def test_a_name_can_be_generated(self, client: Client, space: str) -> None:
        unnamed = ConfigMap(metadata=ObjectMeta(generateName="x-", namespace=space))
        made = await client.create(CONFIGMAPS, unnamed)
        assert meta(made).name.startswith("x-")

    async def test_cluster_scoped_objects_have_no_namespace(
        self, client: Client, space: str
    ) -> None:
        found = await client.get(NAMESPACES, None, space)
        assert meta(found).namespace is None

    async def test_events_are_written_together(self, client: Client, space: str) -> None:
        def event(name: str, namespace: str) -> CoreEvent:
            about = ObjectReference(kind="Pod", namespace=namespace, name="a")
            meta = ObjectMeta(name=name, namespace=namespace)
            return CoreEvent(metadata=meta, involvedObject=about, reason="Tested", type="Normal")

        wrong = event("c", space)
        wrong.involvedObject.namespace = "elsewhere"
        given = [event("a", space), event("b", space), event("d", "no-such-space"), wrong]
        codes = [error and error.code for error in await client.write_events(EVENTS, given)]
        assert codes == [None, None, 404, 422]
        again = await client.write_events(EVENTS, [event("b", space)])
        assert [error and error.reason for error in again] == ["AlreadyExists"]
        found = (await client.list(EVENTS, space)).items
        assert [(meta(e).name, e.reason) for e in found] == [("a", "Tested"), ("b", "Tested")]
        assert all(meta(e).uid and meta(e).creationTimestamp for e in found)

    async def test_what_is_not_there_is_404(self, client: Client, space: str) -> None:
        error = await refused(client.get(CONFIGMAPS, space, "none"))
        assert (error.code, error.reason) == (404, "NotFound")
        assert error.message == 'configmaps "none" not found'
        assert error.details is not None
        assert (error.details.name, error.details.kind) == ("none", "configmaps")

    async def test_what_is_invalid_is_refused_with_its_causes(
        self, client: Client, space: str
    ) -> None:
        error = await refused(client.create(CONFIGMAPS, config(space, "a", **{"no/key": ""})))
        assert (error.code, error.reason) == (422, "Invalid")
        assert error.details is not None
        assert [cause.field for cause in error.details.causes] == ["data[no/key]"]

    async def test_what_exists_is_not_created_again(self, client: Client, space: str) -> None:
        await client.create(CONFIGMAPS, config(space, "a"))
        error = await refused(client.create(CONFIGMAPS, config(space, "a")))
        assert (error.code, error.reason) == (409, "AlreadyExists")

    async def test_an_update_replaces(self, client: Client, space: str) -> None:
        made = await client.create(CONFIGMAPS, config(space, "a", old="1"))
        after = await client.update(CONFIGMAPS, replace(made, data={"new": "2"}))
        assert after.data == {"new": "2"}
        assert revision(after) > revision(made)

    async def test_an_update_of_an_old_version_conflicts(self, client: Client, space: str) -> None:
        made = await client.create(CONFIGMAPS, config(space, "a"))
        await client.update(CONFIGMAPS, replace(made, data={"a": "1"}))
        error = await refused(client.update(CONFIGMAPS, replace(made, data={"b": "2"})))
        assert (error.code, error.reason) == (409, "Conflict")

    async def test_status_is_written_apart(self, client: Client, space: str) -> None:
        made = await client.create(JOBS, job(space, "j"))
        assert made.spec is not None
        changed = replace(
            made, spec=replace(made.spec, parallelism=7), status=JobStatus(active=3, ready=1)
        )
        after = await client.update(JOBS, changed, "status")
        assert after.status is not None
        assert after.spec is not None
        assert (after.status.active, after.status.ready) == (3, 1)
        assert after.spec.parallelism == 1

    # ----- patches

    async def test_a_merge_patch_takes_away_and_adds(self, client: Client, space: str) -> None:
        await client.create(CONFIGMAPS, config(space, "a", x="1", y="2"))
        after = await client.patch(CONFIGMAPS, space, "a", {"data": {"x": None, "z": "3"}})
        assert after.data == {"y": "2", "z": "3"}

    async def test_a_strategic_patch_merges_lists(self, client: Client, space: str) -> None:
        await client.create(PODS, pod(space, "p", finalizers=["x.io/a", "x.io/b"]))
        patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x.io/a"]}}
        after = await client.patch(PODS, space, "p", patch, type="strategic")
        assert meta(after).finalizers == ["x.io/b"]

    async def test_a_json_patch_does_its_steps(self, client: Client, space: str) -> None:
        await client.create(CONFIGMAPS, config(space, "a", x="1"))
        steps = [
            {"op": "test", "path": "/data/x", "value": "1"},
            {"op": "replace", "path": "/data/x", "value": "2"},
        ]
        after = await client.patch(CONFIGMAPS, space, "a", steps, type="json")
        assert after.data == {"x": "2"}

    async def test_a_patch_of_a_status(self, client: Client, space: str) -> None:
        await client.create(PODS, pod(space, "p"))
        patch = {"status": {"message": "hello"}}
        after = await client.patch(PODS, space, "p", patch, subresource="status")
        assert after.status is not None
        assert after.status.message == "hello"

    async def test_a_finalizer_goes_and_others_stay(self, client: Client, space: str) -> None:
        await client.create(PODS, pod(space, "p", finalizers=["x.io/a", "x.io/b"]))
        after = await client.remove_finalizer(PODS, space, "p", "x.io/a")
        assert meta(after).finalizers == ["x.io/b"]

    async def test_a_finalizer_that_is_off_is_no_error(self, client: Client, space: str) -> None:
        made = await client.create(PODS, pod(space, "p"))
        after = await client.remove_finalizer(PODS, space, "p", "x.io/a")
        assert after in (None, made)
        assert await client.remove_finalizer(PODS, space, "none", "x.io/a") is None

    # ----- deletion and binding

    async def test_what_is_deleted_is_gone(self, client: Client, space: str) -> None:
        made = await client.create(CONFIGMAPS, config(space, "a"))
        last = await client.delete(CONFIGMAPS, space, "a", uid=meta(made).uid)
        assert last is None or revision(last) > revision(made)
        assert (await refused(client.get(CONFIGMAPS, space, "a"))).code == 404
        assert (await refused(client.delete(CONFIGMAPS, space, "a"))).code == 404

    async def test_a_deletion_means_one_uid(self, client: Client, space: str) -> None:
        await client.create(CONFIGMAPS, config(space, "a"))
        error = await refused(client.delete(CONFIGMAPS, space, "a", uid="another"))
        assert (error.code, error.reason) == (409, "Conflict")
        assert "UID in the precondition" in error.message

    async def test_what_terminates_is_answered_as_it_is(self, client: Client, space: str) -> None:
        made = await client.create(CONFIGMAPS, config(space, "a"))
        held = replace(made, metadata=replace(meta(made), finalizers=["x.io/a"]))
        await client.update(CONFIGMAPS, held)
        going = await client.delete(CONFIGMAPS, space, "a", propagation="Background")
        assert going is not None
        assert meta(going).deletionTimestamp is not None

    async def test_a_pod_without_a_node_goes_at_once_and_is_answered(
        self, client: Client, space: str
    ) -> None:
        made = await client.create(PODS, pod(space, "p"))
        last = await client.delete(PODS, space, "p", grace_period_seconds=5)
        assert last is not None
        assert meta(last).uid == meta(made).uid

    async def test_a_pod_is_bound_once(self, client: Client, space: str) -> None:
        made = await client.create(PODS, pod(space, "p"))
        await client.bind(space, "p", meta(made).uid, "node-1")
        after = await client.get(PODS, space, "p")
        assert after.spec is not None
        assert after.spec.nodeName == "node-1"
        assert (await refused(client.bind(space, "p", meta(made).uid, "node-2"))).code == 409

    # ----- lists

    async def test_a_list_has_everything_and_a_revision(self, client: Client, space: str) -> None:
        made = [await client.create(CONFIGMAPS, config(space, n)) for n in "abc"]
        listing = await client.list(CONFIGMAPS, space)
        assert list(listing.items) == made
        assert listing.revision >= revision(made[-1])

    @pytest.mark.slow
    async def test_a_list_of_many_is_whole(self, client: Client, space: str) -> None:
        count = 1203
        for start in range(0, count, 100):
            numbers = range(start, min(start + 100, count))
            await asyncio.gather(
                *(client.create(CONFIGMAPS, config(space, f"n-{n:04}")) for n in numbers)
            )
        listing = await client.list(CONFIGMAPS, space)
        assert [meta(obj).name for obj in listing.items] == [f"n-{n:04}" for n in range(count)]

    async def test_a_list_of_nothing(self, client: Client, space: str) -> None:
        listing = await client.list(CONFIGMAPS, space)
        assert list(listing.items) == []
        assert listing.revision > 0

    async def test_lists_select(self, client: Client, space: str) -> None:
        for name in ("a", "b"):
            await client.create(CONFIGMAPS, config(space, name))
        by_label = await client.list(CONFIGMAPS, space, label_selector="suite=yes,name in (b)")
        by_field = await client.list(CONFIGMAPS, space, field_selector="metadata.name=a")
        assert [meta(obj).name for obj in by_label.items] == ["b"]
        assert [meta(obj).name for obj in by_field.items] == ["a"]
        everywhere = await client.list(CONFIGMAPS, label_selector="name=a")
        assert space in {meta(obj).namespace for obj in everywhere.items}

    async def test_times_keep_their_precision(self, client: Client, space: str) -> None:
        now = World().now().replace(microsecond=120_000)
        spec = LeaseSpec(holderIdentity="me", renewTime=now, leaseDurationSeconds=15)
        lease = Lease(metadata=ObjectMeta(name="l", namespace=space), spec=spec)
        made = await client.create(LEASES, lease)
        assert made.spec is not None
        assert made.spec.renewTime == now
        assert (await client.get(LEASES, space, "l")).spec == made.spec

    async def test_events_of_the_new_group(self, client: Client, space: str) -> None:
        event = EventsV1Event(
            metadata=ObjectMeta(name="e", namespace=space),
            eventTime=World().now(),
            regarding=ObjectReference(kind="Pod", name="p", namespace=space),
            type="Normal",
            reason="Tested",
            note="so",
            action="Testing",
            reportingController="suite",
            reportingInstance="suite-1",
        )
        await client.create(EVENTS_V1, event)
        [found] = (await client.list(EVENTS_V1, space)).items
        assert (found.note, found.reportingController) == ("so", "suite")

    # ----- watches

    async def test_a_watch_tells_what_comes_after(self, client: Client, space: str) -> None:
        before = await client.create(CONFIGMAPS, config(space, "old"))
        async with aclosing(
            cast(Any, client.watch(CONFIGMAPS, space, after=revision(before)))
        ) as watch:
            made = await client.create(CONFIGMAPS, config(space, "a"))
            after = await client.patch(CONFIGMAPS, space, "a", {"data": {"x": "1"}})
            await client.delete(CONFIGMAPS, space, "a")
            found = await take(watch, 3)
        assert [(type, name) for type, name, _ in found] == [
            ("ADDED", "a"),
            ("MODIFIED", "a"),
            ("DELETED", "a"),
        ]
        assert [event.object for _, _, event in found][:2] == [made, after]
        revisions = [event.revision for _, _, event in found]
        assert revisions[:2] == [revision(made), revision(after)]
        assert revisions[2] > revisions[1]
        assert meta(found[2][2].object).uid == meta(made).uid

    async def test_nothing_between_a_list_and_its_watch_is_missed(
        self, client: Client, space: str
    ) -> None:
        listing = await client.list(CONFIGMAPS, space)
        names = [f"n-{number}" for number in range(50)]
        for name in names:
            await client.create(CONFIGMAPS, config(space, name))
        async with aclosing(
            cast(Any, client.watch(CONFIGMAPS, space, after=listing.revision))
        ) as watch:
            assert [name for _, name, _ in await take(watch, 50)] == names

    async def test_a_watch_selects(self, client: Client, space: str) -> None:
        listing = await client.list(CONFIGMAPS, space)
        watch: Any = client.watch(
            CONFIGMAPS, after=listing.revision, label_selector="name=b",
            field_selector=f"metadata.namespace={space}",
        )  # fmt: skip
        async with aclosing(watch):
            await client.create(CONFIGMAPS, config(space, "a"))
            await client.create(CONFIGMAPS, config(space, "b"))
            assert [name for _, name, _ in await take(watch, 1)] == ["b"]

    async def test_what_leaves_a_selection_is_deleted_from_it(
        self, client: Client, space: str
    ) -> None:
        made = await client.create(CONFIGMAPS, config(space, "a"))
        watch: Any = client.watch(
            CONFIGMAPS, space, after=revision(made), label_selector="suite=yes"
        )
        async with aclosing(watch):
            patch = {"metadata": {"labels": {"suite": "no"}}}
            after = await client.patch(CONFIGMAPS, space, "a", patch)
            [(type, _, event)] = await take(watch, 1)
        assert type == "DELETED"
        assert event.revision == revision(after)

    async def test_two_watches_do_not_disturb_each_other(self, client: Client, space: str) -> None:
        listing = await client.list(CONFIGMAPS, space)
        one: Any = client.watch(CONFIGMAPS, space, after=listing.revision)
        two: Any = client.watch(CONFIGMAPS, space, after=listing.revision)
        async with aclosing(one), aclosing(two):
            await client.create(CONFIGMAPS, config(space, "a"))
            assert len(await take(one, 1)) == len(await take(two, 1)) == 1

    async def test_every_kind_can_be_listed(self, client: Client, space: str) -> None:
        for resource in cast(tuple[Resource[Any], ...], (PODS, JOBS, LEASES, NAMESPACES)):
            listing = await client.list(resource)
            assert listing.revision > 0
