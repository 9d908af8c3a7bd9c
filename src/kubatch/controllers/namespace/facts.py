"""What the namespace rules look at: a namespace that is going, and what is still in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kubatch.api.models import Namespace
from kubatch.api.resource import NAMESPACES, RESOURCES, Resource
from kubatch.reconcile.controller import Index, Key, View

# core/v1: FinalizerKubernetes, the one in spec.finalizers that this controller answers for.
KUBERNETES = "kubernetes"


def _namespace_of(obj: Any) -> Iterable[str]:
    return (obj.metadata.namespace,)


BY_NAMESPACE: dict[Resource[Any], Index] = {
    r: Index("by-namespace", r, _namespace_of) for r in RESOURCES if r.namespaced and r.kept
}


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """A namespace that is being deleted and not finalized."""

    name: str
    space: Namespace
    finalizers: tuple[str, ...]  # of its spec
    # What is in it, by resource; not taken apart, since a namespace may hold very much.
    contents: tuple[tuple[Resource[Any], Sequence[Any]], ...]


def read(view: View, key: Key, _remembered: object = None) -> NamespaceFacts | None:
    """The facts about a namespace; None at once unless it is to be emptied."""
    space = view.get(NAMESPACES, None, key.name)
    if space is None or space.metadata is None or space.metadata.deletionTimestamp is None:
        return None
    finalizers = tuple((space.spec.finalizers if space.spec is not None else None) or ())
    if KUBERNETES not in finalizers:
        return None
    found = ((r, view.indexed(index, key.name)) for r, index in BY_NAMESPACE.items())
    contents = tuple((resource, objects) for resource, objects in found if objects)
    return NamespaceFacts(key.name, space, finalizers, contents)
