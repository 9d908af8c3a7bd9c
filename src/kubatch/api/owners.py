"""Owner references: which object another one belongs to (apimachinery/pkg/apis/meta/v1)."""

from __future__ import annotations

from typing import Any

from kubatch.api.models import ObjectMeta, OwnerReference
from kubatch.api.resource import Resource


def controller_of(meta: ObjectMeta | None) -> OwnerReference | None:
    """The owner that manages the object, or None (metav1.GetControllerOf)."""
    if meta is None:
        return None
    for owner in meta.ownerReferences or ():
        if owner.controller:
            return owner
    return None


def owner_reference(obj: Any, resource: Resource[Any]) -> OwnerReference:
    """How objects made by a controller point to it (metav1.NewControllerRef).

    blockOwnerDeletion lets a foreground deletion of the owner wait for them.
    """
    return OwnerReference(
        apiVersion=resource.api_version,
        kind=resource.kind,
        name=obj.metadata.name,
        uid=obj.metadata.uid,
        controller=True,
        blockOwnerDeletion=True,
    )
