"""Defaults of a Service, and what an update that leaves something out means.

pkg/apis/core/v1/defaults.go: SetDefaults_Service; pkg/registry/core/service/strategy.go and
storage/storage.go: normalizeClusterIPs, patchAllocatedValues, dropTypeDependentFields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubatch.api.models import Service, ServicePort, ServiceSpec, core_v1
from kubatch.registry.kinds.service.allocation import (
    NONE,
    needs_address,
    needs_health_check,
    needs_node_ports,
)

AFFINITY_SECONDS = 10800


def externally_accessible(spec: ServiceSpec) -> bool:
    """Whether anything outside can reach a Service (apiservice.ExternallyAccessible)."""
    return spec.type in ("LoadBalancer", "NodePort") or bool(
        spec.type == "ClusterIP" and spec.externalIPs
    )


def default_service(service: Service) -> None:
    """Fill in everything but addresses and node ports."""
    spec = service.spec
    if spec is None:
        return
    spec.sessionAffinity = spec.sessionAffinity or "None"
    if spec.sessionAffinity == "None":
        spec.sessionAffinityConfig = None
    elif spec.sessionAffinity == "ClientIP":
        config = spec.sessionAffinityConfig
        if config is None or config.clientIP is None or config.clientIP.timeoutSeconds is None:
            client = core_v1.ClientIPConfig(timeoutSeconds=AFFINITY_SECONDS)
            spec.sessionAffinityConfig = core_v1.SessionAffinityConfig(clientIP=client)
    spec.type = spec.type or "ClusterIP"
    for port in spec.ports or ():
        port.protocol = port.protocol or "TCP"
        if not port.targetPort:
            port.targetPort = port.port
    if externally_accessible(spec) and not spec.externalTrafficPolicy:
        spec.externalTrafficPolicy = "Cluster"
    if spec.internalTrafficPolicy is None and spec.type != "ExternalName":
        spec.internalTrafficPolicy = "Cluster"
    if spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is None:
        spec.allocateLoadBalancerNodePorts = True
    balancer = service.status.loadBalancer if service.status is not None else None
    for ingress in (balancer.ingress if balancer is not None else None) or ():
        if ingress.ip and ingress.ipMode is None:
            ingress.ipMode = "VIP"


def both_forms(spec: ServiceSpec) -> None:
    """clusterIP alone, as old clients write it, means the list of it."""
    if spec.clusterIP and not spec.clusterIPs:
        spec.clusterIPs = [spec.clusterIP]


def carry_over(new: ServiceSpec, old: ServiceSpec) -> None:
    """Make an update mean what its author meant; changes `new`."""
    if new.clusterIPs == old.clusterIPs and new.clusterIP != old.clusterIP:
        new.clusterIPs = [new.clusterIP] if new.clusterIP else None
    both_forms(new)
    if needs_address(new) and needs_address(old):
        if not new.clusterIP:
            new.clusterIP = old.clusterIP
        if not new.clusterIPs and new.clusterIP == old.clusterIP:
            new.clusterIPs = old.clusterIPs
        new.ipFamilies = new.ipFamilies or old.ipFamilies
        new.ipFamilyPolicy = new.ipFamilyPolicy or old.ipFamilyPolicy
    if needs_node_ports(new) and needs_node_ports(old):
        _keep_node_ports(new.ports or (), old.ports or ())
    if needs_health_check(new) and needs_health_check(old) and not new.healthCheckNodePort:
        new.healthCheckNodePort = old.healthCheckNodePort
    _drop_what_the_type_forbids(new, old)


def _keep_node_ports(new: Sequence[ServicePort], old: Sequence[ServicePort]) -> None:
    had = {(p.protocol, p.port): p.nodePort for p in old}
    used = {p.nodePort for p in new if p.nodePort}
    for port in new:
        before = had.get((port.protocol, port.port))
        if not port.nodePort and before and before not in used:
            port.nodePort = before


def _drop_what_the_type_forbids(new: ServiceSpec, old: ServiceSpec) -> None:
    """Values that the old type needed and nobody touched go with the type."""
    if needs_address(old) and not needs_address(new):
        if (new.clusterIP, new.clusterIPs) == (old.clusterIP, old.clusterIPs):
            new.clusterIP = new.clusterIPs = None
        if new.ipFamilies == old.ipFamilies:
            new.ipFamilies = None
        if new.ipFamilyPolicy == old.ipFamilyPolicy:
            new.ipFamilyPolicy = None
    if needs_node_ports(old) and not needs_node_ports(new):
        had = [p.nodePort for p in old.ports or ()]
        if [p.nodePort for p in new.ports or ()] == had:
            for port in new.ports or ():
                port.nodePort = None
    _drop(new, old, "healthCheckNodePort", needs_health_check)
    _drop(new, old, "externalTrafficPolicy", externally_accessible)
    for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        _drop(new, old, name, lambda spec: spec.type == "LoadBalancer")


def _drop(
    new: ServiceSpec, old: ServiceSpec, name: str, used: Callable[[ServiceSpec], bool]
) -> None:
    """A value the new type has no use for goes, unless it is new as well."""
    if used(old) and not used(new) and getattr(new, name) == getattr(old, name):
        setattr(new, name, None)


def is_headless(spec: ServiceSpec) -> bool:
    """Whether a Service has no address, on purpose."""
    return spec.clusterIPs == [NONE]
