"""What a container and its pod may use, in the kernel's units."""

from __future__ import annotations

from collections.abc import Mapping

from kubatch.api import models as m
from kubatch.api import quantity
from kubatch.api.requests import amounts, pod_requests
from kubatch.runtime.protocol import Limits

# pkg/kubelet/cm/helpers_linux.go
MIN_SHARES = 2
MAX_SHARES = 262_144
_SHARES_PER_CPU = 1024
_PERIOD_US = 100_000
_MIN_QUOTA_US = 1000


def cpu_shares(milli: int) -> int:
    """MilliCPUToShares."""
    return max(MIN_SHARES, min(milli * _SHARES_PER_CPU // 1000, MAX_SHARES))


def cpu_quota(milli: int) -> int:
    """MilliCPUToQuota, of a period of 100 ms."""
    return max(_MIN_QUOTA_US, milli * _PERIOD_US // 1000)


def of_container(container: m.Container) -> Limits | None:
    """A container's limits, and what its requests weigh; None when it has neither.

    kuberuntime_container_linux.go: calculateLinuxResources.
    """
    resources = container.resources
    if resources is None or not (resources.limits or resources.requests):
        return None
    return _limits(resources.requests or {}, resources.limits or {})


def of_pod(spec: m.PodSpec) -> Limits | None:
    """What a pod's containers have together: the pod's own limits, and the sum of the requests.

    cm/helpers_linux.go: ResourceConfigForPod. The sums of the containers' limits, which it has,
    too, hold nothing that theirs do not.
    """
    own = spec.resources
    asked = pod_requests(spec)
    limits = (own.limits if own is not None else None) or {}
    return _limits({"cpu": f"{asked['cpu']}m"} if asked.get("cpu") else {}, limits)


def named(spec: m.PodSpec) -> list[str]:
    """Which limits a pod's containers have: "cpu", "memory"."""
    parts = [
        spec.resources,
        *(c.resources for c in (*(spec.initContainers or ()), *spec.containers)),
    ]
    return sorted(
        {
            name
            for part in parts
            if part is not None
            for name, value in amounts(part.limits).items()
            if name in ("cpu", "memory") and value
        }
    )


def _limits(requests: Mapping[str, str], limits: Mapping[str, str]) -> Limits | None:
    memory, cpu = limits.get("memory"), limits.get("cpu")
    asked = requests.get("cpu", cpu)
    found = Limits(
        memory_bytes=(quantity.whole(str(memory)) or None) if memory is not None else None,
        cpu_quota_us=cpu_quota(milli) if cpu and (milli := quantity.milli(str(cpu))) else None,
        cpu_shares=cpu_shares(milli) if asked and (milli := quantity.milli(str(asked))) else None,
    )
    return None if found == Limits() else found
