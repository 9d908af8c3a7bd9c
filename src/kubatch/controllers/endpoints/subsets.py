"""Addresses grouped by the ports they share (pkg/api/v1/endpoints/util.go: RepackSubsets)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.models import core_v1
from kubatch.controllers.endpoints.members import Member, Port

ADDRESSES_MAX = 1000  # endpoints_controller.go: maxCapacity


def pack(
    found: Iterable[Member], *, also_unready: bool, without_ports: bool
) -> list[m.EndpointSubset]:
    """The subsets of a Service: as few as there are different sets of addresses per port.

    `also_unready` publishes pods that are not ready as if they were; pods on their way out come
    only then. `without_ports` lists pods under no port at all.
    """
    by_port: dict[Port | None, list[Member]] = {}
    for member in found:
        if not member.terminating or also_unready:
            ports: Sequence[Port | None] = (None,) if without_ports else member.ports
            for port in dict.fromkeys(ports):
                by_port.setdefault(port, []).append(member)
    ports_of: dict[tuple[str, ...], list[Port]] = {}
    members_of: dict[tuple[str, ...], list[Member]] = {}
    for port, those in by_port.items():
        key = tuple(sorted(one.uid for one in those))
        members_of[key] = those
        ports_of.setdefault(key, []).extend([port] if port is not None else [])
    packed = (_subset(members_of[key], ports, also_unready) for key, ports in ports_of.items())
    return sorted(packed, key=_order)


def _subset(those: list[Member], ports: list[Port], also_unready: bool) -> m.EndpointSubset:
    those = sorted(those, key=lambda one: (one.addresses[0], one.uid))
    ready = [_address(one) for one in those if one.ready or also_unready]
    unready = [_address(one) for one in those if not (one.ready or also_unready)]
    made = [_port(port) for port in sorted(ports, key=lambda p: (p.name, p.port or 0, p.protocol))]
    return m.EndpointSubset(
        addresses=ready or None, notReadyAddresses=unready or None, ports=made or None
    )


def _order(subset: m.EndpointSubset) -> tuple[list[tuple[str, int, str]], list[str]]:
    ports = [(port.name or "", port.port, port.protocol or "") for port in subset.ports or ()]
    both = (*(subset.addresses or ()), *(subset.notReadyAddresses or ()))
    return ports, [address.ip for address in both]


def _address(member: Member) -> m.EndpointAddress:
    return m.EndpointAddress(
        ip=member.addresses[0],
        hostname=member.hostname or None,
        nodeName=member.node or None,
        targetRef=m.ObjectReference(
            kind="Pod", namespace=member.namespace, name=member.name, uid=member.uid
        ),
    )


def _port(port: Port) -> core_v1.EndpointPort:
    return core_v1.EndpointPort(
        name=port.name or None,
        port=port.port or 0,
        protocol=port.protocol,
        appProtocol=port.app_protocol,
    )


def cut(subsets: list[m.EndpointSubset]) -> tuple[list[m.EndpointSubset], bool]:
    """At most ADDRESSES_MAX addresses, ready ones first; whether some had to go.

    endpoints_controller.go: truncateEndpoints. Each subset keeps its share, rounded up.
    """
    ready = sum(len(subset.addresses or ()) for subset in subsets)
    unready = sum(len(subset.notReadyAddresses or ()) for subset in subsets)
    if ready + unready <= ADDRESSES_MAX:
        return subsets, False
    cuts_ready = ready > ADDRESSES_MAX
    room = ADDRESSES_MAX if cuts_ready else ADDRESSES_MAX - ready
    total, left = (ready, room) if cuts_ready else (unready, room)
    result = []
    for subset in subsets:
        those = (subset.addresses if cuts_ready else subset.notReadyAddresses) or []
        kept = those[: min(ceil(len(those) / total * room), left)]
        left -= len(kept)
        if cuts_ready:
            result.append(replace(subset, addresses=kept or None, notReadyAddresses=None))
        else:
            result.append(replace(subset, notReadyAddresses=kept or None))
    return [one for one in result if one.addresses or one.notReadyAddresses], True
