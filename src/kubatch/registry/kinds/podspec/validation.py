"""Everything wrong with a pod spec or a pod template.

Follows pkg/apis/core/validation/validation.go: ValidatePodSpec and ValidatePodTemplateSpec, in the
order of its checks, since clients show the errors in that order.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import PodSpec, PodTemplateSpec, ResourceRequirements, Volume, core_v1
from kubatch.registry.kinds.podspec.containers import (
    Surroundings,
    validate_containers,
    validate_ephemeral_containers,
    validate_init_containers,
)
from kubatch.registry.kinds.podspec.resources import validate_resources
from kubatch.registry.kinds.podspec.scheduling import (
    validate_affinity,
    validate_gates,
    validate_spread,
    validate_tolerations,
)
from kubatch.registry.kinds.podspec.security import validate_pod_context
from kubatch.registry.kinds.podspec.volumes import validate_volumes
from kubatch.registry.kinds.rules import INT32_MAX, between
from kubatch.registry.metadata import (
    annotation_causes,
    dns_label_errors,
    dns_subdomain_errors,
    finalizer_causes,
    label_causes,
    qualified_name_errors,
)

POD_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_NO_VOLUMES: Mapping[str, Volume] = {}
NAMESERVERS_MAX, SEARCHES_MAX, SEARCH_CHARS_MAX = 3, 32, 2048


def validate_template(template: PodTemplateSpec, path: str, out: list[Cause]) -> None:
    """A pod template; what is wrong with its metadata is reported without `metadata`."""
    meta, spec = template.metadata, template.spec
    if meta is not None:
        if meta.labels:
            out += label_causes(meta.labels, f"{path}.labels")
        if meta.annotations:
            out += annotation_causes(meta.annotations, f"{path}.annotations")
            pod_annotations(meta.annotations, spec, f"{path}.annotations", out)
        if meta.finalizers:
            out += finalizer_causes(meta.finalizers, f"{path}.finalizers")
    if spec is None:
        out.append(fields.required(f"{path}.spec.containers"))
        return
    validate_spec(spec, None, f"{path}.spec", out)
    if spec.ephemeralContainers:
        why = "ephemeral containers not allowed in pod template"
        out.append(fields.forbidden(f"{path}.spec.ephemeralContainers", why))


def pod_annotations(
    annotations: Mapping[str, str], spec: PodSpec | None, path: str, out: list[Cause]
) -> None:
    """The annotations that mean something to a pod (ValidatePodSpecificAnnotations)."""
    mirror = annotations.get("kubernetes.io/config.mirror")
    if mirror is not None and not (spec and spec.nodeName):
        why = "must set spec.nodeName if mirror pod annotation is set"
        out.append(fields.invalid(f"{path}[kubernetes.io/config.mirror]", mirror, why))
    key = "controller.kubernetes.io/pod-deletion-cost"
    cost = annotations.get(key)
    if cost is not None and not _is_int32(cost):
        out.append(fields.invalid(f"{path}[{key}]", cost, "must be a 32bit integer"))


def _is_int32(text: str) -> bool:
    digits = text.removeprefix("-")
    plain = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
    return plain and -(2**31) <= int(text) <= INT32_MAX


def validate_spec(spec: PodSpec, pod_name: str | None, path: str, out: list[Cause]) -> None:
    """A pod spec. The pod's name is given only for real pods."""
    if spec.terminationGracePeriodSeconds is None:
        out.append(fields.required(f"{path}.terminationGracePeriodSeconds"))
    volumes = _NO_VOLUMES
    if spec.volumes:
        volumes = validate_volumes(spec.volumes, pod_name, f"{path}.volumes", out)
    claims = frozenset(c.name for c in spec.resourceClaims or ())
    if spec.resourceClaims:
        _resource_claims(spec, f"{path}.resourceClaims", out)
    around = Surroundings(
        volumes,
        spec.restartPolicy,
        spec.terminationGracePeriodSeconds,
        spec.hostUsers is not False,
        claims,
    )
    validate_containers(spec, around, path, out)
    if spec.initContainers:
        validate_init_containers(spec, around, path, out)
    if spec.ephemeralContainers:
        validate_ephemeral_containers(spec, around, path, out)
    if spec.resources is not None:
        _pod_resources(spec.resources, f"{path}.resources", out)
    if spec.hostNetwork:
        _host_network(spec, pod_name is not None, path, out)
    _policies(spec, path, out)
    if spec.nodeSelector:
        out += label_causes(spec.nodeSelector, f"{path}.nodeSelector")
    if spec.securityContext is not None:
        validate_pod_context(spec.securityContext, spec, f"{path}.securityContext", out)
    if spec.affinity is not None:
        validate_affinity(spec.affinity, f"{path}.affinity", out)
    if spec.dnsConfig is not None or spec.dnsPolicy == "None":
        _dns_config(spec, f"{path}.dnsConfig", out)
    _gates_and_spread(spec, path, out)
    if spec.hostUsers is False:
        _user_namespace(spec, path, out)
    _names(spec, path, out)
    _rest(spec, path, out)


