"""EndpointSlices (pkg/registry/discovery/endpointslice; pkg/apis/discovery/validation)."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import ClassVar

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Endpoint, EndpointPort, EndpointSlice
from kubatch.api.resource import ENDPOINTSLICES
from kubatch.registry.age import age
from kubatch.registry.kinds.endpoints import is_ip, shown_list
from kubatch.registry.kinds.podspec.probes import PORT_MAX
from kubatch.registry.kinds.rules import between, immutable
from kubatch.registry.kinds.service.validation import PROTOCOLS, special_ip
from kubatch.registry.metadata import (
    dns_label_errors,
    dns_subdomain_errors,
    label_causes,
    qualified_name_errors,
)
from kubatch.registry.strategy import Column, Row, Strategy

ENDPOINTS_MAX = 1000
ADDRESSES_MAX = 100
PORTS_MAX = 20_000
TOPOLOGY_LABELS_MAX = 16
_TYPES = ("FQDN", "IPv4", "IPv6")
_IP_SENTENCES = {
    "IPv4": "must be a valid IPv4 address",
    "IPv6": "must be a valid IPv6 address",
}


class EndpointSliceStrategy(Strategy[EndpointSlice]):
    resource = ENDPOINTSLICES
    tracks_generation: ClassVar[bool] = True
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("AddressType", description="The type of address carried by this slice."),
        Column("Ports", description="The ports each endpoint exposes."),
        Column("Endpoints", description="Addresses of the endpoints."),
        Column("Age", description="Time since the slice was created."),
    )

    def default(self, obj: EndpointSlice) -> None:
        for port in obj.ports or ():
            port.name = port.name or ""
            port.protocol = port.protocol or "TCP"

    def spec_changed(self, new: EndpointSlice, old: EndpointSlice) -> bool:
        return (new.addressType, new.endpoints, new.ports) != (
            old.addressType, old.endpoints, old.ports,
        )  # fmt: skip

    def validate_create(self, obj: EndpointSlice) -> list[Cause]:
        out: list[Cause] = []
        if not obj.addressType:
            out.append(fields.required("addressType"))
        elif obj.addressType not in _TYPES:
            out.append(fields.not_supported("addressType", obj.addressType, _TYPES))
        endpoints, ports = obj.endpoints or [], obj.ports or []
        if len(endpoints) > ENDPOINTS_MAX:
            out.append(fields.too_many("endpoints", len(endpoints), ENDPOINTS_MAX))
        else:
            for i, endpoint in enumerate(endpoints):
                _endpoint(endpoint, obj.addressType, f"endpoints[{i}]", out)
        if len(ports) > PORTS_MAX:
            out.append(fields.too_many("ports", len(ports), PORTS_MAX))
        else:
            _ports(ports, out)
        return out

    def validate_update(self, new: EndpointSlice, old: EndpointSlice) -> list[Cause]:
        out = self.validate_create(new)
        immutable(new.addressType, old.addressType, "addressType", out)
        return out

    def row(self, obj: EndpointSlice, now: datetime) -> Row:
        assert obj.metadata is not None
        ports = ["*" if p.port is None else str(p.port) for p in obj.ports or ()]
        addresses = [a for e in obj.endpoints or () for a in e.addresses]
        return Row(
            (
                obj.metadata.name,
                obj.addressType,
                shown_list(ports) or "<unset>",
                shown_list(addresses) or "<unset>",
                age(obj.metadata.creationTimestamp, now),
            )
        )


def _endpoint(endpoint: Endpoint, kind: str, path: str, out: list[Cause]) -> None:
    count, where = len(endpoint.addresses), f"{path}.addresses"
    if not count:
        out.append(fields.required(where, "must contain at least 1 address"))
    elif count > ADDRESSES_MAX:
        out.append(fields.too_many(where, count, ADDRESSES_MAX))
    for i, address in enumerate(endpoint.addresses):
        _address(address, kind, f"{where}[{i}]", out)
    topology = endpoint.deprecatedTopology or {}
    if len(topology) > TOPOLOGY_LABELS_MAX:
        out.append(fields.too_many(f"{path}.topology", len(topology), TOPOLOGY_LABELS_MAX))
    out += label_causes(topology, f"{path}.topology")
    if endpoint.hostname is not None:
        errors = dns_label_errors(endpoint.hostname)
        out += [fields.invalid(f"{path}.hostname", endpoint.hostname, why) for why in errors]
    if endpoint.nodeName is not None:
        errors = dns_subdomain_errors(endpoint.nodeName)
        out += [fields.invalid(f"{path}.nodeName", endpoint.nodeName, why) for why in errors]


def _address(address: str, kind: str, path: str, out: list[Cause]) -> None:
    if kind in _IP_SENTENCES:
        if not is_ip(address) or f"IPv{ipaddress.ip_address(address).version}" != kind:
            out.append(fields.invalid(path, address, _IP_SENTENCES[kind]))
        else:
            special_ip(address, path, out)
    elif kind == "FQDN":
        name = address.removesuffix(".")
        if not name:
            out.append(fields.required(path))
            return
        errors = dns_subdomain_errors(name)
        out += [fields.invalid(path, name, why) for why in errors]
        if not errors and "." not in name:
            why = "should be a domain with at least two segments separated by dots"
            out.append(fields.invalid(path, address, why))


def _ports(ports: list[EndpointPort], out: list[Cause]) -> None:
    names: set[str] = set()
    for i, port in enumerate(ports):
        path, name = f"ports[{i}]", port.name or ""
        if name:
            out += [fields.invalid(f"{path}.name", name, why) for why in dns_label_errors(name)]
        if name in names:
            out.append(fields.duplicate(f"{path}.name", name))
        names.add(name)
        if port.port is not None and not 1 <= port.port <= PORT_MAX:
            out.append(fields.invalid(f"{path}.port", port.port, between(1, PORT_MAX)))
        if port.protocol not in PROTOCOLS:
            out.append(fields.not_supported(f"{path}.protocol", port.protocol or "", PROTOCOLS))
        if port.appProtocol is not None:
            errors = qualified_name_errors(port.appProtocol)
            out += [fields.invalid(f"{path}.appProtocol", port.appProtocol, w) for w in errors]
