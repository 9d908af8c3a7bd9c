"""successPolicy: when some indexes are enough (pkg/controller/job/success_policy.go)."""

from __future__ import annotations

from collections.abc import Sequence

from kubatch.api import models as m
from kubatch.controllers.job import indexes
from kubatch.controllers.job.indexes import Indexes


def matched_rule(
    rules: Sequence[m.SuccessPolicyRule], completions: int, succeeded: Indexes
) -> int | None:
    """The position of the first rule that the succeeded indexes meet.

    Nothing is met before one index has succeeded, not even `succeededCount: 0`.
    """
    if not succeeded.intervals:
        return None
    for at, rule in enumerate(rules):
        if _is_met(rule, completions, succeeded):
            return at
    return None


def _is_met(rule: m.SuccessPolicyRule, completions: int, succeeded: Indexes) -> bool:
    if rule.succeededIndexes is None:
        return rule.succeededCount is not None and len(succeeded) >= rule.succeededCount
    wanted = indexes.parse(rule.succeededIndexes, completions)
    if not wanted.intervals:  # an empty or corrupt list matches nothing, whatever the count
        return False
    have = wanted.common(succeeded)
    if have == len(wanted):
        return True
    return rule.succeededCount is not None and have >= rule.succeededCount
