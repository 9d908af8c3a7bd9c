"""Who owns what: the entries of metadata.managedFields, read, ordered and written.

(apimachinery/pkg/util/managedfields/internal: managedfields.go, capmanagers.go, stripmeta.go.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias, cast

from kubatch.api.fieldset.elements import field
from kubatch.api.fieldset.sets import FieldSet, difference, from_paths, parse, union
from kubatch.api.models import ManagedFieldsEntry

Operation = Literal["Apply", "Update"]

UNKNOWN_MANAGER = "unknown"
BEFORE_FIRST_APPLY = "before-first-apply"
ANCIENT_CHANGES = "ancient-changes"
# managedfields/internal/fieldmanager.go: DefaultMaxUpdateManagers
UPDATE_MANAGERS_MAX = 10

# Nobody owns what the server sets or what names the object (stripmeta.go).
NEVER_OWNED: FieldSet = from_paths(
    [
        *((field(name),) for name in ("apiVersion", "kind", "metadata")),
        *(
            (field("metadata"), field(name))
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "clusterName",
                "generation",
                "managedFields",
                "resourceVersion",
            )
        ),
    ]
)


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, how and where. An applier stays the same one across API versions."""

    manager: str
    operation: Operation
    api_version: str
    subresource: str = ""

    @property
    def id(self) -> WriterId:
        version = "" if self.operation == "Apply" else self.api_version
        return (self.manager, self.operation, version, self.subresource)


WriterId: TypeAlias = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Owned:
    """What one writer owns, and since when it is so."""

    writer: Writer
    fields: FieldSet
    time: datetime | None = None


Owners: TypeAlias = Mapping[WriterId, Owned]


def read(entries: Iterable[ManagedFieldsEntry]) -> dict[WriterId, Owned]:
    """The entries of an object. Raises ValueError when they are none of ours."""
    owners: dict[WriterId, Owned] = {}
    for entry in entries:
        if entry.fieldsType != "FieldsV1":
            raise ValueError(f"invalid fieldsType in managed fields entry: {entry.fieldsType}")
        operation: Operation = "Apply" if entry.operation == "Apply" else "Update"
        writer = Writer(
            entry.manager or UNKNOWN_MANAGER,
            operation,
            entry.apiVersion or "",
            entry.subresource or "",
        )
        fields = parse({} if entry.fieldsV1 is None else entry.fieldsV1)
        owners[writer.id] = Owned(writer, fields, entry.time)
    return owners


def trusted(entries: Iterable[ManagedFieldsEntry]) -> dict[WriterId, Owned]:
    """The entries of a stored object, which `write` made: nothing needs to be checked."""
    owners: dict[WriterId, Owned] = {}
    for entry in entries:
        writer = Writer(
            entry.manager or "",
            cast(Operation, entry.operation),
            entry.apiVersion or "",
            entry.subresource or "",
        )
        owners[writer.id] = Owned(writer, entry.fieldsV1 or {}, entry.time)
    return owners


def write(owners: Owners) -> list[ManagedFieldsEntry] | None:
    """The entries in their order: appliers first, the longest unchanged first."""
    entries = [
        ManagedFieldsEntry(
            manager=owned.writer.manager,
            operation=owned.writer.operation,
            apiVersion=owned.writer.api_version,
            time=owned.time,
            fieldsType="FieldsV1",
            fieldsV1=cast("dict[str, object]", owned.fields),
            subresource=owned.writer.subresource or None,
        )
        for owned in sorted(owners.values(), key=_order)
    ]
    return entries or None


def _order(owned: Owned) -> tuple[str, float, str, str, str]:
    """managedfields.go: sortEncodedManagedFields."""
    writer = owned.writer
    return (
        writer.operation,
        _seconds(owned),
        writer.manager,
        writer.api_version,
        writer.subresource,
    )


def _seconds(owned: Owned) -> float:
    return owned.time.timestamp() if owned.time else 0.0


def same_but_times(
    a: Sequence[ManagedFieldsEntry] | None, b: Sequence[ManagedFieldsEntry] | None
) -> bool:
    """Whether two lists of entries differ in nothing but when (equality.go)."""
    a, b = a or (), b or ()
    return len(a) == len(b) and all(
        x.manager == y.manager
        and x.operation == y.operation
        and x.apiVersion == y.apiVersion
        and x.subresource == y.subresource
        and x.fieldsV1 == y.fieldsV1
        for x, y in zip(a, b, strict=True)
    )


def stripped(fields: FieldSet) -> FieldSet:
    """What may be owned of these paths."""
    return difference(fields, NEVER_OWNED)


def capped(owners: Owners) -> dict[WriterId, Owned]:
    """At most so many plain writers; the oldest share one entry (capmanagers.go)."""
    kept = dict(owners)
    updaters = [owned for owned in kept.values() if owned.writer.operation == "Update"]
    excess = len(updaters) - UPDATE_MANAGERS_MAX
    first_of_version: dict[str, WriterId] = {}
    for owned in sorted(updaters, key=lambda o: (_seconds(o), o.writer.id)):
        if excess <= 0:
            break
        version = owned.writer.api_version
        first = first_of_version.setdefault(version, owned.writer.id)
        bucket = Writer(ANCIENT_CHANGES, "Update", version)
        if owned.writer.id in (first, bucket.id):
            continue
        shared = kept.pop(first, None) if bucket.id not in kept else kept[bucket.id]
        assert shared is not None, "the first of a version is there until it becomes the bucket"
        kept.pop(owned.writer.id, None)
        kept[bucket.id] = replace(owned, writer=bucket, fields=union(owned.fields, shared.fields))
        excess -= 1
    return kept
