"""Which pods a node does not take in, and what shows of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from kubatch.agent.admission import Ledger, is_critical, node_refuses
from kubatch.api import models as m
from kubatch.api.resource import NODES, PODS
from kubatch.sim.runtime import Exit
from tests.unit.agent.harness import NODE, harness
from tests.unit.agent.pods import container, pod

MIB = 1 << 20
OFFERED = {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "10Gi", "pods": "3"}


def asks(**requests: str) -> m.Container:
    named = {name.replace("_", "-"): value for name, value in requests.items()}
    return container(resources=m.ResourceRequirements(requests=named))


def numbered(uid: str, base: m.Pod) -> m.Pod:
    assert base.metadata is not None
    return structs.replace(base, metadata=structs.replace(base.metadata, uid=uid))


@pytest.mark.parametrize(
    ("refused", "reason", "message"),
    [
        (
            pod(asks(cpu="100")), "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 100000, used: 500, capacity: 2000",
        ),
        (
            pod(asks(memory="1Gi")), "OutOfmemory",
            "Node didn't have enough resource: memory, requested: 1073741824, used: 104857600, "
            "capacity: 1073741824",
        ),
        (
            pod(asks(ephemeral_storage="11Gi")), "OutOfephemeral-storage",
            "Node didn't have enough resource: ephemeral-storage, requested: 11811160064, used: 0, "
            "capacity: 10737418240",
        ),
        (
            pod(asks(**{"hugepages-2Mi": "2Mi"})), "OutOfhugepages-2Mi",
            "Node didn't have enough resource: hugepages-2Mi, requested: 2097152, used: 0, "
            "capacity: 0",
        ),
        (
            pod(os=m.core_v1.PodOS(name="windows")), "PodOSNotSupported",
            "Failed to admit pod as the OS field doesn't match node OS",
        ),
        (
            pod(nodeSelector={"kubernetes.io/os": "windows"}), "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        ),
        (
            pod(securityContext=m.PodSecurityContext(sysctls=[m.core_v1.Sysctl("net/x", "1")])),
            "SysctlForbidden", 'forbidden sysctl: "net.x" not allowlisted',
        ),
    ],
)  # fmt: skip
def test_what_is_refused(refused: m.Pod, reason: str, message: str) -> None:
    ledger = Ledger(OFFERED)
    ledger.take(numbered("before", pod(asks(cpu="500m", memory="100Mi"))))
    verdict = ledger.refuses(refused)
    assert verdict is not None
    assert (verdict.reason, verdict.message, verdict.rejected) == (reason, message, True)


@pytest.mark.parametrize(
    "taken", [pod(), pod(asks(cpu="1500m")), pod(asks(**{"example.com/thing": "1"}))]
)
def test_what_is_taken(taken: m.Pod) -> None:
    ledger = Ledger(OFFERED)
    ledger.take(numbered("before", pod(asks(cpu="500m"))))
    assert ledger.refuses(taken) is None


def test_too_many_pods() -> None:
    ledger = Ledger(OFFERED)
    for uid in "abc":
        assert ledger.refuses(pod()) is None
        ledger.take(numbered(uid, pod()))
    verdict = ledger.refuses(pod())
    assert verdict is not None
    assert verdict.message == (
        "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
    )
    ledger.release("b")
    assert ledger.refuses(pod()) is None


def ports(*wanted: m.ContainerPort) -> m.Pod:
    return pod(container(ports=list(wanted)))


@pytest.mark.parametrize(
    ("theirs", "mine", "free"),
    [
        (m.ContainerPort(80, hostPort=80), m.ContainerPort(80, hostPort=80), False),
        (m.ContainerPort(80, hostPort=80), m.ContainerPort(80, hostPort=81), True),
        (m.ContainerPort(80), m.ContainerPort(80), True),
        (
            m.ContainerPort(80, hostPort=80),
            m.ContainerPort(80, hostPort=80, protocol="UDP"), True,
        ),
        (
            m.ContainerPort(80, hostPort=80, hostIP="127.0.0.1"),
            m.ContainerPort(80, hostPort=80, hostIP="127.0.0.2"), True,
        ),
        (
            m.ContainerPort(80, hostPort=80, hostIP="127.0.0.1"),
            m.ContainerPort(80, hostPort=80), False,
        ),
    ],
)  # fmt: skip
def test_host_ports(theirs: m.ContainerPort, mine: m.ContainerPort, free: bool) -> None:
    ledger = Ledger(OFFERED)
    ledger.take(numbered("before", ports(theirs)))
    spec = ports(mine).spec
    assert spec is not None
    verdict = ledger.port_taken(spec)
    assert (verdict is None) == free
    if verdict is not None:
        assert (verdict.reason, verdict.message) == (
            "NodePorts",
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod "
            "ports",
        )


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        ({}, "", ""),
        ({"nodeSelector": {"disk": "ssd"}}, "", ""),
        (
            {"nodeSelector": {"disk": "tape"}},
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ),
    ],
)
def test_the_node_object(spec: dict[str, Any], reason: str, message: str) -> None:
    node = m.Node(metadata=m.ObjectMeta(name="n", labels={"disk": "ssd"}))
    verdict = node_refuses(pod(**spec), node)
    assert (verdict.reason if verdict else "", verdict.message if verdict else "") == (
        reason, message,
    )  # fmt: skip


def test_taints_that_put_pods_out() -> None:
    taints = [m.Taint(key="a", effect="NoSchedule"), m.Taint(key="b", effect="NoExecute")]
    node = m.Node(metadata=m.ObjectMeta(name="n"), spec=m.NodeSpec(taints=taints))
    verdict = node_refuses(pod(), node)
    assert verdict is not None
    assert verdict.message == (
        "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    )
    assert node_refuses(pod(tolerations=[m.Toleration(key="b", operator="Exists")]), node) is None


@pytest.mark.parametrize(
    ("pressure", "taken", "refused"),
    [
        ((), pod(), ""),
        (("MemoryPressure",), pod(), "The node had condition: [MemoryPressure]. "),
        (("MemoryPressure",), pod(asks(cpu="1")), ""),
        (
            ("MemoryPressure",),
            pod(tolerations=[m.Toleration(operator="Exists")]), "",
        ),
        (("DiskPressure",), pod(asks(cpu="1")), "The node had condition: [DiskPressure]. "),
        (
            ("DiskPressure", "MemoryPressure"), pod(asks(cpu="1")),
            "The node had condition: [DiskPressure MemoryPressure]. ",
        ),
        (("DiskPressure",), pod(priority=2_000_000_000), ""),
    ],
)  # fmt: skip
def test_pressure(pressure: tuple[str, ...], taken: m.Pod, refused: str) -> None:
    verdict = Ledger(OFFERED).refuses(taken, pressure)
    assert (verdict.message if verdict else "") == refused
    assert is_critical(pod(priority=2_000_000_000))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.integers(0, 900))))
def test_the_ledger_is_a_sum(steps: list[tuple[str, bool, int]]) -> None:
    """Its twin adds up what is there, each time anew."""
    ledger = Ledger({**OFFERED, "pods": "100"})
    there: dict[str, int] = {}
    for uid, comes, milli in steps:
        if comes:
            there.setdefault(uid, milli)
            ledger.take(numbered(uid, pod(asks(cpu=f"{milli}m"))))
        else:
            there.pop(uid, None)
            ledger.release(uid)
        left = 2000 - sum(there.values())
        for asked in (left, left + 1):
            refused = ledger.refuses(pod(asks(cpu=f"{asked}m"))) if asked > 0 else None
            assert (refused is not None) == (asked > max(0, left))
        assert {uid for uid in "abcdef" if ledger.holds(uid)} == set(there)


async def test_a_refused_pod_shows_that_and_nothing_else(tmp_path: Path) -> None:
    async with harness(tmp_path) as h:
        await h.start_agent()
        await h.create(asks(cpu="100000"))
        status = await h.phase("Failed")
        assert status.reason == "OutOfcpu"
        assert (status.message or "").startswith(
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 100000000, used: 0"
        )
        assert status.startTime is not None
        assert status.qosClass == "Burstable"
        assert not status.conditions
        assert not status.containerStatuses
        assert [e for e in h.events.said if e.startswith("p:")] == [
            "p: Warning OutOfcpu " + (status.message or "").removeprefix("Pod was rejected: ")
        ]
        assert len(h.client.status_writes) == 1
        await h.client.delete(PODS, "default", "p")
        await h.gone()


async def test_a_label_that_has_just_come_counts(tmp_path: Path) -> None:
    async with harness(tmp_path, {"work": Exit(0)}) as h:
        await h.start_agent()
        node = await h.client.get(NODES, None, NODE)
        assert node.metadata is not None
        labels = {**(node.metadata.labels or {}), "disk": "ssd"}
        metadata = structs.replace(node.metadata, labels=labels)
        await h.client.update(NODES, structs.replace(node, metadata=metadata))
        work = container(command=["work"])
        await h.create(work, nodeSelector={"disk": "ssd"})
        await h.phase("Succeeded")
        await h.create(work, name="q", nodeSelector={"disk": "tape"})
        assert (await h.phase("Failed", name="q")).reason == "NodeAffinity"


async def test_room_is_free_again_when_a_pod_has_ended(tmp_path: Path) -> None:
    async with harness(tmp_path, {"work": Exit(0)}) as h:
        agent = await h.start_agent()
        most = agent.host.allocatable["cpu"]
        requests = m.ResourceRequirements(requests={"cpu": most})
        await h.create(container(command=["stubborn"], resources=requests))
        await h.phase("Running")
        await h.stop_agent()
        await h.start_agent()  # what runs was taken in before
        await h.create(container(command=["work"], resources=requests), name="q")
        assert (await h.phase("Failed", name="q")).reason == "OutOfcpu"
        await h.client.delete(PODS, "default", "p", grace_period_seconds=0)
        await h.gone()
        await h.create(container(command=["work"], resources=requests), name="r")
        await h.phase("Succeeded", name="r")
