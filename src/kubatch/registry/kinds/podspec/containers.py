"""Containers, init containers and ephemeral containers.

Follows pkg/apis/core/validation/validation.go: validateContainerCommon, validateContainers,
validateInitContainers, validateEphemeralContainers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Container, ContainerPort, EphemeralContainer, PodSpec, Volume
from kubatch.registry.kinds.podspec.env import validate_env, validate_env_from
from kubatch.registry.kinds.podspec.probes import PORT_MAX, port_name_errors, validate_probes
from kubatch.registry.kinds.podspec.resources import validate_resources
from kubatch.registry.kinds.podspec.security import validate_container_context
from kubatch.registry.kinds.podspec.volumes import validate_mounts
from kubatch.registry.kinds.rules import between
from kubatch.registry.metadata import dns_label_errors

RESTART_POLICIES = ("Always", "Never", "OnFailure")
RESTART_ALL = "RestartAllContainers"
RESTART_ACTIONS = ("Restart", RESTART_ALL)
RESTART_RULES_MAX = 20
RESTART_VALUES_MAX = 255
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_NOT_IN_EPHEMERAL = (
    "ports", "resources", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle",
    "restartPolicy", "resizePolicy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the pod a container's rules look at."""

    volumes: Mapping[str, Volume]
    restart_policy: str | None
    grace: int | None
    host_users: bool = True
    claims: Collection[str] = field(default_factory=frozenset)


def validate_containers(spec: PodSpec, pod: Surroundings, path: str, out: list[Cause]) -> None:
    """The regular containers: at least one, each with a name of its own."""
    where = f"{path}.containers"
    if not spec.containers:
        out.append(fields.required(where))
        return
    names: set[str] = set()
    for i, c in enumerate(spec.containers):
        here = f"{where}[{i}]"
        _common(c, pod, here, out)
        if c.name in names:
            out.append(fields.duplicate(f"{here}.name", c.name))
        names.add(c.name)
        validate_probes(c, here, pod.grace, out)
        _restart(c, here, out)
    _host_ports(spec.containers, where, out)


def validate_init_containers(spec: PodSpec, pod: Surroundings, path: str, out: list[Cause]) -> None:
    """Init containers: no hooks or probes unless they restart always (sidecars)."""
    where = f"{path}.initContainers"
    names = {c.name for c in spec.containers}
    for i, c in enumerate(spec.initContainers or ()):
        here = f"{where}[{i}]"
        _common(c, pod, here, out)
        _restart(c, here, out)
        if c.name in names:
            out.append(fields.duplicate(f"{here}.name", c.name))
        elif c.name:
            names.add(c.name)
        # Init containers run one by one, so only ports within one can collide.
        _host_ports([c], where, out)
        if c.restartPolicy == "Always":
            validate_probes(c, here, pod.grace, out)
            continue
        for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if getattr(c, name) is not None:
                why = "may not be set for init containers without restartPolicy=Always"
                out.append(fields.forbidden(f"{here}.{name}", why))


def validate_ephemeral_containers(
    spec: PodSpec, pod: Surroundings, path: str, out: list[Cause]
) -> None:
    """Ephemeral containers, as debugging adds them."""
    where = f"{path}.ephemeralContainers"
    others = {c.name for c in (*spec.containers, *(spec.initContainers or ()))}
    names = set(others)
    for i, c in enumerate(spec.ephemeralContainers or ()):
        here = f"{where}[{i}]"
        _common(c, pod, here, out)
        if c.name in names:
            out.append(fields.duplicate(f"{here}.name", c.name))
        names.add(c.name)
        if c.targetContainerName and c.targetContainerName not in others:
            out.append(fields.not_found(f"{here}.targetContainerName", c.targetContainerName))
        why = "cannot be set for an Ephemeral Container"
        for name in _NOT_IN_EPHEMERAL:
            value = getattr(c, name)
            empty = (
                name == "resources" and value is not None and not (value.limits or value.requests)
            )
            if value and not empty:
                out.append(fields.forbidden(f"{here}.{name}", why))
        for j, mount in enumerate(c.volumeMounts or ()):
            where_mount = f"{here}.volumeMounts[{j}]"
            if mount.subPath:
                out.append(fields.forbidden(f"{where_mount}.subPath", why))
            if mount.subPathExpr:
                out.append(fields.forbidden(f"{where_mount}.subPathExpr", why))


