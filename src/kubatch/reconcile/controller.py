"""A Controller is a record: what it watches, which key an object concerns, how to read, decide.

Nothing of it waits or writes. The engine in reconcile/loop runs any number of such records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from kubatch.api.resource import Resource
from kubatch.reconcile.decision import Decision
from kubatch.reconcile.measures import NOTHING, Measures

T = TypeVar("T")
F = TypeVar("F")


class Key(NamedTuple):
    """What one turn is about, usually an object's namespace and name."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Index:
    """A named way to find objects of one resource: `keys` says under which keys one stands.

    An index that leaves objects out is how a rule stays cheap: a Job's facts find its active and
    uncounted pods without passing its finished ones.
    """

    name: str
    resource: Resource[Any]
    keys: Callable[[Any], Iterable[str]]


class View(Protocol):
    """The window rules look through: caches, never the API."""

    def get(self, resource: Resource[T], namespace: str | None, name: str) -> T | None:
        """One object as the cache has it."""
        ...

    def list(self, resource: Resource[T]) -> Sequence[T]:
        """All of a resource, sorted by namespace and name."""
        ...

    def indexed(self, index: Index, key: str) -> Sequence[Any]:
        """The objects that stand under a key of an index, sorted by namespace and name."""
        ...


# From the object before (None: added) and after (None: deleted) to the keys to look at.
KeyMapping = Callable[[Any, Any], Iterable[Key]]


@dataclass(frozen=True)
class Controller(Generic[F]):
    """One set of rules, ready for the engine."""

    name: str  # also the event source: "job-controller"
    watches: Mapping[Resource[Any], KeyMapping]
    # The facts about a key, or None when there is nothing to decide (what was remembered is then
    # forgotten). The third argument is what the last decision for the key asked to remember.
    read: Callable[[View, Key, Any], F | None]
    decide: Callable[[F, datetime], Decision]
    indexes: tuple[Index, ...] = ()
    workers: int = 5
    # Seconds that changes of status are gathered before a key is decided again; 0: at once.
    error_backoff_base: float = 1.0
    error_backoff_max: float = 60.0
    # Events are written to the events.k8s.io group (the scheduler) or to core (all others).
    events_v1: bool = field(default=False)
    # The resource whose objects the keys name: its decisions explain these. None: no single one.
    about: Resource[Any] | None = None
    # How kube-controller-manager calls this queue in metrics; "": as the controller.
    queue: str = ""
    measures: Measures = NOTHING
