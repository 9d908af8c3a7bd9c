"""Volumes, and where containers mount them.

Follows pkg/apis/core/validation/validation.go: ValidateVolumes, validateVolumeSource and the
functions it calls, ValidateVolumeMounts, ValidateVolumeDevices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubatch.api import fields, quantity
from kubatch.api.errors import Cause
from kubatch.api.models import Container, EphemeralContainer, Volume, VolumeMount, core_v1
from kubatch.registry.kinds.podspec.defaults import volume_sources
from kubatch.registry.kinds.podspec.env import VOLUME_FIELDS, field_ref, resource_ref
from kubatch.registry.kinds.podspec.paths import descending, local_path, no_backsteps
from kubatch.registry.metadata import dns_label_errors, dns_subdomain_errors

FILE_MODE_SENTENCE = "must be a number between 0 and 0777 (octal), both inclusive"
_HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
    "Socket",
)  # fmt: skip
# Sources nobody can provide here. What they cannot be without is checked, the rest is stored.
_REQUIRED: dict[str, tuple[str, ...]] = {
    "gitRepo": ("repository",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "persistentVolumeClaim": ("claimName",),
    "rbd": ("monitors", "image"),
    "cinder": ("volumeID",),
    "cephfs": ("monitors",),
    "flexVolume": ("driver",),
    "azureFile": ("secretName", "shareName"),
    "azureDisk": ("diskName", "diskURI"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "scaleIO": ("gateway", "system", "volumeName"),
    "storageos": ("volumeName",),
    "csi": ("driver",),
    "image": ("reference",),
}
# The order in which Kubernetes looks at the sources: the first one set counts.
_ORDER = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs",
    "iscsi", "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte",
    "downwardAPI", "fc", "flexVolume", "configMap", "azureFile", "vsphereVolume",
    "photonPersistentDisk", "portworxVolume", "azureDisk", "storageos", "projected", "scaleIO",
    "csi", "ephemeral", "image",
)  # fmt: skip


def validate_volumes(
    volumes: Sequence[Volume], pod_name: str | None, path: str, out: list[Cause]
) -> dict[str, Volume]:
    """Check each volume; those in order, by name. A broken volume cannot be mounted."""
    good: dict[str, Volume] = {}
    for i, volume in enumerate(volumes):
        where = f"{path}[{i}]"
        found: list[Cause] = []
        _source(volume, pod_name, where, found)
        if not volume.name:
            found.append(fields.required(f"{where}.name"))
        else:
            errors = dns_label_errors(volume.name)
            found += [fields.invalid(f"{where}.name", volume.name, why) for why in errors]
        if volume.name in good:
            found.append(fields.duplicate(f"{where}.name", volume.name))
        if found:
            out.extend(found)
        else:
            good[volume.name] = volume
    return good


def _source(volume: Volume, pod_name: str | None, path: str, out: list[Cause]) -> None:
    names = volume_sources(volume)
    if not names:
        out.append(fields.required(path, "must specify a volume type"))
        return
    if len(names) > 1:
        names.sort(key=_ORDER.index)
        for name in names[1:]:
            why = "may not specify more than 1 volume type"
            out.append(fields.forbidden(f"{path}.{name}", why))
    name = names[0]
    source, where = getattr(volume, name), f"{path}.{name}"
    check = _CHECKS.get(name)
    if check is not None:
        check(source, where, out)
    _need(source, _REQUIRED.get(name, ()), where, out)
    if name == "ephemeral" and pod_name and volume.name:
        claim = f"{pod_name}-{volume.name}"
        for why in dns_subdomain_errors(claim):
            text = f"PVC name {fields.show(claim)}: {why}"
            out.append(fields.invalid(f"{path}.name", volume.name, text))


def _need(source: Any, members: Sequence[str], path: str, out: list[Cause]) -> None:
    out.extend(fields.required(f"{path}.{m}") for m in members if not getattr(source, m))


def _mode(mode: int | None, path: str, out: list[Cause]) -> None:
    if mode is not None and not 0 <= mode <= 0o777:
        out.append(fields.invalid(path, mode, FILE_MODE_SENTENCE))


def _empty_dir(source: core_v1.EmptyDirVolumeSource, path: str, out: list[Cause]) -> None:
    if source.sizeLimit is not None and quantity.parse(source.sizeLimit) < 0:
        why = "SizeLimit field must be a valid resource quantity"
        out.append(fields.forbidden(f"{path}.sizeLimit", why))


def validate_host_path(source: core_v1.HostPathVolumeSource, path: str, out: list[Cause]) -> None:
    """A path of the host, and what must be there."""
    if not source.path:
        out.append(fields.required(f"{path}.path"))
        return
    no_backsteps(source.path, f"{path}.path", out)
    if source.type is not None and source.type not in _HOST_PATH_TYPES:
        out.append(fields.not_supported(f"{path}.type", source.type, _HOST_PATH_TYPES))


def _nfs(source: core_v1.NFSVolumeSource, path: str, out: list[Cause]) -> None:
    _need(source, ("server", "path"), path, out)
    if not (source.path or "").startswith("/"):
        out.append(fields.invalid(f"{path}.path", source.path or "", "must be an absolute path"))


def _items(items: Sequence[core_v1.KeyToPath], path: str, out: list[Cause]) -> None:
    for i, item in enumerate(items):
        where = f"{path}[{i}]"
        _need(item, ("key", "path"), where, out)
        local_path(item.path, f"{where}.path", out)
        _mode(item.mode, f"{where}.mode", out)


def _secret(source: core_v1.SecretVolumeSource, path: str, out: list[Cause]) -> None:
    if not source.secretName:
        out.append(fields.required(f"{path}.secretName"))
    _mode(source.defaultMode, f"{path}.defaultMode", out)
    _items(source.items or (), f"{path}.items", out)


def _config_map(source: core_v1.ConfigMapVolumeSource, path: str, out: list[Cause]) -> None:
    if not source.name:
        out.append(fields.required(f"{path}.name"))
    _mode(source.defaultMode, f"{path}.defaultMode", out)
    _items(source.items or (), f"{path}.items", out)


def _downward(source: core_v1.DownwardAPIVolumeSource, path: str, out: list[Cause]) -> None:
    _mode(source.defaultMode, f"{path}.defaultMode", out)
    for item in source.items or ():
        # Kubernetes gives every file the path of the volume, without an index.
        _downward_file(item, path, out)


def _downward_file(item: core_v1.DownwardAPIVolumeFile, path: str, out: list[Cause]) -> None:
    if not item.path:
        out.append(fields.required(f"{path}.path"))
    local_path(item.path, f"{path}.path", out)
    if item.fieldRef is not None:
        field_ref(item.fieldRef, VOLUME_FIELDS, f"{path}.fieldRef", out)
        if item.resourceFieldRef is not None:
            why = "fieldRef and resourceFieldRef can not be specified simultaneously"
            out.append(fields.invalid(path, "resource", why))
    elif item.resourceFieldRef is not None:
        resource_ref(item.resourceFieldRef, f"{path}.resourceFieldRef", out, volume=True)
    else:
        out.append(fields.required(path, "one of fieldRef and resourceFieldRef is required"))
    _mode(item.mode, f"{path}.mode", out)


def _projected(source: core_v1.ProjectedVolumeSource, path: str, out: list[Cause]) -> None:
    _mode(source.defaultMode, f"{path}.defaultMode", out)
    taken: set[str] = set()

    def take(target: str | None, shown: str) -> None:
        if target:
            if target in taken:
                out.append(fields.invalid(path, shown, "conflicting duplicate paths"))
            taken.add(target)

    for i, part in enumerate(source.sources or ()):
        where = f"{path}.sources[{i}]"
        count = 0
        for name, named in (("secret", part.secret), ("configMap", part.configMap)):
            if named is None:
                continue
            count += 1
            if not named.name:
                out.append(fields.required(f"{where}.{name}.name"))
            _items(named.items or (), f"{where}.{name}.items", out)
            for item in named.items or ():
                take(item.path, named.name or "")
        if part.downwardAPI is not None:
            count += 1
            for file in part.downwardAPI.items or ():
                _downward_file(file, f"{where}.downwardAPI", out)
                take(file.path, file.path)
        if part.serviceAccountToken is not None:
            count += 1
            _token(part.serviceAccountToken, path, f"{where}.serviceAccountToken", out)
        count += part.clusterTrustBundle is not None
        count += part.podCertificate is not None
        if count > 1:
            why = "may not specify more than 1 volume type per source"
            out.append(fields.forbidden(where, why))


def _token(
    token: core_v1.ServiceAccountTokenProjection, volume: str, path: str, out: list[Cause]
) -> None:
    seconds = token.expirationSeconds or 0
    where = f"{path}.expirationSeconds"
    if seconds < 600:
        why = "may not specify a duration less than 10 minutes"
        out.append(fields.invalid(where, seconds, why))
    if seconds > 1 << 32:
        why = "may not specify a duration larger than 2^32 seconds"
        out.append(fields.invalid(where, seconds, why))
    # The path is reported on the volume, not on the source.
    if not token.path:
        out.append(fields.required(f"{volume}.path"))
    else:
        local_path(token.path, f"{volume}.path", out)


def _ephemeral(source: core_v1.EphemeralVolumeSource, path: str, out: list[Cause]) -> None:
    if source.volumeClaimTemplate is None:
        out.append(fields.required(f"{path}.volumeClaimTemplate"))


_CHECKS: dict[str, Callable[[Any, str, list[Cause]], None]] = {
    "emptyDir": _empty_dir,
    "hostPath": validate_host_path,
    "nfs": _nfs,
    "secret": _secret,
    "configMap": _config_map,
    "downwardAPI": _downward,
    "projected": _projected,
    "ephemeral": _ephemeral,
}


# ----- mounts


def validate_mounts(
    c: Container | EphemeralContainer, volumes: Mapping[str, Volume], path: str, out: list[Cause]
) -> None:
    """volumeMounts and volumeDevices of one container."""
    devices = {d.name: d.devicePath for d in c.volumeDevices or ()}
    taken: set[str] = set()
    for i, mount in enumerate(c.volumeMounts or ()):
        where = f"{path}.volumeMounts[{i}]"
        if not mount.name:
            out.append(fields.required(f"{where}.name"))
        if mount.name not in volumes:
            out.append(fields.not_found(f"{where}.name", mount.name))
        if not mount.mountPath:
            out.append(fields.required(f"{where}.mountPath"))
        if mount.mountPath in taken:
            out.append(fields.invalid(f"{where}.mountPath", mount.mountPath, "must be unique"))
        taken.add(mount.mountPath)
        if mount.name in devices:
            why = "must not already exist in volumeDevices"
            out.append(fields.invalid(f"{where}.name", mount.name, why))
        if mount.mountPath in devices.values():
            why = "must not already exist as a path in volumeDevices"
            out.append(fields.invalid(f"{where}.mountPath", mount.mountPath, why))
        _sub_paths(mount, volumes.get(mount.name), where, f"{path}.volumeMounts", out)
        _propagation(mount, c, f"{path}.volumeMounts", out)
    if c.volumeDevices:
        _devices(c, volumes, f"{path}.volumeDevices", out)


def _sub_paths(
    mount: VolumeMount, volume: Volume | None, where: str, path: str, out: list[Cause]
) -> None:
    """subPath and subPathExpr; what is wrong inside a path is reported without the index."""
    if not mount.subPath and not mount.subPathExpr:
        return
    if volume is not None and volume.image is not None:
        why = "not allowed in image volume sources"
        if mount.subPath:
            out.append(fields.invalid(f"{where}.subPath", mount.subPath, why))
        if mount.subPathExpr:
            out.append(fields.invalid(f"{where}.subPathExpr", mount.subPathExpr, why))
    if mount.subPath:
        descending(mount.subPath, f"{path}.subPath", out)
    if mount.subPathExpr:
        if mount.subPath:
            why = "subPathExpr and subPath are mutually exclusive"
            out.append(fields.invalid(f"{where}.subPathExpr", mount.subPathExpr, why))
        descending(mount.subPathExpr, f"{path}.subPathExpr", out)


def _propagation(mount: VolumeMount, c: Any, path: str, out: list[Cause]) -> None:
    mode = mount.mountPropagation
    if mode is not None:
        where = f"{path}.mountPropagation"
        choices = ["Bidirectional", "HostToContainer", "None"]
        if mode not in choices:
            out.append(fields.not_supported(where, mode, choices))
        privileged = c.securityContext is not None and c.securityContext.privileged
        if mode == "Bidirectional" and not privileged:
            why = "Bidirectional mount propagation is available only to privileged containers"
            out.append(fields.forbidden(where, why))
    recursive = mount.recursiveReadOnly
    if recursive is None or recursive == "Disabled":
        return
    where = f"{path}.recursiveReadOnly"
    choices = ["Disabled", "Enabled", "IfPossible"]
    if recursive not in choices:
        out.append(fields.not_supported(where, recursive, choices))
        return
    if not mount.readOnly:
        out.append(fields.forbidden(where, "may only be specified when readOnly is true"))
    if mode not in (None, "None"):
        why = "may only be specified when mountPropagation is None or not specified"
        out.append(fields.forbidden(where, why))


def _devices(c: Any, volumes: Mapping[str, Volume], path: str, out: list[Cause]) -> None:
    mounts = {mount.name: mount.mountPath for mount in c.volumeMounts or ()}
    names: set[str] = set()
    paths: set[str] = set()
    for i, device in enumerate(c.volumeDevices):
        where = f"{path}[{i}]"
        volume = volumes.get(device.name)
        if not device.name:
            out.append(fields.required(f"{where}.name"))
        if device.name in names:
            out.append(fields.invalid(f"{where}.name", device.name, "must be unique"))
        if volume is None:
            out.append(fields.not_found(f"{where}.name", device.name))
        elif volume.persistentVolumeClaim is None and volume.ephemeral is None:
            why = (
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block "
                "mode"
            )
            out.append(fields.invalid(f"{where}.name", device.name, why))
        if not device.devicePath:
            out.append(fields.required(f"{where}.devicePath"))
        if device.devicePath in paths:
            out.append(fields.invalid(f"{where}.devicePath", device.devicePath, "must be unique"))
        if ".." in device.devicePath.split("/"):
            why = "can not contain backsteps ('..')"
            out.append(fields.invalid(f"{where}.devicePath", device.devicePath, why))
        if device.name in mounts:
            why = "must not already exist in volumeMounts"
            out.append(fields.invalid(f"{where}.name", device.name, why))
        if device.devicePath in mounts.values():
            why = "must not already exist as a path in volumeMounts"
            out.append(fields.invalid(f"{where}.devicePath", device.devicePath, why))
        names.add(device.name)
        paths.add(device.devicePath)
