"""PersistentVolumes (pkg/registry/core/persistentvolume; ValidatePersistentVolume)."""

from __future__ import annotations

import posixpath
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from kubatch.api import fields, quantity
from kubatch.api.errors import Cause
from kubatch.api.models import PersistentVolume, PersistentVolumeSpec, PersistentVolumeStatus
from kubatch.api.resource import PERSISTENTVOLUMES
from kubatch.registry.age import age
from kubatch.registry.kinds.pod.validation import difference
from kubatch.registry.kinds.podspec.paths import no_backsteps
from kubatch.registry.kinds.podspec.scheduling import validate_node_selector
from kubatch.registry.kinds.podspec.volumes import validate_host_path
from kubatch.registry.kinds.rules import immutable
from kubatch.registry.kinds.storage import UNSET, access_modes, protect, shown_modes, volume_mode
from kubatch.registry.metadata import dns_subdomain_errors
from kubatch.registry.strategy import Column, Row, Strategy

_RECLAIM = ("Delete", "Recycle", "Retain")
_NOT_SOURCES = {
    "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity",
    "persistentVolumeReclaimPolicy", "storageClassName", "volumeAttributesClassName", "volumeMode",
}  # fmt: skip
SOURCES = tuple(f for f in PersistentVolumeSpec.__struct_fields__ if f not in _NOT_SOURCES)


class PersistentVolumeStrategy(Strategy[PersistentVolume]):
    resource = PERSISTENTVOLUMES
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique."),
        Column("Capacity", description="How much the volume holds."),
        Column("Access Modes", description="How the volume can be mounted."),
        Column("Reclaim Policy", description="What happens to the volume without its claim."),
        Column("Status", description="The phase of the volume."),
        Column("Claim", description="The claim that has the volume."),
        Column("StorageClass", description="The storage class of the volume."),
        Column("VolumeAttributesClass", description="The attributes class of the volume."),
        Column("Reason", description="Why the volume is in its phase."),
        Column("Age", description="Time since the volume was created."),
        Column("VolumeMode", priority=1, description="A file system or a block device."),
    )

    def default(self, obj: PersistentVolume) -> None:
        """SetDefaults_PersistentVolume and those of its sources."""
        spec = obj.spec
        if spec is None:
            return
        spec.persistentVolumeReclaimPolicy = spec.persistentVolumeReclaimPolicy or "Retain"
        spec.volumeMode = spec.volumeMode or "Filesystem"
        if spec.hostPath is not None and spec.hostPath.type is None:
            spec.hostPath.type = ""
        if spec.iscsi is not None:
            spec.iscsi.iscsiInterface = spec.iscsi.iscsiInterface or "default"
        if spec.rbd is not None:
            spec.rbd.pool = spec.rbd.pool or "rbd"
            spec.rbd.user = spec.rbd.user or "admin"
            spec.rbd.keyring = spec.rbd.keyring or "/etc/ceph/keyring"

    def prepare_create(self, obj: PersistentVolume) -> None:
        protect(obj.metadata, "kubernetes.io/pv-protection")
        since = obj.metadata.creationTimestamp if obj.metadata is not None else None
        obj.status = PersistentVolumeStatus(phase="Pending", lastPhaseTransitionTime=since)

    def validate_create(self, obj: PersistentVolume) -> list[Cause]:
        return _validate(obj.spec or PersistentVolumeSpec())

    def prepare_update(self, new: PersistentVolume, old: PersistentVolume) -> None:
        new.status = old.status

    def validate_update(self, new: PersistentVolume, old: PersistentVolume) -> list[Cause]:
        spec, was = new.spec or PersistentVolumeSpec(), old.spec or PersistentVolumeSpec()
        out = _validate(spec)
        before = replace(spec, **{name: getattr(was, name) for name in SOURCES})
        if before != spec:
            changes = difference(before, spec)
            why = f"spec.persistentvolumesource is immutable after creation\n{changes}"
            out.append(fields.forbidden("spec.persistentvolumesource", why))
        immutable(spec.volumeMode, was.volumeMode, "volumeMode", out)
        if was.nodeAffinity is not None and spec.nodeAffinity != was.nodeAffinity:
            why = "field is immutable, except for updating from beta label to GA"
            shown: Any = spec.nodeAffinity if spec.nodeAffinity is not None else "null"
            out.append(fields.invalid("nodeAffinity", shown, why))
        if was.volumeAttributesClassName is not None and spec.volumeAttributesClassName is None:
            why = "update from non-nil value to nil is forbidden"
            out.append(fields.forbidden("spec.volumeAttributesClassName", why))
        return out

    def prepare_status_update(self, new: PersistentVolume, old: PersistentVolume) -> None:
        new.spec = old.spec

    def row(self, obj: PersistentVolume, now: datetime) -> Row:
        """printers.go: printPersistentVolume."""
        assert obj.metadata is not None
        spec = obj.spec or PersistentVolumeSpec()
        status = obj.status or PersistentVolumeStatus()
        claim = spec.claimRef
        deleting = obj.metadata.deletionTimestamp is not None
        return Row(
            (
                obj.metadata.name,
                (spec.capacity or {}).get("storage", "0"),
                shown_modes(spec.accessModes),
                spec.persistentVolumeReclaimPolicy or "",
                "Terminating" if deleting else status.phase or "",
                f"{claim.namespace}/{claim.name}" if claim is not None else "",
                spec.storageClassName or "",
                spec.volumeAttributesClassName or UNSET,
                status.reason or "",
                age(obj.metadata.creationTimestamp, now),
                spec.volumeMode or UNSET,
            )
        )


