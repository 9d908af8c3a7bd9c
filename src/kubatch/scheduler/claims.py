"""Volumes that a pod claims, and the nodes that can reach them (plugins/volumebinding).

There are no storage classes here, so no claim waits for its first pod: the controller of volumes
binds each as soon as it can, and the scheduler looks at claims that are bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubatch.api import models as m
from kubatch.api.resource import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
from kubatch.reconcile.controller import View
from kubatch.scheduler import affinity
from kubatch.scheduler.occupants import Occupant

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
OUT_OF_REACH = "node(s) didn't match PersistentVolume's node affinity"
NO_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
ONE_POD_ONLY = (
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
)


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """A claim that a waiting pod names."""

    name: str
    there: bool
    ephemeral: bool  # its pod's volume would have it made
    deleting: bool = False
    bound: bool = False
    one_pod: bool = False
    volume: bool = False  # the volume that it is bound to exists
    reach: m.NodeSelector | None = None  # nodes that can use the volume; None: all


Claims = Mapping[tuple[str, str], ClaimFacts]


def read_claims(view: View, pods: Sequence[Occupant]) -> dict[tuple[str, str], ClaimFacts]:
    """The claims of these pods."""
    return {(pod.namespace, name): _read(view, pod, name) for pod in pods for name in pod.claims}


def _read(view: View, pod: Occupant, name: str) -> ClaimFacts:
    claim = view.get(PERSISTENTVOLUMECLAIMS, pod.namespace, name)
    volumes = (pod.pod.spec.volumes if pod.pod.spec else None) or ()
    ephemeral = all(
        v.persistentVolumeClaim is None or v.persistentVolumeClaim.claimName != name
        for v in volumes
    )
    if claim is None or claim.metadata is None or claim.spec is None:
        return ClaimFacts(name, False, ephemeral)
    wanted = claim.spec.volumeName or ""
    volume = view.get(PERSISTENTVOLUMES, None, wanted) if wanted else None
    reach = volume.spec.nodeAffinity if volume is not None and volume.spec else None
    return ClaimFacts(
        name,
        True,
        ephemeral,
        claim.metadata.deletionTimestamp is not None,
        bool(wanted) and BIND_COMPLETED in (claim.metadata.annotations or {}),
        "ReadWriteOncePod" in (claim.spec.accessModes or ()),
        volume is not None,
        reach.required if reach is not None else None,
    )


def hindrance(pod: Occupant, claims: Claims) -> str:
    """What keeps a pod from every node; "" when nothing does (PreFilter)."""
    found = [claims[pod.namespace, name] for name in pod.claims]
    for claim in found:
        if not claim.there:
            if claim.ephemeral:
                return (
                    "waiting for ephemeral volume controller to create the persistentvolumeclaim "
                    f'"{claim.name}"'
                )
            return f'persistentvolumeclaim "{claim.name}" not found'
        if claim.deleting:
            return f'persistentvolumeclaim "{claim.name}" is being deleted'
    return UNBOUND if any(not claim.bound for claim in found) else ""


def refusal(pod: Occupant, claims: Claims, node: str, labels: Mapping[str, str]) -> str:
    """Why a node cannot have the pod's volumes; "" when it can (Filter)."""
    reasons = set()
    for name in pod.claims:
        claim = claims[pod.namespace, name]
        if not claim.volume:
            reasons.add(NO_VOLUME)
        elif claim.reach is not None and not affinity.in_terms(
            claim.reach.nodeSelectorTerms, node, labels
        ):
            reasons.add(OUT_OF_REACH)
    return OUT_OF_REACH if OUT_OF_REACH in reasons else next(iter(reasons), "")


def lone(pod: Occupant, claims: Claims) -> frozenset[str]:
    """The claims of a pod that only one pod may use."""
    return frozenset(name for name in pod.claims if claims[pod.namespace, name].one_pod)
