"""Endpoints dealt out over slices with as few writes as can be.

k8s.io/endpointslice/reconciler.go: reconcileByPortMapping, finalize. A slice that is right stays;
one that has to change is filled up; what is left goes into one other slice if it all fits there,
else into new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kubatch.api import models as m
from kubatch.controllers.endpoints.members import Port

Ports = tuple[Port, ...]
Group = tuple[str, Ports]  # address type, ports: what all endpoints of a slice share
Identity = tuple[tuple[str, ...], str, str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """What a slice is to hold."""

    group: Group
    endpoints: tuple[m.Endpoint, ...]


@dataclass(slots=True)
class Plan:
    """The slices to make, to change and to delete."""

    create: list[Change] = field(default_factory=list)
    update: list[tuple[m.EndpointSlice, Change]] = field(default_factory=list)
    delete: list[m.EndpointSlice] = field(default_factory=list)
    unchanged: list[m.EndpointSlice] = field(default_factory=list)


def group_of(one: m.EndpointSlice) -> Group:
    """What the endpoints of a slice share."""
    ports = [
        Port(p.name or "", p.port, p.protocol or "TCP", p.appProtocol) for p in one.ports or ()
    ]
    return one.addressType, in_order(ports)


def in_order(ports: Iterable[Port]) -> Ports:
    """Ports in an order of their own, so that equal sets are equal."""
    return tuple(sorted(set(ports), key=lambda p: (p.name, p.port or 0, p.protocol)))


def identity(endpoint: m.Endpoint) -> Identity:
    """What makes an endpoint the same one as before (utils.go: endpointHash)."""
    ref = endpoint.targetRef or m.ObjectReference()
    addresses = tuple(sorted(endpoint.addresses))
    return addresses, endpoint.hostname or "", ref.namespace or "", ref.name or ""


def plan(
    slices: Sequence[m.EndpointSlice],
    desired: Mapping[Group, Sequence[m.Endpoint]],
    endpoints_max: int,
) -> Plan:
    """The writes that lead from the slices there are to the endpoints there should be."""
    result = Plan()
    by_group: dict[Group, list[m.EndpointSlice]] = {}
    for one in slices:
        group = group_of(one)
        if desired.get(group):
            by_group.setdefault(group, []).append(one)
        else:
            result.delete.append(one)
    for group, endpoints in desired.items():
        if endpoints:
            _deal(by_group.get(group, []), group, endpoints, endpoints_max, result)
    _reuse(result)
    return result


def _deal(
    slices: list[m.EndpointSlice],
    group: Group,
    desired: Sequence[m.Endpoint],
    endpoints_max: int,
    result: Plan,
) -> None:
    waiting = {identity(endpoint): endpoint for endpoint in desired}
    changed: list[tuple[m.EndpointSlice, list[m.Endpoint]]] = []
    same: list[m.EndpointSlice] = []
    for one in slices:
        kept, is_changed = _keep(one, waiting)
        if not kept:
            result.delete.append(one)
        elif is_changed:
            changed.append((one, kept))
        else:
            same.append(one)
    left = list(waiting.values())
    for _, kept in sorted(changed, key=lambda pair: -len(pair[1])):
        room = endpoints_max - len(kept)
        kept += left[:room]
        left = left[room:]
    while left:
        fitting = _closest(same, len(left), endpoints_max) if len(left) < endpoints_max else None
        if fitting is None:
            result.create.append(Change(group, tuple(left[:endpoints_max])))
            left = left[endpoints_max:]
        else:
            same.remove(fitting)
            changed.append((fitting, [*(fitting.endpoints or ()), *left]))
            left = []
    result.update += [(one, Change(group, tuple(kept))) for one, kept in changed]
    result.unchanged += same


def _keep(
    one: m.EndpointSlice, waiting: dict[Identity, m.Endpoint]
) -> tuple[list[m.Endpoint], bool]:
    """The endpoints of a slice that stay, as they are now, and whether that changes it."""
    kept, changed = [], False
    for endpoint in one.endpoints or ():
        wanted = waiting.pop(identity(endpoint), None)
        if wanted is not None:
            kept.append(wanted)
        changed = changed or wanted != endpoint
    return kept, changed


def _closest(
    slices: list[m.EndpointSlice], count: int, endpoints_max: int
) -> m.EndpointSlice | None:
    """The fullest slice that has room for so many more (utils.go: getSliceToFill)."""
    fitting = [one for one in slices if len(one.endpoints or ()) + count <= endpoints_max]
    return max(fitting, key=lambda one: len(one.endpoints or ()), default=None)


def _reuse(result: Plan) -> None:
    """A slice to be deleted becomes one that was to be made; its address type cannot change."""
    for one in list(result.delete):
        made = next((c for c in result.create if c.group[0] == one.addressType), None)
        if made is not None:
            result.delete.remove(one)
            result.create.remove(made)
            result.update.append((one, made))
