"""A decision as a value: what to write, in which order, when to look again, and why.

Rules return Decisions; only reconcile/apply carries them out. The order of the stages is part of
the rule: a crash between any two stages must leave a state from which the next decision repairs
everything, so each rule's docstring says why its order is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubatch.api.resource import Resource


@dataclass(frozen=True, slots=True)
class Note:
    """A Kubernetes event to record, about the decision's subject unless `about` is given."""

    type: str  # Normal or Warning
    reason: str
    message: str  # {name}: of the object written; {error}: the API's message
    about: Any = None


@dataclass(frozen=True, slots=True)
class Create:
    """POST an object; `done` and `failed` are recorded afterwards as events."""

    resource: Resource[Any]
    obj: Any
    done: Note | None = None
    failed: Note | None = None
    # Reasons of an ApiError (AlreadyExists) or of its causes (NamespaceTerminating) that count as
    # done, without an event.
    ignore_causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE an object with this uid; one that is gone already counts as done."""

    resource: Resource[Any]
    namespace: str | None
    name: str
    uid: str
    grace_period_seconds: int | None = None
    propagation: str | None = "Background"
    done: Note | None = None
    failed: Note | None = None


@dataclass(frozen=True, slots=True)
class PutStatus:
    """PUT the status subresource.

    Within one decision a second PutStatus of the same object follows the first: apply puts the
    resourceVersion that the first one returned into the second.
    """

    resource: Resource[Any]
    obj: Any


@dataclass(frozen=True, slots=True)
class Patch:
    """PATCH an object; 404 counts as done, unless what follows in the turn counts on the object."""

    resource: Resource[Any]
    namespace: str | None
    name: str
    patch: Any
    type: str = "merge"  # merge, strategic, json
    subresource: str = ""
    required: bool = False  # 404 ends the turn


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Take one finalizer off an object; 404 counts as done."""

    resource: Resource[Any]
    namespace: str | None
    name: str
    finalizer: str


@dataclass(frozen=True, slots=True)
class Bind:
    """Assign a pod to a node; `done` is recorded afterwards."""

    namespace: str
    name: str
    uid: str
    node: str
    done: Note | None = None


@dataclass(frozen=True, slots=True)
class Emit:
    """Record an event, now that everything before it has been written."""

    note: Note


@dataclass(frozen=True, slots=True)
class Absent:
    """Writes nothing: asks the API, past the caches, and fails when there is something after all.

    A cache may lag behind, so that an object is not there proves little. A rule that destroys
    because of an absence puts this in the stage before; when it fails the key comes back after a
    back-off, and by then the cache has caught up.
    """

    resource: Resource[Any]
    namespace: str | None
    name: str = ""  # "": no object of this resource in the namespace
    uid: str = ""  # with a name: only an object with this uid counts


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Writes nothing: asks the API, past the caches, and fails when the object has moved on.

    For a rule that destroys because of what an object says: it goes in the stage before. An object
    that is gone counts as unchanged, since there is nothing left to destroy.
    """

    resource: Resource[Any]
    namespace: str | None
    name: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class Present:
    """Writes nothing: asks the API, past the caches, and fails unless the object stays for now.

    For a rule that makes something depend on an object: it goes in the stage before. An object
    that is being deleted, or has another uid, does not count
    (controller_ref_manager.go: RecheckDeletionTimestamp).
    """

    resource: Resource[Any]
    namespace: str | None
    name: str
    uid: str


Write = (
    Create
    | Delete
    | PutStatus
    | Patch
    | RemoveFinalizer
    | Bind
    | Emit
    | Absent
    | Unchanged
    | Present
)


@dataclass(frozen=True, slots=True)
class Stage:
    """Writes that may happen at the same time.

    When one fails the others are finished, `otherwise` is carried out, and the turn ends: the key
    comes back after an error back-off and is decided anew from what is then true.
    """

    writes: tuple[Write, ...]
    # Batches of 1, 2, 4, ...: after a batch with an error the rest is not tried
    # (pkg/controller/job: slow start). Spares an API that refuses everything.
    slow_start: bool = False
    # Given how many writes took effect, the stages to carry out after a failure.
    otherwise: Callable[[int], tuple[Stage, ...]] | None = None
    # The same for a rule that repeats what the API said: it is given the first error's message.
    after_error: Callable[[str], tuple[Stage, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one key. The empty one means: all is as it should be."""

    because: str  # one sentence for people: the log line, and `kubatch explain`
    stages: tuple[Stage, ...] = ()
    wake_at: datetime | None = None  # look again then, whatever happens in between
    subject: Any = None  # the object that Notes are about
    # Kept by the engine for this key and given to the next read; stored only once every stage
    # has succeeded. For what is lost on purpose at a restart, such as a back-off record.
    remember: Any = None
    facts: Mapping[str, Any] = field(default_factory=dict)  # named numbers for the log line


def stage(*writes: Write, slow_start: bool = False) -> Stage:
    """A stage of the writes given."""
    return Stage(tuple(writes), slow_start)
