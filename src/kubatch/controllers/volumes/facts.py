"""What the rules look at: one claim and the volumes it might have, or one volume and its claim."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kubatch.api import models as m
from kubatch.api import quantity
from kubatch.api.resource import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
from kubatch.api.selectors import from_selector
from kubatch.reconcile.controller import Index, Key, View

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_US = "pv.kubernetes.io/bound-by-controller"
# The class of an object from before there was a field for it.
_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
_NO_META = m.ObjectMeta()


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, read."""

    obj: m.PersistentVolumeClaim
    namespace: str
    name: str
    uid: str
    size: Decimal
    modes: frozenset[str]
    volume_mode: str
    storage_class: str
    attributes_class: str
    volume: str  # "": any will do
    complete: bool  # bound once, to this volume and no other
    ours: bool  # we chose the volume
    phase: str

    def suits(self, volume: Volume) -> bool:
        """Whether a volume has the labels that the claim selects."""
        selector = self.obj.spec.selector if self.obj.spec else None
        labels = (volume.obj.metadata or _NO_META).labels
        return selector is None or from_selector(selector).matches(labels)


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume, read."""

    obj: m.PersistentVolume
    name: str
    uid: str
    version: str
    size: Decimal
    modes: frozenset[str]
    volume_mode: str
    storage_class: str
    attributes_class: str
    policy: str
    ref: m.ObjectReference | None
    ours: bool  # we chose the claim
    going: bool
    phase: str

    def is_for(self, claim: Claim) -> bool:
        """Whether the volume names this claim (IsVolumeBoundToClaim)."""
        ref = self.ref
        if ref is None or (ref.namespace, ref.name) != (claim.namespace, claim.name):
            return False
        return not ref.uid or ref.uid == claim.uid


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """A claim, and what it may have."""

    claim: Claim
    wanted: Volume | None  # the volume that it names
    volumes: tuple[Volume, ...]  # by name; only for a claim that names none
    said: str  # what the last turn told


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """A volume, and who may have it."""

    volume: Volume
    claim: Claim | None  # the one that it names, if that is the one it means
    pending: tuple[Claim, ...]  # those that name no volume; only for a volume nobody has
    volumes: tuple[Volume, ...]  # for the same


def _unbound(claim: m.PersistentVolumeClaim) -> Iterable[str]:
    return ("",) if claim.spec is not None and not claim.spec.volumeName else ()


UNBOUND_CLAIMS = Index("unbound-claims", PERSISTENTVOLUMECLAIMS, _unbound)


def read(view: View, key: Key, remembered: Any) -> ClaimFacts | VolumeFacts | None:
    """The facts about a claim, or about a volume, whose namespace is ""."""
    if not key.namespace:
        volume = view.get(PERSISTENTVOLUMES, None, key.name)
        return None if volume is None else _about_volume(view, read_volume(volume))
    found = view.get(PERSISTENTVOLUMECLAIMS, key.namespace, key.name)
    if found is None:
        return None
    claim = read_claim(found)
    said = remembered if isinstance(remembered, str) else ""
    if claim.volume:
        wanted = view.get(PERSISTENTVOLUMES, None, claim.volume)
        return ClaimFacts(claim, None if wanted is None else read_volume(wanted), (), said)
    return ClaimFacts(claim, None, _volumes(view), said)


def _about_volume(view: View, volume: Volume) -> VolumeFacts:
    ref = volume.ref
    if ref is None:
        pending = tuple(map(read_claim, view.indexed(UNBOUND_CLAIMS, "")))
        return VolumeFacts(volume, None, pending, _volumes(view) if pending else ())
    found = view.get(PERSISTENTVOLUMECLAIMS, ref.namespace, ref.name or "")
    claim = read_claim(found) if found is not None else None
    if claim is not None and not volume.is_for(claim):
        claim = None  # a namesake that came later
    return VolumeFacts(volume, claim, (), ())


def _volumes(view: View) -> tuple[Volume, ...]:
    return tuple(map(read_volume, view.list(PERSISTENTVOLUMES)))


def read_claim(obj: m.PersistentVolumeClaim) -> Claim:
    """The facts of a claim alone."""
    meta, spec = obj.metadata or _NO_META, obj.spec or m.PersistentVolumeClaimSpec()
    notes = meta.annotations or {}
    asked = (spec.resources.requests if spec.resources else None) or {}
    return Claim(
        obj,
        meta.namespace or "",
        meta.name or "",
        meta.uid or "",
        quantity.parse(str(asked.get("storage", "0"))),
        frozenset(spec.accessModes or ()),
        spec.volumeMode or "Filesystem",
        notes.get(_OLD_CLASS, spec.storageClassName or ""),
        spec.volumeAttributesClassName or "",
        spec.volumeName or "",
        BIND_COMPLETED in notes,
        BOUND_BY_US in notes,
        (obj.status.phase if obj.status else None) or "",
    )


def read_volume(obj: m.PersistentVolume) -> Volume:
    """The facts of a volume alone."""
    meta, spec = obj.metadata or _NO_META, obj.spec or m.PersistentVolumeSpec()
    notes = meta.annotations or {}
    return Volume(
        obj,
        meta.name or "",
        meta.uid or "",
        meta.resourceVersion or "",
        quantity.parse(str((spec.capacity or {}).get("storage", "0"))),
        frozenset(spec.accessModes or ()),
        spec.volumeMode or "Filesystem",
        notes.get(_OLD_CLASS, spec.storageClassName or ""),
        spec.volumeAttributesClassName or "",
        spec.persistentVolumeReclaimPolicy or "Retain",
        spec.claimRef,
        BOUND_BY_US in notes,
        meta.deletionTimestamp is not None,
        (obj.status.phase if obj.status else None) or "",
    )
