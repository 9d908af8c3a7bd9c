"""Rules about nodes: whether they are heard of, and which taints follow from their status."""

from __future__ import annotations

from collections.abc import Iterable

from kubatch.api import models as m
from kubatch.api.resource import LEASES, NODES
from kubatch.controllers.nodes.decide import decide
from kubatch.controllers.nodes.facts import LEASE_NAMESPACE, READY_PODS_BY_NODE, NodeFacts, read
from kubatch.reconcile.controller import Controller, Key


def _node_keys(before: m.Node | None, after: m.Node | None) -> Iterable[Key]:
    node = after or before
    if node is not None and node.metadata is not None:
        yield Key("", node.metadata.name or "")


def _lease_keys(_before: m.Lease | None, after: m.Lease | None) -> Iterable[Key]:
    meta = after.metadata if after is not None else None
    if meta is not None and meta.namespace == LEASE_NAMESPACE:
        yield Key("", meta.name or "")


def controller() -> Controller[NodeFacts]:
    """The record for the engine."""
    return Controller(
        name="node-controller",
        watches={NODES: _node_keys, LEASES: _lease_keys},
        read=read,
        decide=decide,
        indexes=(READY_PODS_BY_NODE,),
        workers=1,
        about=NODES,
    )
