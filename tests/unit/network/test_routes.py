"""Where Services are listened for, and where what comes there goes."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import models as m
from kubatch.api.models import discovery_v1
from kubatch.network.balance import CLIENTS_MAX, Balance
from kubatch.network.listening import Taken, taken
from kubatch.network.routes import AFFINITY_SECONDS, Listen, Route, routes, service_key

READY = (True, True, False)
UNREADY = (False, False, False)
ENDING = (False, True, True)


def service(**spec: Any) -> m.Service:
    ports = [m.ServicePort(port=80, protocol="TCP")]
    fields = {"clusterIP": "127.96.1.1", "clusterIPs": ["127.96.1.1"], "ports": ports, **spec}
    return m.Service(metadata=m.ObjectMeta(name="s", namespace="ns"), spec=m.ServiceSpec(**fields))


def part(
    *endpoints: tuple[str, tuple[bool | None, bool | None, bool | None] | None],
    port: int | None = 8080,
    name: str = "",
    protocol: str = "TCP",
    kind: str = "IPv4",
) -> m.EndpointSlice:
    return m.EndpointSlice(
        addressType=kind,
        endpoints=[
            m.Endpoint(
                addresses=[ip],
                conditions=discovery_v1.EndpointConditions(*state) if state else None,
            )
            for ip, state in endpoints
        ],
        ports=[m.EndpointPort(name=name, port=port, protocol=protocol)],
    )


def backends(*slices: m.EndpointSlice, **spec: Any) -> list[list[str]]:
    found = routes(service(**spec), slices, "127.0.0.1")
    return [[f"{host}:{port}" for host, port in route.backends] for route in found]


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ([], []),
        ([part(("10.0.0.1", READY))], [["10.0.0.1:8080"]]),
        ([part(("10.0.0.1", None))], [["10.0.0.1:8080"]]),
        ([part(("10.0.0.1", UNREADY))], []),
        ([part(("10.0.0.1", ENDING))], [["10.0.0.1:8080"]]),
        ([part(("10.0.0.1", ENDING), ("10.0.0.2", READY))], [["10.0.0.2:8080"]]),
        # Two pods at one address are one place to go to.
        ([part(("127.0.0.1", READY), ("127.0.0.1", READY))], [["127.0.0.1:8080"]]),
        (
            [part(("10.0.0.2", READY)), part(("10.0.0.1", READY), port=7)],
            [["10.0.0.1:7", "10.0.0.2:8080"]],
        ),
        ([part(("10.0.0.1", READY), name="other")], []),
        ([part(("10.0.0.1", READY), protocol="UDP")], []),
        ([part(("10.0.0.1", READY), port=None)], []),
        ([part(("a.example", READY), kind="FQDN")], []),
    ],
)
def test_only_ready_endpoints_are_led_to(
    slices: list[m.EndpointSlice], expected: list[list[str]]
) -> None:
    assert backends(*slices) == expected


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None", "clusterIPs": ["None"]},
        {"type": "ExternalName", "clusterIP": None},
        {"ports": [m.ServicePort(port=80, protocol="SCTP")]},
        {"ports": None},
    ],
)
def test_some_services_have_nothing_to_listen_on(spec: dict[str, Any]) -> None:
    assert backends(part(("10.0.0.1", READY)), **spec) == []


def test_node_ports_are_listened_on_too() -> None:
    ports = [m.ServicePort(port=80, nodePort=30080, protocol="TCP")]
    found = routes(service(ports=ports, type="NodePort"), [part(("10.0.0.1", READY))], "127.0.0.1")
    assert [route.listen for route in found] == [
        Listen("TCP", "127.96.1.1", 80),
        Listen("TCP", "127.0.0.1", 30080),
    ]


def test_a_port_on_a_further_address_of_this_machine_is_shared() -> None:
    one = service(ports=[m.ServicePort(port=8080, protocol="TCP")])
    for local, shared in (((), False), (("10.244.0.1",), True)):
        (route,) = routes(one, [part(("10.244.0.1", READY))], "127.0.0.1", local)
        assert route.shared is shared


def test_a_port_that_pods_of_this_machine_use_themselves_is_shared() -> None:
    ports = [m.ServicePort(port=8080, protocol="TCP")]
    for ip, shared in (("127.0.0.1", True), ("10.0.0.1", False)):
        (route,) = routes(service(ports=ports), [part((ip, READY))], "127.0.0.1")
        assert route == Route(
            Listen("TCP", "127.96.1.1", 8080), ((ip, 8080),), None, "ns/s", shared
        )


def affinity(seconds: int | None) -> dict[str, Any]:
    config = m.core_v1.SessionAffinityConfig(m.core_v1.ClientIPConfig(seconds))
    return {"sessionAffinity": "ClientIP", "sessionAffinityConfig": config}


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, None),
        ({"sessionAffinity": "ClientIP"}, AFFINITY_SECONDS),
        (affinity(None), AFFINITY_SECONDS),
        (affinity(5), 5),
    ],
)
def test_clients_stay_for_so_long(spec: dict[str, Any], seconds: int | None) -> None:
    (route,) = routes(service(**spec), [part(("10.0.0.1", READY))], "127.0.0.1")
    assert route.sticky_seconds == seconds


def test_a_slice_names_its_service() -> None:
    labels = {"kubernetes.io/service-name": "s"}
    meta = m.ObjectMeta(namespace="ns", labels=labels)
    assert service_key(m.EndpointSlice(addressType="IPv4", metadata=meta)) == "ns/s"
    assert service_key(m.EndpointSlice(addressType="IPv4")) == ""


# ----- whose turn it is

A, B, C = ("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.3", 1)


def test_one_after_the_other() -> None:
    balance = Balance((A, B, C))
    assert [balance.order("x", 0.0)[0] for _ in range(4)] == [A, B, C, A]
    assert balance.order("x", 0.0) == [B, C, A]  # the others are there if it is not


def test_a_client_stays_while_it_comes_in_time() -> None:
    balance = Balance((A, B), 10)
    assert [balance.order("x", t)[0] for t in (0.0, 9.0, 18.0)] == [A, A, A]
    assert balance.order("y", 18.0)[0] == B
    assert balance.order("x", 29.0)[0] == A  # it was its turn again
    assert balance.order("y", 29.0)[0] == B
    balance.update((A,), 10)
    assert balance.order("y", 20.0)[0] == A


def test_only_so_many_clients_are_remembered() -> None:
    balance = Balance((A, B), 10)
    for number in range(CLIENTS_MAX + 2):
        balance.order(str(number), 0.0)
    assert len(balance._clients) == CLIENTS_MAX


# ----- who listens

HEAD = "  sl  local_address rem_address   st tx_queue\n"
HTTP = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000\n"
OTHER = "   1: 0901607F:1F90 00000000:0000 0A 00000000:00000000 00:00000000\n"
ALL = "   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000\n"
CLIENT = "   3: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000\n"
ALL6 = f"   4: {'0' * 32}:1F90 {'0' * 32}:0000 0A 00000000:00000000 00:00000000\n"


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([], Taken.NOT),
        ([HEAD], Taken.NOT),
        ([HEAD + CLIENT], Taken.NOT),
        ([HEAD + OTHER], Taken.NOT),
        ([HEAD + OTHER + HTTP], Taken.THERE),
        ([HEAD + HTTP + ALL], Taken.EVERYWHERE),
        ([HEAD + HTTP, HEAD + ALL6], Taken.EVERYWHERE),
        ([HEAD + HTTP.replace("1F90", "1F91")], Taken.NOT),
        ([HEAD + "nonsense\n"], Taken.NOT),
    ],
)
def test_how_a_port_is_in_use(tables: list[str], expected: Taken) -> None:
    assert taken(tables, 8080, ["127.0.0.1", "fd00::1"]) is expected
