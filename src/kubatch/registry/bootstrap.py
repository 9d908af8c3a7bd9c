"""What every cluster has from its first second, and what goes by itself: see kube-apiserver."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from kubatch.api.errors import ApiError
from kubatch.api.models import (
    Endpoint,
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSlice,
    EndpointSubset,
    Namespace,
    ObjectMeta,
    PriorityClass,
    Service,
    ServicePort,
    ServiceSpec,
    core_v1,
    discovery_v1,
)
from kubatch.api.resource import (
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    NAMESPACES,
    PRIORITYCLASSES,
    SERVICES,
    Resource,
)
from kubatch.registry.api import Registry
from kubatch.registry.kinds.priorityclass import SYSTEM_CLASSES
from kubatch.registry.kinds.service.allocation import KUBERNETES_ADDRESS
from kubatch.registry.strategy import RequestContext
from kubatch.registry.values import DeleteRequest, ListRequest

T = TypeVar("T")

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


async def ensure_priority_classes(registry: Registry) -> None:
    """Create the priorities that the system's own pods have (priorityclass: PostStartHook)."""
    for name, (value, text) in SYSTEM_CLASSES.items():
        made = PriorityClass(
            metadata=ObjectMeta(name=name),
            value=value,
            description=text,
            preemptionPolicy="PreemptLowerPriority",
        )
        await _ensure(registry, PRIORITYCLASSES, None, made)


async def ensure_kubernetes_service(registry: Registry, address: str, port: int) -> None:
    """The Service by which pods find the API server, leading to where it listens now.

    A server that listens everywhere, or at a name, is reached by this machine's own address.

    pkg/controlplane/controller/kubernetesservice; the slice is that of
    pkg/controlplane/reconcilers/endpointsadapter.go.
    """
    address = address if _is_one_address(address) else "127.0.0.1"
    target = ServicePort(name="https", port=443, protocol="TCP", targetPort=port)
    labels = {"component": "apiserver", "provider": "kubernetes"}
    spec = ServiceSpec(
        clusterIP=KUBERNETES_ADDRESS, ports=[target], sessionAffinity="None", type="ClusterIP"
    )
    meta = ObjectMeta(name="kubernetes", labels=labels)
    service = Service(metadata=meta, spec=spec)
    await _ensure(registry, SERVICES, "default", service)
    await registry.adjust(SERVICES, "default", "kubernetes", lambda s: _with_ports(s, [target]))
    one = core_v1.EndpointPort(name="https", port=port, protocol="TCP")
    skip = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    subset = EndpointSubset(addresses=[EndpointAddress(ip=address)], ports=[one])
    endpoints = Endpoints(metadata=ObjectMeta(name="kubernetes", labels=skip), subsets=[subset])
    await _ensure(registry, ENDPOINTS, "default", endpoints, overwrite=True)
    of_service = {"kubernetes.io/service-name": "kubernetes"}
    ready = discovery_v1.EndpointConditions(ready=True)
    part = EndpointSlice(
        metadata=ObjectMeta(name="kubernetes", labels=of_service),
        addressType="IPv6" if ":" in address else "IPv4",
        endpoints=[Endpoint(addresses=[address], conditions=ready)],
        ports=[EndpointPort(name="https", port=port, protocol="TCP")],
    )
    await _ensure(registry, ENDPOINTSLICES, "default", part, overwrite=True)


def _is_one_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def _with_ports(service: Service, ports: list[ServicePort]) -> Service | None:
    spec = service.spec
    if spec is None or spec.ports == ports:
        return None
    return replace(service, spec=replace(spec, ports=ports))


async def _ensure(
    registry: Registry,
    resource: Resource[T],
    namespace: str | None,
    obj: T,
    *,
    overwrite: bool = False,
) -> None:
    """Create an object unless it is there; with `overwrite`, make it this one."""
    context = RequestContext("system:apiserver")
    name = cast(Any, obj).metadata.name
    if await registry.lookup.find(resource, namespace, name) is None:
        await registry.create(resource, namespace, obj, context, owned=False)
    elif overwrite:
        await registry.update(resource, namespace, name, obj, context, owned=False)


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
