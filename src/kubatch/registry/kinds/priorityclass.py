"""PriorityClasses (pkg/registry/scheduling/priorityclass; pkg/apis/scheduling/validation)."""

from __future__ import annotations

from datetime import datetime

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import PriorityClass
from kubatch.api.resource import PRIORITYCLASSES
from kubatch.registry.age import age
from kubatch.registry.kinds.rules import immutable
from kubatch.registry.strategy import Column, Row, Strategy

USER_VALUE_MAX = 1_000_000_000
# pkg/apis/scheduling/v1/helpers.go: systemPriorityClasses
SYSTEM_CLASSES = {
    "system-node-critical": (
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    "system-cluster-critical": (
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another "
        "node if necessary.",
    ),
}
_POLICIES = ("Never", "PreemptLowerPriority")


class PriorityClassStrategy(Strategy[PriorityClass]):
    resource = PRIORITYCLASSES
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique."),
        Column("Value", type="integer", description="The priority of pods of this class."),
        Column(
            "Global-Default", type="boolean", description="Whether pods without a class get it."
        ),
        Column("Age", description="Time since the class was created."),
        Column("PreemptionPolicy", description="Whether pods of this class may preempt others."),
    )

    def default(self, obj: PriorityClass) -> None:
        if obj.preemptionPolicy is None:
            obj.preemptionPolicy = "PreemptLowerPriority"

    def validate_create(self, obj: PriorityClass) -> list[Cause]:
        out: list[Cause] = []
        assert obj.metadata is not None
        name, value = obj.metadata.name or "", obj.value or 0
        if name.startswith("system-"):
            why_not = _not_of_the_system(name, value, bool(obj.globalDefault))
            if why_not:
                why = (
                    "priority class names with 'system-' prefix are reserved for system use only. "
                    f"error: {why_not}"
                )
                out.append(fields.forbidden("metadata.name", why))
        elif value > USER_VALUE_MAX:
            why = f"maximum allowed value of a user defined priority is {USER_VALUE_MAX}"
            out.append(fields.forbidden("value", why))
        if obj.preemptionPolicy not in _POLICIES:
            path = "preemptionPolicy"
            if obj.preemptionPolicy:
                out.append(fields.not_supported(path, obj.preemptionPolicy, _POLICIES))
            else:
                out.append(fields.required(path))
        return out

    def validate_update(self, new: PriorityClass, old: PriorityClass) -> list[Cause]:
        out: list[Cause] = []
        if new.value != old.value:
            out.append(fields.forbidden("value", "may not be changed in an update."))
        immutable(new.preemptionPolicy, old.preemptionPolicy, "preemptionPolicy", out)
        return out

    def row(self, obj: PriorityClass, now: datetime) -> Row:
        assert obj.metadata is not None
        return Row(
            (
                obj.metadata.name,
                obj.value or 0,
                bool(obj.globalDefault),
                age(obj.metadata.creationTimestamp, now),
                obj.preemptionPolicy or "",
            )
        )


def _not_of_the_system(name: str, value: int, is_default: bool) -> str:
    """Why a class is none of the system's (IsKnownSystemPriorityClass)."""
    known = SYSTEM_CLASSES.get(name)
    if known is None:
        return f"{name} is not a known system priority class"
    if value != known[0]:
        return f"value of {name} PriorityClass must be {known[0]}"
    if is_default:
        return f"globalDefault of {name} PriorityClass must be false"
    return ""
