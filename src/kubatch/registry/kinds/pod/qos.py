"""The quality of service class of a pod (pkg/apis/core/v1/helper/qos/qos.go: ComputePodQOS)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from kubatch.api import quantity
from kubatch.api.models import PodSpec, ResourceRequirements

_COUNTED = ("cpu", "memory")


def pod_qos(spec: PodSpec) -> str:
    """Guaranteed, Burstable or BestEffort. Only cpu and memory above zero count.

    Resources of the pod as a whole take the place of its containers' when they are set.
    """
    whole = spec.resources
    if whole is not None and (whole.limits or whole.requests):
        return _of([whole])
    containers = [*spec.containers, *(spec.initContainers or ())]
    return _of([c.resources for c in containers])


def _of(resources: Iterable[ResourceRequirements | None]) -> str:
    requests: dict[str, Decimal] = {}
    limits: dict[str, Decimal] = {}
    all_limited = True
    for res in resources:
        if res is None or not (res.limits or res.requests):
            all_limited = False
            continue
        _add(res.requests, requests)
        if len(_add(res.limits, limits)) != len(_COUNTED):
            all_limited = False
    if not requests and not limits:
        return "BestEffort"
    # Guaranteed: every container is limited, and each sum asked for is the sum of the limits.
    if all_limited and requests == limits:
        return "Guaranteed"
    return "Burstable"


def _add(amounts: dict[str, str] | None, total: dict[str, Decimal]) -> set[str]:
    found = set()
    for name in _COUNTED:
        text = amounts.get(name) if amounts else None
        if text is None:
            continue
        amount = quantity.parse(text)
        if amount > 0:
            found.add(name)
            total[name] = total.get(name, Decimal(0)) + amount
    return found
