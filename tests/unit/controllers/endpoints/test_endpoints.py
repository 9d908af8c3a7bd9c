"""The Endpoints of Services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.resource import ENDPOINTS, PODS, SERVICES
from kubatch.controllers import endpoints
from kubatch.controllers.endpoints import subsets
from kubatch.controllers.endpoints.decide import decide
from kubatch.controllers.endpoints.facts import EndpointsFacts, read
from kubatch.controllers.endpoints.members import Member, Port, Triggers, go_time
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Absent, Create, Decision, Delete, Patch
from tests.suites.engine import engine
from tests.suites.virtual_time import virtual_time
from tests.unit.controllers.serving import NOW, pod, service
from tests.unit.controllers.static_view import StaticView

KEY = Key("default", "web")


def decided(*objects: Any, last: Triggers | None = None) -> Decision | None:
    facts = read(StaticView(*objects), KEY, last)
    return None if facts is None else decide(facts, NOW)


def created(*objects: Any) -> m.Endpoints:
    decision = decided(*objects)
    assert decision is not None
    (write,) = decision.stages[0].writes
    assert isinstance(write, Create)
    assert isinstance(write.obj, m.Endpoints)
    return write.obj


def shown(made: m.Endpoints | Iterable[m.EndpointSubset]) -> list[str]:
    """One line for a subset: ready|not ready|ports."""
    parts = (made.subsets or ()) if isinstance(made, m.Endpoints) else made
    return [
        "|".join(
            (
                ",".join(a.targetRef.name or "" for a in s.addresses or () if a.targetRef),
                ",".join(a.targetRef.name or "" for a in s.notReadyAddresses or () if a.targetRef),
                ",".join(f"{p.name or ''}:{p.port}" for p in s.ports or ()),
            )
        )
        for s in parts
    ]


NAMED = [m.ServicePort(port=80, targetPort="web", protocol="TCP", name="http")]
UNKNOWN = [m.ServicePort(port=80, targetPort="other", protocol="TCP")]
TWO = [
    m.ServicePort(port=80, targetPort="web", protocol="TCP", name="a"),
    m.ServicePort(port=81, targetPort=9, protocol="TCP", name="b"),
]


@pytest.mark.parametrize(
    ("spec", "pods", "expected"),
    [
        ({}, [pod("a"), pod("b", ip="10.0.0.2")], ["a,b||:8080"]),
        ({}, [pod("a"), pod("b", ready=False)], ["a|b|:8080"]),
        ({}, [pod("a", ip="")], []),
        ({}, [replace(pod("a"), status=m.PodStatus(podIP="10.0.0.1"))], ["|a|:8080"]),
        ({}, [pod("a", phase="Succeeded"), pod("b", phase="Failed")], []),
        ({}, [pod("a", going=True)], []),
        ({"publishNotReadyAddresses": True}, [pod("a", going=True, ready=False)], ["a||:8080"]),
        ({}, [pod("a", labels={"app": "other"})], []),
        # A pod is left out of ports that it does not know.
        ({"ports": NAMED}, [pod("a"), pod("b", port=7)], ["b||http:7"]),
        # Pods that give a port different numbers are in subsets of their own.
        ({"ports": NAMED}, [pod("a", port=8), pod("b", port=7)], ["b||http:7", "a||http:8"]),
        ({"ports": UNKNOWN}, [pod("a", port=8)], []),
        ({"ports": TWO}, [pod("a", port=8)], ["a||a:8,b:9"]),
        ({"ports": TWO}, [pod("a", port=8), pod("b")], ["a||a:8", "a,b||b:9"]),
        ({"ports": None, "clusterIP": "None"}, [pod("a")], ["a||"]),
        ({"ports": None}, [pod("a")], []),
    ],
)
def test_pods_are_listed_under_their_ports(
    spec: dict[str, Any], pods: list[m.Pod], expected: list[str]
) -> None:
    assert shown(created(service(**spec), *pods)) == expected


def test_labels_and_annotations_say_whose_they_are() -> None:
    made = created(service(clusterIP="None"), pod("a"))
    assert made.metadata is not None
    assert made.metadata.labels == {
        "of": "web",
        "service.kubernetes.io/headless": "",
        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
    }
    moment = {"endpoints.kubernetes.io/last-change-trigger-time": "2025-12-31T23:00:00Z"}
    assert made.metadata.annotations == moment


def test_an_address_says_where_it_leads() -> None:
    made = created(service(), pod("a", hostname="h", subdomain="web"))
    assert made.subsets is not None
    (address,) = made.subsets[0].addresses or []
    ref = m.ObjectReference(kind="Pod", namespace="default", name="a", uid="uid-a")
    assert address == m.EndpointAddress(ip="10.0.0.1", hostname="h", nodeName="n", targetRef=ref)


@pytest.mark.parametrize(
    "spec", [{"selector": {}}, {"type": "ExternalName", "externalName": "x.example"}]
)
def test_nothing_is_made_for_services_that_select_nothing(spec: dict[str, Any]) -> None:
    assert decided(service(**spec), pod("a")) is None


def test_what_is_right_stays_and_what_is_not_is_changed() -> None:
    made = created(service(), pod("a"))
    assert made.metadata is not None
    meta = replace(made.metadata, uid="u", resourceVersion="7")
    right = decided(service(), pod("a"), replace(made, metadata=meta))
    assert right is not None
    assert not right.stages
    wrong = replace(meta, labels={**(meta.labels or {}), "more": "x"})
    changed = decided(
        service(), pod("a"), replace(made, metadata=wrong, subsets=None), last=right.remember
    )
    assert changed is not None
    (write,) = changed.stages[0].writes
    assert isinstance(write, Patch)
    assert write.patch["metadata"]["labels"]["more"] is None
    assert write.patch["metadata"]["resourceVersion"] == "7"
    # No moment is new, so there is none to tell.
    trigger = "endpoints.kubernetes.io/last-change-trigger-time"
    assert write.patch["metadata"]["annotations"][trigger] is None
    assert write.patch["subsets"][0]["addresses"][0]["ip"] == "10.0.0.1"


def test_endpoints_go_with_their_service() -> None:
    left = m.Endpoints(
        apiVersion="v1", kind="Endpoints",
        metadata=m.ObjectMeta(name="web", namespace="default", uid="u"),
    )  # fmt: skip
    decision = decided(left)
    assert decision is not None
    first, second = (stage.writes[0] for stage in decision.stages)
    assert first == Absent(SERVICES, "default", "web")
    assert second == Delete(ENDPOINTS, "default", "web", "u")
    assert decided() is None


def many(ready: int, unready: int) -> list[Member]:
    return [
        Member("ns", f"p{i:04}", f"u{i:04}", (f"10.0.{i // 256}.{i % 256}",), "n", i < ready, None,
               False, "", (Port("", 80, "TCP"),))
        for i in range(ready + unready)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ready", "unready", "expected"),
    [(1000, 0, (1000, 0, False)), (600, 500, (600, 400, True)), (1200, 5, (1000, 0, True))],
)
def test_there_are_a_thousand_addresses_at_most(
    ready: int, unready: int, expected: tuple[int, int, bool]
) -> None:
    packed = subsets.pack(many(ready, unready), also_unready=False, without_ports=False)
    kept, over = subsets.cut(packed)
    counts = [
        sum(len(getattr(s, name) or ()) for s in kept)
        for name in ("addresses", "notReadyAddresses")
    ]
    assert (*counts, over) == expected


def test_times_are_printed_as_go_prints_them() -> None:
    assert go_time(NOW) == "2026-01-01T00:00:00Z"
    assert go_time(NOW.replace(microsecond=120_000)) == "2026-01-01T00:00:00.12Z"


class TestWhoIsWoken:
    def keys(self, old: m.Pod | None, new: m.Pod | None) -> list[Key]:
        record = endpoints.controller()
        for one in (service(), service("other", {"app": "x"}), service("none", {})):
            assert list(record.watches[SERVICES](None, one))
        return list(record.watches[PODS](old, new))

    @pytest.mark.parametrize(
        ("old", "new", "woken"),
        [
            (None, pod("a"), True),
            (pod("a"), None, True),
            (pod("a"), pod("a"), False),
            (pod("a", ready=False), pod("a"), True),
            (pod("a"), pod("a", going=True), True),
            (pod("a"), pod("a", labels={}), True),
            (pod("a"), pod("a", phase="Failed"), True),
            (pod("a", phase="Failed"), None, False),
            (None, pod("a", ip=""), False),
            (None, pod("a", labels={"job-name": "x"}), False),
        ],
    )
    def test_a_service_hears_of_what_matters_to_it(
        self, old: m.Pod | None, new: m.Pod | None, woken: bool
    ) -> None:
        assert self.keys(old, new) == ([KEY] if woken else [])

    def test_a_service_that_has_gone_hears_nothing(self) -> None:
        record = endpoints.controller()
        list(record.watches[SERVICES](None, service()))
        list(record.watches[SERVICES](service(), None))
        assert list(record.watches[PODS](None, pod("a"))) == []

    def test_endpoints_made_by_hand_are_left_alone(self) -> None:
        hand = m.Endpoints(metadata=m.ObjectMeta(name="web", namespace="default"))
        watch = endpoints.controller().watches[ENDPOINTS]
        assert list(watch(None, hand)) == []
        assert list(watch(hand, None)) == [KEY]


@virtual_time
async def test_they_follow_their_service_in_the_engine() -> None:
    async with engine(endpoints.controller()) as run:
        await run.client.create(SERVICES, replace(service(), metadata=bare("web")))
        await run.until(lambda: run.caches.list(ENDPOINTS))
        await run.client.delete(SERVICES, "default", "web")
        await run.until(lambda: not run.caches.list(ENDPOINTS))


def bare(name: str) -> m.ObjectMeta:
    return m.ObjectMeta(name=name, namespace="default")


def test_facts_are_read_of_the_service_alone() -> None:
    facts = read(StaticView(service(), pod("a"), pod("b", labels={"app": "x"})), KEY, None)
    assert isinstance(facts, EndpointsFacts)
    assert [member.name for member in facts.members] == ["a"]
