"""EndpointSlices for Endpoints that somebody made by hand, for a Service without a selector.

The rules are pkg/controller/endpointslicemirroring: endpointslicemirroring_controller.go,
reconciler.go, utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubatch.api import models as m
from kubatch.api.resource import ENDPOINTS, ENDPOINTSLICES, SERVICES
from kubatch.controllers.endpointslice.facts import made_by
from kubatch.controllers.endpointslicemirroring.decide import decide
from kubatch.controllers.endpointslicemirroring.facts import MANAGER, MIRRORS, MirrorFacts, read
from kubatch.reconcile.controller import Controller, Key


def controller() -> Controller[MirrorFacts]:
    """The record for the engine; a key is Endpoints and the Service of the same name."""
    return Controller(
        name="endpoint-slice-mirroring-controller",
        watches={SERVICES: _key, ENDPOINTS: _key, ENDPOINTSLICES: _slice_keys},
        read=read,
        decide=decide,
        indexes=(MIRRORS,),
        about=ENDPOINTS,
        queue="endpoint_slice_mirroring",
    )


def _key(old: m.Service | m.Endpoints | None, new: m.Service | m.Endpoints | None) -> Iterable[Key]:
    one = new if new is not None else old
    if one is not None and one.metadata is not None:
        yield Key(one.metadata.namespace or "", one.metadata.name or "")


def _slice_keys(old: m.EndpointSlice | None, new: m.EndpointSlice | None) -> Iterable[Key]:
    for one in (old, new):
        name = made_by(one, MANAGER) if one is not None else ""
        if name and one is not None and one.metadata is not None:
            yield Key(one.metadata.namespace or "", name)
