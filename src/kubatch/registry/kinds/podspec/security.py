"""Security contexts of pods and containers.

Follows pkg/apis/core/validation/validation.go: validatePodSpecSecurityContext,
ValidateSecurityContext. Windows options are stored as they come.
"""

from __future__ import annotations

import re
from typing import Any

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import PodSecurityContext, PodSpec, SecurityContext
from kubatch.registry.kinds.podspec.paths import descending
from kubatch.registry.kinds.rules import ID_MAX, between

_PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL_BYTES_MAX = 253
_SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"({_SYSCTL_SEGMENT}[\./])*{_SYSCTL_SEGMENT}"
_is_sysctl = re.compile(_SYSCTL).fullmatch


def _ids(context: Any, names: tuple[str, ...], path: str, out: list[Cause]) -> None:
    for name in names:
        value = getattr(context, name)
        if value is not None and not 0 <= value <= ID_MAX:
            out.append(fields.invalid(f"{path}.{name}", value, between(0, ID_MAX)))


def validate_pod_context(
    context: PodSecurityContext, spec: PodSpec, path: str, out: list[Cause]
) -> None:
    """Everything wrong with the pod's own security context."""
    _ids(context, ("fsGroup", "runAsUser", "runAsGroup"), path, out)
    for i, group in enumerate(context.supplementalGroups or ()):
        if not 0 <= group <= ID_MAX:
            where = f"{path}.supplementalGroups[{i}]"
            out.append(fields.invalid(where, group, between(0, ID_MAX)))
    if spec.shareProcessNamespace and spec.hostPID:
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        out.append(fields.invalid(f"{path}.shareProcessNamespace", True, why))
    if context.sysctls:
        _sysctls(context, spec, f"{path}.sysctls", out)
    for name, choices in (
        ("fsGroupChangePolicy", ["Always", "OnRootMismatch"]),
        ("supplementalGroupsPolicy", ["Merge", "Strict"]),
        ("seLinuxChangePolicy", ["MountOption", "Recursive"]),
    ):
        value = getattr(context, name)
        if value is not None and value not in choices:
            out.append(fields.not_supported(f"{path}.{name}", value, choices))
    _profiles(context, path, out)


def _sysctls(context: PodSecurityContext, spec: PodSpec, path: str, out: list[Cause]) -> None:
    seen: set[str] = set()
    for i, sysctl in enumerate(context.sysctls or ()):
        where = f"{path}[{i}].name"
        if not sysctl.name:
            out.append(fields.required(where))
        elif len(sysctl.name) > _SYSCTL_BYTES_MAX or not _is_sysctl(sysctl.name):
            why = f"must have at most {_SYSCTL_BYTES_MAX} characters and match regex ^{_SYSCTL}$"
            out.append(fields.invalid(where, sysctl.name, why))
        elif sysctl.name in seen:
            out.append(fields.duplicate(where, sysctl.name))
        name = sysctl.name.replace("/", ".")
        if spec.hostNetwork and name.startswith("net."):
            why = "may not be specified when 'hostNetwork' is true"
            out.append(fields.invalid(where, sysctl.name, why))
        elif spec.hostIPC and name.startswith(
            ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")
        ):
            why = "may not be specified when 'hostIPC' is true"
            out.append(fields.invalid(where, sysctl.name, why))
        seen.add(sysctl.name)


def _profiles(context: Any, path: str, out: list[Cause]) -> None:
    if context.seccompProfile is not None:
        _profile(context.seccompProfile, "seccompProfile", "seccomp", path, out)
    if context.appArmorProfile is not None:
        _profile(context.appArmorProfile, "appArmorProfile", "AppArmor", path, out)


def _profile(profile: Any, name: str, called: str, path: str, out: list[Cause]) -> None:
    where, local = f"{path}.{name}", profile.localhostProfile
    if not profile.type:
        out.append(fields.required(f"{where}.type", f"type is required when {name} is set"))
    elif profile.type not in _PROFILE_TYPES:
        out.append(fields.not_supported(f"{where}.type", profile.type, _PROFILE_TYPES))
    elif profile.type == "Localhost":
        if not local:
            why = f"must be set when {called} type is Localhost"
            out.append(fields.required(f"{where}.localhostProfile", why))
        elif called == "seccomp":
            descending(local, f"{where}.localhostProfile", out)
        elif local != local.strip():
            why = "must not be padded with whitespace"
            out.append(fields.invalid(f"{where}.localhostProfile", local, why))
    elif local is not None:
        why = f"can only be set when {called} type is Localhost"
        out.append(fields.invalid(f"{where}.localhostProfile", local, why))


def validate_container_context(
    context: SecurityContext, host_users: bool, path: str, out: list[Cause]
) -> None:
    """Everything wrong with one container's security context."""
    _ids(context, ("runAsUser", "runAsGroup"), path, out)
    if context.procMount is not None:
        where = f"{path}.procMount"
        if context.procMount not in ("Default", "Unmasked"):
            out.append(fields.not_supported(where, context.procMount, ["Default", "Unmasked"]))
        if host_users and context.procMount == "Unmasked":
            why = "`hostUsers` must be false to use `Unmasked`"
            out.append(fields.invalid(where, context.procMount, why))
    if context.allowPrivilegeEscalation is False:
        if context.privileged:
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            out.append(fields.invalid(path, context, why))
        added = (context.capabilities.add or ()) if context.capabilities is not None else ()
        if "CAP_SYS_ADMIN" in added:
            why = (
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
                "CAP_SYS_ADMIN"
            )
            out.append(fields.invalid(path, context, why))
    _profiles(context, path, out)
