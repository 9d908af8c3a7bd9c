"""The EndpointSlices of Services, and those made of Endpoints."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.owners import owner_reference
from kubatch.api.resource import ENDPOINTSLICES, NODES, PODS, SERVICES
from kubatch.controllers import endpointslice
from kubatch.controllers.endpoints.members import Port
from kubatch.controllers.endpointslice.decide import decide
from kubatch.controllers.endpointslice.facts import read
from kubatch.controllers.endpointslice.plan import Group, Plan, group_of, identity, plan
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Create, Decision, Delete, Patch, Write
from tests.unit.controllers.serving import NOW, node, pod, service
from tests.unit.controllers.static_view import StaticView

KEY = Key("default", "web")
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
OWN = {
    "of": "web",
    "kubernetes.io/service-name": "web",
    MANAGED_BY: "endpointslice-controller.k8s.io",
}


def decided(*objects: Any) -> Decision:
    facts = read(StaticView(*objects), KEY, None)
    assert facts is not None
    return decide(facts, NOW)


def writes(*objects: Any) -> list[Write]:
    return [write for stage in decided(*objects).stages for write in stage.writes]


def slice_of(*objects: Any) -> m.EndpointSlice:
    (write,) = writes(*objects)
    assert isinstance(write, Create)
    made: m.EndpointSlice = write.obj
    return made


def stored(made: m.EndpointSlice, name: str = "web-1") -> m.EndpointSlice:
    assert made.metadata is not None
    meta = replace(made.metadata, name=name, uid=f"uid-{name}", resourceVersion="1")
    return replace(made, metadata=meta)


def test_a_slice_says_whose_it_is() -> None:
    meta = slice_of(service(), pod("a"), node()).metadata
    assert meta is not None
    assert meta.generateName == "web-"
    assert meta.labels == OWN
    assert meta.ownerReferences == [owner_reference(service(), SERVICES)]
    assert list(meta.annotations or {}) == ["endpoints.kubernetes.io/last-change-trigger-time"]


def test_a_headless_service_shows_in_the_labels() -> None:
    made = slice_of(service(clusterIP="None", ports=None), pod("a"), node())
    assert made.metadata is not None
    assert made.metadata.labels == {**OWN, "service.kubernetes.io/headless": ""}
    assert made.ports == []
    assert len(made.endpoints or ()) == 1


@pytest.mark.parametrize(
    ("made", "publish", "conditions"),
    [
        (pod("a"), False, (True, True, False)),
        (pod("a", ready=False), False, (False, False, False)),
        (pod("a", going=True), False, (False, True, True)),
        (pod("a", going=True, ready=False), True, (True, False, True)),
    ],
)
def test_conditions(made: m.Pod, publish: bool, conditions: tuple[bool, bool, bool]) -> None:
    found = slice_of(service(publishNotReadyAddresses=publish), made, node("n", "z1"))
    (endpoint,) = found.endpoints or []
    state = endpoint.conditions
    assert state is not None
    assert (state.ready, state.serving, state.terminating) == conditions
    assert (endpoint.nodeName, endpoint.zone) == ("n", "z1")


def test_a_named_port_is_the_pods_own() -> None:
    ports = [m.ServicePort(port=80, targetPort="web", protocol="TCP", name="http")]
    found = writes(service(ports=ports), pod("a", port=8), pod("b", port=7), node())
    assert [(w.obj.ports[0].name, w.obj.ports[0].port) for w in found if isinstance(w, Create)] == [
        ("http", 8),
        ("http", 7),
    ]


def test_a_selector_that_matches_nothing_has_one_empty_slice() -> None:
    empty = slice_of(service())
    assert (empty.endpoints, empty.ports, empty.addressType) == ([], [], "IPv4")
    assert writes(service(), stored(empty)) == []


def test_the_empty_slice_is_used_again_and_comes_back() -> None:
    empty = stored(slice_of(service()))
    (filled,) = writes(service(), empty, pod("a"), node())
    assert isinstance(filled, Patch)
    assert filled.patch["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    full = stored(slice_of(service(), pod("a"), node()))
    (emptied,) = writes(service(), full)
    assert isinstance(emptied, Patch)
    assert (emptied.patch["endpoints"], emptied.patch["ports"]) == ([], [])


def test_a_pod_whose_node_has_gone_is_left_out() -> None:
    assert slice_of(service(), pod("a")).endpoints == []
    published = slice_of(service(publishNotReadyAddresses=True), pod("a"))
    assert len(published.endpoints or ()) == 1


def test_labels_of_the_service_are_followed_without_touching_endpoints() -> None:
    full = stored(slice_of(service(), pod("a"), node()))
    assert full.metadata is not None
    old = replace(full, metadata=replace(full.metadata, labels={**OWN, "old": "x"}))
    (write,) = writes(service(), old, pod("a"), node())
    assert isinstance(write, Patch)
    assert write.patch["metadata"]["labels"] == {"old": None, **OWN}
    assert "endpoints" not in write.patch


def test_slices_of_an_earlier_service_of_that_name_are_deleted() -> None:
    full = stored(slice_of(service(), pod("a"), node()))
    assert full.metadata is not None
    owner = replace((full.metadata.ownerReferences or [])[0], uid="uid-earlier")
    foreign = replace(full, metadata=replace(full.metadata, ownerReferences=[owner]))
    first, second = writes(service(), foreign, pod("a"), node())
    assert isinstance(first, Create)
    assert second == Delete(ENDPOINTSLICES, "default", "web-1", "uid-web-1")


def test_a_pod_without_an_address_of_the_family_is_in_no_slice() -> None:
    assert slice_of(service(), pod("a", ip="fd00::1"), node()).endpoints == []
    both = service(ipFamilies=["IPv4", "IPv6"])
    assert slice_of(both, pod("a", ip="fd00::1"), node()).addressType == "IPv6"


def test_nothing_is_decided_without_a_service() -> None:
    assert read(StaticView(), KEY, None) is None


def test_nothing_is_made_for_a_service_that_goes() -> None:
    going = service()
    assert going.metadata is not None
    going = replace(going, metadata=replace(going.metadata, deletionTimestamp=NOW))
    assert decided(going, pod("a"), node()).stages == ()


def test_nodes_wake_services_only_when_they_matter() -> None:
    record = endpointslice.controller()
    list(record.watches[SERVICES](None, service()))
    watch = record.watches[NODES]
    assert list(watch(None, node())) == [KEY]
    assert list(watch(node(), node())) == []
    assert list(watch(node(), node("n", "z"))) == [KEY]
    assert list(watch(node(), None)) == [KEY]
    assert list(record.watches[PODS](None, pod("a"))) == [KEY]


def test_a_slice_wakes_its_service() -> None:
    watch = endpointslice.controller().watches[ENDPOINTSLICES]
    mine = m.EndpointSlice(
        addressType="IPv4", endpoints=[], metadata=m.ObjectMeta(namespace="default", labels=OWN)
    )
    labels = {**OWN, MANAGED_BY: "somebody"}
    other = m.EndpointSlice(
        addressType="IPv4", endpoints=[], metadata=m.ObjectMeta(namespace="default", labels=labels)
    )
    assert list(watch(None, mine)) == [KEY]
    assert list(watch(None, other)) == []


# ----- the plan, against what is plainly true of every good one


GROUPS: list[Group] = [
    ("IPv4", (Port("", 80, "TCP"),)),
    ("IPv4", (Port("", 81, "TCP"),)),
    ("IPv6", (Port("", 80, "TCP"),)),
]


def endpoint(number: int, *, ready: bool = True) -> m.Endpoint:
    state = m.discovery_v1.EndpointConditions(ready=ready)
    ref = m.ObjectReference(name=f"p{number}", namespace="default")
    return m.Endpoint(addresses=[f"10.0.0.{number}"], conditions=state, targetRef=ref)


def carried_out(slices: list[m.EndpointSlice], made: Plan) -> list[m.EndpointSlice]:
    """What the API has once a plan has been carried out."""
    changed = {one.metadata.name: change for one, change in made.update if one.metadata}
    gone = {one.metadata.name for one in made.delete if one.metadata}
    result = []
    for one in slices:
        assert one.metadata is not None
        if one.metadata.name in gone:
            continue
        change = changed.get(one.metadata.name)
        result.append(one if change is None else built(change.group, change.endpoints, one))
    fresh = [
        built(change.group, change.endpoints, named(f"new{i}"))
        for i, change in enumerate(made.create)
    ]
    return [*result, *fresh]


def named(name: str) -> m.EndpointSlice:
    return m.EndpointSlice(addressType="IPv4", endpoints=[], metadata=m.ObjectMeta(name=name))


def built(group: Group, endpoints: tuple[m.Endpoint, ...], one: m.EndpointSlice) -> m.EndpointSlice:
    ports = [m.EndpointPort(name=p.name, port=p.port, protocol=p.protocol) for p in group[1]]
    return replace(one, addressType=group[0], endpoints=list(endpoints), ports=ports)


WANTED = st.lists(
    st.dictionaries(st.integers(1, 30), st.booleans(), max_size=20), min_size=3, max_size=3
).map(
    lambda sets: {
        group: [endpoint(number, ready=ready) for number, ready in one.items()]
        for group, one in zip(GROUPS, sets, strict=True)
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(WANTED, min_size=1, max_size=5), st.integers(1, 6))
def test_every_endpoint_is_in_exactly_one_slice(
    history: list[dict[Group, list[m.Endpoint]]], most: int
) -> None:
    slices: list[m.EndpointSlice] = []
    for turn, wanted in enumerate(history):
        made = plan(slices, wanted, most)
        slices = carried_out(slices, made)
        slices = [
            replace(one, metadata=m.ObjectMeta(name=f"{turn}-{i}")) for i, one in enumerate(slices)
        ]
        for group, endpoints in wanted.items():
            mine = [one for one in slices if group_of(one) == group]
            held = [e for one in mine for e in one.endpoints or []]
            assert sorted(map(identity, held)) == sorted(map(identity, endpoints))
            assert all(e in endpoints for e in held)
            assert all(0 < len(one.endpoints or ()) <= most for one in mine)
        assert {group_of(one) for one in slices} <= {g for g, es in wanted.items() if es}
        again = plan(slices, wanted, most)
        assert again == Plan(unchanged=again.unchanged)
