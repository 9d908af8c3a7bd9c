"""What the Endpoints rules look at: a Service, the pods it selects, and the Endpoints there are."""

from __future__ import annotations

from dataclasses import dataclass

from kubatch.api import models as m
from kubatch.api.resource import ENDPOINTS, SERVICES
from kubatch.controllers.endpoints.members import (
    SERVING_PODS,
    Member,
    Triggers,
    members,
    selector_of,
)
from kubatch.reconcile.controller import Key, View


@dataclass(frozen=True, slots=True)
class EndpointsFacts:
    """Everything a decision about one Service's Endpoints depends on."""

    service: m.Service
    namespace: str
    name: str
    members: tuple[Member, ...]
    current: m.Endpoints | None
    last: Triggers


@dataclass(frozen=True, slots=True)
class Orphan:
    """Endpoints whose Service has gone."""

    namespace: str
    name: str
    uid: str


def read(view: View, key: Key, remembered: Triggers | None) -> EndpointsFacts | Orphan | None:
    """The facts under a key; None when its Endpoints are not ours to make."""
    service = view.get(SERVICES, key.namespace, key.name)
    current = view.get(ENDPOINTS, key.namespace, key.name)
    if service is None:
        if current is None or current.metadata is None:
            return None
        return Orphan(key.namespace, key.name, current.metadata.uid or "")
    if selector_of(service) is None:
        return None
    found = members(service, view.indexed(SERVING_PODS, key.namespace))
    last = remembered if remembered is not None else Triggers()
    return EndpointsFacts(service, key.namespace, key.name, found, current, last)
