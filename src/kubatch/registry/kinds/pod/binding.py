"""Assigning a pod to a node (pkg/registry/core/pod/storage/storage.go: BindingREST)."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from kubatch.api import errors
from kubatch.api.errors import ApiError
from kubatch.api.models import Pod, PodCondition, PodStatus
from kubatch.world import whole_seconds


def bind(pod: Pod, node: str, now: datetime) -> Pod:
    """The pod with its node and the condition PodScheduled. Raises ApiError 409."""
    assert pod.metadata is not None
    assert pod.spec is not None
    name = pod.metadata.name or ""
    if pod.metadata.deletionTimestamp is not None:
        raise _refused(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if pod.spec.nodeName:
        raise _refused(name, f'pod {name} is already assigned to node "{pod.spec.nodeName}"')
    if pod.spec.schedulingGates:
        raise _refused(name, f"pod {name} has non-empty .spec.schedulingGates")
    status = pod.status or PodStatus()
    return replace(
        pod,
        spec=replace(pod.spec, nodeName=node),
        # storage.go: ClearingNominatedNodeNameAfterBinding.
        status=replace(
            status,
            conditions=_scheduled(status.conditions or [], now),
            nominatedNodeName=None,
        ),
    )


def _refused(name: str, why: str) -> ApiError:
    return errors.conflict("", "pods/binding", name, why)


def _scheduled(conditions: list[PodCondition], now: datetime) -> list[PodCondition]:
    condition = PodCondition(
        type="PodScheduled", status="True", lastTransitionTime=whole_seconds(now)
    )
    for i, old in enumerate(conditions):
        if old.type == "PodScheduled":
            if old.status == "True":
                condition.lastTransitionTime = old.lastTransitionTime
            return [*conditions[:i], condition, *conditions[i + 1 :]]
    return [*conditions, condition]
