"""A container's environment, from literals, ConfigMaps, Secrets and the pod's own fields.

pkg/kubelet/kubelet_pods.go: makeEnvironmentVariables. The rules and messages are its.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING
from typing import Any

from kubatch.api import models as m
from kubatch.api import quantity


class EnvError(Exception):
    """The environment cannot be built; the text is what the kubelet says."""


@dataclass(frozen=True, slots=True)
class References:
    """The ConfigMaps and Secrets a container's environment names."""

    config_maps: tuple[str, ...]
    secrets: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.config_maps or self.secrets)


@dataclass(frozen=True, slots=True)
class Sources:
    """The objects that References named, as far as they exist."""

    config_maps: Mapping[str, m.ConfigMap] = field(default_factory=dict)
    secrets: Mapping[str, m.Secret] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)  # variables about Services
    # By volume and path what a file holds; None: it cannot be read. Not there: it is not mounted.
    files: Mapping[tuple[str, str], Mapping[str, str] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodContext:
    """What fieldRef and resourceFieldRef can name beside the pod's own metadata."""

    node_name: str
    host_ip: str
    allocatable: Mapping[str, str] = field(default_factory=dict)  # for limits that are not set
    pod_ip: str = ""  # "": the host's


def references(container: m.Container) -> References:
    """Which objects must be read before the environment can be built."""
    config_maps: dict[str, None] = {}
    secrets: dict[str, None] = {}
    for source in container.envFrom or ():
        if source.configMapRef is not None and source.configMapRef.name:
            config_maps[source.configMapRef.name] = None
        if source.secretRef is not None and source.secretRef.name:
            secrets[source.secretRef.name] = None
    for var in container.env or ():
        value_from = var.valueFrom
        if value_from is None:
            continue
        if value_from.configMapKeyRef is not None and value_from.configMapKeyRef.name:
            config_maps[value_from.configMapKeyRef.name] = None
        if value_from.secretKeyRef is not None and value_from.secretKeyRef.name:
            secrets[value_from.secretKeyRef.name] = None
    return References(tuple(config_maps), tuple(secrets))


def build(
    pod: m.Pod, container: m.Container, sources: Sources, context: PodContext
) -> dict[str, str]:
    """The variables a pod asks for. Raises EnvError."""
    result: dict[str, str] = {}
    for source in container.envFrom or ():
        result.update(_env_from(source, sources))
    for var in container.env or ():
        if var.valueFrom is None:
            # Only what is built already is visible: earlier entries, not later ones.
            known = {**sources.services, **result} if sources.services else result
            result[var.name] = expand(var.value or "", known)
            continue
        value = _value_from(var.valueFrom, pod, container, sources, context)
        if value is not None:
            result[var.name] = value
    return {**sources.services, **result} if sources.services else result


def _env_from(source: m.EnvFromSource, sources: Sources) -> dict[str, str]:
    prefix = source.prefix or ""
    if source.configMapRef is not None:
        name, optional = source.configMapRef.name or "", source.configMapRef.optional
        data = _config_map_data(name, sources)
        kind = "configmap"
    elif source.secretRef is not None:
        name, optional = source.secretRef.name or "", source.secretRef.optional
        data = _secret_data(name, sources)
        kind = "secret"
    else:
        return {}
    if data is None:
        if optional:
            return {}
        raise EnvError(f'{kind} "{name}" not found')
    return {prefix + key: value for key, value in data.items()}


def _value_from(
    source: m.EnvVarSource,
    pod: m.Pod,
    container: m.Container,
    sources: Sources,
    context: PodContext,
) -> str | None:
    """The value, or None when an optional one does not exist: the variable is then not set."""
    if source.fieldRef is not None:
        return field_value(pod, source.fieldRef.fieldPath, context)
    if source.resourceFieldRef is not None:
        return resource_value(pod, container, source.resourceFieldRef, context)
    assert pod.metadata is not None
    namespace = pod.metadata.namespace or "default"
    if source.configMapKeyRef is not None:
        ref: Any = source.configMapKeyRef
        data = _config_map_data(ref.name or "", sources)
        return _keyed(data, ref, "configmap", f"ConfigMap {namespace}/{ref.name}")
    if source.secretKeyRef is not None:
        ref = source.secretKeyRef
        data = _secret_data(ref.name or "", sources)
        return _keyed(data, ref, "secret", f"Secret {namespace}/{ref.name}")
    if source.fileKeyRef is not None:
        return _from_file(source.fileKeyRef, sources)
    return None


def _from_file(ref: m.core_v1.FileKeySelector, sources: Sources) -> str | None:
    where = ref.volumeName, ref.path
    if where not in sources.files:
        raise EnvError(
            f'environment variables from a file need volume "{ref.volumeName}" mounted by a '
            "container of the pod, with a runtime that mounts volumes"
        )
    found = sources.files[where]
    if found is not None and ref.key in found:
        return found[ref.key]
    if ref.optional:
        return None
    if found is None:
        raise EnvError("couldn't parse env file")
    raise EnvError(f'environment variable key "{ref.key}" not found in file "{ref.path}"')


def _keyed(data: dict[str, str] | None, ref: Any, kind: str, where: str) -> str | None:
    if data is None:
        if ref.optional:
            return None
        raise EnvError(f'{kind} "{ref.name}" not found')
    if ref.key not in data:
        if ref.optional:
            return None
        raise EnvError(f"couldn't find key {ref.key} in {where}")
    return data[ref.key]


def _config_map_data(name: str, sources: Sources) -> dict[str, str] | None:
    found = sources.config_maps.get(name)
    return None if found is None else dict(found.data or {})


def _secret_data(name: str, sources: Sources) -> dict[str, str] | None:
    found = sources.secrets.get(name)
    if found is None:
        return None
    # Bytes that are no text pass through unchanged, as they do in C.
    return {
        key: base64.b64decode(value).decode("utf-8", "surrogateescape")
        for key, value in (found.data or {}).items()
    }


# ----- $(VAR)

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace $(NAME); `$$` is a dollar, and what cannot be resolved stays as it is.

    k8s.io/kubernetes/third_party/forked/golang/expansion/expand.go. Nothing is expanded twice.
    """
    if "$" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "$"
        return variables.get(name, match.group(0))

    return _REFERENCE.sub(one, text)


def named(text: str) -> set[str]:
    """The variables that $(NAME) in a text refers to."""
    return {name for name in _REFERENCE.findall(text) if name}


# ----- the downward API

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")

_FIELDS: Mapping[str, Callable[[m.Pod, PodContext], str]] = {
    "metadata.name": lambda pod, _: _meta(pod).name or "",
    "metadata.namespace": lambda pod, _: _meta(pod).namespace or "",
    "metadata.uid": lambda pod, _: _meta(pod).uid or "",
    "spec.nodeName": lambda pod, context: context.node_name,
    "spec.serviceAccountName": lambda pod, _: (pod.spec and pod.spec.serviceAccountName) or "",
    "status.hostIP": lambda _, context: context.host_ip,
    "status.hostIPs": lambda _, context: context.host_ip,
    "status.podIP": lambda _, context: context.pod_ip or context.host_ip,
    "status.podIPs": lambda _, context: context.pod_ip or context.host_ip,
}


def _meta(pod: m.Pod) -> m.ObjectMeta:
    assert pod.metadata is not None
    return pod.metadata


def field_value(pod: m.Pod, path: str, context: PodContext) -> str:
    """A field of the pod (pkg/fieldpath/fieldpath.go: ExtractFieldPathAsString)."""
    getter = _FIELDS.get(path)
    if getter is not None:
        return getter(pod, context)
    match = _SUBSCRIPT.fullmatch(path)
    if match is None:
        raise EnvError(f"unsupported fieldPath: {path}")
    values = getattr(_meta(pod), match.group(1)) or {}
    return str(values.get(match.group(2), ""))


def resource_value(
    pod: m.Pod, container: m.Container, ref: m.ResourceFieldSelector, context: PodContext
) -> str:
    """A limit or request in units of the divisor, rounded up.

    pkg/api/v1/resource/helpers.go: ExtractContainerResourceValue.
    """
    if ref.containerName and ref.containerName != container.name:
        assert pod.spec is not None
        everyone = (*(pod.spec.initContainers or ()), *pod.spec.containers)
        named = next((c for c in everyone if c.name == ref.containerName), None)
        if named is None:
            raise EnvError(f"container {ref.containerName} not found")
        container = named
    kind, _, name = ref.resource.partition(".")
    resources = container.resources or m.ResourceRequirements()
    if kind == "limits":
        amount = (resources.limits or {}).get(name, context.allocatable.get(name, "0"))
    elif kind == "requests":
        amount = (resources.requests or {}).get(name, "0")
    else:
        raise EnvError(f"unsupported container resource : {ref.resource}")
    divisor = quantity.parse(str(ref.divisor or "1")) or quantity.parse("1")
    share = quantity.parse(str(amount)) / divisor
    return str(int(share.to_integral_value(rounding=ROUND_CEILING)))
