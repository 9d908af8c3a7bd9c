"""Spread and affinity: the words, the edges, and a slow twin that reads the objects themselves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import models as m
from kubatch.scheduler import neighbours, spread
from tests.unit.scheduler.cluster import START, Cluster, make_node, make_pod
from tests.unit.scheduler.naive import may_go

ZONE = "zone"
HOST = "kubernetes.io/hostname"
AFFINITY = "1 node(s) didn't match pod affinity rules"


def select(**labels: str) -> m.LabelSelector:
    return m.LabelSelector(matchLabels=labels)


def even(
    key: str = ZONE, skew: int = 1, *, soft: bool = False, app: str = "a", **more: Any
) -> m.core_v1.TopologySpreadConstraint:
    return m.core_v1.TopologySpreadConstraint(
        maxSkew=skew,
        topologyKey=key,
        whenUnsatisfiable="ScheduleAnyway" if soft else "DoNotSchedule",
        labelSelector=select(app=app),
        **more,
    )


def term(key: str = ZONE, app: str = "a", **more: Any) -> m.core_v1.PodAffinityTerm:
    return m.core_v1.PodAffinityTerm(topologyKey=key, labelSelector=select(app=app), **more)


def near(*terms: m.core_v1.PodAffinityTerm) -> m.Affinity:
    required = m.core_v1.PodAffinity(requiredDuringSchedulingIgnoredDuringExecution=list(terms))
    return m.Affinity(podAffinity=required)


def far(*terms: m.core_v1.PodAffinityTerm) -> m.Affinity:
    required = m.core_v1.PodAntiAffinity(requiredDuringSchedulingIgnoredDuringExecution=list(terms))
    return m.Affinity(podAntiAffinity=required)


def rather(weight: int, *, away: bool = False, app: str = "a") -> m.Affinity:
    wish = m.core_v1.WeightedPodAffinityTerm(weight=weight, podAffinityTerm=term(app=app))
    if away:
        anti = m.core_v1.PodAntiAffinity(preferredDuringSchedulingIgnoredDuringExecution=[wish])
        return m.Affinity(podAntiAffinity=anti)
    kind = m.core_v1.PodAffinity(preferredDuringSchedulingIgnoredDuringExecution=[wish])
    return m.Affinity(podAffinity=kind)


def node(name: str, zone: str | None, **how: Any) -> m.Node:
    labels = {HOST: name} | ({ZONE: zone} if zone is not None else {})
    return make_node(name, labels=labels, **how)


def on(name: str, where: str, app: str = "a", **how: Any) -> m.Pod:
    return make_pod(name, nodeName=where, labels={"app": app}, phase="Running", **how)


def why(cluster: Cluster) -> str:
    cluster.turn()
    message = cluster.message("p")
    assert message is not None
    return message.split(": ", 1)[1].split(". no new")[0]


# ----- spread


def test_spreads_over_zones() -> None:
    pods = [
        make_pod(f"p{i}", after=i, labels={"app": "a"}, topologySpreadConstraints=[even()])
        for i in range(6)
    ]
    cluster = Cluster(node("n1", "x", cpu="64"), node("n2", "y"), node("n3", "z"), *pods)
    cluster.turn()
    where = list(cluster.where().values())
    assert sorted(where, key=str) == ["n1", "n1", "n2", "n2", "n3", "n3"]


def test_uneven_and_without_the_label() -> None:
    cluster = Cluster(
        node("n1", "x"),
        node("n2", "y", unschedulable=True),
        node("n3", None),
        on("o", "n1"),
        make_pod("p", labels={"app": "a"}, topologySpreadConstraints=[even()]),
    )
    assert why(cluster) == (f"1 {spread.UNEVEN}, 1 {spread.NO_LABEL}, 1 node(s) were unschedulable")


@pytest.mark.parametrize(
    ("constraint", "fits"),
    [
        (even(), True),
        (even(minDomains=2), False),
        (even(skew=2, minDomains=2), True),
        (even(app="b"), True),
        (even(nodeTaintsPolicy="Honor"), True),
    ],
)
def test_one_zone(constraint: m.core_v1.TopologySpreadConstraint, fits: bool) -> None:
    cluster = Cluster(
        node("n1", "x"),
        on("o", "n1"),
        make_pod("p", labels={"app": "a"}, topologySpreadConstraints=[constraint]),
    )
    cluster.turn()
    assert (cluster.where()["p"] == "n1") is fits


@pytest.mark.parametrize(
    ("policy", "fits"),
    [
        ({}, True),  # only nodes that the pod may go to count
        ({"nodeAffinityPolicy": "Ignore"}, False),
    ],
)
def test_which_nodes_count(policy: dict[str, Any], fits: bool) -> None:
    cluster = Cluster(
        node("n1", "x"),
        node("n2", "y"),
        on("o", "n1"),
        make_pod(
            "p",
            labels={"app": "a"},
            nodeSelector={ZONE: "x"},
            topologySpreadConstraints=[even(**policy)],
        ),
    )
    cluster.turn()
    assert (cluster.where()["p"] == "n1") is fits


def test_tainted_nodes_count_unless_told_otherwise() -> None:
    for policy, fits in (("Ignore", False), ("Honor", True)):
        cluster = Cluster(
            node("n1", "x"),
            node("n2", "y", taints=[m.Taint(key="k", effect="NoSchedule")]),
            on("o", "n1"),
            make_pod(
                "p",
                labels={"app": "a"},
                topologySpreadConstraints=[even(nodeTaintsPolicy=policy)],
            ),
        )
        cluster.turn()
        assert (cluster.where()["p"] == "n1") is fits


def test_terminating_pods_do_not_count_for_spread() -> None:
    cluster = Cluster(
        node("n1", "x"),
        node("n2", "y", unschedulable=True),
        on("o", "n1", deleting=True),
        make_pod("p", labels={"app": "a"}, topologySpreadConstraints=[even()]),
    )
    cluster.turn()
    assert cluster.where()["p"] == "n1"


def test_match_label_keys_tell_generations_apart() -> None:
    constraint = even(matchLabelKeys=["version"])
    cluster = Cluster(
        node("n1", "x"),
        node("n2", "y", unschedulable=True),
        make_pod("o", nodeName="n1", labels={"app": "a", "version": "1"}, phase="Running"),
        make_pod("p", labels={"app": "a", "version": "2"}, topologySpreadConstraints=[constraint]),
    )
    cluster.turn()
    assert cluster.where()["p"] == "n1"


@pytest.mark.parametrize("key", [ZONE, HOST])
def test_soft_constraints_score(key: str) -> None:
    cluster = Cluster(
        node("n1", "x", cpu="64", memory="64Gi"),
        node("n2", "y"),
        on("o", "n1"),
        make_pod("p", labels={"app": "a"}, topologySpreadConstraints=[even(key, soft=True)]),
    )
    cluster.turn()
    assert cluster.where()["p"] == "n2", "though the other is emptier"


def test_soft_constraints_without_the_label_score_nothing() -> None:
    cluster = Cluster(
        node("n1", None, cpu="64", memory="64Gi"),
        node("n2", "y"),
        make_pod("p", labels={"app": "a"}, topologySpreadConstraints=[even(soft=True)]),
    )
    cluster.turn()
    assert cluster.where()["p"] == "n2"


# ----- affinity


def test_near_and_the_first_of_a_group() -> None:
    nodes = [node("n1", "x"), node("n2", "y", cpu="64", memory="64Gi")]
    first = make_pod("p", labels={"app": "a"}, affinity=near(term()))
    cluster = Cluster(*nodes, first)
    cluster.turn()
    assert cluster.where()["p"] == "n2", "it wants its own kind, and is the first of it"
    other = make_pod("p", labels={"app": "b"}, affinity=near(term()))
    assert why(Cluster(*nodes, other)) == "2 node(s) didn't match pod affinity rules"
    cluster = Cluster(*nodes, on("o", "n1"), other)
    cluster.turn()
    assert cluster.where()["p"] == "n1"


def test_a_pod_that_came_before_the_one_it_wants() -> None:
    wants = make_pod("a", labels={"app": "b"}, affinity=near(term(app="c")))
    wanted = make_pod("b", after=5, labels={"app": "c"})
    cluster = Cluster(node("n1", "x"), wants, wanted)
    decision = cluster.turn()
    assert decision is not None
    assert decision.wake_at == START, "the answer may be another one now"
    cluster.turn()
    assert cluster.where() == {"a": "n1", "b": "n1"}


def test_far() -> None:
    pod = make_pod("p", labels={"app": "b"}, affinity=far(term(HOST)))
    cluster = Cluster(node("n1", "x", cpu="64"), node("n2", "x"), on("o", "n1"), pod)
    cluster.turn()
    assert cluster.where()["p"] == "n2"
    cluster = Cluster(node("n1", "x"), on("o", "n1"), pod)
    assert why(cluster) == f"1 {neighbours.NOT_FAR}"


def test_far_is_mutual() -> None:
    hater = on("o", "n1", affinity=far(term(app="b")))
    cluster = Cluster(node("n1", "x"), node("n2", "x"), hater, make_pod("p", labels={"app": "b"}))
    assert why(cluster) == f"2 {neighbours.UNWANTED}"


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ({}, False),
        ({"namespaces": ["elsewhere"]}, True),
        ({"namespaceSelector": m.LabelSelector()}, True),
        ({"namespaceSelector": select(team="red")}, True),
        ({"namespaceSelector": select(team="blue")}, False),
        ({"namespaces": ["ns"], "namespaceSelector": select(team="blue")}, False),
    ],
)
def test_namespaces(more: dict[str, Any], fits: bool) -> None:
    there = on("o", "n1", namespace="elsewhere")
    cluster = Cluster(
        node("n1", "x"), there, make_pod("p", affinity=near(term(**more)), labels={"app": "z"})
    )
    cluster.namespaces = [
        m.Namespace(metadata=m.ObjectMeta(name="elsewhere", labels={"team": "red"})),
        m.Namespace(metadata=m.ObjectMeta(name="ns")),
    ]
    cluster.turn()
    assert (cluster.where()["p"] == "n1") is fits


def test_keys_of_affinity() -> None:
    """One pod of each version for each node, next to nobody of another."""
    terms = far(
        m.core_v1.PodAffinityTerm(
            topologyKey=HOST, labelSelector=select(app="a"), mismatchLabelKeys=["version"]
        )
    )
    cluster = Cluster(
        node("n1", "x"),
        make_pod("o", nodeName="n1", labels={"app": "a", "version": "1"}, phase="Running"),
        make_pod("p", labels={"app": "a", "version": "2"}, affinity=terms),
        make_pod("q", labels={"app": "a", "version": "1"}, affinity=terms),
    )
    cluster.turn()
    assert cluster.where() == {"o": "n1", "p": None, "q": "n1"}


@pytest.mark.parametrize(("away", "where"), [(False, "n1"), (True, "n2")])
def test_wishes(away: bool, where: str) -> None:
    sizes: dict[str, str] = {"cpu": "64", "memory": "64Gi"}
    nodes = [node("n1", "x", **({} if not away else sizes)), node("n2", "y", **sizes)]
    wish = rather(10, away=away)
    cluster = Cluster(*nodes, on("o", "n1"), make_pod("p", labels={"app": "b"}, affinity=wish))
    cluster.turn()
    assert cluster.where()["p"] == where
    mutual = on("o", "n1", "b", affinity=wish)
    cluster = Cluster(*nodes, mutual, make_pod("p", labels={"app": "a"}))
    cluster.turn()
    assert cluster.where()["p"] == where, "what a pod there wishes counts as well"


# ----- the twin

apps = st.sampled_from("ab")
keys = st.sampled_from([ZONE, HOST])
constraints = st.builds(
    lambda key, skew, app, domains: even(key, skew, app=app, minDomains=domains),
    keys, st.integers(1, 2), apps, st.sampled_from([None, 1, 3]),
)  # fmt: skip
terms = st.builds(term, keys, apps)


@st.composite
def pods(draw: st.DrawFn) -> dict[str, Any]:
    required = draw(st.lists(terms, max_size=2))
    refused = draw(st.lists(terms, max_size=1))
    affinity = None
    if required or refused:
        affinity = m.Affinity(
            podAffinity=near(*required).podAffinity if required else None,
            podAntiAffinity=far(*refused).podAntiAffinity if refused else None,
        )
    return {
        "labels": {"app": draw(apps)},
        "affinity": affinity,
        "topologySpreadConstraints": draw(st.lists(constraints, max_size=2)) or None,
        "priority": draw(st.integers(0, 1)),
        "nodeSelector": draw(st.sampled_from([None, None, {ZONE: "x"}])),
        "preemptionPolicy": "Never",
    }


@given(
    st.lists(st.sampled_from(["x", "y", "z", None]), min_size=1, max_size=4),
    st.lists(pods(), max_size=7),
)
def test_twin(zones: list[str | None], shapes: list[dict[str, Any]]) -> None:
    nodes = [node(f"n{i}", zone, pods="3") for i, zone in enumerate(zones)]
    asked = [make_pod(f"p{i}", after=i, **shape) for i, shape in enumerate(shapes)]
    cluster = Cluster(*nodes, *asked)
    cluster.turn()
    where = cluster.where()
    placed: list[tuple[m.Pod, str]] = []
    for pod in sorted(asked, key=lambda p: (-((p.spec and p.spec.priority) or 0), p.metadata.name)):  # type: ignore[union-attr]
        assert pod.metadata is not None
        possible = {n.metadata.name for n in nodes if n.metadata and may_go(pod, n, nodes, placed)}
        chosen = where[pod.metadata.name or ""]
        if chosen is None:
            assert not possible
        else:
            assert chosen in possible
            placed.append((pod, chosen))
