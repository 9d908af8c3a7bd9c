"""A View over objects at hand, in the slowest and plainest way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from kubatch.api.resource import Resource, by_kind
from kubatch.reconcile.controller import Index

T = TypeVar("T")


class StaticView:
    """Objects that never change."""

    def __init__(self, *objects: Any) -> None:
        self._objects = sorted(objects, key=lambda o: (o.metadata.namespace or "", o.metadata.name))

    def list(self, resource: Resource[T]) -> Sequence[T]:
        return [o for o in self._objects if by_kind(o.apiVersion, o.kind) is resource]

    def get(self, resource: Resource[T], namespace: str | None, name: str) -> T | None:
        for obj in self.list(resource):
            meta = cast(Any, obj).metadata
            if (meta.namespace or "", meta.name) == (namespace or "", name):
                return obj
        return None

    def indexed(self, index: Index, key: str) -> Sequence[Any]:
        return [o for o in self.list(index.resource) if key in index.keys(o)]
