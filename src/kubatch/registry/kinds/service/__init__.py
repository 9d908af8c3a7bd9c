"""Services: what may be stored, and how they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar

from kubatch.api import fields as paths
from kubatch.api.errors import Cause
from kubatch.api.models import LoadBalancerStatus, Service, ServiceSpec, ServiceStatus
from kubatch.api.resource import SERVICES
from kubatch.registry.age import age
from kubatch.registry.kinds.rules import format_labels
from kubatch.registry.kinds.service.defaults import both_forms, carry_over, default_service
from kubatch.registry.kinds.service.validation import (
    dns1035_errors,
    validate_service,
    validate_service_status,
    validate_service_update,
)
from kubatch.registry.strategy import Column, Row, Strategy

__all__ = ["ServiceStrategy"]


def _spec(name: str) -> Callable[[Service], str]:
    return lambda service: getattr(service.spec, name, None) or ""


class ServiceStrategy(Strategy[Service]):
    """pkg/registry/core/service/strategy.go; addresses are given out by registry/addresses."""

    resource = SERVICES
    allows_create_on_update: ClassVar[bool] = True
    fields: Mapping[str, Callable[[Service], str]] = {
        "spec.clusterIP": _spec("clusterIP"),
        "spec.type": _spec("type"),
    }
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Type", description="How the Service is exposed."),
        Column("Cluster-IP", description="The IP address of the Service."),
        Column("External-IP", description="Where the Service is reached from outside."),
        Column("Port(s)", description="The ports the Service exposes."),
        Column("Age", description="Time since the Service was created."),
        Column("Selector", priority=1, description="Which pods the Service leads to."),
    )

    def validate_name(self, name: str) -> list[str]:
        return dns1035_errors(name)

    def default(self, obj: Service) -> None:
        default_service(obj)

    def prepare_create(self, obj: Service) -> None:
        obj.status = ServiceStatus(loadBalancer=LoadBalancerStatus())
        if obj.spec is not None:
            both_forms(obj.spec)

    def validate_create(self, obj: Service) -> list[Cause]:
        if obj.spec is None:
            return [paths.required("spec.ports")]
        return validate_service(obj, obj.spec)

    def prepare_update(self, new: Service, old: Service) -> None:
        new.status = old.status
        if new.spec is not None and old.spec is not None:
            carry_over(new.spec, old.spec)

    def validate_update(self, new: Service, old: Service) -> list[Cause]:
        if new.spec is None:
            return [paths.required("spec.ports")]
        was = old.spec or ServiceSpec()
        return validate_service_update(new.spec, was) + validate_service(new, new.spec)

    def prepare_status_update(self, new: Service, old: Service) -> None:
        new.spec = old.spec

    def validate_status_update(self, new: Service, old: Service) -> list[Cause]:
        return validate_service_status(new, old.spec or ServiceSpec())

    def row(self, obj: Service, now: datetime) -> Row:
        """printers.go: printService."""
        assert obj.metadata is not None
        spec = obj.spec or ServiceSpec()
        ips = [ip for ip in spec.clusterIPs or () if ip] or [spec.clusterIP or ""]
        return Row(
            (
                obj.metadata.name,
                spec.type or "",
                ips[0] or "<none>",
                _external(obj, spec),
                _ports(spec),
                age(obj.metadata.creationTimestamp, now),
                format_labels(spec.selector),
            )
        )


def _external(service: Service, spec: ServiceSpec) -> str:
    """getServiceExternalIP."""
    if spec.type == "ExternalName":
        return spec.externalName or ""
    ips = list(spec.externalIPs or ())
    if spec.type != "LoadBalancer":
        return ",".join(ips) or "<none>"
    balancer = service.status.loadBalancer if service.status is not None else None
    ingress = (balancer.ingress if balancer is not None else None) or ()
    found = sorted({i.ip or i.hostname or "" for i in ingress} - {""})
    return ",".join([*found, *ips]) or "<pending>"


def _ports(spec: ServiceSpec) -> str:
    """makePortString."""
    pieces = [
        f"{p.port}:{p.nodePort}/{p.protocol}" if p.nodePort else f"{p.port}/{p.protocol}"
        for p in spec.ports or ()
    ]
    return ",".join(pieces) or "<none>"
