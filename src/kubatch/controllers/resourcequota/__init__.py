"""How much of each ResourceQuota is used, in its status: facts.py reads, decide.py decides.

A key is a namespace. The registry counts for itself when it admits an object; the status is for
people and dashboards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubatch.api import usage
from kubatch.api.models import Pod, ResourceQuota
from kubatch.api.resource import PODS, RESOURCEQUOTAS
from kubatch.controllers.namespace.facts import BY_NAMESPACE
from kubatch.controllers.resourcequota.decide import decide
from kubatch.controllers.resourcequota.facts import QuotaFacts, read
from kubatch.reconcile.controller import Controller, Key


def controller() -> Controller[QuotaFacts]:
    """The record for the engine."""
    return Controller(
        name="resourcequota-controller",
        watches={
            **dict.fromkeys(BY_NAMESPACE, _content_keys),
            PODS: _pod_keys,
            RESOURCEQUOTAS: _quota_keys,
        },
        read=read,
        decide=decide,
        indexes=tuple(BY_NAMESPACE.values()),
        queue="resourcequota_primary",
    )


def _quota_keys(before: ResourceQuota | None, after: ResourceQuota | None) -> Iterable[Key]:
    if after is not None and after.metadata is not None:
        yield Key(after.metadata.namespace or "", "")


def _pod_keys(before: Pod | None, after: Pod | None) -> Iterable[Key]:
    """As other content; and a pod that takes nothing any more."""
    if before is None or after is None or usage.is_over(before) is not usage.is_over(after):
        yield _key(after if after is not None else before)


def _content_keys(before: Any, after: Any) -> Iterable[Key]:
    """What came or went, or now asks for something else. Status changes concern nobody."""
    if before is None or after is None or _spec(before) != _spec(after):
        yield _key(after if after is not None else before)


def _spec(obj: Any) -> Any:
    return getattr(obj, "spec", None)


def _key(obj: Any) -> Key:
    return Key(obj.metadata.namespace or "", "")
