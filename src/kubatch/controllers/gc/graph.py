"""Who owns whom: owner references, the keys they make, the indexes that find their other end.

A key is about one owner as its dependents name it: where they say it is, and its uid. So an owner
that never was, or is in another namespace, has a key like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kubatch.api.models import ObjectMeta, OwnerReference
from kubatch.api.resource import EVENTS, RESOURCES, Resource, by_kind
from kubatch.reconcile.controller import Index, Key, KeyMapping, View

# apimachinery/pkg/apis/meta/v1/types.go: FinalizerOrphanDependents, FinalizerDeleteDependents
ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"

# pkg/controller/garbagecollector/garbagecollector.go: DefaultIgnoredResources
COLLECTED: tuple[Resource[Any], ...] = tuple(r for r in RESOURCES if r.kept and r is not EVENTS)


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner as a dependent names it; the object there may be another one, or none."""

    resource: Resource[Any]
    namespace: str | None
    name: str
    uid: str


def owner_of(reference: OwnerReference, namespace: str | None) -> Owner | None:
    """Where a reference of an object in `namespace` (None: cluster-scoped) leads.

    None for what cannot be resolved: a kind that is not served, or a namespaced owner of a
    cluster-scoped object. Such a reference is never acted upon (garbagecollector.go: apiResource;
    graph_builder.go: addDependentToOwners).
    """
    resource = by_kind(reference.apiVersion, reference.kind)
    if resource is not None and resource.shows is not None:
        resource = resource.shows
    if resource is None or resource not in BY_UID or (resource.namespaced and not namespace):
        return None
    return Owner(
        resource, namespace if resource.namespaced else None, reference.name, reference.uid
    )


def key_of(owner: Owner) -> Key:
    """The key of an owner. The name comes last: neither uids nor names hold a slash."""
    return Key(owner.namespace or "", f"{owner.resource.plural}/{owner.uid}/{owner.name}")


def owner_at(key: Key) -> Owner:
    """The owner a key is about."""
    plural, uid, name = key.name.split("/", 2)
    return Owner(_BY_PLURAL[plural], key.namespace or None, name, uid)


def is_orphaning(meta: ObjectMeta) -> bool:
    """Deleted, and first to let go of its dependents."""
    return meta.deletionTimestamp is not None and ORPHAN in (meta.finalizers or ())


def is_waiting(meta: ObjectMeta) -> bool:
    """Deleted, and first to see its dependents gone (graph_builder.go: hasDeleteDependents...)."""
    return meta.deletionTimestamp is not None and FOREGROUND in (meta.finalizers or ())


def dependents(view: View, uid: str) -> list[tuple[Resource[Any], Sequence[Any]]]:
    """Everything that names the uid as an owner, by resource; empty when nothing does."""
    found = ((resource, view.indexed(BY_OWNER[resource], uid)) for resource in COLLECTED)
    return [(resource, objects) for resource, objects in found if objects]


# ----- indexes


def _uid(obj: Any) -> Iterable[str]:
    return (obj.metadata.uid,)


def _owner_uids(obj: Any) -> Iterable[str]:
    meta: ObjectMeta = obj.metadata
    if not meta.ownerReferences:
        return ()
    return {r.uid: None for r in meta.ownerReferences if owner_of(r, meta.namespace) is not None}


BY_UID = {r: Index("gc-uid", r, _uid) for r in COLLECTED}
BY_OWNER = {r: Index("gc-dependents", r, _owner_uids) for r in COLLECTED}
_BY_PLURAL = {r.plural: r for r in COLLECTED}


# ----- keys


def keys_for(resource: Resource[Any]) -> KeyMapping:
    """Which owners to look at after a change of an object of this resource.

    A change that leaves deletion, finalizers and owners alone, such as every change of a status,
    concerns nobody.
    """

    def changed(before: Any, after: Any) -> Iterable[Key]:
        old: ObjectMeta | None = before.metadata if before is not None else None
        new: ObjectMeta | None = after.metadata if after is not None else None
        return list(dict.fromkeys(map(key_of, _owners_concerned(resource, old, new))))

    return changed


def _owners_concerned(
    resource: Resource[Any], old: ObjectMeta | None, new: ObjectMeta | None
) -> Iterator[Owner]:
    meta = new if new is not None else old
    assert meta is not None  # nothing changes from nothing to nothing
    if new is None or (_leaves(new) and (old is None or _leaving_differs(old, new))):
        yield Owner(resource, meta.namespace, meta.name or "", meta.uid or "")
    had = (old.ownerReferences if old is not None else None) or []
    has = (new.ownerReferences if new is not None else None) or []
    if had == has:
        return
    for reference in [*(r for r in had if r not in has), *(r for r in has if r not in had)]:
        owner = owner_of(reference, meta.namespace)
        if owner is not None:
            yield owner


def _leaves(meta: ObjectMeta) -> bool:
    return is_orphaning(meta) or is_waiting(meta)


def _leaving_differs(old: ObjectMeta, new: ObjectMeta) -> bool:
    return old.deletionTimestamp is None or old.finalizers != new.finalizers


KEYS: dict[Resource[Any], KeyMapping] = {r: keys_for(r) for r in COLLECTED}
