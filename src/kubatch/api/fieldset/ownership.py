"""The two ways to become the owner of fields: to change them, or to apply them.

`update` follows a plain write: whoever changed a path owns it alone, and a path that is gone is
nobody's. `apply` lays an intent over the live object: it refuses to change what others own, unless
forced, and takes away what the applier no longer mentions and nobody else owns.
(sigs.k8s.io/structured-merge-diff: merge/update.go, merge/conflict.go.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kubatch.api.errors import ApiError, Cause, Details
from kubatch.api.fields import show
from kubatch.api.fieldset.managers import (
    Owned,
    Owners,
    Writer,
    WriterId,
    capped,
    stripped,
)
from kubatch.api.fieldset.merging import merge
from kubatch.api.fieldset.sets import (
    EMPTY,
    FieldSet,
    Path,
    difference,
    from_paths,
    intersection,
    paths,
    show_path,
    union,
    without,
)
from kubatch.api.fieldset.shapes import Shape
from kubatch.api.fieldset.values import (
    Comparison,
    compare,
    remove,
    to_set,
    with_named_fields,
)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A path that an apply would change, and who owns it."""

    owner: Writer
    path: Path


@dataclass(eq=False)
class Conflicts(Exception):
    """An apply would change what others own."""

    found: tuple[Conflict, ...]

    @property
    def paths(self) -> FieldSet:
        return from_paths(conflict.path for conflict in self.found)

    def less(self, allowed: FieldSet) -> Conflicts:
        """Those that are left when some paths may be changed."""
        left = difference(self.paths, allowed)
        kept = set(paths(left))
        return Conflicts(tuple(c for c in self.found if c.path in kept))

    def to_error(self) -> ApiError:
        """409 (managedfields/internal/conflict.go: NewConflictError)."""
        causes = tuple(
            Cause("FieldManagerConflict", f"conflict with {_named(c.owner)}", show_path(c.path))
            for c in self.found
        )
        return ApiError(409, "Conflict", self._message(), Details(causes=causes))

    def _message(self) -> str:
        if len(self.found) == 1:
            only = self.found[0]
            where = show_path(only.path)
            return f"Apply failed with 1 conflict: conflict with {_named(only.owner)}: {where}"
        lines: list[str] = []
        owners = {c.owner.id: c.owner for c in self.found}
        for owner_id, owner in sorted(owners.items(), key=lambda pair: _sorted_by(pair[1])):
            lines.append(f"conflicts with {_named(owner)}:")
            lines += [f"- {show_path(c.path)}" for c in self.found if c.owner.id == owner_id]
        listed = "\n".join(lines)
        return f"Apply failed with {len(self.found)} conflicts: {listed}"


def _named(writer: Writer) -> str:
    """A writer as people are told of it (printManager)."""
    text = show(writer.manager)
    if writer.subresource:
        text += f" with subresource {show(writer.subresource)}"
    return f"{text} using {writer.api_version}" if writer.operation == "Update" else text


def _sorted_by(writer: Writer) -> tuple[str, str, str, str]:
    return (writer.manager, writer.operation, writer.api_version, writer.subresource)


# ----- plain writes


def update(
    owners: Owners, change: Comparison, writer: Writer, now: datetime, ignored: FieldSet = EMPTY
) -> dict[WriterId, Owned]:
    """The owners after a plain write that made this change.

    `ignored` paths are reset by the verb, so that nobody comes to own them through it.
    """
    change = change.less(ignored)
    written = change.written
    kept: dict[WriterId, Owned] = {}
    for id_, owned in owners.items():
        # What the writer writes again stays its own.
        fields = _less(owned, EMPTY if id_ == writer.id else written, change, writer)
        if fields:
            kept[id_] = owned if fields is owned.fields else replace(owned, fields=fields)
    taken = stripped(written)
    if taken:
        before = kept.get(writer.id)
        fields = union(before.fields, taken) if before else taken
        kept[writer.id] = Owned(writer, fields, now)
    return capped(kept)


def _less(owned: Owned, written: FieldSet, change: Comparison, writer: Writer) -> FieldSet:
    """What an owner keeps of its fields. Fields of another group's form are not looked at."""
    if _group(owned.writer) != _group(writer):
        return owned.fields
    fields = owned.fields
    if written:
        fields = difference(fields, written)
    return difference(fields, change.removed) if change.removed else fields


def _group(writer: Writer) -> str:
    return writer.api_version.rpartition("/")[0]


# ----- apply


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply makes of an object."""

    merged: Any
    owners: dict[WriterId, Owned]


def apply(
    shape: Shape,
    live: Mapping[str, Any],
    intent: Mapping[str, Any],
    owners: Owners,
    applier: Writer,
    now: datetime,
    *,
    force: bool = False,
    ignored: FieldSet = EMPTY,
) -> Applied:
    """The object and its owners after an apply. Raises Conflicts.

    The intent must be valid (merging.problems). The applier's time is always new: it is for the
    caller to see whether anything else changed.
    """
    last = owners.get(applier.id)
    wanted = without(to_set(shape, intent), ignored)
    after = {**owners, applier.id: Owned(applier, wanted, now)}
    merged = merge(shape, live, intent)
    if last is not None and last.fields:
        merged = _pruned(shape, merged, last.fields, after)
    change = compare(shape, live, merged).less(ignored)
    written = change.written
    others = {id_: owned for id_, owned in owners.items() if id_ != applier.id}
    if not force and written:
        found = tuple(_conflicts(others, written, applier))
        if found:
            raise Conflicts(found)
    kept: dict[WriterId, Owned] = {}
    for id_, owned in others.items():
        fields = _less(owned, written, change, applier)
        if fields:
            kept[id_] = owned if fields is owned.fields else replace(owned, fields=fields)
    wanted = stripped(wanted)
    if wanted:
        kept[applier.id] = Owned(applier, wanted, now)
    return Applied(merged, kept)


def _conflicts(others: Owners, written: FieldSet, applier: Writer) -> Iterator[Conflict]:
    for owned in sorted(others.values(), key=lambda o: _sorted_by(o.writer)):
        if _group(owned.writer) == _group(applier):
            for path in paths(intersection(owned.fields, written)):
                yield Conflict(owned.writer, path)


def _pruned(shape: Shape, merged: Any, last: FieldSet, owners: Owners) -> Any:
    """The merged object without what its applier mentioned last time and nobody owns now.

    Removing a struct or an item removes all within it, so first what somebody owns is put back,
    and then what the applier never owned (update.go: prune, addBackOwnedItems,
    addBackDanglingItems).
    """
    before = with_named_fields(shape, last)
    everything = with_named_fields(shape, to_set(shape, merged))
    pruned = remove(shape, merged, before)
    owned: FieldSet = EMPTY
    for one in owners.values():
        owned = union(owned, one.fields)
    kept = union(_paths_of(shape, pruned), with_named_fields(shape, owned))
    pruned = remove(shape, merged, difference(everything, kept))
    gone = difference(everything, _paths_of(shape, pruned))
    return remove(shape, merged, intersection(gone, before))


def _paths_of(shape: Shape, value: Any) -> FieldSet:
    return with_named_fields(shape, to_set(shape, value)) if value else EMPTY
