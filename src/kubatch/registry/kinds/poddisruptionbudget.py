"""PodDisruptionBudgets (pkg/registry/policy/poddisruptionbudget; pkg/apis/policy/validation)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import (
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodDisruptionBudgetStatus,
)
from kubatch.api.resource import PODDISRUPTIONBUDGETS
from kubatch.registry.age import age
from kubatch.registry.kinds.rules import non_negative, selector_causes
from kubatch.registry.metadata import regex_sentence
from kubatch.registry.strategy import Column, Row, Strategy

_PERCENT = "[0-9]+%"
_is_percent = re.compile(_PERCENT).fullmatch
_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
_NUMBERS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def no_status() -> PodDisruptionBudgetStatus:
    """A status as Go shows it before anybody wrote one."""
    return PodDisruptionBudgetStatus(
        currentHealthy=0, desiredHealthy=0, disruptionsAllowed=0, expectedPods=0
    )


class PodDisruptionBudgetStrategy(Strategy[PodDisruptionBudget]):
    resource = PODDISRUPTIONBUDGETS
    tracks_generation: ClassVar[bool] = True
    allows_unconditional_update: ClassVar[bool] = False
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Min Available", description="The minimum number of pods that must be available."),
        Column("Max Unavailable", description="The maximum number of pods that may be gone."),
        Column("Allowed Disruptions", type="integer", description="How many may go now."),
        Column("Age", description="Time since the budget was created."),
    )

    def prepare_create(self, obj: PodDisruptionBudget) -> None:
        obj.status = no_status()

    def validate_create(self, obj: PodDisruptionBudget) -> list[Cause]:
        return _validate(obj.spec or PodDisruptionBudgetSpec())

    def prepare_update(self, new: PodDisruptionBudget, old: PodDisruptionBudget) -> None:
        new.status = old.status

    def validate_update(self, new: PodDisruptionBudget, old: PodDisruptionBudget) -> list[Cause]:
        return self.validate_create(new)

    def prepare_status_update(self, new: PodDisruptionBudget, old: PodDisruptionBudget) -> None:
        new.spec = old.spec

    def validate_status_update(
        self, new: PodDisruptionBudget, old: PodDisruptionBudget
    ) -> list[Cause]:
        out: list[Cause] = []
        status = new.status or no_status()
        for name in _NUMBERS:
            non_negative(getattr(status, name), f"status.{name}", out)
        return out

    def row(self, obj: PodDisruptionBudget, now: datetime) -> Row:
        assert obj.metadata is not None
        spec = obj.spec or PodDisruptionBudgetSpec()
        status = obj.status or no_status()
        return Row(
            (
                obj.metadata.name,
                "N/A" if spec.minAvailable is None else str(spec.minAvailable),
                "N/A" if spec.maxUnavailable is None else str(spec.maxUnavailable),
                status.disruptionsAllowed or 0,
                age(obj.metadata.creationTimestamp, now),
            )
        )


def _validate(spec: PodDisruptionBudgetSpec) -> list[Cause]:
    out: list[Cause] = []
    if spec.minAvailable is not None and spec.maxUnavailable is not None:
        why = "minAvailable and maxUnavailable cannot be both set"
        out.append(fields.invalid("spec", spec, why))
    _share(spec.minAvailable, "spec.minAvailable", out)
    _share(spec.maxUnavailable, "spec.maxUnavailable", out)
    if spec.selector is not None:
        out += selector_causes(spec.selector, "spec.selector")
    policy = spec.unhealthyPodEvictionPolicy
    if policy is not None and policy not in _POLICIES:
        out.append(fields.not_supported("spec.unhealthyPodEvictionPolicy", policy, _POLICIES))
    return out


def _share(value: int | str | None, path: str, out: list[Cause]) -> None:
    """A number of pods or a percentage of them (ValidatePositiveIntOrPercent)."""
    if isinstance(value, int):
        non_negative(value, path, out)
    elif value is not None:
        if not _is_percent(value):
            why = regex_sentence(
                "a valid percent string must be a numeric string followed by an ending '%'",
                _PERCENT, "1%", "93%",
            )  # fmt: skip
            out.append(fields.invalid(path, value, why))
        elif int(value[:-1]) > 100:
            out.append(fields.invalid(path, value, "must not exceed 100%"))
