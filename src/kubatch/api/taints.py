"""Taints and who tolerates them (component-helpers/scheduling/corev1)."""

from __future__ import annotations

from kubatch.api.models import Taint, Toleration

NO_SCHEDULE = "NoSchedule"
NO_EXECUTE = "NoExecute"


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether a toleration covers a taint (Toleration.ToleratesTaint)."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in (None, "", "Equal") and (
        bool(toleration.key) and (toleration.value or "") == (taint.value or "")
    )
