"""What the mirroring rules look at: Endpoints made by hand, and the slices made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubatch.api import models as m
from kubatch.api.owners import controller_of
from kubatch.api.resource import ENDPOINTS, ENDPOINTSLICES, SERVICES
from kubatch.controllers.endpointslice.facts import made_by
from kubatch.reconcile.controller import Index, Key, View

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"


def _service(one: m.EndpointSlice) -> Iterable[str]:
    name, meta = made_by(one, MANAGER), one.metadata
    return (f"{meta.namespace}/{name}",) if name and meta is not None else ()


# The slices that this controller made, by their Service.
MIRRORS = Index("mirrored-endpointslices-by-service", ENDPOINTSLICES, _service)


@dataclass(frozen=True, slots=True)
class MirrorFacts:
    """Endpoints to mirror, or None when what was mirrored before has to go."""

    namespace: str
    name: str
    endpoints: m.Endpoints | None
    slices: tuple[m.EndpointSlice, ...]
    foreign: tuple[m.EndpointSlice, ...]  # those of Endpoints that had the same name


def read(view: View, key: Key, _remembered: object = None) -> MirrorFacts | None:
    """The facts under a key; None when nothing is mirrored nor has to be."""
    endpoints = view.get(ENDPOINTS, key.namespace, key.name)
    service = view.get(SERVICES, key.namespace, key.name)
    spec = service.spec if service is not None else None
    if endpoints is None or not _is_mirrored(endpoints) or spec is None or spec.selector:
        endpoints = None
    slices = view.indexed(MIRRORS, f"{key.namespace}/{key.name}")
    if endpoints is None and not slices:
        return None
    own: list[m.EndpointSlice] = []
    foreign: list[m.EndpointSlice] = []
    uid = endpoints.metadata.uid if endpoints is not None and endpoints.metadata else None
    for one in slices:
        owner = controller_of(one.metadata)
        is_own = uid is None or (owner is not None and owner.uid == uid)
        (own if is_own else foreign).append(one)
    return MirrorFacts(key.namespace, key.name, endpoints, tuple(own), tuple(foreign))


def _is_mirrored(endpoints: m.Endpoints) -> bool:
    """utils.go: skipMirror; endpointslicemirroring_controller.go: shouldMirror."""
    meta = endpoints.metadata or m.ObjectMeta()
    skip = (meta.labels or {}).get(SKIP, "").lower() in ("1", "t", "true")
    return not skip and LEADER not in (meta.annotations or {})
