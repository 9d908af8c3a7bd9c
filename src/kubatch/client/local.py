"""The Client in the same process as the registry: no encoding, no copying, no network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from kubatch.api.errors import ApiError
from kubatch.api.resource import Resource
from kubatch.client.protocol import Event, Listing, PatchType
from kubatch.registry import binding
from kubatch.registry.api import Registry
from kubatch.registry.strategy import RequestContext
from kubatch.registry.values import DeleteRequest, ListRequest

T = TypeVar("T")


class LocalClient:
    """A Client over a Registry, as one user, who owns what it writes as one manager.

    What it creates has no managedFields (see registry/tracking.py).
    """

    def __init__(
        self, registry: Registry, user: str = "system:kubatch", manager: str = "kubatch"
    ) -> None:
        self._registry = registry
        self._user = user
        self._manager = manager

    def _context(self) -> RequestContext:
        return RequestContext(self._user, ("system:masters",), manager=self._manager)

    async def get(self, resource: Resource[T], namespace: str | None, name: str) -> T:
        return (await self._registry.get(resource, namespace, name)).obj

    async def list(
        self,
        resource: Resource[T],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Listing[T]:
        request = ListRequest(label_selector, field_selector)
        page = await self._registry.list(resource, namespace, request)
        return Listing([entry.obj for entry in page.entries], page.revision)

    async def watch(
        self,
        resource: Resource[T],
        namespace: str | None = None,
        *,
        after: int,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Sequence[Event[T]]]:
        request = ListRequest(
            label_selector, field_selector, resource_version=str(after) if after else ""
        )
        watch = self._registry.watch(resource, namespace, request)
        try:
            async for events in watch:
                if events:
                    yield [Event(e.type, e.entry.obj, e.entry.revision) for e in events]
        finally:
            await watch.aclose()

    async def create(self, resource: Resource[T], obj: T) -> T:
        namespace = cast(Any, obj).metadata.namespace if resource.namespaced else None
        entry = await self._registry.create(resource, namespace, obj, self._context(), owned=False)
        return entry.obj

    async def write_events(
        self, resource: Resource[T], events: Sequence[T]
    ) -> Sequence[ApiError | None]:
        return await self._registry.write_events(resource, events)

    async def update(self, resource: Resource[T], obj: T, subresource: str = "") -> T:
        meta = cast(Any, obj).metadata
        entry, _ = await self._registry.update(
            resource, meta.namespace, meta.name, obj, self._context(),
            subresource=subresource, owned=False,
        )  # fmt: skip
        return entry.obj

    async def patch(
        self,
        resource: Resource[T],
        namespace: str | None,
        name: str,
        patch: Any,
        *,
        type: PatchType = "merge",
        subresource: str = "",
    ) -> T:
        entry = await self._registry.patch(
            resource, namespace, name, type, patch, self._context(), subresource=subresource
        )
        return entry.obj

    async def remove_finalizer(
        self, resource: Resource[T], namespace: str | None, name: str, finalizer: str
    ) -> T | None:
        removed = False

        def without(obj: T) -> T | None:
            nonlocal removed
            meta = cast(Any, obj).metadata
            if finalizer not in (meta.finalizers or ()):
                return None
            removed = True
            kept = [f for f in meta.finalizers if f != finalizer]
            return replace(obj, metadata=replace(meta, finalizers=kept or None))  # type: ignore[type-var]

        try:
            entry = await self._registry.adjust(resource, namespace, name, without, self._context())
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        return entry.obj if removed else None

    async def delete(
        self,
        resource: Resource[T],
        namespace: str | None,
        name: str,
        *,
        grace_period_seconds: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
    ) -> T:
        request = DeleteRequest(grace_period_seconds, propagation, uid)
        entry, _ = await self._registry.delete(resource, namespace, name, request, self._context())
        return entry.obj

    async def bind(self, namespace: str, name: str, uid: str, node: str) -> None:
        await binding.bind(self._registry, namespace, name, uid, node)
