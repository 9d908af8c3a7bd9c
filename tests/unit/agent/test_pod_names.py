"""What a pod is called, whom it asks for names, and the files that say so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.agent.pod_files import hosts
from kubatch.agent.pod_names import (
    FQDN_CHARS_MAX,
    SEARCH_CHARS_MAX,
    NameTooLong,
    Resolver,
    domain,
    kernel_name,
    parse,
    resolver,
)
from kubatch.api import models as m
from kubatch.api.models import core_v1
from tests.unit.agent.pods import pod

NODE = Resolver(("10.0.0.53",), ("corp.example",), ("timeout:2", "rotate"))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, "p"),
        ({"hostname": "job-3", "subdomain": "peers"}, "job-3"),
        ({"hostname": "job-3", "setHostnameAsFQDN": True}, "job-3"),
        (
            {"hostname": "job-3", "subdomain": "peers", "setHostnameAsFQDN": True},
            "job-3.peers.default.svc.cluster.local",
        ),
        ({"hostNetwork": True}, "node"),
        ({"hostnameOverride": "o", "subdomain": "peers", "setHostnameAsFQDN": True}, "o"),
    ],
)
def test_the_kernels_name(spec: dict[str, Any], expected: str) -> None:
    assert kernel_name(pod(**spec), "node") == expected


def test_a_name_that_is_too_long() -> None:
    p = pod(hostname="h" * 40, subdomain="peers", setHostnameAsFQDN=True)
    with pytest.raises(NameTooLong) as raised:
        kernel_name(p, "node")
    full = "h" * 40 + ".peers.default.svc.cluster.local"
    assert str(raised.value) == (
        "Failed to construct FQDN from Pod hostname and cluster domain, FQDN "
        f"{full} is too long (64 characters is the max, {len(full)} characters requested)"
    )
    assert len(full) > FQDN_CHARS_MAX


def test_names_of_its_own_and_of_services() -> None:
    p = pod(
        subdomain="peers", hostAliases=[m.core_v1.HostAlias(ip="1.2.3.4", hostnames=["a", "b"])]
    )
    assert domain(p) == "peers.default.svc.cluster.local"
    text = hosts(p, "p", "10.0.0.1", "", "10.0.0.9\tweb.default.svc.cluster.local web\n")
    assert text.splitlines()[7:] == [
        "10.0.0.1\tp.peers.default.svc.cluster.local\tp",
        "",
        "# Entries added by HostAliases.",
        "1.2.3.4\ta\tb",
        "",
        "# Entries added for Services.",
        "10.0.0.9\tweb.default.svc.cluster.local web",
    ]


def config(**fields: Any) -> core_v1.PodDNSConfig:
    options = fields.pop("options", {})
    made = [core_v1.PodDNSConfigOption(name=n, value=v) for n, v in options.items()]
    return core_v1.PodDNSConfig(options=made, **fields)


@pytest.mark.parametrize(
    ("spec", "servers", "expected"),
    [
        ({}, (), None),
        ({"dnsPolicy": "Default"}, ("10.96.0.10",), None),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, ("10.96.0.10",), None),
        ({"dnsPolicy": "None"}, (), ""),
        (
            {"dnsPolicy": "None", "dnsConfig": config(nameservers=["1.1.1.1"], searches=["x"])},
            (),
            "search x\nnameserver 1.1.1.1\n",
        ),
        (
            {"dnsConfig": config(nameservers=["10.0.0.53", "1.1.1.1"], options={"timeout": "5"})},
            (),
            "search corp.example\nnameserver 10.0.0.53\nnameserver 1.1.1.1\n"
            "options timeout:5 rotate\n",
        ),
        (
            {"dnsConfig": config(options={"edns0": None, "ndots": "2"})},
            ("10.96.0.10",),
            "search default.svc.cluster.local svc.cluster.local cluster.local corp.example\n"
            "nameserver 10.96.0.10\noptions ndots:2 edns0\n",
        ),
        (
            {"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True},
            ("10.96.0.10",),
            "search default.svc.cluster.local svc.cluster.local cluster.local corp.example\n"
            "nameserver 10.96.0.10\noptions ndots:5\n",
        ),
        (
            {
                "dnsPolicy": "None",
                "dnsConfig": config(nameservers=[f"1.1.1.{n}" for n in range(5)]),
            },
            (),
            "nameserver 1.1.1.0\nnameserver 1.1.1.1\nnameserver 1.1.1.2\n",
        ),
    ],
)
def test_whom_it_asks(spec: dict[str, Any], servers: tuple[str, ...], expected: str | None) -> None:
    found = resolver(pod(**spec), NODE, servers)
    assert (None if found is None else found.text()) == expected


def test_a_nodes_file() -> None:
    text = (
        "# made by hand\nnameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch old.example\n"
        "search a.example. b.example\noptions ndots:1 rotate\n;x\noptions ndots:3\n\nnameserver\n"
    )
    assert parse(text) == Resolver(
        ("10.0.0.1", "10.0.0.2"), ("a.example", "b.example"), ("ndots:3", "rotate")
    )


WORDS = st.lists(st.text("abc.", min_size=1, max_size=200), max_size=40)


@given(WORDS, WORDS)
def test_what_is_written_fits_and_reads_back(searches: list[str], servers: list[str]) -> None:
    p = pod(dnsPolicy="None", dnsConfig=config(searches=searches, nameservers=servers))
    found = resolver(p, NODE)
    assert found is not None
    assert len(found.servers) <= 3
    assert len(found.searches) <= 32
    assert len(" ".join(found.searches)) <= SEARCH_CHARS_MAX
    again = parse(found.text())
    assert again.servers == found.servers
    assert len(again.searches) == len(found.searches)
