"""The writes that make slices out of Endpoints (endpointslicemirroring/reconciler.go)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import datetime

from kubatch.api import models as m
from kubatch.api.models import discovery_v1
from kubatch.api.owners import owner_reference
from kubatch.api.resource import ENDPOINTS
from kubatch.controllers.endpoints.members import Port
from kubatch.controllers.endpointslice.plan import Group, Plan, in_order, plan
from kubatch.controllers.endpointslice.writes import MANAGED_BY, SERVICE_NAME, Origin, stages
from kubatch.controllers.endpointslicemirroring.facts import MANAGER, MirrorFacts
from kubatch.reconcile.decision import Decision, Note

# --mirroring-max-endpoints-per-subset: of each subset no more are mirrored
ENDPOINTS_MAX = 1000
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def decide(facts: MirrorFacts, now: datetime) -> Decision:
    """Make, change and delete slices."""
    if facts.endpoints is None:
        origin = Origin(facts.namespace, facts.name, m.OwnerReference("", "", "", ""), {})
        todo = stages(Plan(delete=[*facts.slices, *facts.foreign]), origin)
        return Decision("is not mirrored any more: deletes its slices", todo)
    made = plan(facts.slices, desired(facts.endpoints), ENDPOINTS_MAX)
    made.delete += facts.foreign
    todo = stages(made, _origin(facts, facts.endpoints))
    because = "its slices are not as it is: writes them" if todo else "its slices are as it is"
    return Decision(because, todo, subject=facts.endpoints)


def _origin(facts: MirrorFacts, endpoints: m.Endpoints) -> Origin:
    """utils.go: newEndpointSlice. What kubectl notes about Endpoints is none of the slices'."""
    meta = endpoints.metadata or m.ObjectMeta()
    annotations = {k: v for k, v in (meta.annotations or {}).items() if k != _LAST_APPLIED}
    labels = {**(meta.labels or {}), SERVICE_NAME: facts.name, MANAGED_BY: MANAGER}
    owner = owner_reference(endpoints, ENDPOINTS)
    text = f"Error updating EndpointSlices for Endpoints {facts.namespace}/{facts.name}: {{error}}"
    failed = Note("Warning", "FailedToUpdateEndpointSlices", text)
    return Origin(facts.namespace, facts.name, owner, labels, annotations, failed)


def desired(endpoints: m.Endpoints) -> dict[Group, list[m.Endpoint]]:
    """The endpoints of all subsets, by address family and ports."""
    result: dict[Group, list[m.Endpoint]] = {}
    for subset in endpoints.subsets or ():
        ports = in_order(
            Port(p.name or "", p.port, p.protocol or "TCP", p.appProtocol)
            for p in subset.ports or ()
        )
        for count, (address, ready) in enumerate(_addresses(subset)):
            if count == ENDPOINTS_MAX:
                break
            family = f"IPv{ipaddress.ip_address(address.ip).version}"
            result.setdefault((family, ports), []).append(_endpoint(address, ready=ready))
    return result


def _addresses(subset: m.EndpointSubset) -> Iterator[tuple[m.EndpointAddress, bool]]:
    for address in subset.addresses or ():
        yield address, True
    for address in subset.notReadyAddresses or ():
        yield address, False


def _endpoint(address: m.EndpointAddress, *, ready: bool) -> m.Endpoint:
    """utils.go: addressToEndpoint."""
    return m.Endpoint(
        addresses=[address.ip],
        conditions=discovery_v1.EndpointConditions(ready=ready),
        hostname=address.hostname or None,
        nodeName=address.nodeName,
        targetRef=address.targetRef,
    )
