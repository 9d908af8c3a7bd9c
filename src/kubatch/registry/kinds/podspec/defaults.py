"""Defaults of a pod spec, as pkg/apis/core/v1/defaults.go sets them on pods and templates alike.

What only a Pod gets (requests from limits, enableServiceLinks) is in kinds/pod/defaults.py.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kubatch.api.models import (
    Container,
    EnvVar,
    EphemeralContainer,
    PodSecurityContext,
    PodSpec,
    Probe,
    Volume,
    core_v1,
)

FILE_MODE = 0o644
TOKEN_SECONDS = 3600


@lru_cache(maxsize=1024)
def default_pull_policy(image: str) -> str:
    """Always for the tag latest or none at all, else IfNotPresent (SetDefaults_Container)."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "IfNotPresent" if (tag and tag != "latest") or (digest and not tag) else "Always"


def default_pod_spec(spec: PodSpec) -> None:
    """Fill in everything that both a Pod and a template default."""
    if spec.dnsPolicy is None:
        spec.dnsPolicy = "ClusterFirst"
    if spec.restartPolicy is None:
        spec.restartPolicy = "Always"
    if spec.securityContext is None:
        spec.securityContext = PodSecurityContext()
    if spec.terminationGracePeriodSeconds is None:
        spec.terminationGracePeriodSeconds = 30
    if spec.schedulerName is None:
        spec.schedulerName = "default-scheduler"
    _sync_service_account(spec)
    for container in spec.containers:
        _default_container(container)
    for container in spec.initContainers or ():
        _default_container(container)
    for ephemeral in spec.ephemeralContainers or ():
        _default_container(ephemeral)
    for volume in spec.volumes or ():
        _default_volume(volume)


def _sync_service_account(spec: PodSpec) -> None:
    """serviceAccount is the old name of serviceAccountName (apis/core/v1/conversion.go)."""
    name = spec.serviceAccountName or spec.serviceAccount
    if name:
        spec.serviceAccountName = spec.serviceAccount = name


def _default_container(c: Container | EphemeralContainer) -> None:
    if c.imagePullPolicy is None:
        c.imagePullPolicy = default_pull_policy(c.image or "")
    if c.terminationMessagePath is None:
        c.terminationMessagePath = "/dev/termination-log"
    if c.terminationMessagePolicy is None:
        c.terminationMessagePolicy = "File"
    if c.resources is None:
        # Go shows a struct nobody set as {}.
        c.resources = core_v1.ResourceRequirements()
    for port in c.ports or ():
        if port.protocol is None:
            port.protocol = "TCP"
    for var in c.env or ():
        if var.valueFrom is not None:
            _default_env(var)
    for probe in (c.livenessProbe, c.readinessProbe, c.startupProbe):
        if probe is not None:
            _default_probe(probe)
    if c.lifecycle is not None:
        for hook in (c.lifecycle.postStart, c.lifecycle.preStop):
            if hook is not None:
                _default_http(hook.httpGet)


def _default_env(var: EnvVar) -> None:
    assert var.valueFrom is not None
    _default_field_ref(var.valueFrom.fieldRef)
    file_ref = var.valueFrom.fileKeyRef
    if file_ref is not None and file_ref.optional is None:
        file_ref.optional = False


def _default_field_ref(ref: core_v1.ObjectFieldSelector | None) -> None:
    if ref is not None and not ref.apiVersion:
        ref.apiVersion = "v1"


def _default_probe(probe: Probe) -> None:
    """SetDefaults_Probe: a zero counts as absent."""
    probe.timeoutSeconds = probe.timeoutSeconds or 1
    probe.periodSeconds = probe.periodSeconds or 10
    probe.successThreshold = probe.successThreshold or 1
    probe.failureThreshold = probe.failureThreshold or 3
    _default_http(probe.httpGet)
    if probe.grpc is not None and probe.grpc.service is None:
        probe.grpc.service = ""


def _default_http(action: core_v1.HTTPGetAction | None) -> None:
    if action is not None:
        action.path = action.path or "/"
        action.scheme = action.scheme or "HTTP"


# ----- volumes

_VOLUME_SOURCES = tuple(f for f in Volume.__struct_fields__ if f != "name")


def volume_sources(volume: Volume) -> list[str]:
    """The names of the sources a volume sets; one, if it is in order."""
    return [name for name in _VOLUME_SOURCES if getattr(volume, name) is not None]


def _default_volume(volume: Volume) -> None:
    sources = volume_sources(volume)
    if not sources:
        # SetDefaults_Volume: a volume of no kind is an emptyDir.
        volume.emptyDir = core_v1.EmptyDirVolumeSource()
        return
    for name in sources:
        default = _DEFAULTS.get(name)
        if default is not None:
            default(getattr(volume, name))


def _default_mode(source: Any) -> None:
    if source.defaultMode is None:
        source.defaultMode = FILE_MODE


def _default_host_path(source: core_v1.HostPathVolumeSource) -> None:
    if source.type is None:
        source.type = ""


def _default_downward(source: core_v1.DownwardAPIVolumeSource) -> None:
    _default_mode(source)
    for item in source.items or ():
        _default_field_ref(item.fieldRef)


def _default_projected(source: core_v1.ProjectedVolumeSource) -> None:
    _default_mode(source)
    for part in source.sources or ():
        if part.downwardAPI is not None:
            for item in part.downwardAPI.items or ():
                _default_field_ref(item.fieldRef)
        token = part.serviceAccountToken
        if token is not None and token.expirationSeconds is None:
            token.expirationSeconds = TOKEN_SECONDS


def _default_image(source: core_v1.ImageVolumeSource) -> None:
    if source.pullPolicy is None:
        source.pullPolicy = default_pull_policy(source.reference or "")


def _default_iscsi(source: core_v1.ISCSIVolumeSource) -> None:
    source.iscsiInterface = source.iscsiInterface or "default"


def _default_rbd(source: core_v1.RBDVolumeSource) -> None:
    source.pool = source.pool or "rbd"
    source.user = source.user or "admin"
    source.keyring = source.keyring or "/etc/ceph/keyring"


def _default_ephemeral(source: core_v1.EphemeralVolumeSource) -> None:
    template = source.volumeClaimTemplate
    if template is not None and template.spec.volumeMode is None:
        template.spec.volumeMode = "Filesystem"


_DEFAULTS: dict[str, Any] = {
    "secret": _default_mode,
    "configMap": _default_mode,
    "downwardAPI": _default_downward,
    "projected": _default_projected,
    "hostPath": _default_host_path,
    "image": _default_image,
    "iscsi": _default_iscsi,
    "rbd": _default_rbd,
    "ephemeral": _default_ephemeral,
}
