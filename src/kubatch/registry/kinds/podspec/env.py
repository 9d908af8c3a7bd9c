"""Environment variables and the references they take their values from.

Follows pkg/apis/core/validation/validation.go: ValidateEnv, validateEnvVarValueFrom,
ValidateEnvFrom, validateObjectFieldSelector, validateContainerResourceFieldSelector.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector
from kubatch.api.models import ResourceFieldSelector as ResourceRef
from kubatch.registry.kinds.podspec.paths import local_path
from kubatch.registry.metadata import (
    config_key_errors,
    dns_subdomain_errors,
    qualified_name_errors,
)

ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
# podshelper.ConvertDownwardAPIFieldLabel: what a field path may name at all.
_KNOWN_FIELDS = {*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName"}
_KNOWN_FIELDS |= {"status.phase"}
_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_BYTE_DIVISORS = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"]
_SOURCES_SENTENCE = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
    "`fileKeyRef`"
)
_printable = re.compile(r"[ -<>-~]*").fullmatch
_subscripted = re.compile(r"([^\[]+)\['(.*)'\]").fullmatch


def env_name_errors(name: str) -> list[str]:
    """Why a variable cannot be named so: printable ASCII without '=' (IsRelaxedEnvVarName)."""
    if _printable(name):
        return []
    return [
        "a valid environment variable name must consist only of printable ASCII characters other "
        "than '='"
    ]


def validate_env(variables: Sequence[EnvVar], path: str, out: list[Cause]) -> None:
    """Everything wrong with `env`."""
    for i, var in enumerate(variables):
        if not var.name:
            out.append(fields.required(f"{path}[{i}].name"))
        else:
            out.extend(
                fields.invalid(f"{path}[{i}].name", var.name, why)
                for why in env_name_errors(var.name)
            )
        if var.valueFrom is not None:
            _value_from(var, var.valueFrom, f"{path}[{i}].valueFrom", out)


def _value_from(var: EnvVar, source: EnvVarSource, path: str, out: list[Cause]) -> None:
    count = 0
    if source.fieldRef is not None:
        count += 1
        field_ref(source.fieldRef, ENV_FIELDS, f"{path}.fieldRef", out)
    if source.resourceFieldRef is not None:
        count += 1
        resource_ref(source.resourceFieldRef, f"{path}.resourceFieldRef", out, volume=False)
    for name, ref in (
        ("configMapKeyRef", source.configMapKeyRef),
        ("secretKeyRef", source.secretKeyRef),
    ):
        if ref is not None:
            count += 1
            _key_ref(ref, f"{path}.{name}", out)
    if source.fileKeyRef is not None:
        count += 1
        _file_ref(source.fileKeyRef, f"{path}.fileKeyRef", out)
    if count == 0:
        out.append(fields.invalid(path, "", _SOURCES_SENTENCE))
    elif var.value:
        out.append(fields.invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        why = "may not have more than one field specified at a time"
        out.append(fields.invalid(path, "", why))


def _key_ref(ref: Any, path: str, out: list[Cause]) -> None:
    name = ref.name or ""
    out.extend(fields.invalid(f"{path}.name", name, why) for why in dns_subdomain_errors(name))
    if not ref.key:
        out.append(fields.required(f"{path}.key"))
    else:
        out.extend(
            fields.invalid(f"{path}.key", ref.key, why) for why in config_key_errors(ref.key)
        )


def _file_ref(ref: Any, path: str, out: list[Cause]) -> None:
    if not ref.key:
        out.append(fields.required(f"{path}.key"))
    else:
        out.extend(fields.invalid(f"{path}.key", ref.key, why) for why in env_name_errors(ref.key))
    if not ref.volumeName:
        out.append(fields.required(f"{path}.volumeName"))
    if not ref.path:
        out.append(fields.required(f"{path}.path"))
    else:
        local_path(ref.path, f"{path}.path", out)


def field_ref(
    ref: ObjectFieldSelector, allowed: Collection[str], path: str, out: list[Cause]
) -> None:
    """A reference to a field of the pod itself."""
    if not ref.apiVersion:
        out.append(fields.required(f"{path}.apiVersion"))
        return
    if not ref.fieldPath:
        out.append(fields.required(f"{path}.fieldPath"))
        return
    match = _subscripted(ref.fieldPath)
    name = match[1] if match else ref.fieldPath
    known = name in ("metadata.annotations", "metadata.labels") if match else name in _KNOWN_FIELDS
    if not known or ref.apiVersion != "v1":
        if ref.apiVersion != "v1":
            why = f"unsupported pod version: {ref.apiVersion}"
        elif match:
            why = f"field label does not support subscript: {name}"
        else:
            why = f"field label not supported: {name}"
        why = f"error converting fieldPath: {why}"
        out.append(fields.invalid(f"{path}.fieldPath", ref.fieldPath, why))
    elif match:
        key = match[2].lower() if name == "metadata.annotations" else match[2]
        out.extend(fields.invalid(path, key, why) for why in qualified_name_errors(key))
    elif name not in allowed:
        out.append(fields.not_supported(f"{path}.fieldPath", name, sorted(allowed)))


def resource_ref(ref: ResourceRef, path: str, out: list[Cause], *, volume: bool) -> None:
    """A reference to a container's request or limit."""
    if volume and not ref.containerName:
        out.append(fields.required(f"{path}.containerName"))
    elif not ref.resource:
        out.append(fields.required(f"{path}.resource"))
    elif ref.resource not in _RESOURCES and not ref.resource.startswith(_HUGE_PAGES):
        out.append(fields.not_supported(f"{path}.resource", ref.resource, _RESOURCES))
    divisor = ref.divisor
    if divisor in (None, "", "0"):
        return
    kind = ref.resource.partition(".")[2]
    if kind == "cpu":
        if divisor not in ("1m", "1"):
            why = "only divisor's values 1m and 1 are supported with the cpu resource"
            out.append(fields.invalid(f"{path}.divisor", ref.resource, why))
        return
    called = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(kind)
    if called is None and kind.startswith("hugepages-"):
        called = "hugepages"
    if called and divisor not in _BYTE_DIVISORS:
        listed = ", ".join(_BYTE_DIVISORS)
        why = f"only divisor's values {listed} are supported with the {called} resource"
        out.append(fields.invalid(f"{path}.divisor", ref.resource, why))


def validate_env_from(sources: Sequence[EnvFromSource], path: str, out: list[Cause]) -> None:
    """Everything wrong with `envFrom`."""
    for i, source in enumerate(sources):
        where = f"{path}[{i}]"
        if source.prefix:
            out.extend(
                fields.invalid(f"{where}.prefix", source.prefix, why)
                for why in env_name_errors(source.prefix)
            )
        refs = [
            (name, ref)
            for name, ref in (
                ("configMapRef", source.configMapRef),
                ("secretRef", source.secretRef),
            )
            if ref is not None
        ]
        for name, ref in refs:
            if not ref.name:
                out.append(fields.required(f"{where}.{name}.name"))
                continue
            out.extend(
                fields.invalid(f"{where}.{name}.name", ref.name, why)
                for why in dns_subdomain_errors(ref.name)
            )
        if not refs:
            why = "must specify one of: `configMapRef` or `secretRef`"
            out.append(fields.invalid(path, "", why))
        elif len(refs) > 1:
            why = "may not have more than one field specified at a time"
            out.append(fields.invalid(path, "", why))
