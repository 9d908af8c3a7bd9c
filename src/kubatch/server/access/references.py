"""What a pod lets its node read: the Secrets, ConfigMaps and claims it names. Pure.

(pkg/api/v1/pod/util.go: VisitPodSecretNames, VisitPodConfigmapNames.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubatch.api.models import Pod

# pods/annotations: a pod of a file, shown by its node, which reads nothing for it.
MIRROR = "kubernetes.io/config.mirror"
# Kinds of volumes that name a Secret under `secretRef` and, below, under a name of their own.
_SECRET_REFS = ("secretRef", "nodePublishSecretRef")


def named(pod: Pod, resource: str) -> set[str]:
    """The names of one resource's objects that a pod refers to, in its namespace."""
    assert pod.metadata is not None
    spec = pod.spec
    if spec is None or MIRROR in (pod.metadata.annotations or {}):
        return set()
    if resource == "serviceaccounts":
        return {spec.serviceAccountName} if spec.serviceAccountName else set()
    find = {"secrets": _secrets, "configmaps": _config_maps, "persistentvolumeclaims": _claims}
    return {name for name in find[resource](spec) if name}


def _secrets(spec: Any) -> Iterator[str | None]:
    for reference in spec.imagePullSecrets or ():
        yield reference.name
    for source, variable in _environments(spec):
        if source is not None and source.secretRef is not None:
            yield source.secretRef.name
        if variable is not None and variable.secretKeyRef is not None:
            yield variable.secretKeyRef.name
    for volume in spec.volumes or ():
        if volume.secret is not None:
            yield volume.secret.secretName
        if volume.azureFile is not None:
            yield volume.azureFile.secretName
        for projection in _projections(volume):
            if projection.secret is not None:
                yield projection.secret.name
        yield from _drivers(volume)


def _drivers(volume: Any) -> Iterator[str | None]:
    """Secrets of drivers (cephfs, csi, iscsi, ...), whichever it is."""
    for kind in volume.__struct_fields__:
        source = getattr(volume, kind)
        for member in _SECRET_REFS:
            reference = getattr(source, member, None)
            if reference is not None:
                yield reference.name


def _config_maps(spec: Any) -> Iterator[str | None]:
    for source, variable in _environments(spec):
        if source is not None and source.configMapRef is not None:
            yield source.configMapRef.name
        if variable is not None and variable.configMapKeyRef is not None:
            yield variable.configMapKeyRef.name
    for volume in spec.volumes or ():
        if volume.configMap is not None:
            yield volume.configMap.name
        for projection in _projections(volume):
            if projection.configMap is not None:
                yield projection.configMap.name


def _claims(spec: Any) -> Iterator[str | None]:
    for volume in spec.volumes or ():
        if volume.persistentVolumeClaim is not None:
            yield volume.persistentVolumeClaim.claimName


def _environments(spec: Any) -> Iterator[tuple[Any, Any]]:
    """Every source of many variables, and every source of one."""
    for containers in (spec.initContainers, spec.containers, spec.ephemeralContainers):
        for container in containers or ():
            for source in container.envFrom or ():
                yield source, None
            for variable in container.env or ():
                yield None, variable.valueFrom


def _projections(volume: Any) -> list[Any]:
    return (volume.projected.sources or []) if volume.projected is not None else []
