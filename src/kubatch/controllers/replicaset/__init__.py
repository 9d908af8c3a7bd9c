"""As many pods as a ReplicaSet asks for: facts.py reads, victims.py ranks, decide.py decides.

A key is a ReplicaSet, or a namespace in which a pod without a controller has appeared.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubatch.api import models as m
from kubatch.api.owners import controller_of
from kubatch.api.resource import PODS, REPLICASETS
from kubatch.controllers.replicaset.decide import decide
from kubatch.controllers.replicaset.facts import (
    BY_NAMESPACE,
    PODS_BY_REPLICASET,
    UNOWNED_PODS,
    Adoption,
    ReplicaSetFacts,
    read,
    replicaset_of,
)
from kubatch.reconcile.controller import Controller, Key


def controller() -> Controller[ReplicaSetFacts | Adoption]:
    """The record for the engine."""
    return Controller(
        name="replicaset-controller",
        watches={REPLICASETS: _replicaset_keys, PODS: _pod_keys},
        read=read,
        decide=decide,
        indexes=(BY_NAMESPACE, PODS_BY_REPLICASET, UNOWNED_PODS),
        about=REPLICASETS,
        queue="replicaset",
    )


def _replicaset_keys(_old: m.ReplicaSet | None, new: m.ReplicaSet | None) -> Iterable[Key]:
    if new is not None and new.metadata is not None:
        yield Key(new.metadata.namespace or "", new.metadata.name or "")


def _pod_keys(old: m.Pod | None, new: m.Pod | None) -> Iterable[Key]:
    found = (_key(pod) for pod in (old, new) if pod is not None)
    return dict.fromkeys(key for key in found if key is not None)


def _key(pod: m.Pod) -> Key | None:
    namespace = (pod.metadata.namespace if pod.metadata else None) or ""
    owner = replicaset_of(pod)
    if owner is not None:
        return Key(namespace, owner.name)
    labelled = pod.metadata is not None and bool(pod.metadata.labels)
    return Key(namespace, "") if labelled and controller_of(pod.metadata) is None else None
