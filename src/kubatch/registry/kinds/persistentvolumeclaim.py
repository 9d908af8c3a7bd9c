"""PersistentVolumeClaims (pkg/registry/core/persistentvolumeclaim)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from kubatch.api import fields, quantity
from kubatch.api.errors import Cause
from kubatch.api.models import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
    core_v1,
)
from kubatch.api.resource import PERSISTENTVOLUMECLAIMS
from kubatch.registry.age import age
from kubatch.registry.kinds.pod.validation import difference
from kubatch.registry.kinds.rules import immutable, selector_causes
from kubatch.registry.kinds.storage import UNSET, access_modes, protect, shown_modes, volume_mode
from kubatch.registry.metadata import dns_label_errors, dns_subdomain_errors
from kubatch.registry.strategy import Column, Row, Strategy


class PersistentVolumeClaimStrategy(Strategy[PersistentVolumeClaim]):
    resource = PERSISTENTVOLUMECLAIMS
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Status", description="The phase of the claim."),
        Column("Volume", description="The volume the claim has."),
        Column("Capacity", description="How much that volume holds."),
        Column("Access Modes", description="How the volume can be mounted."),
        Column("StorageClass", description="The storage class asked for."),
        Column("VolumeAttributesClass", description="The attributes class asked for."),
        Column("Age", description="Time since the claim was created."),
        Column("VolumeMode", priority=1, description="A file system or a block device."),
    )

    def default(self, obj: PersistentVolumeClaim) -> None:
        spec = obj.spec
        if spec is None:
            return
        spec.volumeMode = spec.volumeMode or "Filesystem"
        source, ref = spec.dataSource, spec.dataSourceRef
        # NormalizeDataSources: either one means both.
        if source is not None and ref is None:
            spec.dataSourceRef = core_v1.TypedObjectReference(
                kind=source.kind, name=source.name, apiGroup=source.apiGroup
            )
        elif source is None and ref is not None and not ref.namespace:
            spec.dataSource = core_v1.TypedLocalObjectReference(
                kind=ref.kind, name=ref.name, apiGroup=ref.apiGroup
            )

    def prepare_create(self, obj: PersistentVolumeClaim) -> None:
        protect(obj.metadata, "kubernetes.io/pvc-protection")
        obj.status = PersistentVolumeClaimStatus(phase="Pending")

    def validate_create(self, obj: PersistentVolumeClaim) -> list[Cause]:
        return _validate(obj.spec or PersistentVolumeClaimSpec())

    def prepare_update(self, new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> None:
        new.status = old.status

    def validate_update(
        self, new: PersistentVolumeClaim, old: PersistentVolumeClaim
    ) -> list[Cause]:
        spec = new.spec or PersistentVolumeClaimSpec()
        was = old.spec or PersistentVolumeClaimSpec()
        status = old.status or PersistentVolumeClaimStatus()
        out = _validate(spec)
        allowed = _with_what_may_change(was, spec, status.phase == "Bound")
        if spec != allowed:
            why = (
                "spec is immutable after creation except resources.requests and "
                f"volumeAttributesClassName for bound claims\n{difference(allowed, spec)}"
            )
            out.append(fields.forbidden("spec", why))
        size, before = _storage(spec), _storage(was)
        if size < before and size <= quantity.parse((status.capacity or {}).get("storage", "0")):
            why = "field can not be less than status.capacity"
            out.append(fields.forbidden("spec.resources.requests.storage", why))
        immutable(spec.volumeMode, was.volumeMode, "volumeMode", out)
        _attributes_class(spec.volumeAttributesClassName, was.volumeAttributesClassName, out)
        return out

    def prepare_status_update(self, new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> None:
        new.spec = old.spec

    def validate_status_update(
        self, new: PersistentVolumeClaim, old: PersistentVolumeClaim
    ) -> list[Cause]:
        out: list[Cause] = []
        status = new.status or PersistentVolumeClaimStatus()
        for name, text in (status.capacity or {}).items():
            if quantity.parse(text) < 0:
                why = "must be a valid resource quantity"
                where = f"status.capacity[{name}]"
                out.append(fields.invalid(where, quantity.whole(text), why))
        return out

    def row(self, obj: PersistentVolumeClaim, now: datetime) -> Row:
        """printers.go: printPersistentVolumeClaim."""
        assert obj.metadata is not None
        spec = obj.spec or PersistentVolumeClaimSpec()
        status = obj.status or PersistentVolumeClaimStatus()
        bound = bool(spec.volumeName)
        deleting = obj.metadata.deletionTimestamp is not None
        return Row(
            (
                obj.metadata.name,
                "Terminating" if deleting else status.phase or "",
                spec.volumeName or "",
                (status.capacity or {}).get("storage", "0") if bound else "",
                shown_modes(status.accessModes) if bound else "",
                spec.storageClassName or "",
                spec.volumeAttributesClassName or UNSET,
                age(obj.metadata.creationTimestamp, now),
                spec.volumeMode or UNSET,
            )
        )


def _storage(spec: PersistentVolumeClaimSpec) -> Any:
    res = spec.resources
    return quantity.parse(((res.requests if res is not None else None) or {}).get("storage", "0"))


def _with_what_may_change(
    was: PersistentVolumeClaimSpec, spec: PersistentVolumeClaimSpec, bound: bool
) -> PersistentVolumeClaimSpec:
    """The old spec with what an update may set: the volume once, and a bound claim's size."""
    allowed = replace(was)
    if not was.volumeName:
        allowed.volumeName = spec.volumeName
    if was.storageClassName is None:
        allowed.storageClassName = spec.storageClassName
    if bound:
        if spec.resources is not None and spec.resources.requests and was.resources is not None:
            size = {k: v for k, v in spec.resources.requests.items() if k == "storage"}
            requests = {**(was.resources.requests or {}), **size}
            allowed.resources = replace(was.resources, requests=requests)
        if spec.volumeAttributesClassName is not None:
            allowed.volumeAttributesClassName = spec.volumeAttributesClassName
    return allowed


