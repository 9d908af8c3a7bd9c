"""A pod's quality of service class (pkg/apis/core/v1/helper/qos/qos.go: ComputePodQOS)."""

from __future__ import annotations

from typing import Any

from kubatch.api import models as m
from kubatch.api import quantity


def qos_class(pod: m.Pod) -> str:
    """BestEffort, Burstable or Guaranteed, by what its containers ask for."""
    spec = pod.spec
    assert spec is not None
    if spec.resources is not None and (spec.resources.requests or spec.resources.limits):
        parts: list[Any] = [spec.resources]
    else:
        parts = [c.resources for c in (*(spec.initContainers or ()), *spec.containers)]
    requests: dict[str, Any] = {"cpu": 0, "memory": 0}
    limits: dict[str, Any] = {"cpu": 0, "memory": 0}
    guaranteed = True
    for resources in parts:
        for name in ("cpu", "memory"):
            request = _amount(resources and resources.requests, name)
            limit = _amount(resources and resources.limits, name)
            requests[name] += request
            limits[name] += limit
            guaranteed = guaranteed and limit > 0
    if not any(requests.values()) and not any(limits.values()):
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def _amount(amounts: dict[str, Any] | None, name: str) -> Any:
    value = (amounts or {}).get(name)
    return quantity.parse(str(value)) if value is not None else 0
