"""Pods that nobody will end or look at any more (pkg/controller/podgc/gc_controller.go).

A key is a node, one pod, or all that are finished. The first two are looked at when something
happens to them; finished pods are counted now and then, which costs the same however many end.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from kubatch.api import models as m
from kubatch.api.resource import NAMESPACES, NODES, PODS
from kubatch.controllers.podgc.decide import FINISHED_PODS_MAX, decide
from kubatch.controllers.podgc.facts import (
    FINISHED,
    FINISHED_PODS,
    PODS_BY_NODE,
    PodGcFacts,
    node_key,
    node_of,
    pod_key,
    read,
)
from kubatch.reconcile.controller import Controller, Key

# It is always there, from the start: the namespace that starts the clock of finished pods.
_ALWAYS = "kube-system"


def controller(finished_max: int = FINISHED_PODS_MAX) -> Controller[PodGcFacts]:
    """The record for the engine; `finished_max` pods may stay after their end."""
    return Controller(
        name="pod-garbage-collector-controller",
        watches={NODES: _node_keys, PODS: _pod_keys, NAMESPACES: _namespace_keys},
        read=read,
        decide=partial(decide, finished_max=finished_max),
        indexes=(FINISHED_PODS, PODS_BY_NODE),
        workers=1,
    )


def _namespace_keys(old: m.Namespace | None, new: m.Namespace | None) -> Iterable[Key]:
    if old is None and new is not None and new.metadata and new.metadata.name == _ALWAYS:
        yield FINISHED


def _node_keys(old: m.Node | None, new: m.Node | None) -> Iterable[Key]:
    """A node that came, went or is out of service."""
    node = new or old
    assert node is not None
    assert node.metadata is not None
    taints = (node.spec.taints if node.spec else None) or ()
    if old is None or new is None or any(t.key.endswith("/out-of-service") for t in taints):
        yield node_key(node.metadata.name or "")


def _pod_keys(old: m.Pod | None, new: m.Pod | None) -> Iterable[Key]:
    """A pod that came to a node, and one that is asked to go."""
    if new is None or new.metadata is None:
        return
    node = node_of(new)
    asked = new.metadata.deletionTimestamp is not None
    came = old is None or node_of(old) != node
    going = asked and (
        old is None or old.metadata is None or old.metadata.deletionTimestamp is None
    )
    if node and (came or going):
        yield node_key(node)
    elif not node and asked:
        yield pod_key(new.metadata)
