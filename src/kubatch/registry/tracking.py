"""metadata.managedFields: who wrote which fields of an object, kept through every write.

The arithmetic is in api/fieldset; here it meets objects and requests. The rules are those of
apimachinery/pkg/util/managedfields and apiserver/pkg/endpoints/handlers/fieldmanager.

What it costs: an object without entries is not tracked, and a write to it pays one look at a field.
Objects that this process makes for itself (a Job's pods, their events, leases) start without; those
that anybody outside makes start with entries, and so does whatever is applied. An object with
entries is tracked whoever writes it, at a cost that grows with what the write changed and not with
the object. Kubernetes knows untracked objects too, and treats them as here (skipnonapplied.go).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

from msgspec.structs import replace

from kubatch.api import codec, errors, schema
from kubatch.api.errors import ApiError
from kubatch.api.fieldset import creation, last_applied, managers, merging, ownership, shapes
from kubatch.api.fieldset.elements import field
from kubatch.api.fieldset.managers import Owned, Owners, Writer, WriterId
from kubatch.api.fieldset.sets import EMPTY, FieldSet, from_paths
from kubatch.api.fieldset.shapes import Shape
from kubatch.api.fieldset.values import SAME, Comparison, compare
from kubatch.api.models import ManagedFieldsEntry, ObjectMeta
from kubatch.api.resource import PODS, Resource
from kubatch.api.unmarshal import WrongType, zeros
from kubatch.registry.strategy import RequestContext
from kubatch.world import whole_seconds

Entries: TypeAlias = "list[ManagedFieldsEntry] | None"

_STATUS = from_paths([(field("status"),)])
_SPEC = from_paths([(field("spec"),)])
_POD_STATUS = from_paths(
    [
        (field("spec"),),
        (field("metadata"), field("deletionTimestamp")),
        (field("metadata"), field("ownerReferences")),
    ]
)
# What tells a stored object from another one besides its metadata.
_NOT_COMPARED = frozenset(("kind", "apiVersion", "metadata"))


def _shape(resource: Resource[Any]) -> Shape:
    return shapes.of_kind(resource.group, resource.version, resource.kind)


def _reset_by(resource: Resource[Any], subresource: str) -> FieldSet:
    """What a verb never changes, so that nobody owns it through it (GetResetFields)."""
    if subresource == "status":
        return _POD_STATUS if resource is PODS else _SPEC
    if not subresource and any(s.name == "status" for s in resource.subresources):
        return _STATUS
    return EMPTY


def _writer(resource: Resource[Any], ctx: RequestContext, subresource: str) -> Writer:
    manager = ctx.manager or managers.UNKNOWN_MANAGER
    return Writer(manager, "Update", resource.api_version, subresource)


# ----- plain writes


def of_new(
    resource: Resource[Any], new: Any, sent: Entries, ctx: RequestContext, now: datetime
) -> Entries:
    """The entries of an object that is created: its defaults are filled in, nothing more."""
    if not ctx.tracks_created:
        return None
    writer, at, ignored = _writer(resource, ctx, ""), whole_seconds(now), _reset_by(resource, "")
    plain = codec.to_dict(resource, new)
    owners: Owners = _sent_owners(sent) or {}
    if owners:
        owners = ownership.update(owners, _everything(resource, plain), writer, at, ignored)
    else:
        if taken := creation.taken(_shape(resource), _nothing(resource), plain, ignored):
            owners = {writer.id: Owned(writer, taken, at)}
    return managers.write(owners)


def of_update(
    resource: Resource[Any],
    new: Any,
    old: Any,
    sent: Entries,
    subresource: str,
    ctx: RequestContext,
    now: datetime,
) -> Entries:
    """The entries after a plain write; `new` is as it will be stored but for them."""
    live: Entries = old.metadata.managedFields
    owners = _base(live, None if subresource else sent)
    if not owners:
        return None
    change = _change(resource, new, old)
    if change.same and (sent is None or sent is live or subresource):
        return live
    after = ownership.update(
        owners,
        change,
        _writer(resource, ctx, subresource),
        whole_seconds(now),
        _reset_by(resource, subresource),
    )
    return managers.write(after)


def _base(live: Entries, sent: Entries) -> Owners:
    """Whose entries count: those sent, where they can be read, else those stored.

    (managedfields/fieldmanager.go: decodeLiveOrNew.) An empty list, or one empty entry, resets.
    """
    if sent is not None and sent is not live:
        if not sent or sent == [ManagedFieldsEntry()]:
            return {}
        if owners := _sent_owners(sent):
            return owners
    return managers.trusted(live or ())


def _sent_owners(sent: Entries) -> dict[WriterId, Owned] | None:
    """Entries as a client sent them; None when they cannot be read."""
    try:
        return managers.read(sent or ())
    except ValueError:
        return None


def _everything(resource: Resource[Any], plain: Mapping[str, Any]) -> Comparison:
    """What makes an object out of nothing: all but the zeros that Go shows in any case."""
    return compare(_shape(resource), _empty(resource), plain)


@cache
def _nothing(resource: Resource[Any]) -> Mapping[str, Any]:
    """As `_empty`, made once: for readers."""
    return _empty(resource)


def _empty(resource: Resource[Any]) -> dict[str, Any]:
    return zeros(schema.root(resource.group, resource.version, resource.kind))


def _change(resource: Resource[Any], new: Any, old: Any) -> Comparison:
    """What a write changed. Parts that are the same are never taken apart."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name in _members(type(new)):
        was, now = getattr(old, name), getattr(new, name)
        if was is not now and was != now:
            _put(before, name, was)
            _put(after, name, now)
    was, now = _bare(old.metadata), _bare(new.metadata)
    if was != now:
        before["metadata"], after["metadata"] = codec.to_plain(was), codec.to_plain(now)
    return compare(_shape(resource), before, after) if before or after else SAME


