"""What the quota rules look at: a namespace's quotas, and the objects that count for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubatch.api import usage
from kubatch.api.models import ResourceQuota
from kubatch.api.resource import RESOURCEQUOTAS, Resource
from kubatch.controllers.namespace.facts import BY_NAMESPACE
from kubatch.reconcile.controller import Key, View


@dataclass(frozen=True, slots=True)
class QuotaFacts:
    """The quotas of a namespace that has any."""

    quotas: tuple[ResourceQuota, ...]
    contents: tuple[tuple[Resource[Any], Sequence[Any]], ...]


def read(view: View, key: Key, _remembered: object = None) -> QuotaFacts | None:
    """The facts about a namespace; None at once where nothing is limited."""
    quotas = view.indexed(BY_NAMESPACE[RESOURCEQUOTAS], key.namespace)
    if not quotas:
        return None
    hard = {name for q in quotas for name in (q.spec.hard if q.spec is not None else None) or ()}
    contents = tuple(
        (resource, view.indexed(index, key.namespace))
        for resource, index in BY_NAMESPACE.items()
        if usage.touches(resource, hard)
    )
    return QuotaFacts(tuple(quotas), contents)
