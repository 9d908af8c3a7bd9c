"""Claims and the volumes they get: facts.py reads, match.py compares, decide.py decides.

A key is a claim, or a volume, which has no namespace.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubatch.api import models as m
from kubatch.api.resource import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
from kubatch.controllers.volumes.decide import decide
from kubatch.controllers.volumes.facts import UNBOUND_CLAIMS, ClaimFacts, VolumeFacts, read
from kubatch.reconcile.controller import Controller, Key

_NO_META = m.ObjectMeta()


def controller() -> Controller[ClaimFacts | VolumeFacts]:
    """The record for the engine."""
    return Controller(
        name="persistentvolume-controller",
        watches={PERSISTENTVOLUMECLAIMS: _claim_keys, PERSISTENTVOLUMES: _volume_keys},
        read=read,
        decide=decide,
        indexes=(UNBOUND_CLAIMS,),
        workers=1,  # two claims in turn compete less for one volume
        queue="claims",
    )


def _claim_keys(
    old: m.PersistentVolumeClaim | None, new: m.PersistentVolumeClaim | None
) -> Iterable[Key]:
    """The claim, and the volume that it has or had."""
    for claim in (old, new):
        if claim is None:
            continue
        meta = claim.metadata or _NO_META
        if claim is new:
            yield Key(meta.namespace or "", meta.name or "")
        if claim.spec is not None and claim.spec.volumeName:
            yield Key("", claim.spec.volumeName)


def _volume_keys(old: m.PersistentVolume | None, new: m.PersistentVolume | None) -> Iterable[Key]:
    """The volume, and the claim that has or had it."""
    for volume in (old, new):
        if volume is None:
            continue
        if volume is new:
            yield Key("", (volume.metadata or _NO_META).name or "")
        ref = volume.spec.claimRef if volume.spec else None
        if ref is not None and ref.namespace and ref.name:
            yield Key(ref.namespace, ref.name)
