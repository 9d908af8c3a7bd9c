"""What makes a Service unacceptable.

Follows pkg/apis/core/validation/validation.go: ValidateService, ValidateServiceUpdate,
ValidateServiceClusterIPsRelatedFields, in the order of its checks.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Service, ServicePort, ServiceSpec
from kubatch.registry.kinds.podspec.probes import PORT_MAX, port_or_name
from kubatch.registry.kinds.podspec.validation import valid_ip
from kubatch.registry.kinds.rules import between
from kubatch.registry.kinds.service.allocation import needs_address, needs_health_check
from kubatch.registry.kinds.service.defaults import externally_accessible, is_headless
from kubatch.registry.metadata import (
    dns_label_errors,
    dns_subdomain_errors,
    label_causes,
    qualified_name_errors,
    regex_sentence,
)

PROTOCOLS = ("SCTP", "TCP", "UDP")
AFFINITY_SECONDS_MAX = 86400
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_BALANCERS_ONLY = "may only be used when `type` is 'LoadBalancer'"
_FIXED = "may not change once set"
_DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_is_dns_1035 = re.compile(_DNS_1035).fullmatch
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"


def dns1035_errors(name: str) -> list[str]:
    """Why a name is no DNS-1035 label, which must begin with a letter (IsDNS1035Label)."""
    out = []
    if len(name) > 63:
        out.append("must be no more than 63 characters")
    if not _is_dns_1035(name):
        out.append(
            regex_sentence(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
                "start with an alphabetic character, and end with an alphanumeric character",
                _DNS_1035, "my-name", "abc-123",
            )
        )  # fmt: skip
    return out


def validate_service(service: Service, spec: ServiceSpec) -> list[Cause]:
    """Everything wrong with a Service, new or changed."""
    out: list[Cause] = []
    headless = is_headless(spec)
    if not spec.ports and not headless and spec.type != "ExternalName":
        out.append(fields.required("spec.ports"))
    if headless and spec.type in ("LoadBalancer", "NodePort"):
        why = f"may not be set to 'None' for {spec.type} services"
        out.append(fields.invalid("spec.clusterIPs[0]", "None", why))
    if spec.type == "ExternalName":
        _external_name(spec, out)
    names: set[str] = set()
    for i, port in enumerate(spec.ports or ()):
        _port(port, len(spec.ports or ()) > 1, names, f"spec.ports[{i}]", out)
    if spec.selector is not None:
        out += label_causes(spec.selector, "spec.selector")
    _affinity(spec, out)
    if needs_address(spec):
        _addresses(spec, out)
    for i, ip in enumerate(spec.externalIPs or ()):
        _outside_ip(ip, f"spec.externalIPs[{i}]", out)
    _choice(spec.type, _TYPES, "spec.type", out)
    _repeated_ports(spec, out)
    _balancer(service, spec, out)
    _traffic(spec, out)
    return out


def _choice(value: str | None, choices: Sequence[str], path: str, out: list[Cause]) -> None:
    if not value:
        out.append(fields.required(path))
    elif value not in choices:
        out.append(fields.not_supported(path, value, choices))


def _external_name(spec: ServiceSpec, out: list[Cause]) -> None:
    why = "may not be set for ExternalName services"
    names = ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
    out += [fields.forbidden(f"spec.{name}", why) for name in names if getattr(spec, name)]
    name = (spec.externalName or "").removesuffix(".")
    if not name:
        out.append(fields.required("spec.externalName"))
    else:
        errors = dns_subdomain_errors(name)
        out += [fields.invalid("spec.externalName", name, w) for w in errors]


def _port(port: ServicePort, named: bool, names: set[str], path: str, out: list[Cause]) -> None:
    if named and not port.name:
        out.append(fields.required(f"{path}.name"))
    elif port.name:
        out += [fields.invalid(f"{path}.name", port.name, w) for w in dns_label_errors(port.name)]
        if port.name in names:
            out.append(fields.duplicate(f"{path}.name", port.name))
        names.add(port.name)
    if not 1 <= port.port <= PORT_MAX:
        out.append(fields.invalid(f"{path}.port", port.port, between(1, PORT_MAX)))
    _choice(port.protocol, PROTOCOLS, f"{path}.protocol", out)
    port_or_name(port.targetPort or 0, f"{path}.targetPort", out)
    if port.appProtocol is not None:
        errors = qualified_name_errors(port.appProtocol)
        out += [fields.invalid(f"{path}.appProtocol", port.appProtocol, w) for w in errors]


def _affinity(spec: ServiceSpec, out: list[Cause]) -> None:
    _choice(spec.sessionAffinity, ("ClientIP", "None"), "spec.sessionAffinity", out)
    path, config = "spec.sessionAffinityConfig", spec.sessionAffinityConfig
    if spec.sessionAffinity == "ClientIP":
        client = config.clientIP if config is not None else None
        seconds = client.timeoutSeconds if client is not None else None
        if seconds is None:
            out.append(fields.required(path, "when session affinity type is ClientIP"))
        elif not 0 < seconds <= AFFINITY_SECONDS_MAX:
            why = f"must be greater than 0 and less than {AFFINITY_SECONDS_MAX}"
            out.append(fields.invalid(f"{path}.clientIP.timeoutSeconds", seconds, why))
    elif spec.sessionAffinity == "None" and config is not None:
        why = "must not be set when session affinity is None"
        out.append(fields.forbidden(path, why))


def _addresses(spec: ServiceSpec, out: list[Cause]) -> None:
    """ValidateServiceClusterIPsRelatedFields."""
    path, ips = "spec.clusterIPs", spec.clusterIPs or []
    if spec.clusterIP:
        if not ips:
            out.append(fields.required(path))
        elif ips[0] != spec.clusterIP:
            out.append(fields.invalid(path, ips, "first value must match `clusterIP`"))
    elif ips:
        out.append(fields.invalid(path, ips, "must be empty when `clusterIP` is not specified"))
    for i, family in enumerate(spec.ipFamilies or ()):
        if family not in ("IPv4", "IPv6"):
            out.append(fields.not_supported(f"spec.ipFamilies[{i}]", family, ["IPv4", "IPv6"]))
        if family in (spec.ipFamilies or [])[:i]:
            out.append(fields.duplicate(f"spec.ipFamilies[{i}]", family))
    policies = ["PreferDualStack", "RequireDualStack", "SingleStack"]
    if spec.ipFamilyPolicy is not None and spec.ipFamilyPolicy not in policies:
        out.append(fields.not_supported("spec.ipFamilyPolicy", spec.ipFamilyPolicy, policies))
    before = len(out)
    for i, ip in enumerate(ips):
        if i == 0 and ip == "None":
            if len(ips) > 1:
                out.append(fields.invalid(path, ips, "'None' must be the first and only value"))
            continue
        valid_ip(ip, f"{path}[{i}]", out)
    wrong = len(out) > before
    if len(ips) > 2:
        out.append(fields.invalid(path, ips, "may only hold up to 2 values"))
    if wrong:
        return
    versions = [ipaddress.ip_address(ip).version for ip in ips if ip != "None"]
    if len(ips) > 1 and len(set(versions)) != 2:
        out.append(fields.invalid(path, ips, "may specify no more than one IP for each IP family"))
    for i, (version, family) in enumerate(zip(versions, spec.ipFamilies or (), strict=False)):
        if family in ("IPv4", "IPv6") and family != f"IPv{version}":
            why = f"expected an {family} value as indicated by `ipFamilies[{i}]`"
            out.append(fields.invalid(f"{path}[{i}]", ips[i], why))


def _outside_ip(ip: str, path: str, out: list[Cause]) -> None:
    """An address that other machines may know this one by."""
    before = len(out)
    valid_ip(ip, path, out)
    if len(out) == before:
        special_ip(ip, path, out)
        if ipaddress.ip_address(ip).is_loopback:
            why = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
            out.append(fields.invalid(path, ip, why))


def special_ip(ip: str, path: str, out: list[Cause]) -> None:
    """Addresses that are nobody's (ValidateNonSpecialIP).

    Loopback addresses are fine here, unlike in Kubernetes: pods are processes of this machine, and
    that is where they listen.
    """
    address = ipaddress.ip_address(ip)
    if address.is_unspecified:
        out.append(fields.invalid(path, ip, f"may not be unspecified ({ip})"))
    if address.is_link_local:
        why = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        out.append(fields.invalid(path, ip, why))
    networks = ("224.0.0.0/24", "ff02::/16")
    if any(address in ipaddress.ip_network(n) for n in networks):
        why = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        out.append(fields.invalid(path, ip, why))


def _repeated_ports(spec: ServiceSpec, out: list[Cause]) -> None:
    ports = spec.ports or ()
    if spec.type == "ClusterIP":
        why = "may not be used when `type` is 'ClusterIP'"
        out += [
            fields.forbidden(f"spec.ports[{i}].nodePort", why)
            for i, p in enumerate(ports)
            if p.nodePort
        ]
    _repeated([(p.protocol, p.nodePort) if p.nodePort else None for p in ports], out, _node_port)
    _repeated([(p.protocol, p.port) for p in ports], out, _whole_port)


def _repeated(
    keys: Sequence[Any], out: list[Cause], cause: Callable[[int, tuple[str, int]], Cause]
) -> None:
    for i, key in enumerate(keys):
        if key is not None and key in keys[:i]:
            out.append(cause(i, key))


def _node_port(i: int, key: tuple[str, int]) -> Cause:
    return fields.duplicate(f"spec.ports[{i}].nodePort", key[1])


def _whole_port(i: int, key: tuple[str, int]) -> Cause:
    # A core.ServicePort of which two members are set, as Go's encoder shows it.
    shown = fields.Members(
        Name="", Protocol=key[0], AppProtocol=None, Port=key[1], TargetPort=0, NodePort=0
    )
    return fields.duplicate(f"spec.ports[{i}]", shown)


def _balancer(service: Service, spec: ServiceSpec, out: list[Cause]) -> None:
    balanced = spec.type == "LoadBalancer"
    meta = service.metadata
    annotations = (meta.annotations if meta is not None else None) or {}
    ranges = [r.strip() for r in spec.loadBalancerSourceRanges or ()]
    where = "spec.LoadBalancerSourceRanges"
    places = [f"{where}[{i}]" for i in range(len(ranges))]
    if not ranges and _SOURCE_RANGES in annotations:
        where = f"metadata.annotations[{_SOURCE_RANGES}]"
        text = annotations[_SOURCE_RANGES].strip()
        ranges = [r.strip() for r in text.split(",")] if text else []
        places = [where] * len(ranges)
        if not balanced:
            out.append(fields.forbidden(where, _BALANCERS_ONLY))
    elif ranges and not balanced:
        out.append(fields.forbidden(where, _BALANCERS_ONLY))
    for text, place in zip(ranges, places, strict=True):
        try:
            ipaddress.ip_network(text, strict=False)
            valid = "/" in text
        except ValueError:
            valid = False
        if not valid:
            why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            out.append(fields.invalid(place, text, why))
    if spec.allocateLoadBalancerNodePorts is not None and not balanced:
        out.append(fields.forbidden("spec.allocateLoadBalancerNodePorts", _BALANCERS_ONLY))
    if spec.loadBalancerClass is not None:
        path = "spec.loadBalancerClass"
        if balanced:
            errors = qualified_name_errors(spec.loadBalancerClass)
            out += [fields.invalid(path, spec.loadBalancerClass, w) for w in errors]
        else:
            out.append(fields.forbidden(path, _BALANCERS_ONLY))


def _traffic(spec: ServiceSpec, out: list[Cause]) -> None:
    path, outside = "spec.externalTrafficPolicy", spec.externalTrafficPolicy
    if externally_accessible(spec):
        _choice(outside, ("Cluster", "Local"), path, out)
    elif outside:
        why = "may only be set for externally-accessible services"
        out.append(fields.invalid(path, outside, why))
    path, port = "spec.healthCheckNodePort", spec.healthCheckNodePort
    if port and not needs_health_check(spec):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        out.append(fields.invalid(path, port, why))
    elif port and not 1 <= port <= PORT_MAX:
        out.append(fields.invalid(path, port, between(1, PORT_MAX)))
    inside = spec.internalTrafficPolicy
    if inside is not None and inside not in ("Cluster", "Local"):
        choices = ["Cluster", "Local"]
        out.append(fields.not_supported("spec.internalTrafficPolicy", inside, choices))
    if spec.trafficDistribution is not None:
        choices = ["PreferClose", "PreferSameZone", "PreferSameNode"]
        if spec.trafficDistribution not in choices:
            where = "spec.trafficDistribution"
            out.append(fields.not_supported(where, spec.trafficDistribution, choices))


# ----- changes


def validate_service_update(new: ServiceSpec, old: ServiceSpec) -> list[Cause]:
    """What of a Service may not change."""
    out: list[Cause] = []
    if needs_address(new) and needs_address(old):
        headless = is_headless(new), is_headless(old)
        if headless != (True, True):
            _kept(new.clusterIPs or [], old.clusterIPs or [], "clusterIP", out)
        if headless == (False, False):
            _kept(new.ipFamilies or [], old.ipFamilies or [], "ipFamily", out)
    if new.type == old.type == "LoadBalancer" and new.loadBalancerClass != old.loadBalancerClass:
        shown = "null" if new.loadBalancerClass is None else new.loadBalancerClass
        out.append(fields.invalid("spec.loadBalancerClass", shown, _FIXED))
    checked = needs_health_check(new) and needs_health_check(old)
    if checked and new.healthCheckNodePort != old.healthCheckNodePort:
        out.append(fields.forbidden("spec.healthCheckNodePort", "field is immutable"))
    return out


def _kept(new: list[str], old: list[str], called: str, out: list[Cause]) -> None:
    """The first stays, a second one may come and go (validateUpgradeDowngrade...)."""
    path = "spec.clusterIPs" if called == "clusterIP" else "spec.ipFamilies"
    if len(new) == len(old):
        out += [
            fields.invalid(f"{path}[{i}]", new, _FIXED)
            for i, (now, was) in enumerate(zip(new, old, strict=True))
            if now != was
        ]
    elif not new:
        out.append(fields.invalid(f"{path}[0]", new, f"primary {called} can not be unset"))
    elif old and new[0] != old[0]:
        out.append(fields.invalid(f"{path}[0]", new, _FIXED))


def validate_service_status(service: Service, spec: ServiceSpec) -> list[Cause]:
    """ValidateLoadBalancerStatus."""
    out: list[Cause] = []
    balancer = service.status.loadBalancer if service.status is not None else None
    ingress = (balancer.ingress if balancer is not None else None) or ()
    path = "status.loadBalancer.ingress"
    if ingress and spec.type != "LoadBalancer":
        why = "may only be used when `spec.type` is 'LoadBalancer'"
        return [fields.forbidden(path, why)]
    for i, entry in enumerate(ingress):
        where = f"{path}[{i}]"
        if entry.ip:
            valid_ip(entry.ip, f"{where}.ip", out)
        if entry.ipMode is None:
            if entry.ip:
                out.append(fields.required(f"{where}.ipMode", "must be specified when `ip` is set"))
        elif not entry.ip:
            why = "may not be specified when `ip` is not set"
            out.append(fields.forbidden(f"{where}.ipMode", why))
        elif entry.ipMode not in ("Proxy", "VIP"):
            out.append(fields.not_supported(f"{where}.ipMode", entry.ipMode, ["Proxy", "VIP"]))
        if entry.hostname:
            errors = dns_subdomain_errors(entry.hostname)
            out += [fields.invalid(f"{where}.hostname", entry.hostname, w) for w in errors]
    return out