def _validate(spec: PersistentVolumeSpec) -> list[Cause]:
    """ValidatePersistentVolumeSpec."""
    out: list[Cause] = []
    if not spec.accessModes:
        out.append(fields.required("spec.accessModes"))
    access_modes(spec.accessModes, "spec.accessModes", out)
    _capacity(spec.capacity or {}, out)
    reclaim = spec.persistentVolumeReclaimPolicy
    if reclaim and reclaim not in _RECLAIM:
        out.append(fields.not_supported("spec.persistentVolumeReclaimPolicy", reclaim, _RECLAIM))
    if spec.nodeAffinity is not None:
        where = "spec.nodeAffinity.required"
        if spec.nodeAffinity.required is None:
            out.append(fields.required(where, "must specify required node constraints"))
        else:
            validate_node_selector(spec.nodeAffinity.required, where, out)
    _source(spec, out)
    for name in ("storageClassName", "volumeAttributesClassName"):
        value = getattr(spec, name)
        if value:
            errors = dns_subdomain_errors(value)
            out += [fields.invalid(f"spec.{name}", value, why) for why in errors]
    volume_mode(spec.volumeMode, "spec.volumeMode", out)
    if spec.volumeAttributesClassName is not None:
        if not spec.volumeAttributesClassName:
            where = "spec.volumeAttributesClassName"
            out.append(fields.required(where, "an empty string is disallowed"))
        if spec.csi is None:
            why = "has to be specified when using volumeAttributesClassName"
            out.append(fields.required("spec.csi", why))
    return out


def _capacity(capacity: dict[str, str], out: list[Cause]) -> None:
    path = "spec.capacity"
    if not capacity:
        out.append(fields.required(path))
    if "storage" not in capacity or len(capacity) > 1:
        out.append(fields.not_supported(path, capacity, ["storage"]))
    for name, text in capacity.items():
        value = quantity.parse(text)
        if value < 0:
            why = "must be a valid resource quantity"
            out.append(fields.invalid(f"{path}[{name}]", quantity.whole(text), why))
        if value <= 0:
            out.append(fields.invalid(f"{path}[{name}]", text, "must be greater than zero"))


def _source(spec: PersistentVolumeSpec, out: list[Cause]) -> None:
    found = [name for name in SOURCES if getattr(spec, name) is not None]
    if not found:
        out.append(fields.required("spec", "must specify a volume type"))
    for name in found[1:]:
        why = "may not specify more than 1 volume type"
        out.append(fields.forbidden(f"spec.{name}", why))
    host = spec.hostPath
    if host is not None:
        validate_host_path(host, "spec.hostPath", out)
        recycled = spec.persistentVolumeReclaimPolicy == "Recycle"
        if recycled and posixpath.normpath(host.path or ".") == "/":
            why = "may not be 'recycle' for a hostPath mount of '/'"
            out.append(fields.forbidden("spec.persistentVolumeReclaimPolicy", why))
    if spec.local is not None:
        if not spec.local.path:
            out.append(fields.required("spec.local.path"))
        else:
            no_backsteps(spec.local.path, "spec.local.path", out)
        if spec.nodeAffinity is None:
            why = "Local volume requires node affinity"
            out.append(fields.required("spec.nodeAffinity", why))
    for name, members in (("nfs", ("server", "path")), ("csi", ("driver", "volumeHandle"))):
        source = getattr(spec, name)
        if source is not None:
            out += [fields.required(f"spec.{name}.{m}") for m in members if not getattr(source, m)]
