"""The EndpointSlices of every Service with a selector.

facts.py reads, plan.py deals endpoints out over slices, writes.py words the writes, decide.py
decides. The rules are pkg/controller/endpointslice/endpointslice_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubatch.api import models as m
from kubatch.api.resource import ENDPOINTSLICES, NODES, PODS, SERVICES
from kubatch.controllers.endpoints.members import SERVING_PODS, Selectors
from kubatch.controllers.endpointslice.decide import decide
from kubatch.controllers.endpointslice.facts import (
    MANAGER,
    OWN_SLICES,
    ZONE,
    SliceFacts,
    made_by,
    read,
)
from kubatch.reconcile.controller import Controller, Key


def controller() -> Controller[SliceFacts]:
    """The record for the engine; a key is a Service."""
    selectors = Selectors()

    def node_keys(old: m.Node | None, new: m.Node | None) -> Iterable[Key]:
        # A pod's node must be there, and its zone is shown; nothing else of nodes matters.
        return selectors.all_keys() if _zone(old) != _zone(new) else ()

    return Controller(
        name="endpoint-slice-controller",
        watches={
            SERVICES: selectors.service_keys,
            PODS: selectors.pod_keys,
            NODES: node_keys,
            ENDPOINTSLICES: _slice_keys,
        },
        read=read,
        decide=decide,
        indexes=(SERVING_PODS, OWN_SLICES),
        about=SERVICES,
        queue="endpoint_slice",
    )


def _zone(node: m.Node | None) -> str | None:
    if node is None:
        return None
    labels: dict[str, str] = (node.metadata.labels if node.metadata is not None else None) or {}
    return labels.get(ZONE, "")


def _slice_keys(old: m.EndpointSlice | None, new: m.EndpointSlice | None) -> Iterable[Key]:
    for one in (old, new):
        name = made_by(one, MANAGER) if one is not None else ""
        if name and one is not None and one.metadata is not None:
            yield Key(one.metadata.namespace or "", name)
