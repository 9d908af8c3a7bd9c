"""Claims get volumes, and both say so (pkg/controller/volume/persistentvolume/pv_controller.go).

Binding is four writes in Kubernetes' order: the volume names the claim, says that it is bound, the
claim names the volume, says that it is bound. The first is made only on the volume as it was seen,
so that no two claims get it; whatever comes after it can be done again from any point on.

What a claim leaves behind stays: there is nothing here that would empty or delete a directory of
the host. A volume to be deleted or recycled says that it failed, as one does in Kubernetes for
which there is no plug-in.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from kubatch.api.resource import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
from kubatch.controllers.volumes.facts import (
    BIND_COMPLETED,
    BOUND_BY_US,
    Claim,
    ClaimFacts,
    Volume,
    VolumeFacts,
)
from kubatch.controllers.volumes.match import best, mismatch
from kubatch.reconcile.decision import Decision, Emit, Note, Patch, Stage, stage
from kubatch.world import whole_seconds

# How long a claim waits at most before it is looked at again (resyncPeriod of the controller).
RESYNC = timedelta(seconds=15)
NO_VOLUMES = "no persistent volumes available for this claim and no storage class is set"


def decide(facts: ClaimFacts | VolumeFacts, now: datetime) -> Decision:
    """One sync of a claim, or of a volume."""
    if isinstance(facts, VolumeFacts):
        return _volume(facts, now)
    return _bound_claim(facts, now) if facts.claim.complete else _unbound_claim(facts, now)


# ----- claims


def _unbound_claim(facts: ClaimFacts, now: datetime) -> Decision:
    """pv_controller.go: syncUnboundClaim."""
    claim, wanted = facts.claim, facts.wanted
    if not claim.volume:
        found = best(claim, facts.volumes)
        if found is not None:
            return _bind(claim, found, claim.obj, now)
        return _pending(facts, now, _nothing_for(claim))
    if wanted is None:
        return _pending(facts, now, None)
    if wanted.ref is None:
        why = mismatch(claim, wanted)
        if why:
            message = f'Cannot bind to requested volume "{wanted.name}": {why}'
            return _pending(facts, now, Note("Warning", "VolumeMismatch", message))
        return _bind(claim, wanted, claim.obj, now)
    if wanted.is_for(claim):
        return _bind(claim, wanted, claim.obj, now)
    message = f'volume "{wanted.name}" already bound to a different claim.'
    return _pending(facts, now, Note("Warning", "FailedBinding", message))


def _nothing_for(claim: Claim) -> Note:
    if claim.storage_class:
        message = f'storageclass.storage.k8s.io "{claim.storage_class}" not found'
        return Note("Warning", "ProvisioningFailed", message)
    return Note("Normal", "FailedBinding", NO_VOLUMES)


def _pending(facts: ClaimFacts, now: datetime, note: Note | None) -> Decision:
    """Wait, and say why when that is news."""
    claim = facts.claim
    stages: list[Stage] = []
    if claim.phase != "Pending":
        stages.append(stage(_claim_status(claim, {"phase": "Pending"})))
    said = note.message if note else ""
    if note is not None and said != facts.said:
        stages.append(stage(Emit(note)))
    because = said or f"waits for volume {claim.volume}"
    return Decision(because, tuple(stages), now + RESYNC, claim.obj, remember=said or None)


def _bound_claim(facts: ClaimFacts, now: datetime) -> Decision:
    """pv_controller.go: syncBoundClaim."""
    claim, wanted = facts.claim, facts.wanted
    if not claim.volume:
        what = "reference to PersistentVolume"
        return _lost(claim, "ClaimLost", f"Bound claim has lost {what}. {_GONE}")
    if wanted is None:
        return _lost(claim, "ClaimLost", f"Bound claim has lost its PersistentVolume. {_GONE}")
    if wanted.ref is None or wanted.is_for(claim):
        return _bind(claim, wanted, claim.obj, now)
    message = "Two claims are bound to the same volume, this one is bound incorrectly"
    return _lost(claim, "ClaimMisbound", message)


_GONE = "Data on the volume is lost!"


def _lost(claim: Claim, reason: str, message: str) -> Decision:
    if claim.phase == "Lost":
        return Decision("its volume is lost", subject=claim.obj)
    # updateClaimStatus: what the volume was like is forgotten.
    patch = _claim_status(claim, {"phase": "Lost", "accessModes": None, "capacity": None})
    stages = (stage(patch), stage(Emit(Note("Warning", reason, message))))
    return Decision(message, stages, subject=claim.obj)


# ----- volumes


def _volume(facts: VolumeFacts, now: datetime) -> Decision:
    """pv_controller.go: syncVolume."""
    volume, ref = facts.volume, facts.volume.ref
    if ref is None:
        if volume.phase == "Available":
            for other in facts.pending:
                chosen = best(other, facts.volumes)
                if chosen is not None and chosen.name == volume.name and not other.complete:
                    return _bind(other, volume, volume.obj, now)
        return _phase(volume, "Available", now)
    if not ref.uid:
        return _phase(volume, "Available", now)
    claim = facts.claim
    if claim is None:
        return _released(volume, now)
    if not claim.volume:
        return Decision("its claim comes next", subject=volume.obj)
    if claim.volume == volume.name:
        return _phase(volume, "Bound", now)
    return _unbind(volume, now)


def _released(volume: Volume, now: datetime) -> Decision:
    """The claim is gone (reclaimVolume)."""
    if volume.phase not in ("Released", "Failed"):
        return _phase(volume, "Released", now)
    if volume.phase == "Failed" or volume.policy == "Retain":
        return Decision(f"its claim is gone: stays {volume.phase}", subject=volume.obj)
    if volume.policy == "Recycle":
        reason, message = "VolumeFailedRecycle", "No recycler plugin found for the volume!"
    else:
        reason = "VolumeFailedDelete"
        message = (
            f'error getting deleter volume plugin for volume "{volume.name}": '
            "no deletable volume plugin matched"
        )
    return _phase(volume, "Failed", now, Note("Warning", reason, message))


def _phase(volume: Volume, phase: str, now: datetime, note: Note | None = None) -> Decision:
    if volume.phase == phase:
        return Decision(f"is {phase}", subject=volume.obj)
    stages = [stage(_volume_status(volume, phase, now, note.message if note else None))]
    if note is not None:
        stages.append(stage(Emit(note)))
    return Decision(f"becomes {phase}", tuple(stages), subject=volume.obj)


def _unbind(volume: Volume, now: datetime) -> Decision:
    """The claim has another volume (unbindVolume): whose choice it was is for anybody again."""
    notes: dict[str, Any] = {}
    ref: Any = {"uid": None, "resourceVersion": None}
    if volume.ours:
        notes, ref = {"annotations": {BOUND_BY_US: None}}, None
    metadata = {"resourceVersion": volume.version, **notes}
    patch = {"metadata": metadata, "spec": {"claimRef": ref}}
    stages = (
        stage(Patch(PERSISTENTVOLUMES, None, volume.name, patch)),
        stage(_volume_status(volume, "Available", now, None)),
    )
    return Decision("its claim has another volume: is free again", stages, subject=volume.obj)


# ----- writes


def _bind(claim: Claim, volume: Volume, subject: Any, now: datetime) -> Decision:
    """pv_controller.go: bind. Only what is not so already is written."""
    writes: list[Patch] = []
    ref = volume.ref
    if ref is None or ref.uid != claim.uid:
        writes.append(_name_claim(claim, volume))
    if volume.phase != "Bound":
        writes.append(_volume_status(volume, "Bound", now, None))
    if claim.volume != volume.name or not claim.complete:
        writes.append(_name_volume(claim, volume))
    if patch := _bound_status(claim, volume):
        writes.append(_claim_status(claim, patch))
    name = f"{claim.namespace}/{claim.name}"
    because = f"{name} gets {volume.name}" if writes else f"{name} has {volume.name}"
    return Decision(because, tuple(stage(one) for one in writes), subject=subject)


def _name_claim(claim: Claim, volume: Volume) -> Patch:
    meta = claim.obj.metadata
    ref = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": claim.namespace,
        "name": claim.name,
        "uid": claim.uid,
        "resourceVersion": meta.resourceVersion if meta else None,
    }
    metadata: dict[str, Any] = {"resourceVersion": volume.version}
    if volume.ref is None:
        metadata["annotations"] = {BOUND_BY_US: "yes"}
    patch = {"metadata": metadata, "spec": {"claimRef": ref}}
    return Patch(PERSISTENTVOLUMES, None, volume.name, patch, required=True)


def _name_volume(claim: Claim, volume: Volume) -> Patch:
    notes = {BIND_COMPLETED: "yes"}
    if claim.volume != volume.name:
        notes[BOUND_BY_US] = "yes"
    patch = {
        "metadata": {"uid": claim.uid, "annotations": notes},
        "spec": {"volumeName": volume.name},
    }
    return Patch(PERSISTENTVOLUMECLAIMS, claim.namespace, claim.name, patch, required=True)


def _bound_status(claim: Claim, volume: Volume) -> dict[str, Any]:
    """What a claim's status has to say of its volume and does not."""
    spec, status = volume.obj.spec, claim.obj.status
    wanted: dict[str, Any] = {
        "phase": "Bound",
        "accessModes": spec.accessModes if spec else None,
        "capacity": spec.capacity if spec else None,
    }
    told = {name: getattr(status, name, None) for name in wanted}
    return {} if told == wanted else wanted


def _claim_status(claim: Claim, status: dict[str, Any]) -> Patch:
    patch = {"metadata": {"uid": claim.uid}, "status": status}
    return Patch(PERSISTENTVOLUMECLAIMS, claim.namespace, claim.name, patch, subresource="status")


def _volume_status(volume: Volume, phase: str, now: datetime, message: str | None) -> Patch:
    status = {
        "phase": phase,
        "message": message,
        "lastPhaseTransitionTime": f"{whole_seconds(now):%Y-%m-%dT%H:%M:%SZ}",
    }
    patch = {"metadata": {"uid": volume.uid}, "status": status}
    return Patch(PERSISTENTVOLUMES, None, volume.name, patch, subresource="status")
