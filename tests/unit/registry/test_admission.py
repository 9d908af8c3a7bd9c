"""What the registry asks of other objects before it stores one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from kubatch.api.errors import ApiError
from kubatch.api.resource import (
    CRONJOBS,
    CRONJOBS_V1BETA1,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    LIMITRANGES,
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    PRIORITYCLASSES,
    RESOURCEQUOTAS,
    SERVICES,
)
from kubatch.registry.api import Registry
from kubatch.registry.bootstrap import ensure_kubernetes_service, ensure_priority_classes
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.registry.values import DeleteRequest, ListRequest
from kubatch.store.memory import MemoryStore
from kubatch.store.protocol import Value
from kubatch.world import World
from tests.unit.registry.conftest import StoppedClock, context, decoded, obj_of, pod
from tests.unit.registry.kinds.making import CRONJOB


async def create(registry: Registry, resource: Any, body: dict[str, Any]) -> Any:
    namespace = "default" if resource.namespaced else None
    return obj_of(await registry.create(resource, namespace, decoded(resource, body), context()))


async def make_pod(registry: Registry, name: str = "p", **spec: Any) -> Any:
    body = {
        "metadata": {"name": name},
        "spec": {**spec, "containers": [{"name": "c", "image": "i"}]},
    }
    return await create(registry, PODS, body)


def priority(name: str, value: int, **rest: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "value": value, **rest}


# ----- priority


async def test_pods_get_the_priority_of_their_class(registry: Registry) -> None:
    await ensure_priority_classes(registry)
    await ensure_priority_classes(registry)  # every start does it
    await create(registry, PRIORITYCLASSES, priority("low", 5, preemptionPolicy="Never"))
    system = await make_pod(registry, "a", priorityClassName="system-node-critical")
    low = await make_pod(registry, "b", priorityClassName="low", priority=5)
    none = await make_pod(registry, "c")
    assert [(p.spec.priority, p.spec.preemptionPolicy) for p in (system, low, none)] == [
        (2_000_001_000, "PreemptLowerPriority"),
        (5, "Never"),
        (0, "PreemptLowerPriority"),
    ]


async def test_a_default_class_is_for_pods_without_one(registry: Registry) -> None:
    await create(registry, PRIORITYCLASSES, priority("usual", 7, globalDefault=True))
    made = await make_pod(registry)
    assert (made.spec.priority, made.spec.priorityClassName) == (7, "usual")
    with pytest.raises(ApiError) as caught:
        await create(registry, PRIORITYCLASSES, priority("other", 8, globalDefault=True))
    assert (caught.value.code, str(caught.value)) == (
        403,
        'priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already '
        "marked as default. Only one default can exist",
    )


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            {"priority": 5},
            "the integer value of priority (5) must not be provided in pod spec; priority "
            "admission controller computed 0 from the given PriorityClass name",
        ),
        ({"priorityClassName": "nope"}, "no PriorityClass with name nope was found"),
        (
            {"preemptionPolicy": "Never"},
            "the string value of PreemptionPolicy (Never) must not be provided in pod spec; "
            "priority admission controller computed PreemptLowerPriority from the given "
            "PriorityClass name",
        ),
    ],
)
async def test_priorities_refused(registry: Registry, spec: dict[str, Any], why: str) -> None:
    with pytest.raises(ApiError) as caught:
        await make_pod(registry, **spec)
    assert (caught.value.code, str(caught.value)) == (403, f'pods "p" is forbidden: {why}')


async def test_a_name_still_to_be_made_is_shown_as_it_was_sent(registry: Registry) -> None:
    body = {
        "metadata": {"generateName": "web-"},
        "spec": {"priorityClassName": "nope", "containers": [{"name": "c", "image": "i"}]},
    }
    with pytest.raises(ApiError, match=r'^pods "web-" is forbidden: '):
        await create(registry, PODS, body)


# ----- limit ranges


def limit_range(**item: Any) -> dict[str, Any]:
    return {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", **item}]}}


async def test_limit_ranges_fill_and_bound_pods(registry: Registry) -> None:
    await create(registry, LIMITRANGES, limit_range(max={"cpu": "500m"}, default={"cpu": "400m"}))
    made = await make_pod(registry)
    assert made.spec.containers[0].resources.limits == {"cpu": "400m"}
    assert made.status.qosClass == "Burstable"
    big = pod("big")
    big.spec.containers[0].resources = made.spec.containers[0].resources.__class__(
        limits={"cpu": "2"}
    )
    with pytest.raises(ApiError) as caught:
        await registry.create(PODS, "default", big, context())
    assert str(caught.value) == (
        'pods "big" is forbidden: [maximum cpu usage per Container is 500m, but limit is 2, '
        "maximum cpu usage per Container is 500m, but request is 2]"
    )


async def test_limit_ranges_bound_claims(registry: Registry) -> None:
    item = {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}
    await create(registry, LIMITRANGES, limit_range(**item))
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    with pytest.raises(ApiError) as caught:
        await create(registry, PERSISTENTVOLUMECLAIMS, {"metadata": {"name": "c"}, "spec": spec})
    assert str(caught.value) == (
        'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim '
        "is 1Gi, but request is 2Gi"
    )


# ----- addresses of Services


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


async def test_services_created_at_once_get_addresses_of_their_own(registry: Registry) -> None:
    made = await asyncio.gather(*(create(registry, SERVICES, service(f"s{i}")) for i in range(20)))
    assert len({s.spec.clusterIP for s in made}) == 20


async def test_an_address_is_free_again_when_its_service_is_gone(registry: Registry) -> None:
    first = await create(registry, SERVICES, service("a"))
    ip = first.spec.clusterIP
    with pytest.raises(ApiError) as caught:
        await create(registry, SERVICES, service("b", clusterIP=ip))
    assert str(caught.value) == (
        f'Service "b" is invalid: spec.clusterIPs: Invalid value: ["{ip}"]: failed to allocate IP '
        f"{ip}: provided IP is already allocated"
    )
    await registry.delete(SERVICES, "default", "a", DeleteRequest(), context())
    again = await create(registry, SERVICES, service("b", clusterIP=ip))
    assert again.spec.clusterIP == ip


async def test_a_service_that_was_not_stored_holds_nothing(registry: Registry) -> None:
    await create(registry, SERVICES, service("a"))
    wanted = service("a", clusterIP="127.96.1.1")
    with pytest.raises(ApiError, match="already exists"):
        await create(registry, SERVICES, wanted)
    tried = decoded(SERVICES, service("b", clusterIP="127.96.1.1"))
    await registry.create(SERVICES, "default", tried, context(), dry_run=True)
    made = await create(registry, SERVICES, service("c", clusterIP="127.96.1.1"))
    assert made.spec.clusterIP == "127.96.1.1"


async def test_a_patch_that_needs_ports_gets_them(registry: Registry) -> None:
    await create(registry, SERVICES, service("a"))
    patch = {"spec": {"type": "NodePort"}}
    done = obj_of(await registry.patch(SERVICES, "default", "a", "merge", patch, context()))
    assert 30000 <= done.spec.ports[0].nodePort <= 32767


async def test_the_service_that_leads_to_the_api(registry: Registry) -> None:
    await ensure_kubernetes_service(registry, "", 6443)
    await ensure_kubernetes_service(registry, "192.0.2.1", 7443)
    found = obj_of(await registry.get(SERVICES, "default", "kubernetes"))
    assert found.spec.clusterIP == "127.96.0.1"
    assert [(p.name, p.port, p.targetPort) for p in found.spec.ports] == [("https", 443, 7443)]
    subset = obj_of(await registry.get(ENDPOINTS, "default", "kubernetes")).subsets[0]
    assert (subset.addresses[0].ip, subset.ports[0].port) == ("192.0.2.1", 7443)
    part = obj_of(await registry.get(ENDPOINTSLICES, "default", "kubernetes"))
    assert part.endpoints[0].addresses == ["192.0.2.1"]
    assert part.metadata.labels == {"kubernetes.io/service-name": "kubernetes"}


# ----- the end of a namespace


class Interleaved(MemoryStore):
    """A store where something else happens between a create's checks and its write."""

    def __init__(self) -> None:
        super().__init__(history_changes_max=50)
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def create(self, key: str, value: Value) -> int:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await super().create(key, value)

    async def create_all(self, values: Sequence[tuple[str, Value]]) -> Sequence[int | None]:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await super().create_all(values)


