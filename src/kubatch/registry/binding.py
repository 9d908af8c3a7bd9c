"""pods/binding: the one write with which a scheduler gives a pod to a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubatch.api.models import Pod
from kubatch.api.resource import PODS
from kubatch.registry import preparing
from kubatch.registry.kinds import pod as pod_kinds
from kubatch.registry.values import Entry

if TYPE_CHECKING:
    from kubatch.registry.api import Registry


async def bind(
    registry: Registry, namespace: str, name: str, uid: str | None, node: str
) -> Entry[Pod]:
    """Assign a pod to a node. ApiError 404, 409."""
    now = registry.world.now()

    def bound(pod: Pod) -> Pod:
        assert pod.metadata is not None
        preparing.check_uid(PODS, name, uid, pod.metadata.uid)
        return pod_kinds.bind(pod, node, now)

    return await registry.adjust(PODS, namespace, name, bound)
