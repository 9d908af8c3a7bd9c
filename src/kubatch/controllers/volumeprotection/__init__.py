"""Claims stay while pods use them, and volumes while they are bound.

pkg/controller/volume/pvcprotection and pvprotection. A key is a claim, or a volume, which has no
namespace.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubatch.api import models as m
from kubatch.api.resource import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS, Resource
from kubatch.reconcile.controller import Controller, Index, Key, View
from kubatch.reconcile.decision import Decision, Patch, RemoveFinalizer, stage

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
_NO_META = m.ObjectMeta()


@dataclass(frozen=True, slots=True)
class ProtectionFacts:
    """A claim or a volume, and whether anybody needs it."""

    resource: Resource[Any]
    obj: Any
    finalizer: str
    users: tuple[str, ...]  # pods, or the claim of a volume


def controller() -> Controller[ProtectionFacts]:
    """The record for the engine."""
    return Controller(
        name="persistentvolume-protection-controller",
        watches={
            PERSISTENTVOLUMECLAIMS: _own_key,
            PERSISTENTVOLUMES: _own_key,
            PODS: _pod_keys,
        },
        read=read,
        decide=decide,
        indexes=(USERS,),
        workers=1,
        queue="pvcprotection",
    )


def _claims(pod: m.Pod) -> Iterable[str]:
    """The claims whose end a pod holds up: one without a node does not (podUsesPVC)."""
    spec, meta = pod.spec, pod.metadata or _NO_META
    over = pod.status is not None and pod.status.phase in ("Succeeded", "Failed")
    if spec is None or over or not spec.nodeName:
        return
    for volume in spec.volumes or ():
        if volume.persistentVolumeClaim is not None:
            yield f"{meta.namespace}/{volume.persistentVolumeClaim.claimName}"
        elif volume.ephemeral is not None:
            yield f"{meta.namespace}/{meta.name}-{volume.name}"


USERS = Index("pods-by-claim", PODS, _claims)


def _own_key(_old: Any, new: Any) -> Iterable[Key]:
    if new is not None and new.metadata is not None:
        yield Key(new.metadata.namespace or "", new.metadata.name)


def _pod_keys(old: m.Pod | None, new: m.Pod | None) -> Iterable[Key]:
    """The claims that a pod does not use any more."""
    if old is None:
        return
    kept = set() if new is None else set(_claims(new))
    for claim in _claims(old):
        if claim not in kept:
            namespace, _, name = claim.partition("/")
            yield Key(namespace, name)


def read(view: View, key: Key, _remembered: Any) -> ProtectionFacts | None:
    """The facts about a claim or a volume; None when it is protected, and stays."""
    if key.namespace:
        claim = view.get(PERSISTENTVOLUMECLAIMS, key.namespace, key.name)
        pods = view.indexed(USERS, f"{key.namespace}/{key.name}") if _is_going(claim) else ()
        users = tuple((pod.metadata or _NO_META).name or "" for pod in pods)
        return _facts(PERSISTENTVOLUMECLAIMS, claim, CLAIM_FINALIZER, users)
    volume = view.get(PERSISTENTVOLUMES, None, key.name)
    bound = volume is not None and volume.status is not None and volume.status.phase == "Bound"
    return _facts(PERSISTENTVOLUMES, volume, VOLUME_FINALIZER, ("its claim",) if bound else ())


def _is_going(obj: Any) -> bool:
    return obj is not None and obj.metadata.deletionTimestamp is not None


def _facts(
    resource: Resource[Any], obj: Any, finalizer: str, users: tuple[str, ...]
) -> ProtectionFacts | None:
    if obj is None or _is_going(obj) is not (finalizer in (obj.metadata.finalizers or ())):
        return None
    return ProtectionFacts(resource, obj, finalizer, users)


def decide(facts: ProtectionFacts, now: datetime) -> Decision:
    """Put the finalizer on what has none, and take it off what goes and is not used."""
    obj, finalizer = facts.obj, facts.finalizer
    meta = obj.metadata
    if meta.deletionTimestamp is None:
        metadata = {
            "resourceVersion": meta.resourceVersion,
            "finalizers": [*(meta.finalizers or ()), finalizer],
        }
        patch = Patch(facts.resource, meta.namespace, meta.name, {"metadata": metadata})
        return Decision("is protected from now on", (stage(patch),), subject=obj)
    if facts.users:
        return Decision(f"is used by {facts.users[0]}: stays", subject=obj)
    write = RemoveFinalizer(facts.resource, meta.namespace, meta.name, finalizer)
    return Decision("is not used: may go", (stage(write),), subject=obj)
