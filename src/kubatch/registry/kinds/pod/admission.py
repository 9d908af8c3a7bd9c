"""What admission adds to a new pod: a service account, tolerations, a priority.

plugin/pkg/admission: serviceaccount, defaulttolerationseconds, priority. What needs a look at
other objects, as the class of a priority does, has happened before: registry/admission.
"""

from __future__ import annotations

from kubatch.api.models import Pod, PodSpec, Toleration

TOLERATION_SECONDS = 300
_NOT_READY = "node.kubernetes.io/not-ready"
_UNREACHABLE = "node.kubernetes.io/unreachable"


def admit(pod: Pod) -> None:
    """Complete a new pod's spec."""
    spec = pod.spec
    assert spec is not None
    if not spec.serviceAccountName:
        spec.serviceAccountName = spec.serviceAccount = "default"
    _tolerate(spec)
    if spec.priority is None:
        spec.priority = 0
    if spec.preemptionPolicy is None:
        spec.preemptionPolicy = "PreemptLowerPriority"


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
