"""Reads past the verbs, for rules that must look at other objects than the request's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from kubatch.api.resource import Resource
from kubatch.registry.shelf import Shelf
from kubatch.store.protocol import Store

T = TypeVar("T")


class Lookup:
    """Committed objects, shared and never changed."""

    def __init__(
        self,
        store: Store,
        shelves: Mapping[Resource[Any], Shelf[Any]],
        *,
        accounts_required: bool = False,
        name_suffix: Callable[[], str],
    ) -> None:
        self._store = store
        self._shelves = shelves
        # Whether a pod's service account must exist: somebody has to make the default ones.
        self.accounts_required = accounts_required
        self.name_suffix = name_suffix  # the random end of a generated name

    async def find(self, resource: Resource[T], namespace: str | None, name: str) -> T | None:
        """One object, None when there is none."""
        shelf = cast(Shelf[T], self._shelves[resource])
        record = await self._store.get(shelf.key(namespace, name))
        return shelf.entry(record).obj if record is not None else None

    async def all(self, resource: Resource[T], namespace: str | None = None) -> list[T]:
        """Every object of a resource, in one namespace or in all."""
        shelf = cast(Shelf[T], self._shelves[resource])
        return [shelf.entry(r).obj for r in await self._store.list(shelf.prefix(namespace))]
