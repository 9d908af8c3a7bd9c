"""Which volume a claim gets (pkg/controller/volume/persistentvolume: index.go)."""

from __future__ import annotations

from collections.abc import Sequence

from kubatch.controllers.volumes.facts import Claim, Volume


def best(claim: Claim, volumes: Sequence[Volume]) -> Volume | None:
    """The one that was made for the claim, or else the smallest that is large enough."""
    usable = [v for v in volumes if not mismatch(claim, v) and claim.modes <= v.modes]
    for volume in usable:
        if volume.is_for(claim):
            return volume
    free = [v for v in usable if v.ref is None and not v.going and v.phase == "Available"]
    return min(
        (volume for volume in free if claim.suits(volume)),
        key=lambda volume: (volume.size, volume.name),
        default=None,
    )


def mismatch(claim: Claim, volume: Volume) -> str:
    """Why a volume will not do, though it is named; "" when it will (checkVolumeSatisfyClaim)."""
    if volume.size < claim.size:
        return "requested PV is too small"
    if volume.storage_class != claim.storage_class:
        return "storageClassName does not match"
    if volume.attributes_class != claim.attributes_class:
        return "VolumeAttributesClassName does not match"
    if volume.volume_mode != claim.volume_mode:
        return "incompatible volumeMode"
    if not claim.modes <= volume.modes:
        return "incompatible accessMode"
    return ""
