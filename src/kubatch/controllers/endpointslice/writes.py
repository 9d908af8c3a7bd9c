"""From a plan to writes: names, labels, annotations and owners of slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kubatch.api import models as m
from kubatch.api.resource import ENDPOINTSLICES
from kubatch.controllers.endpoints.members import Port
from kubatch.controllers.endpointslice.plan import Change, Plan
from kubatch.reconcile.decision import Create, Delete, Note, Patch, Stage, Write, stage

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


@dataclass(frozen=True, slots=True)
class Origin:
    """What all slices of one Service or Endpoints have in common."""

    namespace: str
    name: str
    owner: m.OwnerReference
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    failed: Note | None = None


def stages(plan: Plan, origin: Origin) -> tuple[Stage, ...]:
    """Slices are made before others are deleted, so that no endpoint is ever in none."""
    first: list[Write] = [_create(change, origin) for change in plan.create]
    first += [_update(one, change, origin) for one, change in plan.update]
    first += [
        _update(one, None, origin) for one in plan.unchanged if not _has_labels(one, origin.labels)
    ]
    second = [
        Delete(ENDPOINTSLICES, origin.namespace, meta.name or "", meta.uid or "")
        for one in plan.delete
        if (meta := one.metadata) is not None
    ]
    return tuple(stage(*writes) for writes in (first, second) if writes)


def _has_labels(one: m.EndpointSlice, labels: Mapping[str, str]) -> bool:
    return ((one.metadata or m.ObjectMeta()).labels or {}) == labels


def _create(change: Change, origin: Origin) -> Create:
    address_type, ports = change.group
    made = m.EndpointSlice(
        apiVersion=ENDPOINTSLICES.api_version,
        kind=ENDPOINTSLICES.kind,
        metadata=m.ObjectMeta(
            generateName=f"{origin.name}-",
            namespace=origin.namespace,
            labels=dict(origin.labels),
            annotations=dict(origin.annotations) or None,
            ownerReferences=[origin.owner],
        ),
        addressType=address_type,
        endpoints=list(change.endpoints),
        ports=[_port(port) for port in ports],
    )
    return Create(
        ENDPOINTSLICES, made, failed=origin.failed, ignore_causes=("NamespaceTerminating",)
    )


def _update(one: m.EndpointSlice, change: Change | None, origin: Origin) -> Patch:
    meta = one.metadata or m.ObjectMeta()
    patch: dict[str, Any] = {
        "metadata": {
            "uid": meta.uid,
            "resourceVersion": meta.resourceVersion,  # what it is decided from
            "labels": _replaced(meta.labels, origin.labels),
            "annotations": _replaced(meta.annotations, origin.annotations),
        }
    }
    if change is not None:
        patch["endpoints"] = msgspec.to_builtins(list(change.endpoints))
        patch["ports"] = msgspec.to_builtins([_port(port) for port in change.group[1]])
    return Patch(ENDPOINTSLICES, origin.namespace, meta.name or "", patch)


def _replaced(old: Mapping[str, str] | None, new: Mapping[str, str]) -> dict[str, str | None]:
    """A merge patch from one map to another."""
    return {**{key: None for key in sorted(old or {}) if key not in new}, **new}


def _port(port: Port) -> m.EndpointPort:
    return m.EndpointPort(
        name=port.name, port=port.port, protocol=port.protocol, appProtocol=port.app_protocol
    )