def _attributes_class(now: str | None, was: str | None, out: list[Cause]) -> None:
    path = "spec.volumeAttributesClassName"
    if was is not None and now is None:
        out.append(fields.forbidden(path, "update from non-nil value to nil is forbidden"))
    elif was is not None and now != was and not now:
        why = "update from non-nil value to an empty string is forbidden"
        out.append(fields.forbidden(path, why))


def _validate(spec: PersistentVolumeClaimSpec) -> list[Cause]:
    """ValidatePersistentVolumeClaimSpec."""
    out: list[Cause] = []
    if not spec.accessModes:
        out.append(fields.required("spec.accessModes", "at least 1 access mode is required"))
    if spec.selector is not None:
        out += selector_causes(spec.selector, "spec.selector")
    access_modes(spec.accessModes, "spec.accessModes", out)
    requests = (spec.resources.requests if spec.resources is not None else None) or {}
    where = "spec.resources[storage]"
    if "storage" not in requests:
        out.append(fields.required(where))
    elif quantity.parse(requests["storage"]) <= 0:
        out.append(fields.invalid(where, requests["storage"], "must be greater than zero"))
    for name in ("storageClassName", "volumeAttributesClassName"):
        value = getattr(spec, name)
        if value:
            errors = dns_subdomain_errors(value)
            out += [fields.invalid(f"spec.{name}", value, why) for why in errors]
    volume_mode(spec.volumeMode, "spec.volumeMode", out)
    if spec.dataSource is not None:
        _data_source(spec.dataSource, "spec.dataSource", out)
    if spec.dataSourceRef is not None:
        _data_source(spec.dataSourceRef, "spec.dataSourceRef", out)
        if spec.dataSourceRef.namespace:
            space = spec.dataSourceRef.namespace
            errors = dns_label_errors(space)
            where = "spec.dataSourceRef.namespace"
            out += [fields.invalid(where, space, why) for why in errors]
    _sources_agree(spec, out)
    return out


def _data_source(source: Any, path: str, out: list[Cause]) -> None:
    out += [fields.required(f"{path}.{m}") for m in ("name", "kind") if not getattr(source, m)]
    if not source.apiGroup:
        if source.kind != "PersistentVolumeClaim":
            why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
            out.append(fields.invalid(path, source.kind, why))
    else:
        errors = dns_subdomain_errors(source.apiGroup)
        out += [fields.invalid(f"{path}.apiGroup", source.apiGroup, why) for why in errors]


def _sources_agree(spec: PersistentVolumeClaimSpec, out: list[Cause]) -> None:
    source, ref = spec.dataSource, spec.dataSourceRef
    if source is None or ref is None:
        return
    # The value shown is the path of the other member.
    if ref.namespace:
        why = "may not be specified when dataSourceRef.namespace is specified"
        out.append(fields.invalid("spec", "spec.dataSource", why))
    elif (source.apiGroup, source.kind, source.name) != (ref.apiGroup, ref.kind, ref.name):
        out.append(fields.invalid("spec", "spec.dataSource", "must match dataSourceRef"))
