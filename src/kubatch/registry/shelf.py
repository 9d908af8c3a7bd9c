"""One kind's place in the store: objects in, Entries out.

Here the decoded object and its bytes are tied together, once per write. A resource that `shows`
another's objects is a second view of that one's place: under another version alone, as
batch/v1beta1 CronJobs, or in another form too, as events.k8s.io Events, which takes an Alias.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kubatch.api import codec
from kubatch.api.resource import Resource
from kubatch.registry.strategy import Strategy
from kubatch.registry.values import Entry
from kubatch.store.protocol import Record, Value

T = TypeVar("T")


@dataclass(frozen=True)
class Alias:
    """The way between the form that is stored and the one that is shown."""

    to_stored: Callable[[Any], Any]
    from_stored: Callable[[Any], Any]


class Shelf(Generic[T]):
    """Encodes, decodes and names the objects of one resource."""

    def __init__(self, strategy: Strategy[T], alias: Alias | None = None) -> None:
        self.strategy = strategy
        self.resource: Resource[T] = strategy.resource
        self.stored: Resource[Any] = self.resource.shows or self.resource
        self._alias = alias

    def key(self, namespace: str | None, name: str) -> str:
        return self.stored.key(namespace, name)

    def prefix(self, namespace: str | None) -> str:
        return self.stored.namespace_prefix(namespace)

    def value(self, obj: T, data: bytes) -> Value:
        """What the store keeps for an object whose stored form is `data`."""
        if self._alias is None:
            return Value(data, obj)
        stored = self.stored_form(obj)
        return Value(codec.encode(stored), stored)

    def stored_form(self, obj: T) -> Any:
        """An object as the store has it."""
        return obj if self._alias is None else self._alias.to_stored(obj)

    def data(self, record: Record) -> bytes:
        """The stored form of what a record shows, without decoding it where it can be helped."""
        return record.value.data if self._alias is None else self.entry(record).data

    def entry(self, record: Record) -> Entry[T]:
        """The object a record holds. The first look decodes it, all others share that."""
        value, revision = record.value, record.revision
        obj = value.decoded
        if obj is None:
            obj = value.decoded = codec.decode(self.stored, value.data, revision)
        elif obj.metadata.resourceVersion is None:
            obj.metadata.resourceVersion = str(revision)
        if self._alias is None:
            return Entry(obj, value.data, revision)
        shown = self._alias.from_stored(obj)
        return Entry(shown, codec.encode(shown), revision)
