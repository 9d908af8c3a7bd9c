"""What DELETE does to an object, as a function of the object, the request and the time.

Rules: apiserver/pkg/registry/rest/delete.go: BeforeDelete, and registry/generic/registry/store.go:
deletionFinalizersForGarbageCollection.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from kubatch.api import errors, fields
from kubatch.api.models import ObjectMeta
from kubatch.registry.strategy import Strategy
from kubatch.registry.values import DeleteRequest
from kubatch.world import whole_seconds

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Remove the object now, or keep it with this metadata (the same when nothing changes)."""

    remove: bool
    metadata: ObjectMeta


def check_options(request: DeleteRequest) -> None:
    """Raises ApiError 422 for a propagation policy that does not exist."""
    if request.propagation not in (None, "Background", "Foreground", "Orphan"):
        choices = ["Foreground", "Background", "Orphan", "nil"]
        cause = fields.not_supported("propagationPolicy", request.propagation, choices)
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", [cause])


def check_preconditions(strategy: Strategy[Any], obj: Any, request: DeleteRequest) -> None:
    """Raises ApiError 409 when the object is not the one the caller meant."""
    meta = obj.metadata
    why = ""
    if request.uid is not None and request.uid != meta.uid:
        why = (
            f"the UID in the precondition ({request.uid}) does not match the UID in record "
            f"({meta.uid}). The object might have been deleted and then recreated"
        )
    elif request.resource_version not in (None, "", meta.resourceVersion):
        why = (
            f"the ResourceVersion in the precondition ({request.resource_version}) does not match "
            f"the ResourceVersion in record ({meta.resourceVersion}). The object might have been "
            "modified"
        )
    if why:
        resource = strategy.resource
        raise errors.conflict(resource.group, resource.kind, meta.name, why)


def decide(strategy: Strategy[Any], obj: Any, request: DeleteRequest, now: datetime) -> Outcome:
    """What becomes of the object. Preconditions are checked already."""
    meta: ObjectMeta = obj.metadata
    grace = strategy.grace_period(obj, request.grace_period_seconds)
    finalizers = _finalizers(strategy, meta, request)
    if meta.deletionTimestamp is not None:
        return _again(meta, finalizers, grace, request, now)
    if grace == 0 and not finalizers:
        return Outcome(True, meta)
    marked = replace(
        meta,
        deletionTimestamp=whole_seconds(now + timedelta(seconds=grace)),
        deletionGracePeriodSeconds=grace,
        finalizers=finalizers or None,
    )
    if strategy.tracks_generation:
        marked.generation = (meta.generation or 0) + 1
    return Outcome(False, marked)


def _again(
    meta: ObjectMeta, finalizers: list[str], grace: int, request: DeleteRequest, now: datetime
) -> Outcome:
    """A second DELETE may only shorten what the first one granted."""
    pending = meta.deletionGracePeriodSeconds or 0
    if pending == 0:
        if finalizers != (meta.finalizers or []):
            meta = replace(meta, finalizers=finalizers or None)
        return Outcome(not finalizers, meta)
    if request.grace_period_seconds is None or grace >= pending:
        return Outcome(False, meta)
    assert meta.deletionTimestamp is not None
    if grace == 0:
        at_once = whole_seconds(now)
        shortened = replace(meta, deletionGracePeriodSeconds=0, deletionTimestamp=at_once)
        return Outcome(not meta.finalizers, shortened)
    asked_at = meta.deletionTimestamp - timedelta(seconds=pending)
    until = max(whole_seconds(asked_at + timedelta(seconds=grace)), whole_seconds(now))
    left = max(1, int((until - asked_at).total_seconds()))
    return Outcome(False, replace(meta, deletionTimestamp=until, deletionGracePeriodSeconds=left))


def _finalizers(strategy: Strategy[Any], meta: ObjectMeta, request: DeleteRequest) -> list[str]:
    """The finalizers after the propagation policy has been written into them."""
    present = meta.finalizers or []
    if not strategy.owns_others:
        return [f for f in present if f not in (ORPHAN, FOREGROUND)]
    policy = request.propagation
    if policy is None:
        if ORPHAN in present or FOREGROUND in present:
            return list(present)
        policy = strategy.default_propagation
    wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(policy)
    kept = [f for f in present if f not in (ORPHAN, FOREGROUND) or f == wanted]
    if wanted and wanted not in kept:
        kept.append(wanted)
    return kept
