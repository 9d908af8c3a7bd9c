"""The verbs of the API over any kind: default, prepare, validate, store.

The same code serves HTTP requests and the parts in this process. Objects handed out are shared:
nobody changes them. Objects handed in are copied unless the caller gives them away (`owned`).
The order of steps is that of apiserver/pkg/registry/generic/registry/store.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from kubatch.api import codec, errors
from kubatch.api.errors import ApiError, Cause
from kubatch.api.models import ObjectMeta, Pod
from kubatch.api.resource import EVENTS, EVENTS_V1, NAMESPACES, PODS, Resource
from kubatch.registry import deletion, lists, namespaces, patching, selection
from kubatch.registry.kinds import event as event_kinds
from kubatch.registry.kinds import pod as pod_kinds
from kubatch.registry.metadata import validate_metadata, validate_metadata_update
from kubatch.registry.shelf import Alias, Shelf
from kubatch.registry.strategy import RequestContext, Strategy
from kubatch.registry.values import DeleteRequest, Entry, ListRequest, Page, WatchEvent
from kubatch.registry.watch import Watch
from kubatch.store.protocol import (
    KeyExists,
    KeyMissing,
    Record,
    RevisionMismatch,
    Store,
    StoreUnavailable,
)
from kubatch.world import World, whole_seconds

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

# apiserver/pkg/registry/rest: generated names are tried this often before 409
GENERATED_NAME_TRIES = 8
# apiserver/pkg/endpoints/handlers/patch.go: maxRetryWhenPatchConflicts
PATCH_TRIES = 5
# apimachinery's names.maxGeneratedNameLength: 63 less the random end
GENERATED_BASE_MAX = 58


class Registry:
    """Every verb over every kind. All verbs raise ApiError and nothing else."""

    def __init__(
        self,
        store: Store,
        world: World,
        strategies: Mapping[Resource[Any], Strategy[Any]],
        watch_buffer_events_max: int = 10_000,
    ) -> None:
        self.world = world
        self._store = store
        self._watch_buffer = watch_buffer_events_max
        events_v1 = Alias(EVENTS, event_kinds.to_core, event_kinds.from_core)
        aliases = {EVENTS_V1: events_v1}
        self._shelves = {r: Shelf(s, aliases.get(r)) for r, s in strategies.items()}

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
        shelf = self._shelf(resource)
        chosen = selection.parse(shelf.strategy, request)
        return await lists.page(self._store, shelf, namespace, request, chosen)

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
    ) -> Entry[T]:
        """Store a new object. ApiError 400, 403, 404, 409, 422."""
        new: Any = obj if owned else codec.copy(obj)
        meta = new.metadata = new.metadata or ObjectMeta()
        self._place(resource, namespace, meta)
        if meta.resourceVersion:
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        if resource.namespaced:
            space = await self._store.get(NAMESPACES.key(None, meta.namespace or ""))
            found = self._shelf(NAMESPACES).entry(space).obj if space else None
            namespaces.admit(resource, meta, found)
        strategy = self.strategy(resource)
        self._stamp(strategy, meta)
        if not meta.name and meta.generateName:
            meta.name = await self._generated_name(resource, meta)
        strategy.default(new)
        strategy.prepare_create(new)
        causes = validate_metadata(meta, strategy) + strategy.validate_create(new)
        if causes:
            raise errors.invalid(resource.group, resource.kind, meta.name or "", causes)
        ctx.warnings.extend(strategy.warnings_create(new))
        return await self._insert(resource, new, dry_run)

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
        return shelf.entry(Record(key, value, revision))

    def _place(self, resource: Resource[Any], namespace: str | None, meta: ObjectMeta) -> None:
        if not resource.namespaced:
            meta.namespace = None
        elif namespace is None:
            meta.namespace = meta.namespace or "default"
        elif meta.namespace and meta.namespace != namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        else:
            meta.namespace = namespace

    def _stamp(self, strategy: Strategy[Any], meta: ObjectMeta) -> None:
        """What only the server may set (rest.FillObjectMetaSystemFields)."""
        meta.creationTimestamp = whole_seconds(self.world.now())
        meta.uid = self.world.uid()
        meta.deletionTimestamp = meta.deletionGracePeriodSeconds = None
        meta.selfLink = meta.resourceVersion = meta.managedFields = None
        meta.generation = 1 if strategy.tracks_generation else None

    async def _generated_name(self, resource: Resource[Any], meta: ObjectMeta) -> str:
        base = (meta.generateName or "")[:GENERATED_BASE_MAX]
        shelf = self._shelf(resource)
        for _ in range(GENERATED_NAME_TRIES):
            name = base + self.world.name_suffix()
            if await self._store.get(shelf.key(meta.namespace, name)) is None:
                return name
        raise errors.already_exists(resource.group, resource.plural, name)

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
        strategy = self.strategy(resource)
        new.metadata = replace(new.metadata) if new.metadata else ObjectMeta()
        asked = new.metadata.resourceVersion
        while True:
            try:
                old, record = await self._find(resource, namespace, name)
            except ApiError:
                if not strategy.allows_create_on_update or subresource or asked:
                    raise
                entry = await self.create(resource, namespace, new, ctx, dry_run=dry_run)
                return entry, True
            self._check_identity(resource, old.obj, new, namespace, name)
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
            self._prepare_update(strategy, candidate, old.obj, subresource, ctx)
            try:
                return await self._write(resource, record, old, candidate, dry_run), False
            except RevisionMismatch:
                if asked:
                    raise errors.conflict(
                        resource.group, resource.plural, name, errors.MODIFIED
                    ) from None

    def _check_identity(
        self, resource: Resource[Any], old: Any, new: Any, namespace: str | None, name: str
    ) -> None:
        meta = new.metadata
        self._place(resource, namespace, meta)
        if meta.name and meta.name != name:
            raise errors.bad_request(
                f"the name of the object ({meta.name}) does not match the name on the URL ({name})"
            )
        meta.name = name
        if meta.uid and meta.uid != old.metadata.uid:
            raise errors.conflict(
                resource.group, resource.plural, name,
                f"Precondition failed: UID in precondition: {meta.uid}, UID in object meta: "
                f"{old.metadata.uid}",
            )  # fmt: skip

    def _prepare_update(
        self, strategy: Strategy[Any], new: Any, old: Any, subresource: str, ctx: RequestContext
    ) -> None:
        """Everything between the body of a PUT and the write. Raises ApiError 422."""
        was: ObjectMeta = old.metadata
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
        else:
            strategy.default(new)
            strategy.prepare_update(new, old)
            causes = strategy.validate_update(new, old)
        causes = validate_metadata_update(new.metadata, was) + causes
        if causes:
            resource = strategy.resource
            raise errors.invalid(resource.group, resource.kind, was.name or "", causes)
        if not subresource:
            ctx.warnings.extend(strategy.warnings_update(new, old))
            if strategy.tracks_generation and strategy.spec_changed(new, old):
                new.metadata.generation = (was.generation or 0) + 1

    async def _write(
        self, resource: Resource[T], record: Record, old: Entry[T], new: Any, dry_run: bool
    ) -> Entry[T]:
        """Store an update; nothing when the bytes are equal; remove when nothing holds it any more.

        Raises RevisionMismatch when the object moved on since it was read.
        """
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
            if strict:
                field_errors(strict)
            obj: Any = new
            self._check_identity(resource, old.obj, obj, namespace, name)
            if obj.metadata.resourceVersion not in (None, str(old.revision)):
                raise errors.conflict(resource.group, resource.plural, name, errors.MODIFIED)
            self._prepare_update(self.strategy(resource), obj, old.obj, subresource, ctx)
            try:
                return await self._write(resource, record, old, obj, dry_run)
            except RevisionMismatch:
                del ctx.warnings[said:]
        raise errors.conflict(resource.group, resource.plural, name, errors.MODIFIED)

    async def adjust(
        self,
        resource: Resource[T],
        namespace: str | None,
        name: str,
        change: Callable[[T], T | None],
    ) -> Entry[T]:
        """Store change(object) without the kind's rules; None leaves it as it is.

        For the server's own writes: a finalizer taken off, a pod bound. Tried again when the
        object changed in between. ApiError 404 and whatever `change` raises.
        """
        while True:
            old, record = await self._find(resource, namespace, name)
            new = change(old.obj)
            if new is None:
                return old
            obj: Any = new
            if obj.metadata.resourceVersion is not None:
                obj.metadata = replace(obj.metadata, resourceVersion=None)
            try:
                return await self._write(resource, record, old, obj, False)
            except RevisionMismatch:
                continue

    async def bind(
        self, namespace: str, name: str, uid: str | None, node: str, ctx: RequestContext
    ) -> Entry[Pod]:
        """pods/binding: assign a pod to a node. ApiError 404, 409."""
        now = self.world.now()

        def bound(pod: Pod) -> Pod:
            assert pod.metadata is not None
            if uid and pod.metadata.uid != uid:
                raise errors.conflict(
                    "", "pods", name,
                    f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
                    f"{pod.metadata.uid}",
                )  # fmt: skip
            return pod_kinds.bind(pod, node, now)

        return await self.adjust(PODS, namespace, name, bound)

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
