"""What every cluster has from its first second, and what goes by itself: see kube-apiserver."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kubatch.api.errors import ApiError
from kubatch.api.models import Namespace, ObjectMeta
from kubatch.api.resource import EVENTS, NAMESPACES
from kubatch.registry.api import Registry
from kubatch.registry.strategy import RequestContext
from kubatch.registry.values import DeleteRequest, ListRequest

# pkg/controlplane/controller/systemnamespaces
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def ensure_namespaces(registry: Registry) -> None:
    """Create the namespaces that kube-apiserver always keeps."""
    for name in SYSTEM_NAMESPACES:
        try:
            await registry.get(NAMESPACES, None, name)
        except ApiError:
            space = Namespace(metadata=ObjectMeta(name=name))
            await registry.create(NAMESPACES, None, space, RequestContext("system:apiserver"))


async def expire_events(registry: Registry, ttl: float) -> int:
    """Delete events older than ttl seconds; how many. kube-apiserver: --event-ttl."""
    oldest = registry.world.now() - timedelta(seconds=ttl)
    page = await registry.list(EVENTS, None, ListRequest())
    expired = 0
    for entry in page.entries:
        event: Any = entry.obj
        meta = event.metadata
        if (event.lastTimestamp or event.eventTime or meta.creationTimestamp) >= oldest:
            continue
        try:
            await registry.delete(
                EVENTS, meta.namespace, meta.name, DeleteRequest(), RequestContext()
            )
            expired += 1
        except ApiError as error:
            if error.code != 404:
                raise
    return expired