@pytest.mark.parametrize("gone", [False, True], ids=["terminating", "gone"])
async def test_a_create_that_the_end_of_its_namespace_overtakes_is_taken_back(
    clock: StoppedClock, gone: bool
) -> None:
    store = Interleaved()
    await store.open()
    registry = Registry(store, World(clock, random.Random(1)), STRATEGIES)
    space = decoded(NAMESPACES, {"metadata": {"name": "ending"}})
    await registry.create(NAMESPACES, None, space, context())

    async def end() -> None:
        await registry.delete(NAMESPACES, None, "ending", DeleteRequest(), context())
        if gone:
            finalizers = {"spec": {"finalizers": None}}
            await registry.patch(
                NAMESPACES, None, "ending", "merge", finalizers, context(), subresource="finalize"
            )

    store.meanwhile = end
    why = 'namespaces "ending" not found' if gone else "because it is being terminated"
    with pytest.raises(ApiError, match=why):
        await registry.create(PODS, "ending", pod(), context())
    assert (await registry.list(PODS, "ending", ListRequest())).entries == []
    await store.close()


async def test_events_that_the_end_of_their_namespace_overtakes_are_taken_back(
    clock: StoppedClock,
) -> None:
    store = Interleaved()
    await store.open()
    registry = Registry(store, World(clock, random.Random(1)), STRATEGIES)
    for name in ("ending", "other"):
        space = decoded(NAMESPACES, {"metadata": {"name": name}})
        await registry.create(NAMESPACES, None, space, context())

    async def end() -> None:
        await registry.delete(NAMESPACES, None, "ending", DeleteRequest(), context())

    store.meanwhile = end
    events = [
        decoded(EVENTS, {"metadata": {"name": "e", "namespace": name},
                         "involvedObject": {"namespace": name}})
        for name in ("ending", "other")
    ]  # fmt: skip
    refusals = await registry.write_events(EVENTS, events)
    assert [refusal and refusal.code for refusal in refusals] == [403, None]
    [left] = (await registry.list(EVENTS, None, ListRequest())).entries
    assert left.obj.metadata.namespace == "other"
    await store.close()
    [refusal] = await registry.write_events(EVENTS, events[1:])
    assert refusal is not None
    assert (refusal.code, refusal.reason) == (500, "InternalError")


