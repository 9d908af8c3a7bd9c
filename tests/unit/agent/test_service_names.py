"""What containers are told of Services: variables and names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kubatch.agent.env import PodContext, Sources, build
from kubatch.agent.pod_files import rewrite_hosts
from kubatch.agent.service_names import LINES_MAX, asks_cluster, host_lines, variables
from kubatch.agent.services import Services
from kubatch.api import models as m
from kubatch.api.models import discovery_v1
from kubatch.api.resource import ENDPOINTSLICES, SERVICES
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time


def service(
    name: str, namespace: str = "default", ip: str = "127.96.1.1", **spec: Any
) -> m.Service:
    ports = [m.ServicePort(port=80, protocol="TCP")]
    fields = {"clusterIP": ip or None, "ports": ports, **spec}
    meta = m.ObjectMeta(name=name, namespace=namespace)
    return m.Service(apiVersion="v1", kind="Service", metadata=meta, spec=m.ServiceSpec(**fields))


def pod(namespace: str = "default", **spec: Any) -> m.Pod:
    return m.Pod(
        metadata=m.ObjectMeta(name="p", namespace=namespace),
        spec=m.PodSpec(**{"containers": [m.Container(name="c")], **spec}),
    )


def slice_of(*endpoints: tuple[str, str, bool], name: str = "hl") -> m.EndpointSlice:
    labels = {"kubernetes.io/service-name": name}
    return m.EndpointSlice(
        apiVersion="discovery.k8s.io/v1",
        kind="EndpointSlice",
        metadata=m.ObjectMeta(name=f"{name}-1", namespace="default", labels=labels),
        addressType="IPv4",
        endpoints=[
            m.Endpoint(
                addresses=[ip],
                hostname=host or None,
                conditions=discovery_v1.EndpointConditions(ready=ready),
            )
            for ip, host, ready in endpoints
        ],
    )


def test_variables_of_a_service() -> None:
    ports = [
        m.ServicePort(port=8080, protocol="TCP", name="http-alt"),
        m.ServicePort(port=53, protocol="UDP", name="dns"),
    ]
    assert variables([service("my-db", ports=ports)], "default", links=True, api=False) == {
        "MY_DB_SERVICE_HOST": "127.96.1.1",
        "MY_DB_SERVICE_PORT": "8080",
        "MY_DB_SERVICE_PORT_HTTP_ALT": "8080",
        "MY_DB_SERVICE_PORT_DNS": "53",
        "MY_DB_PORT": "tcp://127.96.1.1:8080",
        "MY_DB_PORT_8080_TCP": "tcp://127.96.1.1:8080",
        "MY_DB_PORT_8080_TCP_PROTO": "tcp",
        "MY_DB_PORT_8080_TCP_PORT": "8080",
        "MY_DB_PORT_8080_TCP_ADDR": "127.96.1.1",
        "MY_DB_PORT_53_UDP": "udp://127.96.1.1:53",
        "MY_DB_PORT_53_UDP_PROTO": "udp",
        "MY_DB_PORT_53_UDP_PORT": "53",
        "MY_DB_PORT_53_UDP_ADDR": "127.96.1.1",
    }


@pytest.mark.parametrize(
    ("links", "api", "hosts"),
    [
        (True, True, {"A_SERVICE_HOST", "KUBERNETES_SERVICE_HOST"}),
        (True, False, {"A_SERVICE_HOST"}),
        (False, True, {"KUBERNETES_SERVICE_HOST"}),
        (False, False, set()),
    ],
)
def test_which_services_are_told_of(links: bool, api: bool, hosts: set[str]) -> None:
    services = [
        service("a", "ns"),
        service("b", "other"),
        service("headless", "ns", ip="None"),
        service("external", "ns", ip=""),
        service("kubernetes"),
    ]
    found = variables(services, "ns", links=links, api=api)
    assert {name for name in found if name.endswith("_SERVICE_HOST")} == hosts


def test_containers_can_use_them_and_set_their_own() -> None:
    container = m.Container(
        name="c",
        env=[
            m.EnvVar(name="URL", value="http://$(A_SERVICE_HOST)/"),
            m.EnvVar(name="A_SERVICE_PORT", value="mine"),
            m.EnvVar(name="SEEN", value="$(A_SERVICE_PORT)"),
        ],
    )
    told = variables([service("a")], "default", links=True, api=False)
    found = build(pod(), container, Sources(services=told), PodContext("n", "127.0.0.1"))
    assert found["URL"] == "http://127.96.1.1/"
    assert found["A_SERVICE_PORT"] == found["SEEN"] == "mine"
    assert found["A_PORT"] == "tcp://127.96.1.1:80"


def test_names_lead_to_addresses() -> None:
    services = [
        service("far", "other", ip="127.96.1.2"),
        service("web"),
        service("hl", ip="None"),
        service("ext", ip="", type="ExternalName", externalName="x.example"),
        service("lost", ip="", type="ExternalName", externalName="y.example"),
    ]
    slices = {
        "default/hl": [
            slice_of(("10.0.0.1", "h0", True), ("10.0.0.2", "", False), ("10.0.0.1", "h1", True))
        ]
    }
    found = host_lines(services, slices, "default", {"x.example": "192.0.2.9", "y.example": ""})
    assert found.splitlines() == [
        "127.96.1.1\tweb.default.svc.cluster.local\tweb.default.svc\tweb.default\tweb",
        "10.0.0.1\thl.default.svc.cluster.local\thl.default.svc\thl.default\thl",
        "10.0.0.1\th0.hl.default.svc.cluster.local\th0.hl.default.svc\th0.hl",
        "10.0.0.1\th1.hl.default.svc.cluster.local\th1.hl.default.svc\th1.hl",
        "192.0.2.9\text.default.svc.cluster.local\text.default.svc\text.default\text",
        "127.96.1.2\tfar.other.svc.cluster.local\tfar.other.svc\tfar.other",
    ]


def test_there_are_only_so_many_lines() -> None:
    services = [service(f"s{i}") for i in range(LINES_MAX + 10)]
    assert len(host_lines(services, {}, "default", {}).splitlines()) == LINES_MAX


@pytest.mark.parametrize(
    ("spec", "asks"),
    [
        ({}, True),
        ({"dnsPolicy": "Default"}, False),
        ({"dnsPolicy": "None"}, False),
        ({"hostNetwork": True}, False),
        ({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}, True),
    ],
)
def test_who_looks_names_up_in_the_cluster(spec: dict[str, Any], asks: bool) -> None:
    assert asks_cluster(pod(**spec)) is asks


def test_hosts_are_rewritten_in_place_where_there_are_any(tmp_path: Path) -> None:
    rewrite_hosts(tmp_path, "a")
    file = tmp_path / "etc-hosts"
    assert not file.exists()
    file.write_text("something longer")
    before = file.stat().st_ino
    rewrite_hosts(tmp_path, "new")
    assert (file.read_text(), file.stat().st_ino) == ("new", before)
    rewrite_hosts(tmp_path, "new")
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    rewrite_hosts(tmp_path, "x")
    assert not (tmp_path / "elsewhere").exists()


@asynccontextmanager
async def following() -> AsyncIterator[tuple[Engine, Services, list[str]]]:
    async with engine() as run:
        services, told = Services(run.client), list[str]()
        work = services.run(lambda: told.append(services.lines_for(pod())))
        run.tasks.append(asyncio.create_task(work))
        await services.synced()
        yield run, services, told


@virtual_time
async def test_names_and_variables_follow_services() -> None:
    async with following() as (run, services, told):
        assert services.variables_for(pod()) == {}
        made = await run.client.create(SERVICES, service("web", ip=""))
        assert made.spec is not None
        await run.quiet(1)
        assert services.variables_for(pod())["WEB_SERVICE_HOST"] == made.spec.clusterIP
        assert services.variables_for(pod(enableServiceLinks=False)) == {}
        assert told[-1].startswith(f"{made.spec.clusterIP}\tweb.default")
        assert services.lines_for(pod(dnsPolicy="Default")) == ""
        count = len(told)
        await run.client.create(ENDPOINTSLICES, slice_of(("10.0.0.1", "", True), name="web"))
        await run.quiet(1)
        assert len(told) == count  # endpoints of a Service with an address change no name
        await run.client.create(SERVICES, service("hl", ip="None"))
        await run.client.create(ENDPOINTSLICES, slice_of(("10.0.0.1", "", True)))
        await run.quiet(1)
        assert "10.0.0.1\thl.default" in told[-1]


@virtual_time
async def test_a_name_that_stands_for_a_service_has_its_address() -> None:
    async with following() as (run, _, told):
        made = await run.client.create(SERVICES, service("web", ip=""))
        assert made.spec is not None
        alias = service(
            "alias", ip="", type="ExternalName", externalName="web.default.svc.cluster.local",
        )  # fmt: skip
        await run.client.create(SERVICES, alias)
        await run.quiet(1)
        assert f"{made.spec.clusterIP}\talias.default" in told[-1]
