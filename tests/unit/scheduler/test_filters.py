from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import models as m
from kubatch.scheduler import affinity, filters
from kubatch.scheduler.facts import read_node, read_pod
from kubatch.scheduler.filters import Room
from tests.unit.scheduler.cluster import container, make_node, make_pod

Term = m.NodeSelectorTerm
Needs = m.NodeSelectorRequirement


def wants(*terms: m.NodeSelectorTerm) -> m.Affinity:
    required = m.NodeSelector(nodeSelectorTerms=list(terms))
    return m.Affinity(
        nodeAffinity=m.NodeAffinity(requiredDuringSchedulingIgnoredDuringExecution=required)
    )


def named(*names: str) -> m.NodeSelectorTerm:
    return Term(matchFields=[Needs("metadata.name", "In", list(names))])


def static(node: m.Node, **spec: Any) -> str:
    refusal = filters.static_refusal(read_pod(make_pod("p", **spec)), read_node(node, []))
    assert refusal is None or refusal.for_good
    return refusal.reasons[0] if refusal else ""


CORDONED = "node(s) were unschedulable"
TAINTED = "node(s) had untolerated taint(s)"
UNWANTED = "node(s) didn't match Pod's node affinity/selector"
ABSENT = "node(s) didn't satisfy plugin(s) [NodeAffinity]"


@pytest.mark.parametrize(
    ("effect", "toleration", "reason"),
    [
        ("NoSchedule", None, TAINTED),
        ("NoExecute", None, TAINTED),
        ("PreferNoSchedule", None, ""),
        ("NoSchedule", m.Toleration(operator="Exists"), ""),
        ("NoSchedule", m.Toleration(key="k", operator="Exists"), ""),
        ("NoSchedule", m.Toleration(key="k", value="v"), ""),
        ("NoSchedule", m.Toleration(key="k", operator="Equal", value="x"), TAINTED),
        ("NoSchedule", m.Toleration(key="other", operator="Exists"), TAINTED),
        ("NoSchedule", m.Toleration(key="k", value="v", effect="NoExecute"), TAINTED),
        ("NoSchedule", m.Toleration(value="v"), TAINTED),
    ],
)
def test_taints(effect: str, toleration: m.Toleration | None, reason: str) -> None:
    node = make_node(taints=[m.Taint(key="k", value="v", effect=effect)])
    assert static(node, tolerations=[toleration] if toleration else None) == reason


def test_cordon() -> None:
    node = make_node(unschedulable=True)
    assert static(node) == CORDONED
    tolerant = m.Toleration(key="node.kubernetes.io/unschedulable", operator="Exists")
    assert static(node, tolerations=[tolerant]) == ""


def test_node_name() -> None:
    assert static(make_node("a"), nodeName="b") == "node(s) didn't match the requested node name"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"nodeSelector": {"zone": "a"}}, ""),
        ({"nodeSelector": {"zone": "b"}}, UNWANTED),
        ({"affinity": wants(Term(matchExpressions=[Needs("zone", "In", ["a", "b"])]))}, ""),
        ({"affinity": wants(Term(matchExpressions=[Needs("zone", "NotIn", ["a"])]))}, UNWANTED),
        ({"affinity": wants(Term(matchExpressions=[Needs("none", "NotIn", ["a"])]))}, ""),
        ({"affinity": wants(Term(matchExpressions=[Needs("zone", "Exists")]))}, ""),
        ({"affinity": wants(Term(matchExpressions=[Needs("zone", "DoesNotExist")]))}, UNWANTED),
        ({"affinity": wants(Term(matchExpressions=[Needs("size", "Gt", ["4"])]))}, ""),
        ({"affinity": wants(Term(matchExpressions=[Needs("size", "Lt", ["4"])]))}, UNWANTED),
        ({"affinity": wants(Term(matchExpressions=[Needs("zone", "Gt", ["4"])]))}, UNWANTED),
        ({"affinity": wants(Term(matchExpressions=[Needs("zone", "Near")]))}, UNWANTED),
        (
            {"affinity": wants(Term(matchFields=[Needs("metadata.name", "NotIn", ["n1"])]))},
            UNWANTED,
        ),
        ({"affinity": wants(named("n1", "n2"), named("n3"))}, ""),
        ({"affinity": wants(Term())}, UNWANTED),
        ({"affinity": wants(Term(), Term(matchExpressions=[Needs("zone", "Exists")]))}, ""),
        ({"affinity": wants(named("n1"))}, ""),
        ({"affinity": wants(named("gone"))}, ABSENT),
    ],
)
def test_affinity(spec: dict[str, Any], reason: str) -> None:
    assert static(make_node(labels={"zone": "a", "size": "5"}), **spec) == reason


