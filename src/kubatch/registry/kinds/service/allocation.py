"""Addresses and ports of Services: which are taken, and what a Service lacks; pure but for chance.

pkg/registry/core/service/storage/alloc.go; ipallocator; portallocator. The range lies in 127/8, so
that every address in it is this machine's own and a Service can be served here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Service, ServiceSpec
from kubatch.world import Rng

RANGE = ipaddress.IPv4Network("127.96.0.0/12")
# The first of the range belongs to the Service `kubernetes`.
KUBERNETES_ADDRESS = str(RANGE[1])
# Those below are left to people who choose an address themselves
# (ipallocator: calculateRangeOffset).
_CHOSEN_BY_HAND = 256
NODE_PORTS = range(30000, 32768)
NONE = "None"
_FAMILIES = ("IPv4", "IPv6")


@dataclass(frozen=True, slots=True)
class Taken:
    """Who has which address, and which port of which protocol on every node."""

    addresses: frozenset[tuple[str, str]] = frozenset()  # uid, address
    ports: frozenset[tuple[str, str, int]] = frozenset()  # uid, protocol, port

    def __or__(self, other: Taken) -> Taken:
        return Taken(self.addresses | other.addresses, self.ports | other.ports)

    def __sub__(self, other: Taken) -> Taken:
        return Taken(self.addresses - other.addresses, self.ports - other.ports)

    def without(self, service: Service) -> Taken:
        """What everybody else has."""
        uid = _uid(service)
        return Taken(
            frozenset(a for a in self.addresses if a[0] != uid),
            frozenset(p for p in self.ports if p[0] != uid),
        )


def taken(services: Iterable[Service], but: Service | None = None) -> Taken:
    """What these Services have, leaving one out."""
    addresses: set[tuple[str, str]] = set()
    ports: set[tuple[str, str, int]] = set()
    left_out = _uid(but) if but is not None else None
    for service in services:
        uid, spec = _uid(service), service.spec
        if spec is None or uid == left_out:
            continue
        addresses.update((uid, ip) for ip in spec.clusterIPs or () if ip != NONE)
        for port in spec.ports or ():
            if port.nodePort:
                ports.add((uid, port.protocol or "TCP", port.nodePort))
        if spec.healthCheckNodePort:
            ports.add((uid, "TCP", spec.healthCheckNodePort))
    return Taken(frozenset(addresses), frozenset(ports))


def _uid(service: Service) -> str:
    return (service.metadata.uid if service.metadata is not None else None) or ""


def needs_address(spec: ServiceSpec) -> bool:
    """Whether a Service has an address of its own, or says that it has none."""
    return spec.type != "ExternalName"


def needs_node_ports(spec: ServiceSpec) -> bool:
    """Whether every node is to listen for a Service."""
    if spec.type == "LoadBalancer":
        return spec.allocateLoadBalancerNodePorts is not False
    return spec.type == "NodePort"


def needs_health_check(spec: ServiceSpec) -> bool:
    """Whether a load balancer asks nodes if they have endpoints."""
    return spec.type == "LoadBalancer" and spec.externalTrafficPolicy == "Local"


def allocate(service: Service, others: Taken, rng: Rng) -> list[Cause]:
    """Fill in families, address and ports; what cannot be had. Changes the Service."""
    spec = service.spec
    if spec is None or not needs_address(spec):
        return []
    causes = _families(spec)
    if causes:
        return causes
    _address(spec, {ip for _, ip in others.addresses}, rng, causes)
    if not causes:
        _ports(spec, {(protocol, port) for _, protocol, port in others.ports}, rng, causes)
    return causes


def _families(spec: ServiceSpec) -> list[Cause]:
    """initIPFamilyFields, where there is IPv4 and nothing else."""
    headless = spec.clusterIPs == [NONE]
    if headless and not spec.selector:
        # Whoever writes the endpoints of such a Service may write those of both families.
        spec.ipFamilyPolicy = spec.ipFamilyPolicy or "RequireDualStack"
        first = spec.ipFamilies or ["IPv4"]
        if spec.ipFamilyPolicy != "SingleStack":
            first = [*first, *(f for f in _FAMILIES if f not in first)]
        spec.ipFamilies = first
        return []
    if spec.ipFamilyPolicy == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        return [fields.invalid("spec.ipFamilyPolicy", spec.ipFamilyPolicy, why)]
    for i, family in enumerate(spec.ipFamilies or ()):
        if family != "IPv4":
            why = "not configured on this cluster"
            return [fields.invalid(f"spec.ipFamilies[{i}]", family, why)]
    spec.ipFamilyPolicy = spec.ipFamilyPolicy or "SingleStack"
    spec.ipFamilies = ["IPv4"]
    return []


def _address(spec: ServiceSpec, others: set[str], rng: Rng, out: list[Cause]) -> None:
    if spec.clusterIPs == [NONE]:
        return
    if spec.clusterIPs:
        for ip in spec.clusterIPs:
            why = ""
            if ipaddress.ip_address(ip) not in RANGE:
                why = "the provided network does not match the current range"
            elif ip in others:
                why = "provided IP is already allocated"
            if why:
                why = f"failed to allocate IP {ip}: {why}"
                out.append(fields.invalid("spec.clusterIPs", spec.clusterIPs, why))
        return
    # The last one is the network's broadcast address.
    chosen = _free(range(_CHOSEN_BY_HAND + 1, RANGE.num_addresses - 1), others, rng)
    spec.clusterIP = chosen
    spec.clusterIPs = [chosen]


def _free(offsets: range, others: set[str], rng: Rng) -> str:
    start = rng.randrange(len(offsets))
    # There are over a million addresses, and never so many Services.
    return next(
        ip
        for i in range(len(offsets))
        if (ip := str(RANGE[offsets[(start + i) % len(offsets)]])) not in others
    )


def _ports(spec: ServiceSpec, others: set[tuple[str, int]], rng: Rng, out: list[Cause]) -> None:
    wanted = needs_node_ports(spec)
    for i, port in enumerate(spec.ports or ()):
        protocol = port.protocol or "TCP"
        if port.nodePort:
            why = ""
            if port.nodePort not in NODE_PORTS:
                why = (
                    "provided port is not in the valid range. The range of valid ports is "
                    f"{NODE_PORTS[0]}-{NODE_PORTS[-1]}"
                )
            elif (protocol, port.nodePort) in others:
                why = "provided port is already allocated"
            if why:
                out.append(fields.invalid(f"spec.ports[{i}].nodePort", port.nodePort, why))
            others.add((protocol, port.nodePort))
    for i, port in enumerate(spec.ports or ()):
        if wanted and not port.nodePort:
            where = f"spec.ports[{i}].nodePort"
            port.nodePort = _free_port(port.protocol or "TCP", others, rng, where, out)
    if needs_health_check(spec) and not spec.healthCheckNodePort:
        where = "spec.healthCheckNodePort"
        spec.healthCheckNodePort = _free_port("TCP", others, rng, where, out)


def _free_port(
    protocol: str, others: set[tuple[str, int]], rng: Rng, path: str, out: list[Cause]
) -> int | None:
    start = rng.randrange(len(NODE_PORTS))
    for i in range(len(NODE_PORTS)):
        port = NODE_PORTS[(start + i) % len(NODE_PORTS)]
        if (protocol, port) not in others:
            others.add((protocol, port))
            return port
    why = "failed to allocate a nodePort: range is full"
    out.append(fields.invalid(path, 0, why))
    return None
