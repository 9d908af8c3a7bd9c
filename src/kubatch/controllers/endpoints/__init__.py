"""The Endpoints of every Service with a selector: facts.py reads, subsets.py groups, decide.py.

The rules are pkg/controller/endpoint/endpoints_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubatch.api import models as m
from kubatch.api.resource import ENDPOINTS, PODS, SERVICES
from kubatch.controllers.endpoints.decide import MANAGED_BY, MANAGER, decide
from kubatch.controllers.endpoints.facts import EndpointsFacts, Orphan, read
from kubatch.controllers.endpoints.members import SERVING_PODS, Selectors
from kubatch.reconcile.controller import Controller, Key


def controller() -> Controller[EndpointsFacts | Orphan]:
    """The record for the engine; a key is a Service, or Endpoints that have none."""
    selectors = Selectors()
    return Controller(
        name="endpoint-controller",
        watches={
            SERVICES: selectors.service_keys,
            PODS: selectors.pod_keys,
            ENDPOINTS: _endpoints_keys,
        },
        read=read,
        decide=decide,
        indexes=(SERVING_PODS,),
        about=SERVICES,
        queue="endpoint",
    )


def _endpoints_keys(old: m.Endpoints | None, new: m.Endpoints | None) -> Iterable[Key]:
    """Those that we made and somebody changed or deleted, and those left from an earlier life."""
    known = new if new is not None else old
    if known is None or known.metadata is None:
        return
    if new is None or (known.metadata.labels or {}).get(MANAGED_BY) == MANAGER:
        yield Key(known.metadata.namespace or "", known.metadata.name or "")
