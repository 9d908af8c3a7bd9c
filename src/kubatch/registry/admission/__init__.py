"""Admission: what a write must pass that looks at other objects than its own.

Plugins run in kube-apiserver's order (pkg/kubeapiserver/options/plugins.go): those that change a
new object before its strategy prepares it, those that only judge just before it is stored. What
admission decides from the object alone is in its kind's folder.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from kubatch.api.resource import PERSISTENTVOLUMECLAIMS, PODS, PRIORITYCLASSES, Resource
from kubatch.registry.admission import accounts, limits, priority
from kubatch.registry.lookup import Lookup

# Given the object, which it may change, and its name, or what its name is generated from.
Mutator = Callable[[Lookup, Any, str], Awaitable[None]]
# Given the object as it will be stored, and the old one, None for a create.
Validator = Callable[[Lookup, Any, Any], Awaitable[None]]

_MUTATORS: Mapping[Resource[Any], Sequence[Mutator]] = {
    PODS: (limits.fill, accounts.run_as, priority.resolve),
}
_VALIDATORS: Mapping[Resource[Any], Sequence[Validator]] = {
    PODS: (limits.check_pod,),
    PERSISTENTVOLUMECLAIMS: (limits.check_claim,),
    PRIORITYCLASSES: (priority.one_default,),
}


async def mutate(lookup: Lookup, resource: Resource[Any], obj: Any, name: str) -> None:
    """Complete a new object. Raises ApiError 403."""
    for plugin in _MUTATORS.get(resource, ()):
        await plugin(lookup, obj, name)


async def validate(lookup: Lookup, resource: Resource[Any], new: Any, old: Any) -> None:
    """Judge an object about to be stored; `old` is None for a create. Raises ApiError 403."""
    for plugin in _VALIDATORS.get(resource, ()):
        await plugin(lookup, new, old)
