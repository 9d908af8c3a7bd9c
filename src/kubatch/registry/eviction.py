"""pods/eviction: a DELETE that asks the pod's disruption budget first.

pkg/registry/core/pod/storage/eviction.go. What a budget allows is counted when it is asked: its
status may be behind, or nobody's work where no controllers run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from kubatch.api import budgets, selectors
from kubatch.api.errors import ApiError, Cause, Details
from kubatch.api.models import Pod, PodCondition, PodDisruptionBudget, PodStatus
from kubatch.api.resource import PODDISRUPTIONBUDGETS, PODS, REPLICASETS
from kubatch.registry.strategy import RequestContext
from kubatch.registry.values import DeleteRequest
from kubatch.world import whole_seconds

if TYPE_CHECKING:
    from kubatch.registry.api import Registry

TARGET = "DisruptionTarget"


async def evict(
    registry: Registry, namespace: str, name: str, request: DeleteRequest, ctx: RequestContext
) -> None:
    """Evict a pod. ApiError 404, 409, 429, and 500 for a pod with several budgets.

    One after the other: two at once would both count on the same healthy pods.
    """
    async with registry.evicting:
        await _evict(registry, namespace, name, request, ctx)


async def _evict(
    registry: Registry, namespace: str, name: str, request: DeleteRequest, ctx: RequestContext
) -> None:
    pod = (await registry.get(PODS, namespace, name)).obj
    if not ends_anyway(pod):
        found = await registry.lookup.all(PODDISRUPTIONBUDGETS, namespace)
        covering = [b for b in found if _covers(b, pod)]
        if len(covering) > 1:
            why = (
                "This pod has more than one PodDisruptionBudget, which the eviction subresource "
                "does not support."
            )
            raise ApiError(500, "", why)
        if covering:
            pods = await registry.lookup.all(PODS, namespace)
            sets = await registry.lookup.all(REPLICASETS, namespace)
            replicas = {
                one.metadata.uid or "": (one.spec.replicas if one.spec else None) or 0
                for one in sets
                if one.metadata is not None
            }
            _ask(covering[0], pod, [p for p in pods if _covers(covering[0], p)], replicas)
    if not request.dry_run and not ends_anyway(pod):
        now = whole_seconds(registry.world.now())
        target = PodCondition(
            type=TARGET, status="True", lastTransitionTime=now,
            reason="EvictionByEvictionAPI", message="Eviction API: evicting",
        )  # fmt: skip
        await registry.adjust(PODS, namespace, name, lambda p: _marked(p, target), ctx)
    await registry.delete(PODS, namespace, name, request, ctx)


def ends_anyway(pod: Pod) -> bool:
    """Whether nothing is disrupted by deleting a pod (canIgnorePDB)."""
    phase = pod.status.phase if pod.status is not None else None
    deleted = pod.metadata is not None and pod.metadata.deletionTimestamp is not None
    return deleted or phase in ("Succeeded", "Failed", "Pending")


def _covers(budget: PodDisruptionBudget, pod: Pod) -> bool:
    """An empty selector covers nothing here (getPodDisruptionBudgets)."""
    try:
        selector = selectors.from_selector(budget.spec.selector if budget.spec else None)
    except ValueError:
        return False
    labels = pod.metadata.labels if pod.metadata is not None else None
    return not selector.empty and selector.matches(labels)


def _ready(pod: Pod) -> bool:
    conditions = (pod.status.conditions if pod.status is not None else None) or ()
    return any(c.type == "Ready" and c.status == "True" for c in conditions)


def _ask(
    budget: PodDisruptionBudget, pod: Pod, covered: Sequence[Pod], replicas: Mapping[str, int]
) -> None:
    """Raises ApiError 429 when one pod fewer is too few."""
    assert budget.metadata is not None
    spec = budget.spec
    assert spec is not None
    phases = ("Succeeded", "Failed")
    there = [p for p in covered if p.status is None or p.status.phase not in phases]
    healthy = sum(1 for p in there if _ready(p) and not ends_anyway(p))
    desired = budgets.desired(spec, budgets.expected(spec, there, replicas))
    unready_may_go = spec.unhealthyPodEvictionPolicy == "AlwaysAllow" or healthy >= desired > 0
    if healthy > desired or (not _ready(pod) and unready_may_go):
        return
    why = (
        f"The disruption budget {budget.metadata.name} needs {desired} healthy pods and has "
        f"{healthy} currently"
    )
    raise ApiError(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
        Details(causes=(Cause("DisruptionBudget", why),)),
    )


def _marked(pod: Pod, target: PodCondition) -> Pod:
    status = pod.status or PodStatus()
    kept = [c for c in status.conditions or () if c.type != TARGET]
    return replace(pod, status=replace(status, conditions=[*kept, target]))
