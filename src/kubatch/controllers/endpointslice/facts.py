"""What the EndpointSlice rules look at: a Service, its pods, their nodes' zones, the slices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubatch.api import models as m
from kubatch.api.owners import controller_of
from kubatch.api.resource import ENDPOINTSLICES, NODES, SERVICES
from kubatch.controllers.endpoints.members import (
    SERVING_PODS,
    Member,
    Triggers,
    members,
    selector_of,
)
from kubatch.controllers.endpointslice.writes import MANAGED_BY, SERVICE_NAME
from kubatch.reconcile.controller import Index, Key, View

MANAGER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"


def made_by(one: m.EndpointSlice, manager: str) -> str:
    """The name of the Service a slice belongs to, if this controller made it; else ""."""
    labels = (one.metadata.labels if one.metadata is not None else None) or {}
    return labels.get(SERVICE_NAME, "") if labels.get(MANAGED_BY) == manager else ""


def _service(one: m.EndpointSlice) -> Iterable[str]:
    name, meta = made_by(one, MANAGER), one.metadata
    return (f"{meta.namespace}/{name}",) if name and meta is not None else ()


# The slices that this controller made, by their Service.
OWN_SLICES = Index("endpointslices-by-service", ENDPOINTSLICES, _service)


@dataclass(frozen=True, slots=True)
class SliceFacts:
    """Everything a decision about one Service's slices depends on."""

    service: m.Service
    namespace: str
    name: str
    deleting: bool
    members: tuple[Member, ...]
    zones: dict[str, str]  # of the nodes there are, by name; "" where it has none
    slices: tuple[m.EndpointSlice, ...]
    foreign: tuple[m.EndpointSlice, ...]  # those of a Service that had the same name
    last: Triggers


def read(view: View, key: Key, remembered: Triggers | None) -> SliceFacts | None:
    """The facts under a key; None when its slices are not ours to make."""
    service = view.get(SERVICES, key.namespace, key.name)
    if service is None or service.metadata is None or selector_of(service) is None:
        return None
    found = members(service, view.indexed(SERVING_PODS, key.namespace))
    zones = {}
    for name in dict.fromkeys(member.node for member in found if member.node):
        node = view.get(NODES, None, name)
        if node is not None and node.metadata is not None:
            zones[name] = (node.metadata.labels or {}).get(ZONE, "")
    uid = service.metadata.uid or ""
    own: list[m.EndpointSlice] = []
    foreign: list[m.EndpointSlice] = []
    for one in view.indexed(OWN_SLICES, f"{key.namespace}/{key.name}"):
        owner = controller_of(one.metadata)
        (own if owner is not None and owner.uid == uid else foreign).append(one)
    last = remembered if remembered is not None else Triggers()
    deleting = service.metadata.deletionTimestamp is not None
    return SliceFacts(
        service, key.namespace, key.name, deleting, found, zones, tuple(own), tuple(foreign), last
    )