def test_the_first_filter_speaks() -> None:
    taint = m.Taint(key="k", effect="NoSchedule")
    node = make_node(unschedulable=True, taints=[taint])
    assert static(node, nodeSelector={"zone": "b"}) == CORDONED


def test_preferred_terms_add_up() -> None:
    terms = [
        m.PreferredSchedulingTerm(Term(matchExpressions=[Needs("zone", "Exists")]), 5),
        m.PreferredSchedulingTerm(Term(matchExpressions=[Needs("none", "Exists")]), 7),
        m.PreferredSchedulingTerm(named("n1"), 2),
    ]
    wish = m.NodeAffinity(preferredDuringSchedulingIgnoredDuringExecution=terms)
    pod = make_pod("p", affinity=m.Affinity(nodeAffinity=wish))
    assert pod.spec is not None
    assert affinity.preference(pod.spec, "n1", {"zone": "a"}) == 7


def fit(node: m.Node, there: list[m.Pod], **requests: str) -> tuple[tuple[str, ...], bool]:
    pod = read_pod(make_pod("p", containers=[container(**requests)]))
    refusal = filters.refusal(pod, Room(read_node(node, there)))
    return (refusal.reasons, refusal.for_good) if refusal else ((), False)


THERE = make_pod("there", containers=[container(cpu="3", memory="1Gi")], nodeName="n1")


@pytest.mark.parametrize(
    ("requests", "reasons", "for_good"),
    [
        ({}, (), False),
        ({"cpu": "1"}, (), False),
        ({"cpu": "1001m"}, ("Insufficient cpu",), False),
        ({"cpu": "5"}, ("Insufficient cpu",), True),
        ({"cpu": "2", "memory": "7.5Gi"}, ("Insufficient cpu", "Insufficient memory"), False),
        ({"ephemeral_storage": "1"}, ("Insufficient ephemeral-storage",), True),
        ({"zz": "1", "aa": "1"}, ("Insufficient aa", "Insufficient zz"), True),
        ({"zz": "0"}, (), False),
    ],
)
def test_fit(requests: dict[str, str], reasons: tuple[str, ...], for_good: bool) -> None:
    assert fit(make_node(), [THERE], **requests) == (reasons, for_good)


def test_pod_slots() -> None:
    assert fit(make_node(pods="1"), [THERE]) == (("Too many pods",), False)
    assert fit(make_node(pods="1"), []) == ((), False)
    assert fit(make_node(pods="1"), [THERE], cpu="2")[0] == ("Too many pods", "Insufficient cpu")


def with_port(name: str, port: int, ip: str | None = None, protocol: str | None = None) -> m.Pod:
    ports = [m.ContainerPort(containerPort=1, hostPort=port, hostIP=ip, protocol=protocol)]
    return make_pod(name, containers=[m.Container(name="c", ports=ports)], nodeName="n1")


@pytest.mark.parametrize(
    ("there", "conflict"),
    [
        (with_port("q", 80), True),
        (with_port("q", 81), False),
        (with_port("q", 80, protocol="UDP"), False),
        (with_port("q", 80, ip="10.0.0.1"), True),
        (with_port("q", 80, ip="10.0.0.2"), False),
    ],
)
def test_host_ports(there: m.Pod, conflict: bool) -> None:
    pod = read_pod(with_port("p", 80, ip="10.0.0.1"))
    assert (filters.node_ports(pod, Room(read_node(make_node(), [there]))) is not None) == conflict
