"""ResourceQuotas held against new objects and growing ones (plugin/pkg/admission/resourcequota).

Kubernetes charges a quota's status before it stores an object. Here what is used is counted from
the stored objects each time, so it is never out of date; only what writes under way have been
granted is kept in memory, since they cannot be seen yet. An update that asks for no more than
before always passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kubatch.api import errors, usage
from kubatch.api.resource import (
    PERSISTENTVOLUMECLAIMS,
    PODS,
    RESOURCEQUOTAS,
    SERVICES,
    Resource,
)
from kubatch.registry.lookup import Lookup

Charge = tuple[Resource[Any], str, str]
# What may count for more after an update; of all others it is their being there that counts.
_GROWING = frozenset({PODS, SERVICES, PERSISTENTVOLUMECLAIMS})


def _same(old: Any, new: Any) -> bool:
    return old is new or bool(old == new)


class Quotas:
    """What writes under way may count on."""

    def __init__(self) -> None:
        self._granted: dict[Charge, Any] = {}

    @asynccontextmanager
    async def held(
        self, lookup: Lookup, resource: Resource[Any], obj: Any, old: Any = None
    ) -> AsyncIterator[None]:
        """Grant an object its place for as long as the block lasts. Raises ApiError 403."""
        charge = await self._promise(lookup, resource, obj, old)
        try:
            yield
        finally:
            # It is stored now, or never will be.
            if charge is not None:
                self._granted.pop(charge, None)

    async def _promise(
        self, lookup: Lookup, resource: Resource[Any], obj: Any, old: Any = None
    ) -> Charge | None:
        """`old` is what an update replaces. None where no quota looks at it."""
        namespace = obj.metadata.namespace
        if not resource.namespaced:
            return None
        if old is not None and (resource not in _GROWING or _same(old.spec, obj.spec)):
            return None
        quotas = await lookup.all(RESOURCEQUOTAS, namespace)
        if not quotas:
            return None
        kept = resource.shows or resource
        if not any(usage.touches(kept, (q.spec and q.spec.hard) or ()) for q in quotas):
            return None
        stored = await lookup.all(kept, namespace)
        # No waiting from here until the promise is made.
        name = obj.metadata.name
        there = {o.metadata.name: o for o in stored}
        there |= {
            called: granted
            for (of, space, called), granted in self._granted.items()
            if of is kept and space == namespace
        }
        if old is not None:
            there.pop(name, None)
        others = list(there.values())
        for quota in quotas:
            why = usage.refusal(quota, kept, obj, others, old)
            if why:
                raise errors.forbidden(kept.group, kept.plural, name, why)
        charge = (kept, namespace, name)
        self._granted[charge] = obj
        return charge
