"""Server-side apply through the registry: objects come, change, conflict and stay the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.errors import ApiError
from kubatch.api.fieldset import last_applied
from kubatch.api.models import ManagedFieldsEntry
from kubatch.api.resource import CONFIGMAPS, JOBS, Resource
from kubatch.registry.api import Registry
from kubatch.registry.strategy import RequestContext
from kubatch.registry.tracking import Apply
from tests.unit.registry.conftest import StoppedClock, decoded

MAP: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}}
CONTAINER = {"name": "c", "image": "i"}
JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "pi"},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}},
}


def writer(manager: str = "tests") -> RequestContext:
    return RequestContext("admin", ("system:masters",), manager=manager, tracks_created=True)


async def apply(
    registry: Registry,
    intent: dict[str, Any],
    manager: str = "alice",
    *,
    name: str = "",
    force: bool = False,
    subresource: str = "",
    dry_run: bool = False,
    resource: Resource[Any] | None = None,
) -> tuple[Any, bool]:
    kinds: dict[str, Resource[Any]] = {"ConfigMap": CONFIGMAPS, "Job": JOBS}
    request = Apply(resource or kinds[intent["kind"]], intent, manager, force, subresource)
    name = name or intent["metadata"]["name"]
    ctx = RequestContext("admin")
    entry, created = await registry.apply(request, "default", name, ctx, dry_run=dry_run)
    assert codec.encode(entry.obj) == entry.data
    return entry.obj, created


def config(**data: str) -> dict[str, Any]:
    return {**MAP, "data": data}


def entries(obj: Any) -> list[str]:
    """The entries in short: `manager/Operation/subresource`."""
    found: list[ManagedFieldsEntry] = obj.metadata.managedFields or []
    return [f"{e.manager}/{e.operation}/{e.subresource or ''}".rstrip("/") for e in found]


def fields_of(obj: Any, manager: str) -> Any:
    return next(e.fieldsV1 for e in obj.metadata.managedFields if e.manager == manager)


# ----- objects come


async def test_an_apply_creates_what_is_not_there(registry: Registry) -> None:
    obj, created = await apply(registry, JOB)
    assert created
    assert obj.spec.backoffLimit == 6
    assert entries(obj) == ["alice/Apply"]
    # What defaults and the server filled in is nobody's.
    assert fields_of(obj, "alice") == {
        "f:spec": {
            "f:template": {
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"c"}': {".": {}, "f:image": {}, "f:name": {}},
                    },
                    "f:restartPolicy": {},
                },
            },
        },
    }
    (entry,) = obj.metadata.managedFields
    assert entry.apiVersion == "batch/v1"
    assert entry.fieldsType == "FieldsV1"
    assert entry.time is not None
    assert entry.time.microsecond == 0


async def test_a_dry_run_creates_nothing(registry: Registry) -> None:
    obj, created = await apply(registry, config(a="1"), dry_run=True)
    assert created
    assert obj.metadata.uid
    with pytest.raises(ApiError, match="not found"):
        await registry.get(CONFIGMAPS, "default", "cm")


async def test_an_intent_without_content_leaves_no_entries(registry: Registry) -> None:
    obj, _ = await apply(registry, MAP)
    assert obj.metadata.managedFields is None
    assert b"managedFields" not in codec.encode(obj)


async def test_a_caller_who_may_not_create_does_not(registry: Registry) -> None:
    def refuse() -> None:
        raise ApiError(403, "Forbidden", "no")

    ctx = RequestContext("somebody", may_create=refuse)
    with pytest.raises(ApiError, match="no"):
        await registry.apply(Apply(CONFIGMAPS, config(a="1"), "x"), "default", "cm", ctx)


# ----- objects change


async def test_an_apply_again_is_no_write(registry: Registry, clock: StoppedClock) -> None:
    first, _ = await apply(registry, JOB)
    clock.advance(5)
    second, created = await apply(registry, JOB)
    assert not created
    assert second is first


async def test_values_that_mean_the_same_are_no_write(
    registry: Registry, clock: StoppedClock
) -> None:
    def limited(cpu: Any) -> dict[str, Any]:
        container = {**CONTAINER, "resources": {"limits": {"cpu": cpu}}}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        return {**JOB, "spec": {"template": template}}

    first, _ = await apply(registry, limited("1"))
    clock.advance(5)
    second, _ = await apply(registry, limited("1000m"))
    assert second is first


async def test_a_new_co_owner_is_a_write_and_gets_a_time(
    registry: Registry, clock: StoppedClock
) -> None:
    first, _ = await apply(registry, config(a="1"))
    clock.advance(5)
    second, _ = await apply(registry, config(a="1"), "bob")
    assert second.metadata.resourceVersion != first.metadata.resourceVersion
    assert entries(second) == ["alice/Apply", "bob/Apply"]
    alice, bob = second.metadata.managedFields
    assert (bob.time - alice.time).total_seconds() == 5


async def test_what_is_no_longer_applied_goes(registry: Registry) -> None:
    await apply(registry, config(a="1", b="2"))
    obj, _ = await apply(registry, config(b="2"))
    assert obj.data == {"b": "2"}


async def test_generation_grows_with_the_spec_alone(registry: Registry) -> None:
    await apply(registry, JOB)
    obj, _ = await apply(registry, {**JOB, "spec": {**JOB["spec"], "parallelism": 3}})
    assert obj.metadata.generation == 2
    obj, _ = await apply(
        registry,
        {
            **JOB,
            "metadata": {"name": "pi", "labels": {"a": "b"}},
            "spec": {**JOB["spec"], "parallelism": 3},
        },
    )
    assert obj.metadata.generation == 2


async def test_status_is_applied_through_its_subresource_alone(registry: Registry) -> None:
    status = {**JOB, "status": {"active": 1, "startTime": "2026-05-01T12:00:00Z"}}
    obj, _ = await apply(registry, status)
    assert not obj.status.active
    assert "f:status" not in fields_of(obj, "alice")
    obj, _ = await apply(registry, status, "controller", subresource="status")
    assert obj.status.active == 1
    assert entries(obj) == ["alice/Apply", "controller/Apply/status"]
    assert list(fields_of(obj, "controller")) == ["f:status"]


async def test_status_of_nothing(registry: Registry) -> None:
    with pytest.raises(ApiError, match="not found"):
        await apply(registry, JOB, subresource="status")


# ----- conflicts


async def test_a_conflict_changes_nothing(registry: Registry) -> None:
    first, _ = await apply(registry, config(a="1", b="2"))
    with pytest.raises(ApiError) as refused:
        await apply(registry, config(a="9", b="9"), "bob")
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")
    assert refused.value.message == (
        'Apply failed with 2 conflicts: conflicts with "alice":\n- .data.a\n- .data.b'
    )
    assert (await registry.get(CONFIGMAPS, "default", "cm")).obj is first


async def test_a_plain_writer_is_named_with_its_version(registry: Registry) -> None:
    await registry.create(CONFIGMAPS, "default", decoded(CONFIGMAPS, config(a="1")), writer("upd"))
    with pytest.raises(ApiError) as refused:
        await apply(registry, config(a="2"))
    assert refused.value.message == (
        'Apply failed with 1 conflict: conflict with "upd" using v1: .data.a'
    )


async def test_force_takes_over(registry: Registry) -> None:
    await apply(registry, config(a="1", b="2"))
    obj, _ = await apply(registry, config(a="9"), "bob", force=True)
    assert obj.data == {"a": "9", "b": "2"}
    assert fields_of(obj, "alice") == {"f:data": {"f:b": {}}}


async def test_an_object_never_tracked_belongs_to_whoever_was_before(registry: Registry) -> None:
    quiet = RequestContext("controller", manager="kube-controller-manager")
    await registry.create(CONFIGMAPS, "default", decoded(CONFIGMAPS, config(a="1", b="2")), quiet)
    with pytest.raises(ApiError) as refused:
        await apply(registry, config(a="2"))
    assert refused.value.message == (
        'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a'
    )
    obj, _ = await apply(registry, config(a="2"), force=True)
    assert entries(obj) == ["alice/Apply", "before-first-apply/Update"]
    assert fields_of(obj, "before-first-apply") == {"f:data": {".": {}, "f:b": {}}}


# ----- with kubectl apply


async def test_kubectl_takes_over_what_it_applied_on_the_client(registry: Registry) -> None:
    annotations = {last_applied.ANNOTATION: json.dumps(config(a="1"))}
    made = {**config(a="1", b="2"), "metadata": {"name": "cm", "annotations": annotations}}
    obj = decoded(CONFIGMAPS, made)
    await registry.create(CONFIGMAPS, "default", obj, writer("kubectl-client-side-apply"))
    with pytest.raises(ApiError):
        await apply(registry, config(a="9"), "alice")
    with pytest.raises(ApiError) as refused:
        await apply(registry, config(a="9", b="9"), "kubectl")
    assert refused.value.message.startswith("Apply failed with 1 conflict")
    taken, _ = await apply(registry, config(a="9"), "kubectl")
    assert taken.data == {"a": "9", "b": "2"}
    said = json.loads(taken.metadata.annotations[last_applied.ANNOTATION])
    assert said["data"] == {"a": "9"}


# ----- what is refused


@pytest.mark.parametrize(
    ("intent", "code", "message"),
    [
        (
            {**JOB, "spec": {"foo": 1}},
            500,
            "failed to create typed patch object (/pi; batch/v1, Kind=Job): .spec.foo: field not "
            "declared in schema",
        ),
        (
            {**JOB, "metadata": {"name": "pi", "namespace": "default", "foo": 1}},
            500,
            "failed to create typed patch object (default/pi; batch/v1, Kind=Job): .metadata.foo: "
            "field not declared in schema",
        ),
        ({"metadata": {"name": "pi"}}, 400, "invalid object type: /, Kind="),
        ({**JOB, "apiVersion": ""}, 400, "invalid object type: /, Kind=Job"),
        ({**JOB, "apiVersion": "a/b/c"}, 400, "invalid object type: /, Kind="),
        ({**JOB, "apiVersion": 1, "kind": []}, 400, "invalid object type: /, Kind="),
        ({**JOB, "kind": "CronJob"}, 400, "invalid object type: batch/v1, Kind=CronJob"),
        (
            {**JOB, "metadata": {"name": "pi", "managedFields": []}},
            400,
            "metadata.managedFields must be nil",
        ),
        (
            {**JOB, "metadata": {}},
            400,
            "the name of the object (pi based on URL) was undeterminable: name must be provided",
        ),
        (
            {**JOB, "metadata": {"name": "e"}},
            400,
            "the name of the object (e) does not match the name on the URL (pi)",
        ),
        (
            {**JOB, "metadata": {"name": "pi", "namespace": "other"}},
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            {**JOB, "metadata": {"name": "pi", "uid": "3"}},
            409,
            'Operation cannot be fulfilled on jobs.batch "pi": uid mismatch: the provided object '
            "specified uid 3, and no existing object was found",
        ),
        (
            {**JOB, "metadata": {"name": "pi", "resourceVersion": "3"}},
            409,
            'Operation cannot be fulfilled on jobs.batch "pi": the object has been modified; '
            "please apply your changes to the latest version and try again",
        ),
        (
            {**JOB, "spec": {**JOB["spec"], "parallelism": 2**40}},
            500,
            "failed to convert new object (/pi; batch/v1, Kind=Job) to proper version: cannot "
            "convert int64 to int32",
        ),
        (
            {**JOB, "spec": {**JOB["spec"], "backoffLimit": -1}},
            422,
            'Job.batch "pi" is invalid: spec.backoffLimit: Invalid value: -1: must be greater than '
            "or equal to 0",
        ),
    ],
)
async def test_refused(registry: Registry, intent: dict[str, Any], code: int, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        await apply(registry, intent, name="pi", resource=JOBS)
    assert (refused.value.code, refused.value.message) == (code, message)
    assert code != 500 or refused.value.reason == ""


async def test_refused_over_an_object(registry: Registry) -> None:
    first, _ = await apply(registry, config(a="1"))
    for metadata, code in (
        ({"name": "other"}, 400),
        ({"name": "cm", "uid": "3"}, 409),
        ({"name": "cm", "resourceVersion": "3"}, 409),
    ):
        with pytest.raises(ApiError) as refused:
            await apply(registry, {**config(a="2"), "metadata": metadata}, name="cm")
        assert refused.value.code == code
    right = {"name": "cm", "resourceVersion": first.metadata.resourceVersion}
    obj, _ = await apply(registry, {**config(a="2"), "metadata": right})
    assert obj.data == {"a": "2"}
