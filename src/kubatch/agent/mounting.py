"""From a container's volumeMounts to what a runtime mounts.

pkg/kubelet/kubelet_pods.go: makeMounts. The messages are its.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from kubatch.agent.api_access import is_given
from kubatch.agent.env import expand, named
from kubatch.agent.host_paths import SubPathError, sub_path
from kubatch.agent.volumes import Mounted
from kubatch.api import models as m
from kubatch.runtime.protocol import Mount


class MountError(Exception):
    """A volume cannot be mounted into a container; the text is what the kubelet says."""


def mounts(
    container: m.Container, volumes: Mapping[str, Mounted], variables: Mapping[str, str]
) -> tuple[Mount, ...]:
    """A container's mounts, in the order of its spec. Raises MountError."""
    return tuple(
        _mount(container, mount, volumes, variables)
        for mount in container.volumeMounts or ()
        if mount.name in volumes or not is_given(mount)
    )


def _mount(
    container: m.Container,
    mount: m.VolumeMount,
    volumes: Mapping[str, Mounted],
    variables: Mapping[str, str],
) -> Mount:
    volume = volumes.get(mount.name)
    if volume is None:
        raise MountError(
            f'cannot find volume "{mount.name}" to mount into container "{container.name}"'
        )
    target = os.path.normpath("/" + mount.mountPath.lstrip("/"))
    read_only = bool(mount.readOnly) or volume.read_only
    path = _sub_path(mount, variables)
    if volume.source is None:
        if path:
            raise MountError(_unprepared(mount, container))
        return Mount(target, None, read_only, volume.size_bytes)
    if not path:
        return Mount(target, volume.source, read_only)
    try:
        source, identity = sub_path(volume.source, path)
    except SubPathError:
        raise MountError(_unprepared(mount, container)) from None
    return Mount(target, source, read_only, identity=identity if volume.shared else None)


def _unprepared(mount: m.VolumeMount, container: m.Container) -> str:
    where = f'volumeMount "{mount.name}" of container "{container.name}"'
    return f"failed to prepare subPath for {where}"


def _sub_path(mount: m.VolumeMount, variables: Mapping[str, str]) -> str:
    path = mount.subPath or ""
    if mount.subPathExpr:
        missing = sorted(n for n in named(mount.subPathExpr) if not variables.get(n))
        if missing:
            raise MountError(f"missing value for {', '.join(missing)}")
        path = expand(mount.subPathExpr, variables)
    if path.startswith("/"):
        raise MountError(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise MountError(f"unable to provision SubPath `{path}`: must not contain '..'")
    return path
