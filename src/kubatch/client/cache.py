"""A copy of one resource, kept current by list and watch, with indexes.

What client-go calls an informer. A cache is told of every change in order; when its watch is lost
it lists again and works out what it missed, so a listener sees each difference exactly once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from kubatch.api.errors import ApiError
from kubatch.api.resource import Resource
from kubatch.client.protocol import Client, Event

T = TypeVar("T")

log = logging.getLogger(__name__)

# How long to wait before listing again after an error that listing does not cure, in seconds.
RETRY_DELAY = 1.0

ObjectKey = tuple[str, str]  # namespace ("" when cluster-scoped), name
Listener = Callable[[Any, Any], None]  # the object before and after; None: absent


def key_of(obj: Any) -> ObjectKey:
    """Where an object stands in a cache."""
    meta = obj.metadata
    return (meta.namespace or "", meta.name)


class _Bucket(dict[ObjectKey, T]):
    """Objects put in order when they are read, not when they come.

    Most come and go without anybody looking, and a bucket stays in order while objects leave it:
    whoever empties a big one bit by bit pays for one sort.
    """

    __slots__ = ("_in_order",)

    def __init__(self) -> None:
        super().__init__()
        self._in_order = True

    def put(self, key: ObjectKey, obj: T) -> None:
        if key not in self:
            self._in_order = not self
        self[key] = obj

    def ordered(self) -> list[T]:
        """The objects sorted by namespace and name."""
        if not self._in_order:
            items = sorted(self.items(), key=_object_key)
            self.clear()
            self.update(items)
            self._in_order = True
        return list(self.values())


def _object_key(item: tuple[ObjectKey, Any]) -> ObjectKey:
    return item[0]


class Cache(Generic[T]):
    """Objects of one resource that match a selector."""

    def __init__(
        self,
        client: Client,
        resource: Resource[T],
        *,
        namespace: str | None = None,
        field_selector: str = "",
    ) -> None:
        self.resource = resource
        self.revision = 0  # everything up to here has been seen
        self.synced = asyncio.Event()
        self._client = client
        self._namespace = namespace
        self._field_selector = field_selector
        self._objects: _Bucket[T] = _Bucket()
        self._keys_of: dict[str, Callable[[T], Iterable[str]]] = {}
        self._indexes: dict[str, dict[str, _Bucket[T]]] = {}
        # Under which keys of each index an object stands, so that nobody works it out twice.
        self._stands: dict[ObjectKey, tuple[tuple[str, ...], ...]] = {}
        self._nowhere: tuple[tuple[str, ...], ...] = ()
        self._listeners: list[Listener] = []
        self._batch_listeners: list[Callable[[], None]] = []

    def add_index(self, name: str, keys: Callable[[T], Iterable[str]]) -> None:
        """Keep objects findable under the keys given; before run()."""
        self._keys_of[name] = keys
        self._indexes[name] = {}
        self._nowhere = ((),) * len(self._keys_of)

    def add_listener(self, listener: Listener) -> None:
        """Call listener(before, after) for each change."""
        self._listeners.append(listener)

    def add_batch_listener(self, listener: Callable[[], None]) -> None:
        """Call listener() once after each batch of changes, when `revision` has moved."""
        self._batch_listeners.append(listener)

    # ----- reads

    def get(self, namespace: str | None, name: str) -> T | None:
        return self._objects.get((namespace or "", name))

    def list(self) -> Sequence[T]:
        """Everything, sorted by namespace and name."""
        return self._objects.ordered()

    def indexed(self, index: str, key: str) -> Sequence[T]:
        """What stands under a key of an index, sorted by namespace and name."""
        bucket = self._indexes[index].get(key)
        return bucket.ordered() if bucket is not None else ()

    def __len__(self) -> int:
        return len(self._objects)

    # ----- keeping current

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                await self._list_and_watch()
            except ApiError as error:
                if error.code == 410:  # history gone, or we were too slow: just list again
                    continue
                log.warning("cannot watch %s: %s", self.resource.plural, error)
            # Also after a watch that just ended: where one ends at once, the next would, too.
            await asyncio.sleep(RETRY_DELAY)

    async def _list_and_watch(self) -> None:
        listing = await self._client.list(
            self.resource, self._namespace, field_selector=self._field_selector
        )
        self._replace_all(listing.items)
        self._progress(listing.revision)
        self.synced.set()
        async for events in self._client.watch(
            self.resource,
            self._namespace,
            after=listing.revision,
            field_selector=self._field_selector,
        ):
            for event in events:
                self._take(event)
            self._progress(events[-1].revision)

    def _replace_all(self, items: Sequence[T]) -> None:
        fresh = {key_of(obj): obj for obj in items}
        for key in [k for k in self._objects if k not in fresh]:
            self._change(key, None)
        for key, obj in fresh.items():
            known: Any = self._objects.get(key)
            new: Any = obj
            if known is not None and known.metadata.uid != new.metadata.uid:
                self._change(key, None)  # it went, and a namesake came: two changes, never one
                known = None
            if known is None or known.metadata.resourceVersion != new.metadata.resourceVersion:
                self._change(key, obj)

    def _take(self, event: Event[T]) -> None:
        self._change(key_of(event.object), None if event.type == "DELETED" else event.object)

    def _change(self, key: ObjectKey, after: T | None) -> None:
        before = self._objects.get(key)
        if after is not None:
            self._objects.put(key, after)
        elif before is None:
            return
        else:
            del self._objects[key]
        if self._keys_of:
            self._reindex(key, after)
        for listener in self._listeners:
            listener(before, after)

    def _reindex(self, key: ObjectKey, after: T | None) -> None:
        stood = self._stands.pop(key, self._nowhere)
        stands = self._nowhere
        if after is not None:
            stands = tuple([tuple(keys(after)) for keys in self._keys_of.values()])
            self._stands[key] = stands
        for index, old_keys, new_keys in zip(self._indexes.values(), stood, stands, strict=True):
            for old in old_keys:
                if old not in new_keys:
                    bucket = index.get(old)
                    if bucket is not None:
                        bucket.pop(key, None)
                        if not bucket:
                            del index[old]
            if after is not None:
                for new in new_keys:
                    bucket = index.get(new)
                    if bucket is None:
                        bucket = index[new] = _Bucket()
                    bucket.put(key, after)

    def _progress(self, revision: int) -> None:
        self.revision = max(self.revision, revision)
        for listener in self._batch_listeners:
            listener()
