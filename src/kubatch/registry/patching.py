"""From an object and a patch to the patched object, before any rule of its kind is asked."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, cast

from kubatch.api import codec, schema
from kubatch.api import patch as patches
from kubatch.api.resource import Resource

T = TypeVar("T")

PatchKind = Literal["merge", "strategic", "json"]


def apply(resource: Resource[Any], obj: Any, kind: PatchKind, patch: Any) -> dict[str, Any]:
    """The patched object as JSON values. Raises ApiError for a patch that does not fit."""
    before = codec.to_dict(resource, obj)
    if kind == "json":
        after = patches.json_patch(before, patch)
    elif kind == "merge":
        after = patches.merge(before, patch)
    else:
        root = schema.root(resource.group, resource.version, resource.kind)
        after = patches.strategic(before, patch, root)
    return cast(dict[str, Any], after)


def decode(
    resource: Resource[T], kind: PatchKind, patch: Any, patched: dict[str, Any]
) -> tuple[T, list[str]]:
    """The Struct of a patched object, and its unknown fields.

    Raises ApiError 422 when the patch put a value of the wrong type somewhere.
    """
    try:
        return codec.from_dict(resource, patched)
    except codec.WrongType as error:
        why = error.converter if kind == "strategic" else str(error)
        raise patches.undecodable(kind, patch, patched, why) from None
