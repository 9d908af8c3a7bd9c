"""The verbs of the API over any kind: default, prepare, validate, store.

The same code serves HTTP requests and the parts in this process. Objects handed out are shared:
nobody changes them. Objects handed in are copied unless the caller gives them away (`owned`).
The order of steps is that of apiserver/pkg/registry/generic/registry/store.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from kubatch.api import codec, errors
from kubatch.api.errors import ApiError, Cause
from kubatch.api.models import ObjectMeta
from kubatch.api.resource import EVENTS_V1, NAMESPACES, Resource
from kubatch.registry import (
    admission,
    deletion,
    lists,
    namespaces,
    naming,
    notes,
    patching,
    preparing,
    selection,
    tracking,
)
from kubatch.registry.addresses import ServiceAddresses
from kubatch.registry.kinds import event as event_kinds
from kubatch.registry.lookup import Lookup
from kubatch.registry.metadata import validate_metadata
from kubatch.registry.quotas import Quotas
from kubatch.registry.shelf import Alias, Shelf
from kubatch.registry.strategy import RequestContext, Strategy
from kubatch.registry.values import DeleteRequest, Entry, ListRequest, Page, Selected, WatchEvent
from kubatch.registry.watch import Watch
from kubatch.store.protocol import (
    KeyExists,
    KeyMissing,
    Record,
    RevisionMismatch,
    Store,
    StoreUnavailable,
)
from kubatch.world import World

__all__ = [
    "DeleteRequest",
    "Entry",
    "ListRequest",
    "Page",
    "Registry",
    "RequestContext",
    "Watch",
    "WatchEvent",
]

T = TypeVar("T")

FieldErrors = Callable[[list[str]], None]

# apiserver/pkg/endpoints/handlers/patch.go: maxRetryWhenPatchConflicts
PATCH_TRIES = 5


class Registry:
    """Every verb over every kind. All verbs raise ApiError and nothing else."""

    def __init__(
        self,
        store: Store,
        world: World,
        strategies: Mapping[Resource[Any], Strategy[Any]],
        watch_buffer_events_max: int = 10_000,
        *,
        accounts_required: bool = False,
    ) -> None:
        self.world = world
        self._store = store
        self._watch_buffer = watch_buffer_events_max
        aliases = {EVENTS_V1: Alias(event_kinds.to_core, event_kinds.from_core)}
        self._shelves = {r: Shelf(s, aliases.get(r)) for r, s in strategies.items()}
        self.lookup = Lookup(
            store, self._shelves, accounts_required=accounts_required, name_suffix=world.name_suffix
        )
        self._addresses, self._quotas = ServiceAddresses(), Quotas()
        self.evicting = asyncio.Lock()

    @property
    def revision(self) -> int:
        """The newest committed revision."""
        return self._store.revision

    def strategy(self, resource: Resource[T]) -> Strategy[T]:
        """The rules of one kind."""
        return self._shelf(resource).strategy

    def _shelf(self, resource: Resource[T]) -> Shelf[T]:
        return cast(Shelf[T], self._shelves[resource])

    # ----- reads

    async def get(self, resource: Resource[T], namespace: str | None, name: str) -> Entry[T]:
        """One object. ApiError 404."""
        return (await self._find(resource, namespace, name))[0]

    async def _find(
        self, resource: Resource[T], namespace: str | None, name: str
    ) -> tuple[Entry[T], Record]:
        shelf = self._shelf(resource)
        record = await self._store.get(shelf.key(namespace, name))
        if record is None:
            raise errors.not_found(resource.group, resource.plural, name)
        return shelf.entry(record), record

    async def list(
        self, resource: Resource[T], namespace: str | None, request: ListRequest
    ) -> Page[T]:
        """A page of a list. ApiError 400, 410, 422, 504."""
        return lists.page(self._shelf(resource), await self.select(resource, namespace, request))

    async def select(
        self, resource: Resource[T], namespace: str | None, request: ListRequest
    ) -> Selected:
        """The same as it is stored: for those who pass it on without a look."""
        shelf = self._shelf(resource)
        chosen = selection.parse(shelf.strategy, request)
        return await lists.select(self._store, shelf, namespace, request, chosen)

    def watch(self, resource: Resource[T], namespace: str | None, request: ListRequest) -> Watch[T]:
        """Changes after request.resource_version; of the present state first when it is empty."""
        shelf = self._shelf(resource)
        chosen = selection.parse(shelf.strategy, request)
        after = lists.parse_revision(request.resource_version) or None
        current = self._store.revision
        return Watch(self._store, shelf, chosen, namespace, after, current, self._watch_buffer)

    # ----- create

    async def create(
        self,
        resource: Resource[T],
        namespace: str | None,
        obj: T,
        ctx: RequestContext,
        *,
        dry_run: bool = False,
        owned: bool = True,
        applied: tracking.Entries = None,
    ) -> Entry[T]:
        """Store a new object; `applied` are its owners when it was applied.

        ApiError 400, 403, 404, 409, 422.
        """
        new: Any = obj if owned else codec.copy(obj)
        meta = new.metadata = new.metadata or ObjectMeta()
        preparing.place(resource, namespace, meta)
        if meta.resourceVersion:
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        await self._admit_to_namespace(resource, meta)
        strategy, sent = self.strategy(resource), meta.managedFields
        preparing.stamp(strategy, meta, self.world)
        asked = meta.name or meta.generateName or ""
        if not meta.name and asked:
            meta.name = await naming.free_name(self._store, self._shelf(resource), meta, self.world)
        strategy.default(new)
        if applied is None:
            applied = tracking.of_new(resource, new, sent, ctx, self.world.now())
        meta.managedFields = applied or None
        await admission.mutate(self.lookup, resource, new, asked)
        strategy.prepare_create(new)
        causes = validate_metadata(meta, strategy) + strategy.validate_create(new)
        if causes:
            raise errors.invalid(resource.group, resource.kind, meta.name or "", causes)
        if ctx.guard is not None:
            ctx.guard(resource, new, None)
        ctx.warnings.extend(strategy.warnings_create(new))
        await admission.validate(self.lookup, resource, new, None)
        quotas = self._quotas.held(self.lookup, resource, new)
        async with quotas, self._addresses.held(resource, self.lookup, new, self.world.rng):
            return await self._insert(resource, new, dry_run)

    async def _admit_to_namespace(self, resource: Resource[Any], meta: ObjectMeta) -> None:
        if resource.namespaced:
            space = await self.lookup.find(NAMESPACES, None, meta.namespace or "")
            namespaces.admit(resource, meta, space)

    async def _insert(self, resource: Resource[T], new: Any, dry_run: bool) -> Entry[T]:
        shelf = self._shelf(resource)
        key = shelf.key(new.metadata.namespace, new.metadata.name)
        taken = errors.already_exists(resource.group, resource.plural, new.metadata.name)
        data = codec.encode(new)
        if dry_run:
            if await self._store.get(key) is not None:
                raise taken
            return Entry(new, data, 0)
        value = shelf.value(new, data)
        try:
            revision = await self._store.create(key, value)
        except KeyExists:
            raise taken from None
        except StoreUnavailable as error:
            raise errors.internal(str(error)) from error
        entry = shelf.entry(Record(key, value, revision))
        try:
            # Looked at again: the namespace may have begun to end while this waited, and may have
            # been found empty. From here on its end sees the object.
            await self._admit_to_namespace(resource, new.metadata)
        except ApiError:
            await namespaces.withdraw(self._store, key, revision)
            raise
        return entry

    async def write_events(
        self, resource: Resource[T], events: Sequence[T]
    ) -> Sequence[ApiError | None]:
        """Store events that this process made, which become ours; why each was refused."""
        shelf = self._shelf(resource)
        return await notes.write(self._store, shelf, self.lookup, self.world, events)

    # ----- update

    async def update(
        self,
        resource: Resource[T],
        namespace: str | None,
        name: str,
        obj: T,
        ctx: RequestContext,
        *,
        subresource: str = "",
        dry_run: bool = False,
        owned: bool = True,
    ) -> tuple[Entry[T], bool]:
        """Replace an object, or its status. True beside the answer: the PUT created it.

        ApiError 400, 404, 409, 422.
        """
        new: Any = obj if owned else (replace(obj) if subresource else codec.copy(obj))  # type: ignore[type-var]
        strategy, now = self.strategy(resource), self.world.now()
        new.metadata = replace(new.metadata) if new.metadata else ObjectMeta()
        asked = new.metadata.resourceVersion
        while True:
            try:
                old, record = await self._find(resource, namespace, name)
            except ApiError:
                if not strategy.allows_create_on_update or subresource or asked:
                    raise
                ctx.may_create()
                entry = await self.create(resource, namespace, new, ctx, dry_run=dry_run)
                return entry, True
            preparing.check_identity(resource, old.obj, new, namespace, name)
            if asked and asked != str(old.revision):
                raise errors.conflict(resource.group, resource.plural, name, errors.MODIFIED)
            if not asked and not strategy.allows_unconditional_update:
                cause = Cause(
                    "FieldValueInvalid",
                    "Invalid value: 0: must be specified for an update",
                    "metadata.resourceVersion",
                )
                raise errors.invalid(resource.group, resource.kind, name, [cause])
            candidate = replace(new) if subresource else (codec.copy(new) if not asked else new)
            preparing.prepare_update(strategy, candidate, old.obj, subresource, ctx, now)
            await admission.validate(self.lookup, resource, candidate, old.obj)
            try:
                return await self._write(resource, record, old, candidate, dry_run), False
            except RevisionMismatch:
                if asked:
                    raise errors.conflict(
                        resource.group, resource.plural, name, errors.MODIFIED
                    ) from None

    async def _write(
        self, resource: Resource[T], record: Record, old: Entry[T], new: Any, dry_run: bool
    ) -> Entry[T]:
        """Store an update; nothing when the bytes are equal; remove when nothing holds it any more.

        Raises RevisionMismatch when the object moved on since it was read.
        """
        quotas = self._quotas.held(self.lookup, resource, new, old.obj)
        async with quotas, self._addresses.held(resource, self.lookup, new, self.world.rng):
            return await self._put(resource, record, old, new, dry_run)

    async def _put(
        self, resource: Resource[T], record: Record, old: Entry[T], new: Any, dry_run: bool
    ) -> Entry[T]:
        shelf = self._shelf(resource)
        data = codec.encode(new)
        if data == old.data:
            return old
        if dry_run:
            new.metadata.resourceVersion = str(old.revision)
            return Entry(new, data, old.revision)
        meta: ObjectMeta = new.metadata
        held = meta.finalizers or meta.deletionGracePeriodSeconds or namespaces.held(resource, new)
        value = shelf.value(new, data)
        try:
            if meta.deletionTimestamp is not None and not held:
                return await self._remove(shelf, record, new, data)
            revision = await self._store.update(record.key, value, record.revision)
        except KeyMissing:
            raise errors.not_found(resource.group, resource.plural, meta.name or "") from None
        except StoreUnavailable as error:
            raise errors.internal(str(error)) from error
        return shelf.entry(Record(record.key, value, revision))

    async def _remove(self, shelf: Shelf[T], record: Record, obj: Any, data: bytes) -> Entry[T]:
        revision = await self._store.delete(record.key, record.revision)
        gone = replace(obj, metadata=replace(obj.metadata, resourceVersion=str(revision)))
        return Entry(gone, data, revision)

    # ----- patch

    async def patch(
        self,
        resource: Resource[T],
        namespace: str | None,
        name: str,
        kind: patching.PatchKind,
        patch: Any,
        ctx: RequestContext,
        *,
        subresource: str = "",
        dry_run: bool = False,
        field_errors: FieldErrors = lambda _: None,
    ) -> Entry[T]:
        """Apply a patch to whatever is there, again when that changed in between.

        ApiError 400, 404, 409, 422. field_errors hears of unknown fields and may raise.
        """
        said = len(ctx.warnings)
        for _ in range(PATCH_TRIES):
            old, record = await self._find(resource, namespace, name)
            patched = patching.apply(resource, old.obj, kind, patch)
            new, strict = patching.decode(resource, kind, patch, patched)
            field_errors(strict)
            obj: Any = new
            preparing.check_identity(resource, old.obj, obj, namespace, name)
            if obj.metadata.resourceVersion not in (None, str(old.revision)):
                raise errors.conflict(resource.group, resource.plural, name, errors.MODIFIED)
            strategy = self.strategy(resource)
            now = self.world.now()
            preparing.prepare_update(strategy, obj, old.obj, subresource, ctx, now)
            await admission.validate(self.lookup, resource, obj, old.obj)
            try:
                return await self._write(resource, record, old, obj, dry_run)
            except RevisionMismatch:
                del ctx.warnings[said:]
        raise errors.conflict(resource.group, resource.plural, name, errors.MODIFIED)

    async def apply(
        self,
        request: tracking.Apply,
        namespace: str | None,
        name: str,
        ctx: RequestContext,
        *,
        dry_run: bool = False,
    ) -> tuple[Entry[Any], bool]:
        """Server-side apply. True beside the answer: the apply created the object.

        ApiError 400, 403, 404, 409, 422, 500.
        """
        resource, said = request.resource, len(ctx.warnings)
        for _ in range(PATCH_TRIES):
            del ctx.warnings[said:]
            now = self.world.now()
            try:
                old, record = await self._find(resource, namespace, name)
            except ApiError:
                if request.subresource:
                    raise
                ctx.may_create()
                new, owners = tracking.applied(request, None, now)
                preparing.check_new_identity(resource, new, namespace, name)
                try:
                    made = await self.create(
                        resource, namespace, new, ctx, dry_run=dry_run, applied=owners
                    )
                    return made, True
                except ApiError as error:
                    if error.reason != "AlreadyExists":
                        raise
                    continue
            new, owners = tracking.applied(request, old.obj, now)
            preparing.check_identity(resource, old.obj, new, namespace, name)
            if new.metadata.resourceVersion not in (None, str(old.revision)):
                raise errors.conflict(resource.group, resource.plural, name, errors.MODIFIED)
            strategy = self.strategy(resource)
            preparing.prepare_update(
                strategy, new, old.obj, request.subresource, ctx, now, owners or []
            )
            await admission.validate(self.lookup, resource, new, old.obj)
            try:
                return await self._write(resource, record, old, new, dry_run), False
            except RevisionMismatch:
                continue
        raise errors.conflict(resource.group, resource.plural, name, errors.MODIFIED)

    async def adjust(
        self,
        resource: Resource[T],
        namespace: str | None,
        name: str,
        change: Callable[[T], T | None],
        ctx: RequestContext | None = None,
    ) -> Entry[T]:
        """Store change(object) without the kind's rules; None leaves it as it is.

        For the server's own writes: a finalizer taken off, a pod bound; with a context, its manager
        comes to own what changed. Tried again when the object changed in between. ApiError 404 and
        whatever `change` raises.
        """
        while True:
            old, record = await self._find(resource, namespace, name)
            new = change(old.obj)
            if new is None:
                return old
            obj: Any = new
            if obj.metadata.resourceVersion is not None:
                obj.metadata = replace(obj.metadata, resourceVersion=None)
            if ctx is not None and obj.metadata.managedFields:
                made = tracking.of_update(resource, obj, old.obj, None, "", ctx, self.world.now())
                obj.metadata = replace(obj.metadata, managedFields=made)
            try:
                return await self._write(resource, record, old, obj, False)
            except RevisionMismatch:
                continue

    # ----- delete

    async def delete(
        self,
        resource: Resource[T],
        namespace: str | None,
        name: str,
        request: DeleteRequest,
        ctx: RequestContext,
    ) -> tuple[Entry[T], bool]:
        """Delete, or mark for deletion. True beside the answer: the object is gone.

        ApiError 403, 404, 409, 422.
        """
        deletion.check_options(request)
        strategy = self.strategy(resource)
        ctx.warnings.extend(strategy.warnings_delete(request.propagation is not None))
        if resource is NAMESPACES:
            namespaces.check_deletable(name)
        shelf = self._shelf(resource)
        while True:
            old, record = await self._find(resource, namespace, name)
            obj: Any = old.obj
            deletion.check_preconditions(strategy, obj, request)
            outcome = deletion.decide(strategy, obj, request, self.world.now())
            try:
                if outcome.remove and not namespaces.held(resource, obj):
                    if request.dry_run:
                        return old, True
                    return await self._remove(shelf, record, obj, old.data), True
                kept = replace(obj, metadata=replace(outcome.metadata, resourceVersion=None))
                if resource is NAMESPACES:
                    namespaces.mark_terminating(kept, self.world.now())
                return await self._write(resource, record, old, kept, request.dry_run), False
            except RevisionMismatch:
                continue
            except KeyMissing:
                raise errors.not_found(resource.group, resource.plural, name) from None
            except StoreUnavailable as error:
                raise errors.internal(str(error)) from error

    async def delete_collection(
        self,
        resource: Resource[T],
        namespace: str | None,
        chosen: ListRequest,
        request: DeleteRequest,
        ctx: RequestContext,
    ) -> Page[T]:
        """Delete everything selected; the answer lists it."""
        page = await self.list(resource, namespace, chosen)
        for entry in page.entries:
            meta: ObjectMeta = cast(Any, entry.obj).metadata
            quiet = RequestContext(ctx.user, ctx.groups)
            try:
                await self.delete(resource, meta.namespace, meta.name or "", request, quiet)
            except ApiError as error:
                if error.code != 404:
                    raise
            ctx.warnings.extend(w for w in quiet.warnings if w not in ctx.warnings)
        return page