def _members(model: type) -> Sequence[str]:
    names: Sequence[str] = getattr(model, "__struct_fields__")  # noqa: B009 - Structs all have it
    return [name for name in names if name not in _NOT_COMPARED]


def _put(plain: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        plain[name] = codec.to_plain(value)


def _bare(meta: ObjectMeta) -> ObjectMeta:
    return replace(meta, managedFields=None, resourceVersion=None)


def keep_times(new: Any, old: Any) -> None:
    """Take back new times in the entries when nothing else changed, so that a write stays none.

    (handlers/fieldmanager/equality.go: IgnoreManagedFieldsTimestampsTransformer.) Changes the
    metadata of `new`, which must be private.
    """
    live: Entries = old.metadata.managedFields
    made: Entries = new.metadata.managedFields
    if not made or made is live or not managers.same_but_times(made, live):
        return
    unchanged = all(getattr(new, n) == getattr(old, n) for n in _members(type(new)))
    if unchanged and _bare(new.metadata) == _bare(old.metadata):
        new.metadata.managedFields = live


# ----- apply


@dataclass(frozen=True, slots=True)
class Apply:
    """A server-side apply as it was asked for."""

    resource: Resource[Any]
    intent: dict[str, Any]  # the body: apiVersion, kind, metadata, ...
    manager: str
    force: bool = False
    subresource: str = ""


def applied(request: Apply, live: Any | None, now: datetime) -> tuple[Any, Entries]:
    """The object after an apply, and its entries; `live` is None where there is no object.

    Raises ApiError 400, 409, and 500 for an intent that does not fit its type, as upstream does.
    """
    resource, intent = request.resource, request.intent
    shape = check_intent(resource, intent)
    writer = Writer(request.manager, "Apply", resource.api_version, request.subresource)
    if live is None:
        plain, owners = _empty(resource), dict[WriterId, Owned]()
    else:
        plain = codec.to_dict(resource, live)
        plain["metadata"].pop("managedFields", None)
        owners = _owners_before(request, plain, live.metadata.managedFields, now)
    at = whole_seconds(now)
    ignored = _reset_by(resource, request.subresource)
    made = _laid_over(shape, plain, intent, owners, writer, at, request.force, ignored)
    merged = made.merged
    if request.manager == last_applied.MANAGER:
        merged = last_applied.refreshed(merged, intent)
    try:
        obj, _ = codec.from_dict(resource, merged)
    except WrongType as error:
        why = f"failed to convert new object ({_named(intent)}) to proper version: "
        raise _unreasoned(why + error.converter) from None
    return obj, managers.write(made.owners)


def _laid_over(
    shape: Shape,
    live: Mapping[str, Any],
    intent: Mapping[str, Any],
    owners: Owners,
    writer: Writer,
    at: datetime,
    force: bool,
    ignored: FieldSet,
) -> ownership.Applied:
    try:
        return ownership.apply(
            shape, live, intent, owners, writer, at, force=force, ignored=ignored
        )
    except ownership.Conflicts as conflicts:
        left = conflicts
        if writer.manager == last_applied.MANAGER:
            left = conflicts.less(last_applied.allowed(shape, live, writer.api_version))
        if left.found:
            raise left.to_error() from None
    return ownership.apply(shape, live, intent, owners, writer, at, force=True, ignored=ignored)


def _owners_before(
    request: Apply, plain: Mapping[str, Any], entries: Entries, now: datetime
) -> dict[WriterId, Owned]:
    """Who owned what. Of an object never tracked, everything belongs to whoever was before."""
    if entries:
        return managers.trusted(entries)
    resource, subresource = request.resource, request.subresource
    before = Writer(managers.BEFORE_FIRST_APPLY, "Update", resource.api_version, subresource)
    change = _everything(resource, plain)
    ignored = _reset_by(resource, subresource)
    return ownership.update({}, change, before, whole_seconds(now), ignored)


def check_intent(resource: Resource[Any], intent: Mapping[str, Any]) -> Shape:
    """Whether an intent is one of this kind, and fits its type.

    (managedfields/internal/versioncheck.go, structuredmerge.go: Apply.) Raises ApiError 400, 500.
    """
    expected = _kind_text(resource.group, resource.version, resource.kind)
    if (found := _intent_kind(intent)) != expected:
        raise errors.bad_request(f"invalid object type: {found}")
    metadata = intent.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("managedFields"), list):
        raise errors.bad_request("metadata.managedFields must be nil")
    shape = _shape(resource)
    if why := merging.problems(shape, intent):
        raise _unreasoned(f"failed to create typed patch object ({_named(intent)}): {why}")
    return shape


def _kind_text(group: str, version: str, kind: str) -> str:
    return f"{group}/{version}, Kind={kind}"


def _intent_kind(intent: Mapping[str, Any]) -> str:
    api_version, kind = intent.get("apiVersion"), intent.get("kind")
    api_version = api_version if isinstance(api_version, str) else ""
    group, _, version = api_version.rpartition("/")
    if "/" in group:
        return _kind_text("", "", "")
    return _kind_text(group, version, kind if isinstance(kind, str) else "")


def _named(intent: Mapping[str, Any]) -> str:
    """`default/pi; batch/v1, Kind=Job` (objectGVKNN)."""
    metadata = intent.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {_intent_kind(intent)}"


def _unreasoned(message: str) -> ApiError:
    """500 as Go's plain errors become one: without a reason."""
    return ApiError(500, "", message)