# ----- quotas


async def test_a_quota_is_never_exceeded_by_creates_at_once(registry: Registry) -> None:
    body = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "3", "services": "1"}}}
    await create(registry, RESOURCEQUOTAS, body)
    tries = (make_pod(registry, f"p{i}") for i in range(10))
    done = await asyncio.gather(*tries, return_exceptions=True)
    refused = [str(e) for e in done if isinstance(e, ApiError)]
    assert len(refused) == 7
    assert refused[0] == (
        'pods "p3" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: '
        "pods=3"
    )
    await registry.delete(PODS, "default", "p0", DeleteRequest(), context())
    await make_pod(registry, "again")
    # What was refused, or failed for another reason, or only tried, counts for nothing.
    tried = decoded(SERVICES, service("a"))
    await registry.create(SERVICES, "default", tried, context(), dry_run=True)
    await create(registry, SERVICES, service("a"))
    with pytest.raises(ApiError, match="exceeded quota: q, requested: services=1"):
        await create(registry, SERVICES, service("b"))


async def test_a_quota_counts_both_versions_of_cron_jobs(registry: Registry) -> None:
    hard = {"count/cronjobs.batch": "1"}
    await create(registry, RESOURCEQUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": hard}})
    await create(registry, CRONJOBS_V1BETA1, CRONJOB)
    with pytest.raises(ApiError, match=r'^cronjobs\.batch "m" is forbidden: exceeded quota: q'):
        await create(registry, CRONJOBS, {**CRONJOB, "metadata": {"name": "m"}})
