"""The one write that makes a Service's Endpoints what they should be, if any.

pkg/controller/endpoint/endpoints_controller.go: syncService.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from kubatch.api import models as m
from kubatch.api.resource import ENDPOINTS, SERVICES
from kubatch.controllers.endpoints import subsets
from kubatch.controllers.endpoints.facts import EndpointsFacts, Orphan
from kubatch.controllers.endpoints.members import (
    HEADLESS,
    TRIGGER_TIME,
    go_time,
    has_address,
    trigger,
    triggers,
)
from kubatch.reconcile.decision import Absent, Create, Decision, Delete, Note, Patch, Write, stage

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"


def decide(facts: EndpointsFacts | Orphan, now: datetime) -> Decision:
    """Create, change or delete one Endpoints object."""
    if isinstance(facts, Orphan):
        gone = Absent(SERVICES, facts.namespace, facts.name)
        delete = Delete(ENDPOINTS, facts.namespace, facts.name, facts.uid)
        return Decision("has no Service: is deleted", (stage(gone), stage(delete)))
    spec = facts.service.spec
    assert spec is not None
    packed = subsets.pack(
        facts.members,
        also_unready=bool(spec.publishNotReadyAddresses),
        without_ports=not spec.ports and spec.clusterIP == "None",
    )
    kept, over = subsets.cut(packed)
    numbers = {"pods": len(facts.members)}
    memory = triggers(facts.service, facts.members)
    labels = _labels(facts.service)
    if facts.current is not None and _is_right(facts.current, kept, labels, over=over):
        because = f"its Endpoints list its {len(facts.members)} pods"
        return Decision(because, remember=memory, subject=facts.service, facts=numbers)
    write = _write(facts, kept, labels, over=over)
    because = f"its Endpoints do not list its {len(facts.members)} pods: writes them"
    return Decision(because, (stage(write),), None, facts.service, memory, numbers)


def _labels(service: m.Service) -> dict[str, str]:
    own = (service.metadata.labels if service.metadata is not None else None) or {}
    labels = {key: value for key, value in own.items() if key != HEADLESS}
    if not has_address(service):
        labels[HEADLESS] = ""
    return {**labels, MANAGED_BY: MANAGER}


def _is_right(
    current: m.Endpoints, wanted: list[m.EndpointSubset], labels: dict[str, str], *, over: bool
) -> bool:
    meta = current.metadata or m.ObjectMeta()
    marked = (meta.annotations or {}).get(OVER_CAPACITY)
    return (
        (current.subsets or []) == wanted
        and (meta.labels or {}) == labels
        and marked == ("truncated" if over else None)
    )


def _write(
    facts: EndpointsFacts,
    wanted: list[m.EndpointSubset],
    labels: dict[str, str],
    *,
    over: bool,
) -> Write:
    moment = trigger(facts.service, facts.members, facts.last)
    annotations = {
        TRIGGER_TIME: go_time(moment) if moment is not None else None,
        OVER_CAPACITY: "truncated" if over else None,
    }
    if facts.current is None:
        given = {key: value for key, value in annotations.items() if value is not None}
        meta = m.ObjectMeta(
            name=facts.name, namespace=facts.namespace, labels=labels, annotations=given or None
        )
        service = f"{facts.namespace}/{facts.name}"
        text = f"Failed to create endpoint for service {service}: {{error}}"
        return Create(
            ENDPOINTS,
            m.Endpoints(apiVersion="v1", kind="Endpoints", metadata=meta, subsets=wanted or None),
            failed=Note("Warning", "FailedToCreateEndpoint", text),
            ignore_causes=("NamespaceTerminating",),
        )
    meta = facts.current.metadata or m.ObjectMeta()
    stale: dict[str, Any] = dict.fromkeys(set(meta.labels or {}) - set(labels))
    patch = {
        "metadata": {
            "uid": meta.uid,
            "resourceVersion": meta.resourceVersion,  # what it is decided from
            "labels": {**dict(sorted(stale.items())), **labels},
            "annotations": annotations,
        },
        "subsets": msgspec.to_builtins(wanted) or None,
    }
    return Patch(ENDPOINTS, facts.namespace, facts.name, patch)
