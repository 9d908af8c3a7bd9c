"""Where to listen for a Service, and where what arrives there goes. Pure.

The rules are those of kube-proxy (pkg/proxy/topology.go: CategorizeEndpoints), for addresses that
are all this machine's own.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from kubatch.api import models as m

SERVICE_NAME = "kubernetes.io/service-name"
AFFINITY_SECONDS = 10_800  # v1.DefaultClientIPServiceAffinitySeconds

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, order=True)
class Listen:
    """An address to listen on."""

    protocol: str  # TCP or UDP
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Route:
    """From one address to those of the ready endpoints; never to none."""

    listen: Listen
    backends: tuple[Address, ...]
    sticky_seconds: int | None  # a client stays with its endpoint; None: the next one's turn
    service: str  # namespace/name, for messages
    # An endpoint is, or will be, on the same port of this machine. A program that listens on all
    # addresses has the Service's, too, and could not start if we had it.
    shared: bool


def service_key(one: m.EndpointSlice) -> str:
    """namespace/name of the Service that a slice belongs to; "" when it says none."""
    meta = one.metadata or m.ObjectMeta()
    name = (meta.labels or {}).get(SERVICE_NAME, "")
    return f"{meta.namespace}/{name}" if name else ""


def routes(
    service: m.Service,
    slices: Iterable[m.EndpointSlice],
    node_address: str,
    local: Container[str] = (),
) -> list[Route]:
    """All routes of a Service; `node_address` is where node ports are listened on.

    `local` are addresses of this machine beside the loopback ones.

    A port without endpoints has none: nobody listens there, so that clients are refused at once.
    """
    spec, meta = service.spec, service.metadata or m.ObjectMeta()
    if spec is None or spec.type == "ExternalName" or spec.clusterIP in (None, "", "None"):
        return []
    name = f"{meta.namespace}/{meta.name}"
    seconds = _sticky_seconds(spec)
    known = list(slices)
    found = []
    for port in spec.ports or ():
        protocol = port.protocol or "TCP"
        if protocol not in ("TCP", "UDP"):
            continue
        backends, local_ports = _endpoints(known, port.name or "", protocol, local)
        if not backends:
            continue
        places = [(ip, port.port) for ip in spec.clusterIPs or [spec.clusterIP or ""]]
        if port.nodePort:
            places.append((node_address, port.nodePort))
        found += [
            Route(Listen(protocol, *place), backends, seconds, name, place[1] in local_ports)
            for place in places
        ]
    return found


def _sticky_seconds(spec: m.ServiceSpec) -> int | None:
    if spec.sessionAffinity != "ClientIP":
        return None
    config = spec.sessionAffinityConfig
    client = config.clientIP if config is not None else None
    seconds = client.timeoutSeconds if client is not None else None
    return AFFINITY_SECONDS if seconds is None else seconds


def _endpoints(
    slices: Sequence[m.EndpointSlice], name: str, protocol: str, local: Container[str]
) -> tuple[tuple[Address, ...], set[int]]:
    """The addresses to use for a port, and on which ports of this machine endpoints are.

    Two pods that share an address are one place to go to. Where none is ready, those that still
    serve while they end are better than nobody.
    """
    ready: dict[Address, None] = {}
    ending: dict[Address, None] = {}
    local_ports: set[int] = set()
    for one in slices:
        if one.addressType == "FQDN":
            continue  # names lead nowhere here, as in kube-proxy
        for port in one.ports or ():
            if (port.name or "", port.protocol or "TCP") != (name, protocol) or port.port is None:
                continue
            for endpoint in one.endpoints or ():
                place = (endpoint.addresses[0], port.port)
                if _is_loopback(place[0]) or place[0] in local:
                    local_ports.add(port.port)
                state = endpoint.conditions
                if state is None or state.ready is not False:
                    ready[place] = None
                elif state.serving and state.terminating:
                    ending[place] = None
    return tuple(sorted(ready or ending)), local_ports


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"
