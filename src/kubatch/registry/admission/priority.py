"""Priorities: a pod gets its class's number, and only one class is the default.

plugin/pkg/admission/priority/admission.go.
"""

from __future__ import annotations

from kubatch.api import errors
from kubatch.api.errors import ApiError
from kubatch.api.models import Pod, PriorityClass
from kubatch.api.resource import PRIORITYCLASSES
from kubatch.registry.lookup import Lookup


async def resolve(lookup: Lookup, pod: Pod, name: str) -> None:
    """Give a new pod the priority of its class, or of the default one."""
    spec = pod.spec
    if spec is None:
        return
    chosen: PriorityClass | None = None
    if spec.priorityClassName:
        chosen = await lookup.find(PRIORITYCLASSES, None, spec.priorityClassName)
        if chosen is None:
            raise _forbidden(name, f"no PriorityClass with name {spec.priorityClassName} was found")
    else:
        defaults = [c for c in await lookup.all(PRIORITYCLASSES) if c.globalDefault]
        if defaults:
            # Two may get there at the same time: the lowest one counts (getDefaultPriorityClass).
            chosen = min(defaults, key=_value)
            assert chosen.metadata is not None
            spec.priorityClassName = chosen.metadata.name
    priority = _value(chosen) if chosen is not None else 0
    policy = (chosen.preemptionPolicy if chosen is not None else None) or "PreemptLowerPriority"
    if spec.priority not in (None, priority):
        raise _forbidden(
            name,
            f"the integer value of priority ({spec.priority}) must not be provided in pod spec; "
            f"priority admission controller computed {priority} from the given PriorityClass name",
        )
    if spec.preemptionPolicy not in (None, policy):
        raise _forbidden(
            name,
            f"the string value of PreemptionPolicy ({spec.preemptionPolicy}) must not be provided "
            f"in pod spec; priority admission controller computed {policy} from the given "
            "PriorityClass name",
        )
    spec.priority, spec.preemptionPolicy = priority, policy


async def one_default(lookup: Lookup, new: PriorityClass, old: PriorityClass | None) -> None:
    """Only one class may be the default."""
    if not new.globalDefault:
        return
    assert new.metadata is not None
    name = new.metadata.name or ""
    for other in await lookup.all(PRIORITYCLASSES):
        assert other.metadata is not None
        if other.globalDefault and other.metadata.name != name:
            why = (
                f"PriorityClass {other.metadata.name} is already marked as default. Only one "
                "default can exist"
            )
            raise errors.forbidden("scheduling.k8s.io", "priorityclasses", name, why)


def _value(found: PriorityClass) -> int:
    return found.value or 0


def _forbidden(name: str, why: str) -> ApiError:
    return errors.forbidden("", "pods", name, why)
