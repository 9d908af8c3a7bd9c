"""What a namespace that is going says of it.

pkg/controller/namespace/deletion/status_condition_utils.go. Kubernetes counts what is left after
it has deleted; here that is what is being deleted and still there, so it shows one turn later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from kubatch.api.conditions import find, replaced
from kubatch.api.models import Namespace, NamespaceCondition, NamespaceStatus
from kubatch.api.resource import Resource
from kubatch.world import whole_seconds

Contents = Sequence[tuple[Resource[Any], Sequence[Any]]]
CONTENT_FAILURE = "NamespaceDeletionContentFailure"
REMAINING = "NamespaceContentRemaining"
FINALIZERS = "NamespaceFinalizersRemaining"

# Type, and reason and message while it is false.
_FINE = (
    (
        "NamespaceDeletionDiscoveryFailure",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        CONTENT_FAILURE,
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    (REMAINING, "ContentRemoved", "All content successfully removed"),
    (FINALIZERS, "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
)


def told(space: Namespace, contents: Contents, now: datetime, error: str = "") -> Namespace | None:
    """The namespace with conditions about what is left of its contents; None when it has them."""
    wrong = _wrong(contents, error)
    status = space.status or NamespaceStatus()
    conditions = list(status.conditions or ())
    changed = False
    for type, reason, message in _FINE:
        state = "False"
        if type in wrong:
            state, (reason, message) = "True", wrong[type]
        before = find(conditions, type)
        if before is not None and (before.status, before.reason, before.message) == (
            state, reason, message
        ):  # fmt: skip
            continue
        since = before.lastTransitionTime if before and before.status == state else None
        fresh = NamespaceCondition(
            type=type,
            status=state,
            reason=reason,
            message=message,
            lastTransitionTime=since or whole_seconds(now),
        )
        conditions, changed = replaced(conditions, fresh), True
    return replace(space, status=replace(status, conditions=conditions)) if changed else None


def _wrong(contents: Contents, error: str) -> dict[str, tuple[str, str]]:
    """Reason and message of what is true."""
    out: dict[str, tuple[str, str]] = {}
    if error:
        message = f"Failed to delete all resource types, 1 remaining: {error}"
        out[CONTENT_FAILURE] = ("ContentDeletionFailed", message)
    left = {
        f"{r.plural}.{r.group}": [o for o in objects if o.metadata.deletionTimestamp is not None]
        for r, objects in contents
    }
    counts = [f"{name} has {len(o)} resource instances" for name, o in sorted(left.items()) if o]
    if counts:
        message = f"Some resources are remaining: {', '.join(counts)}"
        out[REMAINING] = ("SomeResourcesRemain", message)
    held = Counter(_finalizers(obj for objects in left.values() for obj in objects))
    if held:
        names = ", ".join(f"{name} in {n} resource instances" for name, n in sorted(held.items()))
        message = f"Some content in the namespace has finalizers remaining: {names}"
        out[FINALIZERS] = ("SomeFinalizersRemain", message)
    return out


def _finalizers(objects: Iterable[Any]) -> Iterable[str]:
    for obj in objects:
        yield from obj.metadata.finalizers or ()
