"""What happens to an object between a request's body and the store, whatever its kind.

Pure but for the strategies' warnings, which go to the request's context. The order of steps is that
of apiserver/pkg/registry/rest: create.go: BeforeCreate, update.go: BeforeUpdate.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from kubatch.api import errors
from kubatch.api.models import ObjectMeta
from kubatch.api.resource import Resource
from kubatch.registry import tracking
from kubatch.registry.metadata import validate_metadata_update
from kubatch.registry.strategy import RequestContext, Strategy
from kubatch.world import World, whole_seconds


def place(resource: Resource[Any], namespace: str | None, meta: ObjectMeta) -> None:
    """Put an object where the request says. Raises ApiError 400 when it says otherwise itself."""
    if not resource.namespaced:
        meta.namespace = None
    elif namespace is None:
        meta.namespace = meta.namespace or "default"
    elif meta.namespace and meta.namespace != namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    else:
        meta.namespace = namespace


def stamp(strategy: Strategy[Any], meta: ObjectMeta, world: World) -> None:
    """What only the server may set (rest.FillObjectMetaSystemFields)."""
    meta.creationTimestamp = whole_seconds(world.now())
    meta.uid = world.uid()
    meta.deletionTimestamp = meta.deletionGracePeriodSeconds = None
    meta.selfLink = meta.resourceVersion = meta.managedFields = None
    meta.generation = 1 if strategy.tracks_generation else None


def check_identity(
    resource: Resource[Any], old: Any, new: Any, namespace: str | None, name: str
) -> None:
    """A change must be of the object it names. Raises ApiError 400, 409."""
    meta = new.metadata
    place(resource, namespace, meta)
    if meta.name and meta.name != name:
        raise errors.bad_request(
            f"the name of the object ({meta.name}) does not match the name on the URL ({name})"
        )
    meta.name = name
    check_uid(resource, name, meta.uid, old.metadata.uid)


def check_uid(resource: Resource[Any], name: str, asked: str | None, uid: str | None) -> None:
    """Who names a uid means that object alone. Raises ApiError 409."""
    if asked and asked != uid:
        why = f"Precondition failed: UID in precondition: {asked}, UID in object meta: {uid}"
        raise errors.conflict(resource.group, resource.plural, name, why)


def check_new_identity(resource: Resource[Any], new: Any, namespace: str | None, name: str) -> None:
    """An apply that creates names its object itself. Raises ApiError 400, 409.

    (apiserver/pkg/endpoints/handlers/patch.go: applyPatch; rest.go: checkName.)
    """
    meta: ObjectMeta = new.metadata
    if meta.uid:
        why = (
            f"uid mismatch: the provided object specified uid {meta.uid}, and no existing object "
            "was found"
        )
        raise errors.conflict(resource.group, resource.plural, name, why)
    place(resource, namespace, meta)
    if not meta.name:
        raise errors.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be "
            "provided"
        )
    if meta.name != name:
        raise errors.bad_request(
            f"the name of the object ({meta.name}) does not match the name on the URL ({name})"
        )
    if meta.resourceVersion:
        raise errors.conflict(resource.group, resource.plural, name, errors.MODIFIED)


# Subresources that leave the spec alone.
_KEEP_GENERATION = frozenset({"status", "finalize"})


def prepare_update(
    strategy: Strategy[Any],
    new: Any,
    old: Any,
    subresource: str,
    ctx: RequestContext,
    now: datetime,
    applied: tracking.Entries = None,
) -> None:
    """Everything between the body of a change and the write. Raises ApiError 403, 422.

    `applied` are the entries an apply made; other changes make theirs here.
    """
    was: ObjectMeta = old.metadata
    sent = new.metadata.managedFields
    new.metadata = replace(
        new.metadata,
        uid=was.uid,
        creationTimestamp=was.creationTimestamp,
        deletionTimestamp=was.deletionTimestamp,
        deletionGracePeriodSeconds=was.deletionGracePeriodSeconds,
        generation=was.generation,
        selfLink=None,
        resourceVersion=None,
        managedFields=None,
    )
    if subresource == "status":
        strategy.prepare_status_update(new, old)
        causes = strategy.validate_status_update(new, old)
    elif subresource == "finalize":
        new.status = old.status
        causes = []
    elif subresource:
        strategy.prepare_part(subresource, new, old)
        causes = strategy.validate_part(subresource, new, old)
    else:
        strategy.default(new)
        strategy.prepare_update(new, old)
        causes = strategy.validate_update(new, old)
    causes = validate_metadata_update(new.metadata, was) + causes
    if causes:
        resource = strategy.resource
        raise errors.invalid(resource.group, resource.kind, was.name or "", causes)
    if ctx.guard is not None:
        ctx.guard(strategy.resource, new, old)
    if not subresource:
        ctx.warnings.extend(strategy.warnings_update(new, old))
    tracked = strategy.tracks_generation and subresource not in _KEEP_GENERATION
    if tracked and strategy.spec_changed(new, old):
        new.metadata.generation = (was.generation or 0) + 1
    if applied is not None or sent is not None or was.managedFields is not None:
        if applied is None:
            applied = tracking.of_update(strategy.resource, new, old, sent, subresource, ctx, now)
        new.metadata.managedFields = applied or None
        tracking.keep_times(new, old)
