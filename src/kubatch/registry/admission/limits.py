"""LimitRanges applied: defaults for containers, and bounds for them, for pods and for claims.

plugin/pkg/admission/limitranger/admission.go. Only creates are looked at.
"""

from __future__ import annotations

from kubatch.api import errors
from kubatch.api.models import PersistentVolumeClaim, Pod
from kubatch.api.resource import LIMITRANGES
from kubatch.registry.kinds.limitrange import bounds
from kubatch.registry.lookup import Lookup


async def fill(lookup: Lookup, pod: Pod, name: str) -> None:
    """Give containers what their namespace's LimitRanges grant those that say nothing."""
    assert pod.metadata is not None
    for limits in await lookup.all(LIMITRANGES, pod.metadata.namespace):
        bounds.fill(pod, limits)


async def check_pod(lookup: Lookup, new: Pod, old: Pod | None) -> None:
    """Refuse a pod outside the bounds. Raises ApiError 403."""
    assert new.metadata is not None
    if old is not None:
        return
    for limits in await lookup.all(LIMITRANGES, new.metadata.namespace):
        _refuse("pods", new.metadata.name or "", bounds.pod_errors(new, limits))


async def check_claim(
    lookup: Lookup, new: PersistentVolumeClaim, old: PersistentVolumeClaim | None
) -> None:
    """Refuse a claim outside the bounds, new or grown. Raises ApiError 403."""
    assert new.metadata is not None
    if old is not None and _asked(new) == _asked(old):
        return
    for limits in await lookup.all(LIMITRANGES, new.metadata.namespace):
        found = bounds.claim_errors(new, limits)
        _refuse("persistentvolumeclaims", new.metadata.name or "", found)


def _asked(claim: PersistentVolumeClaim) -> object:
    return claim.spec.resources if claim.spec is not None else None


def _refuse(plural: str, name: str, found: list[str]) -> None:
    if found:
        why = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
        raise errors.forbidden("", plural, name, why)
