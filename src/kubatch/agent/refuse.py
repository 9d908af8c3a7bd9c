"""What a pod asks and this machine's runtime cannot honour, in words that say what to do.

A container never runs with something silently missing.
"""

from __future__ import annotations

from kubatch.agent.facts import Capabilities
from kubatch.api import models as m


def refusal(
    container: m.Container, pod: m.Pod, capabilities: Capabilities, runtime: str
) -> str | None:
    """Why the container must not be started here; None when it may."""
    return (
        _mounts(container, capabilities, runtime)
        or _identity(container, pod, capabilities, runtime)
        or _probes(container, capabilities, runtime)
        or _restart_rules(container)
    )


def _mounts(container: m.Container, capabilities: Capabilities, runtime: str) -> str | None:
    if capabilities.mounts:
        return None
    for mount in container.volumeMounts or ():
        return (
            f'volume "{mount.name}" cannot be mounted at {mount.mountPath}: the {runtime} runtime '
            "gives containers no file system of their own; remove the volumeMount or use a "
            "runtime that mounts volumes"
        )
    for device in container.volumeDevices or ():
        return (
            f'volume "{device.name}" cannot be attached at {device.devicePath}: the {runtime} '
            "runtime has no block devices; remove the volumeDevice"
        )
    return None


def _identity(
    container: m.Container, pod: m.Pod, capabilities: Capabilities, runtime: str
) -> str | None:
    assert pod.spec is not None
    assert pod.metadata is not None
    own = container.securityContext or m.SecurityContext()
    of_pod = pod.spec.securityContext or m.PodSecurityContext()
    user = of_pod.runAsUser if own.runAsUser is None else own.runAsUser
    group = of_pod.runAsGroup if own.runAsGroup is None else own.runAsGroup
    non_root = of_pod.runAsNonRoot if own.runAsNonRoot is None else own.runAsNonRoot
    where = f'(pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})", '
    where += f"container: {container.name})"
    # pkg/kubelet/kuberuntime/security_context.go: verifyRunAsNonRoot
    if non_root and user == 0:
        return f"container's runAsUser breaks non-root policy {where}"
    if non_root and user is None and capabilities.uid == 0:
        return f"container has runAsNonRoot and image will run as root {where}"
    if capabilities.users:
        return None
    for field, wanted, ours in (
        ("runAsUser", user, capabilities.uid),
        ("runAsGroup", group, capabilities.gid),
    ):
        if wanted is not None and wanted != ours:
            return (
                f"securityContext.{field} {wanted} is not possible: the {runtime} runtime runs "
                f"containers as {ours}; remove the field or set it to {ours}"
            )
    return None


def _probes(container: m.Container, capabilities: Capabilities, runtime: str) -> str | None:
    if not capabilities.probes:
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            if getattr(container, name) is not None:
                return f"{name} is not supported by the {runtime} runtime yet; remove it"
    if not capabilities.hooks and container.lifecycle is not None:
        for name in ("postStart", "preStop"):
            if getattr(container.lifecycle, name) is not None:
                return f"lifecycle.{name} is not supported by the {runtime} runtime yet; remove it"
    return None


def _restart_rules(container: m.Container) -> str | None:
    for rule in container.restartPolicyRules or ():
        if rule.action != "Restart":
            return f"restartPolicyRules action {rule.action} is not supported yet; use Restart"
    return None
