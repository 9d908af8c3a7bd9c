"""Endpoints (pkg/registry/core/endpoint/strategy.go; ValidateEndpoints)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import EndpointAddress, Endpoints, EndpointSubset, core_v1
from kubatch.api.resource import ENDPOINTS
from kubatch.registry.age import age
from kubatch.registry.kinds.podspec.probes import PORT_MAX
from kubatch.registry.kinds.podspec.validation import valid_ip
from kubatch.registry.kinds.rules import between
from kubatch.registry.kinds.service.validation import PROTOCOLS, special_ip
from kubatch.registry.metadata import (
    dns_label_errors,
    dns_subdomain_errors,
    qualified_name_errors,
)
from kubatch.registry.strategy import Column, Row, Strategy

SHOWN_MAX = 3


def shown_list(found: list[str]) -> str:
    """The first few of many, as tables show them."""
    more = len(found) - SHOWN_MAX
    text = ",".join(found[:SHOWN_MAX])
    return f"{text} + {more} more..." if more > 0 else text


class EndpointsStrategy(Strategy[Endpoints]):
    resource = ENDPOINTS
    allows_create_on_update: ClassVar[bool] = True
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Endpoints", description="Addresses that take part."),
        Column("Age", description="Time since the endpoints were created."),
    )

    def default(self, obj: Endpoints) -> None:
        for subset in obj.subsets or ():
            for port in subset.ports or ():
                port.protocol = port.protocol or "TCP"

    def validate_create(self, obj: Endpoints) -> list[Cause]:
        out: list[Cause] = []
        for i, subset in enumerate(obj.subsets or ()):
            _subset(subset, f"subsets[{i}]", out)
        return out

    def validate_update(self, new: Endpoints, old: Endpoints) -> list[Cause]:
        return self.validate_create(new)

    def row(self, obj: Endpoints, now: datetime) -> Row:
        assert obj.metadata is not None
        found = [text for subset in obj.subsets or () for text in _shown(subset)]
        shown = shown_list(found) or "<none>"
        return Row((obj.metadata.name, shown, age(obj.metadata.creationTimestamp, now)))


def _shown(subset: EndpointSubset) -> Iterator[str]:
    """formatEndpoints: every address with every port."""
    for port in subset.ports or [None]:  # type: ignore[list-item]  # a headless Service has none
        for address in subset.addresses or ():
            if port is None:
                yield address.ip
            else:
                host = f"[{address.ip}]" if ":" in address.ip else address.ip
                yield f"{host}:{port.port}"


def _subset(subset: EndpointSubset, path: str, out: list[Cause]) -> None:
    if not subset.addresses and not subset.notReadyAddresses:
        out.append(fields.required(path, "must specify `addresses` or `notReadyAddresses`"))
    for member in ("addresses", "notReadyAddresses"):
        for i, address in enumerate(getattr(subset, member) or ()):
            _address(address, f"{path}.{member}[{i}]", out)
    ports = subset.ports or ()
    for i, port in enumerate(ports):
        _port(port, len(ports) > 1, f"{path}.ports[{i}]", out)


def _address(address: EndpointAddress, path: str, out: list[Cause]) -> None:
    valid_ip(address.ip, f"{path}.ip", out)
    if address.hostname:
        errors = dns_label_errors(address.hostname)
        out += [fields.invalid(f"{path}.hostname", address.hostname, why) for why in errors]
    if address.nodeName is not None:
        errors = dns_subdomain_errors(address.nodeName)
        out += [fields.invalid(f"{path}.nodeName", address.nodeName, why) for why in errors]
    if is_ip(address.ip):
        special_ip(address.ip, f"{path}.ip", out)
    else:
        # It is said twice, as Kubernetes does.
        out.append(fields.invalid(f"{path}.ip", address.ip, "must be a valid IP address"))


def is_ip(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _port(port: core_v1.EndpointPort, named: bool, path: str, out: list[Cause]) -> None:
    if named and not port.name:
        out.append(fields.required(f"{path}.name"))
    elif port.name:
        out += [fields.invalid(f"{path}.name", port.name, w) for w in dns_label_errors(port.name)]
    if not 1 <= port.port <= PORT_MAX:
        out.append(fields.invalid(f"{path}.port", port.port, between(1, PORT_MAX)))
    if not port.protocol:
        out.append(fields.required(f"{path}.protocol"))
    elif port.protocol not in PROTOCOLS:
        out.append(fields.not_supported(f"{path}.protocol", port.protocol, PROTOCOLS))
    if port.appProtocol is not None:
        errors = qualified_name_errors(port.appProtocol)
        out += [fields.invalid(f"{path}.appProtocol", port.appProtocol, w) for w in errors]
