"""What a pod asks and this machine's runtime cannot honour, in words that say what to do.

A container never runs with something silently missing.
"""

from __future__ import annotations

from kubatch.agent.api_access import is_given
from kubatch.agent.facts import Capabilities
from kubatch.api import models as m


def refusal(
    container: m.Container, pod: m.Pod, capabilities: Capabilities, runtime: str
) -> str | None:
    """Why the container must not be started here; None when it may."""
    return (
        _mounts(container, capabilities, runtime)
        or _sharing(container, pod, capabilities, runtime)
        or _identity(container, pod, capabilities, runtime)
        or _probes(container, capabilities, runtime)
    )


def _mounts(container: m.Container, capabilities: Capabilities, runtime: str) -> str | None:
    for mount in container.volumeMounts or ():
        if capabilities.mounts or is_given(mount):
            continue
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


def _sharing(
    container: m.Container, pod: m.Pod, capabilities: Capabilities, runtime: str
) -> str | None:
    """What would open a runtime that keeps containers apart."""
    if not capabilities.mounts:
        return None
    assert pod.spec is not None
    own = container.securityContext or m.SecurityContext()
    of_pod = pod.spec.securityContext or m.PodSecurityContext()
    if not capabilities.privileged:
        for name, asked in (
            ("securityContext.privileged", own.privileged),
            ("hostPID", pod.spec.hostPID),
            ("hostIPC", pod.spec.hostIPC),
            ("shareProcessNamespace", shares_processes(pod.spec)),
        ):
            if asked:
                return f"{name} needs a node that runs as root; remove the field"
    if pod.spec.hostPID and not own.privileged:
        return (
            "hostPID would let the container into every other pod; make it privileged, which "
            "says so, or remove the field"
        )
    if own.procMount not in (None, "Default"):
        return f"procMount {own.procMount} is not possible with the {runtime} runtime"
    if of_pod.supplementalGroups and not capabilities.groups:
        return (
            "securityContext.supplementalGroups needs a node that runs as root: the "
            f"{runtime} runtime has only its own user's group; remove the field"
        )
    if own.privileged:
        return None
    for name in (own.capabilities.add if own.capabilities is not None else None) or ():
        if name.upper().removeprefix("CAP_") not in capabilities.capabilities:
            return (
                f"capability {name} cannot be added: it would reach this machine, whose network "
                f"and kernel the {runtime} runtime's containers share"
            )
    return None


def shares_processes(spec: m.PodSpec) -> bool:
    """Whether containers of a pod are to see each other's processes."""
    return bool(spec.shareProcessNamespace) and has_company(spec)


def has_company(spec: m.PodSpec) -> bool:
    """Whether more than one container of a pod may run at a time."""
    sidecars = [c for c in spec.initContainers or () if c.restartPolicy == "Always"]
    return len(spec.containers) + len(sidecars) > 1


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