def _common(
    c: Container | EphemeralContainer, pod: Surroundings, path: str, out: list[Cause]
) -> None:
    if not c.name:
        out.append(fields.required(f"{path}.name"))
    elif errors := dns_label_errors(c.name):
        out.extend(fields.invalid(f"{path}.name", c.name, why) for why in errors)
    if not c.image:
        out.append(fields.required(f"{path}.image"))
    if c.terminationMessagePolicy not in ("File", "FallbackToLogsOnError"):
        choices = ["File", "FallbackToLogsOnError"]
        where = f"{path}.terminationMessagePolicy"
        _required_choice(c.terminationMessagePolicy, choices, where, out)
    if c.ports:
        _ports(c.ports, f"{path}.ports", out)
    if c.env:
        validate_env(c.env, f"{path}.env", out)
    if c.envFrom:
        validate_env_from(c.envFrom, f"{path}.envFrom", out)
    if c.volumeMounts or c.volumeDevices:
        validate_mounts(c, pod.volumes, path, out)
    if c.imagePullPolicy not in _PULL_POLICIES:
        _required_choice(c.imagePullPolicy, _PULL_POLICIES, f"{path}.imagePullPolicy", out)
    res = c.resources
    if res is not None and (res.limits or res.requests or res.claims):
        validate_resources(res, pod.claims, f"{path}.resources", out)
    if c.resizePolicy:
        _resize(c, pod, f"{path}.resizePolicy", out)
    if c.securityContext is not None:
        where = f"{path}.securityContext"
        validate_container_context(c.securityContext, pod.host_users, where, out)


def _required_choice(
    value: str | None, choices: Sequence[str], path: str, out: list[Cause]
) -> None:
    if not value:
        out.append(fields.required(path))
    else:
        out.append(fields.not_supported(path, value, choices))


def _ports(ports: Sequence[ContainerPort], path: str, out: list[Cause]) -> None:
    names: set[str] = set()
    for i, port in enumerate(ports):
        where = f"{path}[{i}]"
        if port.name:
            if errors := port_name_errors(port.name):
                out.extend(fields.invalid(f"{where}.name", port.name, why) for why in errors)
            elif port.name in names:
                out.append(fields.duplicate(f"{where}.name", port.name))
            names.add(port.name)
        if not port.containerPort:
            out.append(fields.required(f"{where}.containerPort"))
        elif not 1 <= port.containerPort <= PORT_MAX:
            why = between(1, PORT_MAX)
            out.append(fields.invalid(f"{where}.containerPort", port.containerPort, why))
        if port.hostPort and not 1 <= port.hostPort <= PORT_MAX:
            out.append(fields.invalid(f"{where}.hostPort", port.hostPort, between(1, PORT_MAX)))
        if port.protocol not in _PROTOCOLS:
            _required_choice(port.protocol, _PROTOCOLS, f"{where}.protocol", out)


def _host_ports(containers: Sequence[Container], path: str, out: list[Cause]) -> None:
    taken: set[str] = set()
    for i, c in enumerate(containers):
        for j, port in enumerate(c.ports or ()):
            if not port.hostPort:
                continue
            text = f"{port.protocol}/{port.hostIP or ''}/{port.hostPort}"
            if text in taken:
                out.append(fields.duplicate(f"{path}[{i}].ports[{j}].hostPort", text))
            taken.add(text)


def _restart(c: Container, path: str, out: list[Cause]) -> None:
    """A restart policy of the container's own, and its rules (ContainerRestartRules)."""
    rules = c.restartPolicyRules or ()
    if c.restartPolicy is None:
        if rules:
            why = "must specify restartPolicy when restart rules are used"
            out.append(fields.required(f"{path}.restartPolicy", why))
    elif c.restartPolicy not in RESTART_POLICIES:
        out.append(fields.not_supported(f"{path}.restartPolicy", c.restartPolicy, RESTART_POLICIES))
    if len(rules) > RESTART_RULES_MAX:
        out.append(fields.too_many(f"{path}.restartPolicyRules", len(rules), RESTART_RULES_MAX))
    for i, rule in enumerate(rules):
        where = f"{path}.restartPolicyRules[{i}]"
        if rule.action not in RESTART_ACTIONS:
            _required_choice(rule.action, RESTART_ACTIONS, f"{where}.action", out)
        if rule.exitCodes is None:
            out.append(fields.required(f"{where}.exitCodes", "must be specified"))
            continue
        if rule.exitCodes.operator not in ("In", "NotIn"):
            choices = ["In", "NotIn"]
            _required_choice(rule.exitCodes.operator, choices, f"{where}.exitCodes.operator", out)
        count = len(rule.exitCodes.values or ())
        if count > RESTART_VALUES_MAX:
            out.append(fields.too_many(f"{where}.exitCodes.values", count, RESTART_VALUES_MAX))


def _resize(
    c: Container | EphemeralContainer, pod: Surroundings, path: str, out: list[Cause]
) -> None:
    seen: set[str] = set()
    for i, policy in enumerate(c.resizePolicy or ()):
        if policy.resourceName in seen:
            out.append(fields.duplicate(f"{path}[{i}]", policy.resourceName))
        seen.add(policy.resourceName)
        if policy.resourceName not in ("cpu", "memory"):
            _required_choice(policy.resourceName, ["cpu", "memory"], path, out)
        choices = ["NotRequired", "RestartContainer"]
        if policy.restartPolicy not in choices:
            _required_choice(policy.restartPolicy, choices, path, out)
        if pod.restart_policy == "Never" and policy.restartPolicy != "NotRequired":
            why = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            out.append(fields.invalid(path, policy.restartPolicy, why))
