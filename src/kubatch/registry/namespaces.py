"""What the verbs know about namespaces: admission into them, and their own way to end.

Rules: the admission plugin NamespaceLifecycle, and registry/core/namespace/storage.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from kubatch.api import errors
from kubatch.api.errors import Cause
from kubatch.api.models import Namespace, ObjectMeta
from kubatch.api.resource import NAMESPACES, Resource
from kubatch.store.protocol import KeyMissing, RevisionMismatch, Store
from kubatch.world import whole_seconds

UNDELETABLE = frozenset({"default", "kube-system", "kube-public"})


def admit(resource: Resource[Any], meta: ObjectMeta, space: Namespace | None) -> None:
    """Whether an object may be created in its namespace. Raises ApiError 403, 404."""
    name = meta.namespace or ""
    if space is None:
        raise errors.not_found("", "namespaces", name)
    if space.metadata is None or space.metadata.deletionTimestamp is None:
        return
    terminating = Cause(
        "NamespaceTerminating", f"namespace {name} is being terminated", "metadata.namespace"
    )
    why = f"unable to create new content in namespace {name} because it is being terminated"
    raise errors.forbidden(resource.group, resource.plural, meta.name or "", why, terminating)


async def withdraw(store: Store, key: str, revision: int) -> None:
    """Take back what was stored just now at `revision`, whatever was made of it since."""
    while True:
        try:
            await store.delete(key, revision)
            return
        except KeyMissing:
            return
        except RevisionMismatch:
            record = await store.get(key)
            if record is None:
                return
            revision = record.revision


def check_deletable(name: str) -> None:
    """Raises ApiError 403 for the namespaces that every cluster has."""
    if name in UNDELETABLE:
        why = "this namespace may not be deleted"
        raise errors.forbidden("", "namespaces", name, why)


def held(resource: Resource[Any], obj: Any) -> bool:
    """A namespace stays until its own spec.finalizers are empty."""
    return resource is NAMESPACES and bool(obj.spec and obj.spec.finalizers)


def mark_terminating(space: Any, now: datetime) -> None:
    """A namespace shows its deletion in its phase, and has no grace period; changes `space`."""
    meta = space.metadata
    meta.deletionTimestamp = meta.deletionTimestamp or whole_seconds(now)
    meta.deletionGracePeriodSeconds = None
    space.status = replace(space.status, phase="Terminating")