def _policies(spec: PodSpec, path: str, out: list[Cause]) -> None:
    for name, value, choices in (
        ("restartPolicy", spec.restartPolicy, POD_RESTART_POLICIES),
        ("dnsPolicy", spec.dnsPolicy, _DNS_POLICIES),
    ):
        if not value:
            out.append(fields.required(f"{path}.{name}"))
        elif value not in choices:
            out.append(fields.not_supported(f"{path}.{name}", value, choices))


def _gates_and_spread(spec: PodSpec, path: str, out: list[Cause]) -> None:
    for i, gate in enumerate(spec.readinessGates or ()):
        where = f"{path}.readinessGates[{i}].conditionType"
        out.extend(
            fields.invalid(where, gate.conditionType, why)
            for why in qualified_name_errors(gate.conditionType)
        )
    if spec.schedulingGates:
        validate_gates(spec.schedulingGates, f"{path}.schedulingGates", out)
    if spec.topologySpreadConstraints:
        where = f"{path}.topologySpreadConstraints"
        validate_spread(spec.topologySpreadConstraints, where, out)


def _names(spec: PodSpec, path: str, out: list[Cause]) -> None:
    if spec.serviceAccountName and (errors := dns_subdomain_errors(spec.serviceAccountName)):
        where = f"{path}.serviceAccountName"
        out.extend(fields.invalid(where, spec.serviceAccountName, why) for why in errors)
    if spec.nodeName and (errors := dns_subdomain_errors(spec.nodeName)):
        out.extend(fields.invalid(f"{path}.nodeName", spec.nodeName, why) for why in errors)
    deadline = spec.activeDeadlineSeconds
    if deadline is not None and not 1 <= deadline <= INT32_MAX:
        where = f"{path}.activeDeadlineSeconds"
        out.append(fields.invalid(where, deadline, between(1, INT32_MAX)))
    for name, value in (("hostname", spec.hostname), ("subdomain", spec.subdomain)):
        if value and (errors := dns_label_errors(value)):
            out.extend(fields.invalid(f"{path}.{name}", value, why) for why in errors)


def _rest(spec: PodSpec, path: str, out: list[Cause]) -> None:
    if spec.tolerations:
        validate_tolerations(spec.tolerations, f"{path}.tolerations", out)
    for i, alias in enumerate(spec.hostAliases or ()):
        where = f"{path}.hostAliases[{i}]"
        valid_ip(alias.ip, f"{where}.ip", out)
        for j, name in enumerate(alias.hostnames or ()):
            out.extend(
                fields.invalid(f"{where}.hostnames[{j}]", name, why)
                for why in dns_subdomain_errors(name)
            )
    for name in ("priorityClassName", "runtimeClassName"):
        value = getattr(spec, name)
        if value:
            errors = dns_subdomain_errors(value)
            out.extend(fields.invalid(f"{path}.{name}", value, why) for why in errors)
    if spec.preemptionPolicy not in (None, "PreemptLowerPriority", "Never"):
        choices = ["PreemptLowerPriority", "Never"]
        where = f"{path}.preemptionPolicy"
        out.append(fields.not_supported(where, spec.preemptionPolicy, choices))
    if spec.overhead:
        limits = ResourceRequirements(limits=spec.overhead)
        validate_resources(limits, (), f"{path}.overhead", out)
    if spec.os is not None:
        if not spec.os.name:
            out.append(fields.required(f"{path}.os.name", "cannot be empty"))
        elif spec.os.name not in ("linux", "windows"):
            out.append(fields.not_supported(f"{path}.os", spec.os.name, ["linux", "windows"]))


