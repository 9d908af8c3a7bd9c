"""The writes that make a Service's EndpointSlices what they should be.

k8s.io/endpointslice/reconciler.go: Reconcile, with one slice that holds nothing where there is
nothing to hold, so that whoever looks for slices knows that somebody looks after the Service.
"""

from __future__ import annotations

from datetime import datetime

from kubatch.api import models as m
from kubatch.api.models import discovery_v1
from kubatch.api.owners import owner_reference
from kubatch.api.resource import SERVICES
from kubatch.controllers.endpoints.members import (
    HEADLESS,
    TRIGGER_TIME,
    Member,
    go_time,
    has_address,
    trigger,
    triggers,
)
from kubatch.controllers.endpointslice.facts import MANAGER, SliceFacts
from kubatch.controllers.endpointslice.plan import Change, Group, Plan, group_of, in_order, plan
from kubatch.controllers.endpointslice.writes import MANAGED_BY, SERVICE_NAME, Origin, stages
from kubatch.reconcile.decision import Decision, Note

ENDPOINTS_MAX = 100  # --max-endpoints-per-slice
_RESERVED = (SERVICE_NAME, MANAGED_BY, HEADLESS)


def decide(facts: SliceFacts, now: datetime) -> Decision:
    """Make, change and delete slices."""
    memory = triggers(facts.service, facts.members)
    if facts.deleting:  # no slice is made for a Service that goes; its slices go with it
        return Decision("is being deleted: its slices go with it", remember=memory)
    made = plan(facts.slices, desired(facts), ENDPOINTS_MAX)
    _hold_the_place(facts, made)
    made.delete += facts.foreign
    moment = trigger(facts.service, facts.members, facts.last)
    origin = Origin(
        facts.namespace,
        facts.name,
        owner_reference(facts.service, SERVICES),
        _labels(facts.service),
        {TRIGGER_TIME: go_time(moment)} if moment is not None else {},
        Note(
            "Warning",
            "FailedToUpdateEndpointSlices",
            f"Error updating Endpoint Slices for Service {facts.namespace}/{facts.name}: {{error}}",
        ),
    )
    todo = stages(made, origin)
    count = len(facts.members)
    because = f"its slices {'do not hold' if todo else 'hold'} its {count} pods"
    numbers = {"pods": count, "slices": len(facts.slices)}
    return Decision(because, todo, None, facts.service, memory, numbers)


def _hold_the_place(facts: SliceFacts, made: Plan) -> None:
    """Where nothing would be left there is one slice that holds nothing."""
    if made.create or made.update or made.unchanged:
        return
    families = (facts.service.spec and facts.service.spec.ipFamilies) or ["IPv4"]
    empty: Group = (families[0], ())
    there = next((o for o in made.delete if group_of(o) == empty and not o.endpoints), None)
    if there is not None:
        made.delete.remove(there)
        made.unchanged.append(there)
        return
    reused = next((one for one in made.delete if one.addressType == empty[0]), None)
    if reused is not None:
        made.delete.remove(reused)
        made.update.append((reused, Change(empty, ())))
    else:
        made.create.append(Change(empty, ()))


def _labels(service: m.Service) -> dict[str, str]:
    """utils.go: setEndpointSliceLabels."""
    own = (service.metadata.labels if service.metadata is not None else None) or {}
    labels = {key: value for key, value in own.items() if key not in _RESERVED}
    if not has_address(service):
        labels[HEADLESS] = ""
    assert service.metadata is not None
    return {**labels, SERVICE_NAME: service.metadata.name or "", MANAGED_BY: MANAGER}


def desired(facts: SliceFacts) -> dict[Group, list[m.Endpoint]]:
    """The endpoints there should be, by what those of one slice share."""
    spec = facts.service.spec
    assert spec is not None
    unready_too = bool(spec.publishNotReadyAddresses)
    result: dict[Group, list[m.Endpoint]] = {}
    for member in sorted(facts.members, key=lambda one: one.name):
        # A pod of a node that has gone is about to go, too, and leads nowhere meanwhile.
        if member.node and member.node not in facts.zones and not unready_too:
            continue
        for family in spec.ipFamilies or ["IPv4"]:
            addresses = [a for a in member.addresses if _family(a) == family]
            if addresses:
                endpoint = _endpoint(member, addresses, facts.zones, unready_too=unready_too)
                result.setdefault((family, in_order(member.ports)), []).append(endpoint)
    return result


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _endpoint(
    member: Member, addresses: list[str], zones: dict[str, str], *, unready_too: bool
) -> m.Endpoint:
    """utils.go: podToEndpoint."""
    return m.Endpoint(
        addresses=addresses,
        conditions=discovery_v1.EndpointConditions(
            ready=unready_too or (member.ready and not member.terminating),
            serving=member.ready,
            terminating=member.terminating,
        ),
        hostname=member.hostname or None,
        nodeName=member.node or None,
        zone=zones.get(member.node) or None,
        targetRef=m.ObjectReference(
            kind="Pod", namespace=member.namespace, name=member.name, uid=member.uid
        ),
    )
