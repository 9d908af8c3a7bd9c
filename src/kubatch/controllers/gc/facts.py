"""What the garbage collector looks at: one owner that is gone or going, and its dependents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any

from kubatch.api.models import ObjectMeta, OwnerReference
from kubatch.api.resource import Resource
from kubatch.controllers.gc import graph
from kubatch.controllers.gc.graph import Owner
from kubatch.reconcile.controller import Key, View

# Dependents looked at in one turn; the next turn goes on. Keeps a turn short and its writes few.
DEPENDENTS_PER_TURN_MAX = 500


class Fate(Enum):
    """What happens to an owner."""

    GONE = "gone"
    WAITING = "waiting"  # for its dependents to be deleted: foreground
    ORPHANING = "orphaning"


class Standing(Enum):
    """How an owner stands to one dependent (garbagecollector.go: classifyReferences)."""

    SOLID = "solid"
    DANGLING = "dangling"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Link:
    """One owner reference of a dependent, and what it is worth."""

    reference: OwnerReference
    standing: Standing
    owner: Owner | None = None  # None: cannot be resolved, and counts as solid
    elsewhere: bool = False  # dangling, though an object with this uid is in another namespace


@dataclass(frozen=True, slots=True)
class Dependent:
    """One object that the owner's fate concerns."""

    resource: Resource[Any]
    obj: Any
    links: tuple[Link, ...]
    has_dependents: bool = False
    circular: bool = False  # a dependent of its own waits for dependents already

    @property
    def metadata(self) -> ObjectMeta:
        meta: ObjectMeta = self.obj.metadata
        return meta

    def having(self, standing: Standing) -> list[Link]:
        """The links that stand so."""
        return [link for link in self.links if link.standing is standing]


@dataclass(frozen=True, slots=True)
class OwnerFacts:
    """An owner that is gone or going."""

    owner: Owner
    obj: Any  # None when it is gone
    fate: Fate
    dependents: tuple[Dependent, ...]  # those to do something about, so many at a time
    more: bool = False  # there are others for the next turn
    blocked: bool = False  # dependents are left that a waiting owner may not go before


def read(view: View, key: Key, _remembered: object = None) -> OwnerFacts | None:
    """The facts about an owner; None at once when it is simply there."""
    owner = graph.owner_at(key)
    obj = view.get(owner.resource, owner.namespace, owner.name)
    fate = _fate(obj, owner.uid)
    if fate is None:
        return None
    found = graph.dependents(view, owner.uid)
    if fate is Fate.GONE and not found:
        return None
    # One by one, never as a whole: an owner of very many is looked at often while it empties.
    each = ((resource, o) for resource, objects in found for o in objects)
    if fate is Fate.ORPHANING:
        concerned: Iterable[Dependent] = (Dependent(r, o, ()) for r, o in each)
    else:
        concerned = (
            dependent
            for resource, o in each
            if o.metadata.deletionTimestamp is None
            and (dependent := _dependent(view, resource, o)) is not None
        )
    first = tuple(islice(concerned, DEPENDENTS_PER_TURN_MAX + 1))
    return OwnerFacts(
        owner,
        obj if fate is not Fate.GONE else None,
        fate,
        first[:DEPENDENTS_PER_TURN_MAX],
        more=len(first) > DEPENDENTS_PER_TURN_MAX,
        blocked=fate is Fate.WAITING
        and any(_blocks(o, owner.uid) for _, objects in found for o in objects),
    )


def _fate(obj: Any, uid: str) -> Fate | None:
    if obj is None or obj.metadata.uid != uid:
        return Fate.GONE
    if graph.is_orphaning(obj.metadata):
        return Fate.ORPHANING
    return Fate.WAITING if graph.is_waiting(obj.metadata) else None


def _blocks(obj: Any, uid: str) -> bool:
    return any(r.uid == uid and r.blockOwnerDeletion for r in obj.metadata.ownerReferences or ())


def _dependent(view: View, resource: Resource[Any], obj: Any) -> Dependent | None:
    """The facts about a dependent; None when all its owners are solid."""
    meta: ObjectMeta = obj.metadata
    links = tuple(_link(view, r, meta.namespace) for r in meta.ownerReferences or ())
    standings = {link.standing for link in links}
    if standings <= {Standing.SOLID}:
        return None
    own = graph.dependents(view, meta.uid or "") if Standing.WAITING in standings else ()
    circular = any(graph.is_waiting(o.metadata) for _, objects in own for o in objects)
    return Dependent(resource, obj, links, bool(own), circular)


def _link(view: View, reference: OwnerReference, namespace: str | None) -> Link:
    owner = graph.owner_of(reference, namespace)
    if owner is None:
        return Link(reference, Standing.SOLID)
    fate = _fate(view.get(owner.resource, owner.namespace, owner.name), owner.uid)
    if fate is Fate.GONE:
        found = view.indexed(graph.BY_UID[owner.resource], owner.uid)
        elsewhere = any(o.metadata.namespace != owner.namespace for o in found)
        return Link(reference, Standing.DANGLING, owner, elsewhere)
    standing = Standing.WAITING if fate is Fate.WAITING else Standing.SOLID
    return Link(reference, standing, owner)
