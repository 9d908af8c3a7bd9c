"""Endpoints and EndpointSlices."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import ENDPOINTS, ENDPOINTSLICES
from tests.unit.registry.kinds.making import (
    NOW,
    create_errors,
    created,
    decode,
    merged,
    rules,
    update_errors,
)

IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
DNS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
PORT = "must be between 1 and 65535, inclusive"


def endpoints(*subsets: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "subsets": list(subsets)}


def slice_of(**change: Any) -> dict[str, Any]:
    base = {
        "metadata": {"name": "web-1"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"]}],
        "ports": [{"port": 80}],
    }
    return merged(base, change)


@pytest.mark.parametrize(
    ("subset", "errors"),
    [
        ({}, ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
        ({"notReadyAddresses": [{"ip": "10.0.0.1"}]}, []),
        ({"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 80}]}, []),
        (
            {"addresses": [{"ip": "x", "hostname": "A", "nodeName": "_"}]},
            [
                f'subsets[0].addresses[0].ip: Invalid value: "x": {IP}',
                f'subsets[0].addresses[0].hostname: Invalid value: "A": {DNS}',
                'subsets[0].addresses[0].nodeName: Invalid value: "_": a lowercase RFC 1123 '
                "subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
                "must start and end with an alphanumeric character (e.g. 'example.com', regex used "
                "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*"
                "[a-z0-9])?)*')",
                'subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address',
            ],
        ),
        (
            {"addresses": [{"ip": "::"}, {"ip": "169.254.0.1"}, {"ip": "224.0.0.5"}]},
            [
                'subsets[0].addresses[0].ip: Invalid value: "::": may not be unspecified (::)',
                'subsets[0].addresses[1].ip: Invalid value: "169.254.0.1": may not be in the '
                "link-local range (169.254.0.0/16, fe80::/10)",
                'subsets[0].addresses[2].ip: Invalid value: "224.0.0.5": may not be in the '
                "link-local multicast range (224.0.0.0/24, ff02::/10)",
            ],
        ),
        (
            {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 0}, {"port": 1, "name": "B"}]},
            [
                "subsets[0].ports[0].name: Required value",
                f"subsets[0].ports[0].port: Invalid value: 0: {PORT}",
                f'subsets[0].ports[1].name: Invalid value: "B": {DNS}',
            ],
        ),
        (
            {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1, "protocol": "X"}]},
            [
                'subsets[0].ports[0].protocol: Unsupported value: "X": supported values: "SCTP", '
                '"TCP", "UDP"'
            ],
        ),
    ],
)
def test_endpoints_refused(subset: dict[str, Any], errors: list[str]) -> None:
    assert create_errors(ENDPOINTS, endpoints(subset)) == errors
    old = created(ENDPOINTS, endpoints())
    new = decode(ENDPOINTS, merged(codec.to_dict(ENDPOINTS, old), endpoints(subset)))
    assert update_errors(ENDPOINTS, new, old) == errors


@pytest.mark.parametrize(
    ("subsets", "shown"),
    [
        ([], "<none>"),
        ([{"addresses": [{"ip": "10.0.0.1"}]}], "10.0.0.1"),
        ([{"addresses": [{"ip": "::1"}], "ports": [{"port": 80}]}], "[::1]:80"),
        (
            [{"addresses": [{"ip": f"10.0.0.{i}"} for i in range(5)], "ports": [{"port": 80}]}],
            "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more...",
        ),
    ],
)
def test_endpoints_in_a_table(subsets: list[dict[str, Any]], shown: str) -> None:
    made = created(ENDPOINTS, endpoints(*subsets))
    assert list(rules(ENDPOINTS).row(made, NOW).cells) == ["web", shown, "0s"]


def test_ports_are_tcp() -> None:
    body = endpoints({"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]})
    shown = codec.to_dict(ENDPOINTS, created(ENDPOINTS, body))
    assert shown["subsets"][0]["ports"] == [{"port": 80, "protocol": "TCP"}]


# ----- slices


def test_the_simplest_slice() -> None:
    shown = codec.to_dict(ENDPOINTSLICES, created(ENDPOINTSLICES, slice_of()))
    assert shown["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    assert shown["endpoints"] == [{"addresses": ["10.0.0.1"], "conditions": {}}]
    assert shown["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"addressType": ""}, ["addressType: Required value"]),
        (
            {"addressType": "IP"},
            ['addressType: Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"'],
        ),
        (
            {"endpoints": [{}]},
            ["endpoints[0].addresses: Required value: must contain at least 1 address"],
        ),
        (
            {"endpoints": [{"addresses": ["10.0.0.1"] * 101}]},
            ["endpoints[0].addresses: Too many: 101: must have at most 100 items"],
        ),
        (
            {"endpoints": [{"addresses": ["10.0.0.1"]}] * 1001},
            ["endpoints: Too many: 1001: must have at most 1000 items"],
        ),
        (
            {"endpoints": [{"addresses": ["::1"], "hostname": "A"}]},
            [
                'endpoints[0].addresses[0]: Invalid value: "::1": must be a valid IPv4 address',
                f'endpoints[0].hostname: Invalid value: "A": {DNS}',
            ],
        ),
        (
            {"addressType": "FQDN", "endpoints": [{"addresses": ["example"]}]},
            [
                'endpoints[0].addresses[0]: Invalid value: "example": should be a domain with at '
                "least two segments separated by dots"
            ],
        ),
        ({"addressType": "FQDN", "endpoints": [{"addresses": ["example.com."]}]}, []),
        (
            {"ports": [{"name": "a"}, {"name": "a", "protocol": "X", "port": 0}]},
            [
                'ports[1].name: Duplicate value: "a"',
                f"ports[1].port: Invalid value: 0: {PORT}",
                'ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
            ],
        ),
    ],
)
def test_slices_refused(change: dict[str, Any], errors: list[str]) -> None:
    assert create_errors(ENDPOINTSLICES, slice_of(**change)) == errors


def test_the_address_type_is_fixed_and_the_rest_counts_as_spec() -> None:
    old = created(ENDPOINTSLICES, slice_of())
    other = decode(ENDPOINTSLICES, slice_of(addressType="IPv6", endpoints=None))
    assert update_errors(ENDPOINTSLICES, other, old)[-1] == (
        'addressType: Invalid value: "IPv6": field is immutable'
    )
    changed = rules(ENDPOINTSLICES).spec_changed
    assert changed(created(ENDPOINTSLICES, slice_of(ports=[{"port": 81}])), old)
    labelled = created(ENDPOINTSLICES, slice_of(metadata={"labels": {"a": "b"}}))
    assert not changed(labelled, old)


@pytest.mark.parametrize(
    ("change", "cells"),
    [
        ({}, ["IPv4", "80", "10.0.0.1"]),
        ({"ports": [{}], "endpoints": []}, ["IPv4", "*", "<unset>"]),
        (
            {"ports": [], "endpoints": [{"addresses": [f"10.0.0.{i}"]} for i in range(4)]},
            ["IPv4", "<unset>", "10.0.0.0,10.0.0.1,10.0.0.2 + 1 more..."],
        ),
    ],
)
def test_slices_in_a_table(change: dict[str, Any], cells: list[str]) -> None:
    made = created(ENDPOINTSLICES, slice_of(**change))
    assert list(rules(ENDPOINTSLICES).row(made, NOW).cells) == ["web-1", *cells, "0s"]
