"""A quota's status says what its spec limits, and how much of that is used.

pkg/controller/resourcequota/resource_quota_controller.go: syncResourceQuota.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from kubatch.api import usage
from kubatch.api.models import ResourceQuota, ResourceQuotaStatus
from kubatch.api.resource import RESOURCEQUOTAS
from kubatch.controllers.resourcequota.facts import QuotaFacts
from kubatch.reconcile.decision import Decision, PutStatus, Stage


def decide(facts: QuotaFacts, now: datetime) -> Decision:
    """Write the statuses that are out of date; each write stands for itself."""
    counted = [_counted(quota, facts) for quota in facts.quotas]
    stale = [
        new
        for new, old in zip(counted, facts.quotas, strict=True)
        if new.status != (old.status or ResourceQuotaStatus())
    ]
    if not stale:
        return Decision(f"{len(counted)} quotas are counted")
    writes = tuple(PutStatus(RESOURCEQUOTAS, new) for new in stale)
    return Decision(
        f"{len(stale)} of {len(counted)} quotas are used otherwise now", (Stage(writes),)
    )


def _counted(quota: ResourceQuota, facts: QuotaFacts) -> ResourceQuota:
    hard = quota.spec.hard if quota.spec is not None else None
    used = usage.total(quota, facts.contents)
    return replace(quota, status=ResourceQuotaStatus(hard=hard, used=used or None))
