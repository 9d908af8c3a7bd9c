"""What admission adds to a new pod: a service account, tolerations, a priority.

plugin/pkg/admission: serviceaccount, defaulttolerationseconds, priority.
"""

from __future__ import annotations

from kubatch.api import errors
from kubatch.api.models import Pod, PodSpec, Toleration

TOLERATION_SECONDS = 300
_NOT_READY = "node.kubernetes.io/not-ready"
_UNREACHABLE = "node.kubernetes.io/unreachable"
_SYSTEM_PRIORITIES = {
    "system-node-critical": 2_000_001_000,
    "system-cluster-critical": 2_000_000_000,
}


def admit(pod: Pod) -> None:
    """Complete a new pod's spec. Raises ApiError 403 for a priority that may not be."""
    spec = pod.spec
    assert spec is not None
    if not spec.serviceAccountName:
        spec.serviceAccountName = spec.serviceAccount = "default"
    _tolerate(spec)
    _prioritize(pod, spec)


def _tolerate(spec: PodSpec) -> None:
    present = spec.tolerations or []
    added = [
        Toleration(
            key=key,
            operator="Exists",
            effect="NoExecute",
            tolerationSeconds=TOLERATION_SECONDS,
        )
        for key in (_NOT_READY, _UNREACHABLE)
        if not any(_covers(t, key) for t in present)
    ]
    if added:
        spec.tolerations = [*present, *added]


def _covers(toleration: Toleration, key: str) -> bool:
    return toleration.key in (None, "", key) and toleration.effect in (None, "", "NoExecute")


def _prioritize(pod: Pod, spec: PodSpec) -> None:
    assert pod.metadata is not None
    name = pod.metadata.name or ""
    priority = 0
    if spec.priorityClassName:
        known = _SYSTEM_PRIORITIES.get(spec.priorityClassName)
        if known is None:
            why = f"no PriorityClass with name {spec.priorityClassName} was found"
            raise errors.forbidden("", "pods", name, why)
        priority = known
    if spec.priority not in (None, priority):
        why = (
            f"the integer value of priority ({spec.priority}) must not be provided in pod spec; "
            f"priority admission controller computed {priority} from the given PriorityClass name"
        )
        raise errors.forbidden("", "pods", name, why)
    spec.priority = priority
    if spec.preemptionPolicy is None:
        spec.preemptionPolicy = "PreemptLowerPriority"
