"""Slices made of Endpoints that somebody wrote."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.models import core_v1
from kubatch.api.owners import owner_reference
from kubatch.api.resource import ENDPOINTS, ENDPOINTSLICES, SERVICES
from kubatch.controllers import endpointslicemirroring as mirroring
from kubatch.controllers.endpointslicemirroring.decide import decide, desired
from kubatch.controllers.endpointslicemirroring.facts import read
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Create, Delete, Patch, Write
from tests.unit.controllers.serving import NOW, service
from tests.unit.controllers.static_view import StaticView

KEY = Key("default", "web")
LABELS = {
    "mine": "yes",
    "kubernetes.io/service-name": "web",
    "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
}


def by_hand(*ips: str, meta: dict[str, Any] | None = None, **subset: Any) -> m.Endpoints:
    fields = {"labels": {"mine": "yes"}, **(meta or {})}
    ports = [core_v1.EndpointPort(port=9, protocol="TCP")]
    addresses = [m.EndpointAddress(ip=ip) for ip in ips]
    return m.Endpoints(
        apiVersion="v1",
        kind="Endpoints",
        metadata=m.ObjectMeta(name="web", namespace="default", uid="u", **fields),
        subsets=[m.EndpointSubset(addresses=addresses, ports=ports, **subset)],
    )


def writes(*objects: Any) -> list[Write] | None:
    facts = read(StaticView(*objects), KEY)
    if facts is None:
        return None
    return [write for stage in decide(facts, NOW).stages for write in stage.writes]


def one_slice(*objects: Any) -> m.EndpointSlice:
    (write,) = writes(*objects) or []
    assert isinstance(write, Create)
    assert isinstance(write.obj, m.EndpointSlice)
    meta = write.obj.metadata
    assert meta is not None
    return replace(write.obj, metadata=replace(meta, name="web-1", uid="s"))


def test_a_service_without_selector_has_what_its_endpoints_say() -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "x"}
    hand = by_hand("10.0.0.9", "10.0.0.8", meta={"annotations": applied})
    made = one_slice(service(selector={}), hand)
    assert made.metadata is not None
    assert made.metadata.labels == LABELS
    assert made.metadata.annotations == {"note": "x"}
    assert made.metadata.ownerReferences == [owner_reference(hand, ENDPOINTS)]
    assert [e.addresses for e in made.endpoints or ()] == [["10.0.0.9"], ["10.0.0.8"]]
    assert writes(service(selector={}), hand, made) == []


def test_both_families_and_readiness() -> None:
    unready = [m.EndpointAddress(ip="fd00::1", hostname="h", nodeName="n")]
    found = desired(by_hand("10.0.0.9", notReadyAddresses=unready))
    assert {
        group[0]: [(e.addresses[0], e.conditions and e.conditions.ready, e.hostname) for e in es]
        for group, es in found.items()
    } == {"IPv4": [("10.0.0.9", True, None)], "IPv6": [("fd00::1", False, "h")]}


def test_so_many_of_each_subset_are_mirrored() -> None:
    hand = by_hand(*(f"10.0.{i // 250}.{i % 250 + 1}" for i in range(1200)))
    assert [len(es) for es in desired(hand).values()] == [1000]


@pytest.mark.parametrize(
    ("selector", "meta"),
    [
        ({"app": "web"}, {}),
        ({}, {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}),
        ({}, {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}),
    ],
)
def test_what_is_not_mirrored(selector: dict[str, str], meta: dict[str, Any]) -> None:
    assert writes(service(selector=selector), by_hand("10.0.0.9", meta=meta)) is None


def test_slices_go_when_there_is_nothing_to_mirror_any_more() -> None:
    made = one_slice(service(selector={}), by_hand("10.0.0.9"))
    gone = [Delete(ENDPOINTSLICES, "default", "web-1", "s")]
    assert writes(made) == gone
    assert writes(service(), by_hand("10.0.0.9"), made) == gone
    assert writes(service(selector={}), made) == gone


def test_slices_change_with_the_endpoints_and_only_with_them() -> None:
    made = one_slice(service(selector={}), by_hand("10.0.0.9"))
    (write,) = writes(service(selector={}), by_hand("10.0.0.7"), made) or []
    assert isinstance(write, Patch)
    assert write.patch["endpoints"][0]["addresses"] == ["10.0.0.7"]
    assert made.metadata is not None
    owner = replace((made.metadata.ownerReferences or [])[0], uid="earlier")
    foreign = replace(made, metadata=replace(made.metadata, ownerReferences=[owner]))
    first, second = writes(service(selector={}), by_hand("10.0.0.9"), foreign) or []
    assert isinstance(first, Create)
    assert isinstance(second, Delete)


def test_who_is_woken() -> None:
    watches = mirroring.controller().watches
    assert list(watches[SERVICES](None, service())) == [KEY]
    assert list(watches[ENDPOINTS](by_hand("10.0.0.9"), None)) == [KEY]
    mine = m.EndpointSlice(
        addressType="IPv4", endpoints=[], metadata=m.ObjectMeta(namespace="default", labels=LABELS)
    )
    assert list(watches[ENDPOINTSLICES](None, mine)) == [KEY]
    assert (
        list(watches[ENDPOINTSLICES](None, m.EndpointSlice(addressType="IPv4", endpoints=[]))) == []
    )
