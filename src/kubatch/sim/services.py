"""A Service among the simulated work, and what must be so of its endpoints in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kubatch.api import models as m
from kubatch.api.conditions import is_true
from kubatch.api.resource import ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES
from kubatch.client.protocol import Client

_OF_SERVICE = "kubernetes.io/service-name"


def service(name: str, selector: dict[str, str]) -> m.Service:
    """A Service in `default` that leads to the pods with these labels."""
    port = m.ServicePort(port=80, protocol="TCP")
    return m.Service(
        metadata=m.ObjectMeta(name=name, namespace="default"),
        spec=m.ServiceSpec(selector=selector, ports=[port]),
    )


async def look_at_endpoints(client: Client) -> list[str]:
    """What is wrong with the endpoints of a cluster at rest; nothing, when all is well."""
    services = (await client.list(SERVICES)).items
    pods = (await client.list(PODS)).items
    slices = (await client.list(ENDPOINTSLICES)).items
    endpoints = {_key(one.metadata): one for one in (await client.list(ENDPOINTS)).items}
    wrong: list[str] = []
    for one in services:
        if one.spec is None or not one.spec.selector:
            continue
        key = _key(one.metadata)
        ready = {_key(pod.metadata) for pod in pods if _is_ready(one, pod)}
        mine = [s for s in slices if s.metadata and _service_of(s.metadata) == key]
        wrong += [f"service {key} {text}" for text in _compare(ready, _ready_in(mine))]
        listed = Counter(_ready_of(endpoints[key])) if key in endpoints else Counter[str]()
        wrong += [f"endpoints {key} {text}" for text in _compare(ready, listed)]
        if not mine:
            wrong.append(f"service {key} has no slice")
    return wrong


def _compare(ready: set[str], held: Counter[str]) -> Iterator[str]:
    for pod in sorted(ready - set(held)):
        yield f"leaves out {pod}"
    for pod in sorted(set(held) - ready):
        yield f"leads to {pod}, which is not ready"
    for pod, times in sorted(held.items()):
        if times > 1:
            yield f"lists {pod} {times} times"


def _is_ready(one: m.Service, pod: m.Pod) -> bool:
    meta, status = pod.metadata, pod.status
    if meta is None or status is None or one.spec is None or one.metadata is None:
        return False
    return (
        meta.namespace == one.metadata.namespace
        and (one.spec.selector or {}).items() <= (meta.labels or {}).items()
        and meta.deletionTimestamp is None
        and status.phase not in ("Succeeded", "Failed")
        and bool(status.podIP)
        and is_true(status.conditions, "Ready")
    )


def _ready_in(slices: list[m.EndpointSlice]) -> Counter[str]:
    return Counter(
        f"{endpoint.targetRef.namespace}/{endpoint.targetRef.name}"
        for one in slices
        for endpoint in one.endpoints or ()
        if endpoint.targetRef and endpoint.conditions and endpoint.conditions.ready
    )


def _ready_of(endpoints: m.Endpoints) -> Iterator[str]:
    for subset in endpoints.subsets or ():
        for address in subset.addresses or ():
            if address.targetRef is not None:
                yield f"{address.targetRef.namespace}/{address.targetRef.name}"


def _service_of(meta: m.ObjectMeta) -> str:
    return f"{meta.namespace}/{(meta.labels or {}).get(_OF_SERVICE, '')}"


def _key(meta: m.ObjectMeta | None) -> str:
    return f"{meta.namespace}/{meta.name}" if meta is not None else ""
