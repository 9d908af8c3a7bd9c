"""ResourceQuotas held against creates (plugin/pkg/admission/resourcequota).

Kubernetes charges a quota's status before it stores an object. Here what is used is counted from
the stored objects each time, so it is never out of date; only what creates under way have been
granted is kept in memory, since their objects cannot be seen yet. Updates are not looked at.
"""

from __future__ import annotations

from typing import Any

from kubatch.api import errors, usage
from kubatch.api.resource import RESOURCEQUOTAS, Resource
from kubatch.registry.lookup import Lookup

Charge = tuple[Resource[Any], str, str]


class Quotas:
    """What creates under way may count on."""

    def __init__(self) -> None:
        self._granted: dict[Charge, Any] = {}

    async def promise(self, lookup: Lookup, resource: Resource[Any], obj: Any) -> Charge | None:
        """Grant an object its place; to be settled once it is stored, or not. Raises ApiError 403.

        None where no quota looks at it.
        """
        namespace = obj.metadata.namespace
        if not resource.namespaced:
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
        there = {o.metadata.name for o in stored}
        others = stored + [
            granted
            for (of, space, called), granted in self._granted.items()
            if of is kept and space == namespace and called not in there
        ]
        for quota in quotas:
            why = usage.refusal(quota, kept, obj, others)
            if why:
                raise errors.forbidden(kept.group, kept.plural, name, why)
        charge = (kept, namespace, name)
        self._granted[charge] = obj
        return charge

    def settle(self, charge: Charge | None) -> None:
        """The object is stored now, or never will be."""
        if charge is not None:
            self._granted.pop(charge, None)
