"""replicasets/scale: the number of replicas as an object of its own, autoscaling/v1 Scale.

pkg/registry/apps/replicaset/storage/storage.go: ScaleREST.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from kubatch.api import codec, errors, fields
from kubatch.api.models import ObjectMeta, ReplicaSet, Scale, ScaleSpec, ScaleStatus
from kubatch.api.resource import REPLICASETS, Resource
from kubatch.registry import patching, tracking
from kubatch.registry.age import age
from kubatch.registry.kinds.rules import NEGATIVE, format_selector
from kubatch.registry.strategy import Column, RequestContext, Row, Strategy
from kubatch.registry.values import Entry
from kubatch.server import applying, bodies, negotiate, request, tables
from kubatch.server.replies import Call, Reply

if TYPE_CHECKING:
    from kubatch.registry.api import Registry

SCALES = Resource("autoscaling", "v1", "Scale", "scales", Scale, verbs=("get", "patch", "update"))
# A write without a resourceVersion goes onto whatever is there: so often, should that change.
TRIES = 5


class _ScaleStrategy(Strategy[Scale]):
    resource = SCALES
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Desired", type="integer", description="The number of desired replicas."),
        Column("Available", type="integer", description="The number of replicas there are."),
        Column("Age", description="Time since the object was created."),
    )

    def row(self, obj: Scale, now: datetime) -> Row:
        assert obj.metadata is not None
        desired = (obj.spec.replicas if obj.spec is not None else None) or 0
        there = obj.status.replicas if obj.status is not None else 0
        return Row((obj.metadata.name, desired, there, age(obj.metadata.creationTimestamp, now)))


_STRATEGY = _ScaleStrategy()


def scale_of(rs: ReplicaSet) -> Scale:
    """A ReplicaSet as a Scale (scaleFromReplicaSet)."""
    assert rs.metadata is not None
    assert rs.spec is not None
    meta, selector = rs.metadata, format_selector(rs.spec.selector)
    return Scale(
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            resourceVersion=meta.resourceVersion,
            creationTimestamp=meta.creationTimestamp,
        ),
        spec=ScaleSpec(replicas=rs.spec.replicas or None),  # a zero is left out
        status=ScaleStatus(
            replicas=(rs.status.replicas if rs.status is not None else 0) or 0,
            selector="" if selector == "<none>" else selector,
        ),
    )


async def answer(call: Call, registry: Registry, context: RequestContext) -> Reply:
    """GET, PUT and PATCH of a scale. Raises ApiError 400, 404, 409, 422."""
    form = negotiate.form(call.header("Accept"))
    match call.info.verb:
        case "get":
            entry = await registry.get(REPLICASETS, call.info.namespace, call.info.name)
        case "update":
            entry = await _update(call, registry, context)
        case _:
            entry = await _patch(call, registry, context)
    scale = scale_of(entry.obj)
    shown: Entry[Any] = Entry(scale, codec.encode(scale), entry.revision)
    if form.transform == "Table":
        include = tables.include_object(call.info.query)
        tabler = tables.Tabler(_STRATEGY, include, form.version, registry.world.now())
        return Reply(tabler.one(shown))
    if form.transform:
        return Reply(tables.partial_json(shown, form.version))
    return Reply(tables.object_json(SCALES, shown))


async def _update(call: Call, registry: Registry, context: RequestContext) -> Entry[ReplicaSet]:
    info = call.info
    options = request.write_options(info.query, "UpdateOptions")
    media = negotiate.body_media(call.header("Content-Type"))
    data = await call.body()
    scale = bodies.decode_object(SCALES, data, media, options.field_validation, call.warnings)
    assert scale.metadata is not None
    if scale.metadata.name != info.name:
        raise errors.bad_request(
            f"the name of the object ({scale.metadata.name}) does not match the name on the URL "
            f"({info.name})"
            if scale.metadata.name
            else f"the name of the object ({info.name} based on URL) was undeterminable: name "
            "must be provided"
        )
    for _ in range(TRIES):
        rs = (await registry.get(REPLICASETS, info.namespace, info.name)).obj
        try:
            return await _put(registry, rs, scale, context, options.dry_run)
        except errors.ApiError as error:
            if error.code != 409 or scale.metadata.resourceVersion:
                raise
    raise errors.conflict("apps", "replicasets", info.name, errors.MODIFIED)


async def _patch(call: Call, registry: Registry, context: RequestContext) -> Entry[ReplicaSet]:
    info = call.info
    kind = negotiate.patch_type(call.header("Content-Type"))
    options = request.write_options(info.query, "PatchOptions", apply=kind == "apply")
    if kind == "apply":
        return await _apply(call, registry, context, options)
    patch, earlier = bodies.decode_patch(await call.body(), kind)
    report = bodies.patch_reporter(patch, earlier, options.field_validation, call.warnings)
    for _ in range(TRIES):
        rs = (await registry.get(REPLICASETS, info.namespace, info.name)).obj
        before = scale_of(rs)
        patched = patching.apply(SCALES, before, kind, patch)
        scale, unknown = patching.decode(SCALES, kind, patch, patched)
        report(unknown)
        try:
            return await _put(registry, rs, scale, context, options.dry_run)
        except errors.ApiError as error:
            assert scale.metadata is not None
            assert before.metadata is not None
            asked = scale.metadata.resourceVersion != before.metadata.resourceVersion
            if error.code != 409 or asked:
                raise
    raise errors.conflict("apps", "replicasets", info.name, errors.MODIFIED)


async def _apply(
    call: Call, registry: Registry, context: RequestContext, options: request.WriteOptions
) -> Entry[ReplicaSet]:
    """An apply of the number alone, laid over the ReplicaSet among whose fields it is.

    (managedfields/scalehandler.go: whoever owns spec.replicas there, owns it here.)
    """
    info = call.info
    intent = applying.decode_intent(await call.body(), options.field_validation, call.warnings)
    tracking.check_intent(SCALES, intent)
    spec: dict[str, Any] = intent.get("spec") or {}
    _check_number(spec.get("replicas") or 0, info.name)
    within = {
        "apiVersion": REPLICASETS.api_version,
        "kind": REPLICASETS.kind,
        "metadata": intent.get("metadata") or {},
        "spec": {name: spec[name] for name in ("replicas",) if name in spec},
    }
    force = request.flag(info.query, "force")
    asked = tracking.Apply(REPLICASETS, within, options.field_manager, force, "scale")
    entry, _ = await registry.apply(
        asked, info.namespace, info.name, context, dry_run=options.dry_run
    )
    return entry


def _check_number(replicas: int, name: str) -> None:
    if replicas < 0:
        cause = fields.invalid("spec.replicas", replicas, NEGATIVE)
        raise errors.invalid(SCALES.group, SCALES.kind, name, [cause])


async def _put(
    registry: Registry, rs: ReplicaSet, scale: Scale, context: RequestContext, dry_run: bool
) -> Entry[ReplicaSet]:
    """Write the number into the ReplicaSet, as that stood when it was read."""
    assert rs.metadata is not None
    assert rs.spec is not None
    assert scale.metadata is not None
    name = rs.metadata.name or ""
    replicas = (scale.spec.replicas if scale.spec is not None else None) or 0
    _check_number(replicas, name)
    version = scale.metadata.resourceVersion or rs.metadata.resourceVersion
    metadata = replace(rs.metadata, resourceVersion=version)
    if scale.metadata.uid:
        metadata.uid = scale.metadata.uid
    changed = replace(rs, metadata=metadata, spec=replace(rs.spec, replicas=replicas))
    entry, _ = await registry.update(
        REPLICASETS, rs.metadata.namespace, name, changed, context,
        subresource="scale", dry_run=dry_run, owned=False,
    )  # fmt: skip
    return entry
