"""Services: defaults, rules, changes, addresses and the table."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import codec
from kubatch.api.models import Service
from kubatch.api.resource import SERVICES
from kubatch.registry.kinds.service import allocation
from kubatch.registry.kinds.service.allocation import Taken, allocate, taken
from kubatch.world import seeded
from tests.unit.registry.kinds.making import (
    NOW,
    create_errors,
    created,
    decode,
    merged,
    prepared,
    rules,
    status_errors,
    texts,
    update_errors,
)

PORT = {"port": 80}
SERVICE: dict[str, Any] = {
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [PORT]},
}


def service(**spec: Any) -> dict[str, Any]:
    return merged(SERVICE, {"spec": spec})


def with_address(body: dict[str, Any], others: Taken | None = None) -> Service:
    """As stored: after allocation."""
    made = created(SERVICES, body)
    assert allocate(made, others or Taken(), seeded("x")) == []
    return made


def spec_of(made: Service) -> dict[str, Any]:
    found: dict[str, Any] = codec.to_dict(SERVICES, made)["spec"]
    return found


def changed(made: Service, **spec: Any) -> Service:
    return decode(SERVICES, merged(codec.to_dict(SERVICES, made), {"spec": spec}))


def put(made: Service, **spec: Any) -> dict[str, Any]:
    """What an update with this change stores."""
    new = changed(made, **spec)
    rules(SERVICES).default(new)
    rules(SERVICES).prepare_update(new, made)
    assert texts(rules(SERVICES).validate_update(new, made)) == []
    assert allocate(new, Taken(), seeded("y")) == []
    return spec_of(new)


# ----- defaults


def test_the_simplest_service() -> None:
    assert codec.to_dict(SERVICES, prepared(SERVICES, SERVICE)) == {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "uid": "0f0f0f0f-0000-4000-8000-000000000001",
            "creationTimestamp": "2026-05-01T12:00:00Z",
        },
        "spec": {
            "internalTrafficPolicy": "Cluster",
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
            "selector": {"app": "web"},
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    }


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ({"type": "NodePort"}, {"externalTrafficPolicy": "Cluster"}),
        (
            {"type": "LoadBalancer"},
            {"externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": True},
        ),
        ({"externalIPs": ["192.0.2.1"]}, {"externalTrafficPolicy": "Cluster"}),
        (
            {"sessionAffinity": "ClientIP"},
            {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}},
        ),
        ({"ports": [{"port": 53, "targetPort": "dns", "protocol": "UDP"}]}, {}),
        ({"clusterIP": "None"}, {"clusterIPs": ["None"]}),
    ],
)
def test_defaults(spec: dict[str, Any], shown: dict[str, Any]) -> None:
    made = spec_of(prepared(SERVICES, service(**spec)))
    assert {**made, **shown, **spec} == made


# ----- validation

DNS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
BALANCER = "may only be used when `type` is 'LoadBalancer'"
CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
EXTERNAL = "may not be set for ExternalName services"


def test_names() -> None:
    body = merged(SERVICE, {"metadata": {"name": "1web"}})
    assert create_errors(SERVICES, body) == [f'metadata.name: Invalid value: "1web": {DNS}']


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        ({"ports": None}, ["spec.ports: Required value"]),
        ({"ports": None, "clusterIP": "None"}, []),
        (
            {"clusterIP": "None", "type": "NodePort"},
            [
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for "
                "NodePort services"
            ],
        ),
        (
            {"type": "ExternalName", "clusterIP": "127.96.0.9", "ipFamilies": ["IPv4"]},
            [
                f"spec.clusterIPs: Forbidden: {EXTERNAL}",
                f"spec.ipFamilies: Forbidden: {EXTERNAL}",
                "spec.externalName: Required value",
            ],
        ),
        ({"type": "ExternalName", "externalName": "example.com.", "ports": None}, []),
        (
            {"ports": [{"port": 80, "name": "a"}, {"port": 81}, {"port": 82, "name": "a"}]},
            ["spec.ports[1].name: Required value", 'spec.ports[2].name: Duplicate value: "a"'],
        ),
        (
            {"ports": [{"port": 0, "targetPort": "UP"}]},
            [
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                'spec.ports[0].targetPort: Invalid value: "UP": must contain only alpha-numeric '
                "characters (a-z, 0-9), and hyphens (-)",
                'spec.ports[0].targetPort: Invalid value: "UP": must contain at least one letter '
                "(a-z)",
            ],
        ),
        (
            {"ports": [{"port": 80, "protocol": "ICMP"}]},
            [
                'spec.ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", '
                '"TCP", "UDP"'
            ],
        ),
        (
            {"sessionAffinity": "Cookie"},
            [
                'spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", '
                '"None"'
            ],
        ),
        (
            {
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}},
            },
            [
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be "
                "greater than 0 and less than 86400"
            ],
        ),
        ({"clusterIP": "1.2.3"}, [f'spec.clusterIPs[0]: Invalid value: "1.2.3": {IP}']),
        (
            {"clusterIP": "127.96.0.9", "clusterIPs": ["127.96.0.8"]},
            ['spec.clusterIPs: Invalid value: ["127.96.0.8"]: first value must match `clusterIP`'],
        ),
        (
            {"clusterIP": "127.96.0.9", "ipFamilies": ["IPv6"]},
            [
                'spec.clusterIPs[0]: Invalid value: "127.96.0.9": expected an IPv6 value as '
                "indicated by `ipFamilies[0]`"
            ],
        ),
        (
            {"ipFamilies": ["IPv4", "IPv4", "IPX"], "ipFamilyPolicy": "Any"},
            [
                'spec.ipFamilies[1]: Duplicate value: "IPv4"',
                'spec.ipFamilies[2]: Unsupported value: "IPX": supported values: "IPv4", "IPv6"',
                'spec.ipFamilyPolicy: Unsupported value: "Any": supported values: '
                '"PreferDualStack", "RequireDualStack", "SingleStack"',
            ],
        ),
        (
            {"externalIPs": ["0.0.0.0", "127.0.0.1", "169.254.0.1"]},
            [
                'spec.externalIPs[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
                'spec.externalIPs[1]: Invalid value: "127.0.0.1": may not be in the loopback range '
                "(127.0.0.0/8, ::1/128)",
                'spec.externalIPs[2]: Invalid value: "169.254.0.1": may not be in the link-local '
                "range (169.254.0.0/16, fe80::/10)",
            ],
        ),
        (
            {"type": "Gateway"},
            [
                'spec.type: Unsupported value: "Gateway": supported values: "ClusterIP", '
                '"ExternalName", "LoadBalancer", "NodePort"'
            ],
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30001}]},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            {
                "type": "NodePort",
                "ports": [
                    {"name": "a", "port": 80, "nodePort": 30001},
                    {"name": "b", "port": 80, "nodePort": 30001},
                ],
            },
            [
                "spec.ports[1].nodePort: Duplicate value: 30001",
                'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,'
                '"Port":80,"TargetPort":0,"NodePort":0}',
            ],
        ),
        (
            {"loadBalancerSourceRanges": ["10.0.0.1"], "loadBalancerClass": "x"},
            [
                f"spec.LoadBalancerSourceRanges: Forbidden: {BALANCER}",
                f'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.1": {CIDR}',
                f"spec.loadBalancerClass: Forbidden: {BALANCER}",
            ],
        ),
        (
            {"allocateLoadBalancerNodePorts": True},
            [f"spec.allocateLoadBalancerNodePorts: Forbidden: {BALANCER}"],
        ),
        (
            {"externalTrafficPolicy": "Local", "healthCheckNodePort": 30000},
            [
                'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for '
                "externally-accessible services",
                "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is "
                "'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
            ],
        ),
        (
            {"internalTrafficPolicy": "Near", "trafficDistribution": "Far"},
            [
                'spec.internalTrafficPolicy: Unsupported value: "Near": supported values: '
                '"Cluster", "Local"',
                'spec.trafficDistribution: Unsupported value: "Far": supported values: '
                '"PreferClose", "PreferSameZone", "PreferSameNode"',
            ],
        ),
    ],
)
def test_services_refused(spec: dict[str, Any], errors: list[str]) -> None:
    assert create_errors(SERVICES, service(**spec)) == errors


# ----- changes


def test_an_update_without_what_the_server_chose_keeps_it() -> None:
    old = with_address(service(type="NodePort"))
    had = spec_of(old)
    new = put(old, clusterIP=None, clusterIPs=None, ipFamilies=None, ports=[PORT])
    assert new == had


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        (
            {"clusterIP": "127.96.9.9"},
            ['spec.clusterIPs[0]: Invalid value: ["127.96.9.9"]: may not change once set'],
        ),
        (
            {"clusterIPs": ["127.96.9.9"], "clusterIP": "127.96.9.9"},
            ['spec.clusterIPs[0]: Invalid value: ["127.96.9.9"]: may not change once set'],
        ),
        (
            {"ipFamilies": ["IPv6"]},
            ['spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set'],
        ),
        ({"selector": {"app": "other"}, "ports": [{"port": 81}]}, []),
    ],
)
def test_what_may_not_change(spec: dict[str, Any], errors: list[str]) -> None:
    old = with_address(SERVICE)
    found = update_errors(SERVICES, changed(old, **spec), old)
    assert found[: len(errors)] == errors
    assert bool(found) == bool(errors)


def test_types_change() -> None:
    old = with_address(service(type="NodePort"))
    plain = put(old, type="ClusterIP")
    assert plain["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert "externalTrafficPolicy" not in plain
    named = put(old, type="ExternalName", externalName="example.com", ports=None)
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & set(named)
    away = created(SERVICES, service(type="ExternalName", externalName="example.com"))
    back = put(away, type="ClusterIP", externalName=None)
    assert ipaddress.ip_address(back["clusterIP"]) in allocation.RANGE


def test_only_load_balancers_have_an_ingress() -> None:
    ingress = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    old = with_address(SERVICE)
    new = decode(SERVICES, merged(codec.to_dict(SERVICES, old), ingress))
    path = "status.loadBalancer.ingress"
    assert status_errors(SERVICES, new, old) == [
        f"{path}: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"
    ]
    old = with_address(service(type="LoadBalancer"))
    new = decode(SERVICES, merged(codec.to_dict(SERVICES, old), ingress))
    assert status_errors(SERVICES, new, old) == [
        f"{path}[0].ipMode: Required value: must be specified when `ip` is set"
    ]


# ----- addresses


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        (
            {"clusterIP": "10.0.0.1"},
            [
                'spec.clusterIPs: Invalid value: ["10.0.0.1"]: failed to allocate IP 10.0.0.1: the '
                "provided network does not match the current range"
            ],
        ),
        (
            {"clusterIP": "127.96.0.1"},
            [
                'spec.clusterIPs: Invalid value: ["127.96.0.1"]: failed to allocate IP 127.96.0.1: '
                "provided IP is already allocated"
            ],
        ),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}]},
            ["spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated"],
        ),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]},
            [
                "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid "
                "range. The range of valid ports is 30000-32767"
            ],
        ),
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            [
                'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not '
                "configured for dual-stack services"
            ],
        ),
        (
            {"ipFamilies": ["IPv6"]},
            ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'],
        ),
    ],
)
def test_what_cannot_be_had(spec: dict[str, Any], errors: list[str]) -> None:
    others = Taken(frozenset({("other", "127.96.0.1")}), frozenset({("other", "TCP", 30001)}))
    made = created(SERVICES, service(**spec))
    assert texts(allocate(made, others, seeded("x"))) == errors


@pytest.mark.parametrize(
    ("spec", "families", "policy"),
    [
        ({}, ["IPv4"], "SingleStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv4"], "PreferDualStack"),
        ({"clusterIP": "None"}, ["IPv4"], "SingleStack"),
        ({"clusterIP": "None", "selector": None}, ["IPv4", "IPv6"], "RequireDualStack"),
    ],
)
def test_families(spec: dict[str, Any], families: list[str], policy: str) -> None:
    made = spec_of(with_address(service(**spec)))
    assert (made["ipFamilies"], made["ipFamilyPolicy"]) == (families, policy)


@given(st.text(max_size=8), st.integers(1, 12))
def test_addresses_and_ports_are_unique(seed: str, count: int) -> None:
    chance = seeded(seed)
    made: list[Service] = []
    for i in range(count):
        body = merged(service(type="LoadBalancer", externalTrafficPolicy="Local"), {})
        one = created(SERVICES, body)
        assert one.metadata is not None
        one.metadata.uid = str(i)
        assert allocate(one, taken(made), chance) == []
        made.append(one)
    all_taken = taken(made)
    assert len({ip for _, ip in all_taken.addresses}) == count
    assert len({(protocol, port) for _, protocol, port in all_taken.ports}) == 2 * count
    assert all(ipaddress.ip_address(ip) in allocation.RANGE for _, ip in all_taken.addresses)
    assert taken(made, made[0]) == all_taken - taken(made[:1])


# ----- the table


@pytest.mark.parametrize(
    ("spec", "cells"),
    [
        ({}, ["ClusterIP", "<none>", "80/TCP"]),
        ({"externalIPs": ["192.0.2.1"]}, ["ClusterIP", "192.0.2.1", "80/TCP"]),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30604}]},
            ["NodePort", "<none>", "80:30604/TCP"],
        ),
        (
            {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False},
            ["LoadBalancer", "<pending>", "80/TCP"],
        ),
        (
            {"type": "ExternalName", "externalName": "example.com", "ports": None},
            ["ExternalName", "example.com", "<none>"],
        ),
    ],
)
def test_rows(spec: dict[str, Any], cells: list[str]) -> None:
    made = with_address(service(**spec))
    row = list(rules(SERVICES).row(made, NOW).cells)
    assert made.spec is not None
    address = made.spec.clusterIP or "<none>"
    assert row == ["web", cells[0], address, *cells[1:], "0s", "app=web"]


def test_fields() -> None:
    made = with_address(SERVICE)
    assert made.spec is not None
    assert rules(SERVICES).fields["spec.type"](made) == "ClusterIP"
    assert rules(SERVICES).fields["spec.clusterIP"](made) == made.spec.clusterIP
    assert rules(SERVICES).unknown_field_message("x") == "field label not supported: x"
