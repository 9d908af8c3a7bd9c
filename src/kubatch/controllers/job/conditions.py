"""Job conditions: found by type, replaced in place, never reordered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kubatch.api import models as m
from kubatch.api.conditions import find
from kubatch.world import whole_seconds

Conditions = tuple[m.JobCondition, ...]


def true(conditions: Sequence[m.JobCondition], type: str) -> m.JobCondition | None:
    """The condition of a type if its status is True; one that is False says nothing."""
    condition = find(conditions, type)
    return condition if condition is not None and condition.status == "True" else None


def ensure(
    conditions: Conditions, type: str, status: str, reason: str, message: str, now: datetime
) -> Conditions:
    """The conditions with one of this content; the same value when nothing changes.

    Replaces an entry whose status, reason or message differ, and appends one that is absent
    unless it would only say False (job_controller.go: ensureJobConditionStatus).
    """
    moment = whole_seconds(now)
    wanted = m.JobCondition(
        type=type,
        status=status,
        lastProbeTime=moment,
        lastTransitionTime=moment,
        reason=reason,
        message=message,
    )
    for at, old in enumerate(conditions):
        if old.type == type:
            if (old.status, old.reason, old.message) == (status, reason, message):
                return conditions
            return (*conditions[:at], wanted, *conditions[at + 1 :])
    return conditions if status == "False" else (*conditions, wanted)