def valid_ip(text: str, path: str, out: list[Cause]) -> None:
    """An IP address (validation.IsValidIP)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        out.append(fields.invalid(path, text, why))


def _dns_config(spec: PodSpec, path: str, out: list[Cause]) -> None:
    config = spec.dnsConfig
    if spec.dnsPolicy == "None":
        if config is None:
            why = "must provide `dnsConfig` when `dnsPolicy` is None"
            out.append(fields.required(path, why))
            return
        if not config.nameservers:
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            out.append(fields.required(f"{path}.nameservers", why))
            return
    assert config is not None, "the caller looked"
    servers, searches = config.nameservers or [], config.searches or []
    if len(servers) > NAMESERVERS_MAX:
        why = f"must not have more than {NAMESERVERS_MAX} nameservers"
        out.append(fields.invalid(f"{path}.nameservers", servers, why))
    for i, server in enumerate(servers):
        valid_ip(server, f"{path}.nameservers[{i}]", out)
    if len(searches) > SEARCHES_MAX:
        why = f"must not have more than {SEARCHES_MAX} search paths"
        out.append(fields.invalid(f"{path}.searches", searches, why))
    if len(" ".join(searches)) > SEARCH_CHARS_MAX:
        why = (
            f"must not have more than {SEARCH_CHARS_MAX} characters (including spaces) in the "
            "search list"
        )
        out.append(fields.invalid(f"{path}.searches", searches, why))
    for i, search in enumerate(searches):
        # Underscores are fine in a search path (RelaxedDNSSearchValidation).
        plain = search.removesuffix(".").replace("_", "a")
        errors = dns_subdomain_errors(plain) if search != "." else []
        out.extend(fields.invalid(f"{path}.searches[{i}]", search, why) for why in errors)
    for i, option in enumerate(config.options or ()):
        if not option.name:
            out.append(fields.required(f"{path}.options[{i}]", "must not be empty"))


def _host_network(spec: PodSpec, is_pod: bool, path: str, out: list[Cause]) -> None:
    for i, c in enumerate(spec.containers):
        for j, port in enumerate(c.ports or ()):
            host = port.hostPort or 0
            if (is_pod or host) and host != port.containerPort:
                where = f"{path}.containers[{i}].ports[{j}].hostPort"
                why = "must match `containerPort` when `hostNetwork` is true"
                out.append(fields.invalid(where, host, why))


def _user_namespace(spec: PodSpec, path: str, out: list[Cause]) -> None:
    why = "when `pod.Spec.HostUsers` is false"
    # The capitals of the last two are Kubernetes' own.
    for name, value in (
        ("hostNetwork", spec.hostNetwork),
        ("HostPID", spec.hostPID),
        ("HostIPC", spec.hostIPC),
    ):
        if value:
            out.append(fields.forbidden(f"{path}.{name}", why))


def _pod_resources(res: ResourceRequirements, path: str, out: list[Cause]) -> None:
    if res.claims:
        why = "claims cannot be set for Resources at pod-level"
        out.append(fields.forbidden(f"{path}.claims", why))
    validate_resources(res, (), path, out)


def _resource_claims(spec: PodSpec, path: str, out: list[Cause]) -> None:
    seen: set[str] = set()
    for i, claim in enumerate(spec.resourceClaims or ()):
        where = f"{path}[{i}]"
        if not claim.name:
            out.append(fields.required(f"{where}.name"))
        elif claim.name in seen:
            out.append(fields.duplicate(f"{where}.name", claim.name))
        else:
            errors = dns_label_errors(claim.name)
            out.extend(fields.invalid(f"{where}.name", claim.name, why) for why in errors)
        seen.add(claim.name)
        _claim_source(claim, where, out)


def _claim_source(claim: core_v1.PodResourceClaim, path: str, out: list[Cause]) -> None:
    named, template = claim.resourceClaimName, claim.resourceClaimTemplateName
    if named is not None and template is not None:
        why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
        out.append(fields.invalid(path, claim, why))
    if named is None and template is None:
        why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
        out.append(fields.invalid(path, claim, why))
