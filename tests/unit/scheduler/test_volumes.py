from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from kubatch.api import models as m
from kubatch.scheduler import claims, images
from kubatch.scheduler.facts import KEY, namespace_keys, no_keys, volume_keys
from tests.unit.scheduler.cluster import START, Cluster, make_node, make_pod

HELPLESS = "no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not"


def claim(
    name: str = "c", volume: str | None = "v", *, bound: bool = True, **how: Any
) -> m.PersistentVolumeClaim:
    modes = how.pop("modes", ["ReadWriteOnce"])
    deleted: datetime | None = how.pop("deleted", None)
    notes = {claims.BIND_COMPLETED: "yes"} if bound else None
    return m.PersistentVolumeClaim(
        metadata=m.ObjectMeta(
            name=name, namespace="ns", annotations=notes, deletionTimestamp=deleted
        ),
        spec=m.PersistentVolumeClaimSpec(volumeName=volume, accessModes=modes),
    )


def volume(*nodes: str) -> m.PersistentVolume:
    need = m.NodeSelectorRequirement("host", "In", list(nodes))
    term = m.NodeSelectorTerm(matchExpressions=[need])
    reach = m.core_v1.VolumeNodeAffinity(required=m.NodeSelector(nodeSelectorTerms=[term]))
    return m.PersistentVolume(
        metadata=m.ObjectMeta(name="v"),
        spec=m.PersistentVolumeSpec(nodeAffinity=reach if nodes else None),
    )


def using(name: str, claim: str = "c", **how: Any) -> m.Pod:
    source = m.core_v1.PersistentVolumeClaimVolumeSource(claimName=claim)
    return make_pod(name, volumes=[m.Volume(name="d", persistentVolumeClaim=source)], **how)


def cluster(*pods: m.Pod) -> Cluster:
    return Cluster(
        make_node("n1", labels={"host": "n1"}), make_node("n2", labels={"host": "n2"}), *pods
    )


@pytest.mark.parametrize(
    ("found", "there", "message"),
    [
        (None, None, 'persistentvolumeclaim "c" not found'),
        (claim(deleted=START), volume(), 'persistentvolumeclaim "c" is being deleted'),
        (claim(bound=False), volume(), claims.UNBOUND),
        (claim(volume=None), None, claims.UNBOUND),
        (claim(), None, f"2 {claims.NO_VOLUME}"),
        (claim(), volume("n9"), f"2 {claims.OUT_OF_REACH}"),
    ],
)
def test_hindrances(
    found: m.PersistentVolumeClaim | None, there: m.PersistentVolume | None, message: str
) -> None:
    nodes = cluster(using("p"))
    nodes.claims = {"c": found} if found is not None else {}
    nodes.volumes = {"v": there} if there is not None else {}
    nodes.turn()
    assert (nodes.message("p") or "").startswith(f"0/2 nodes are available: {message}. {HELPLESS}")


def test_goes_where_the_volume_is() -> None:
    nodes = cluster(using("p"))
    nodes.claims, nodes.volumes = {"c": claim()}, {"v": volume("n2")}
    nodes.turn()
    assert nodes.where() == {"p": "n2"}


def test_an_ephemeral_volume_waits_for_its_claim() -> None:
    template = m.core_v1.EphemeralVolumeSource()
    nodes = cluster(make_pod("p", volumes=[m.Volume(name="d", ephemeral=template)]))
    nodes.turn()
    assert (nodes.message("p") or "").startswith(
        "0/2 nodes are available: waiting for ephemeral volume controller to create the "
        'persistentvolumeclaim "p-d".'
    )


def test_one_pod_only() -> None:
    nodes = cluster(using("p"), using("q", after=1))
    nodes.claims, nodes.volumes = {"c": claim(modes=["ReadWriteOncePod"])}, {"v": volume()}
    nodes.turn()
    assert nodes.where() == {"p": "n1", "q": None}
    assert (nodes.message("q") or "").startswith(
        f"0/2 nodes are available: 2 {claims.ONE_POD_ONLY}."
    )


def test_one_pod_only_and_a_more_important_one() -> None:
    nodes = cluster(using("p", nodeName="n1", phase="Running"), using("q", priority=5))
    nodes.claims, nodes.volumes = {"c": claim(modes=["ReadWriteOncePod"])}, {"v": volume()}
    nodes.turn()
    assert nodes.nominated("q") == "n1"


# ----- images


@pytest.mark.parametrize(
    ("name", "whole"),
    [("a", "a:latest"), ("a:1", "a:1"), ("host:5000/a", "host:5000/a:latest")],
)
def test_names_of_images(name: str, whole: str) -> None:
    assert images.normalized(name) == whole


def test_goes_where_the_image_is() -> None:
    big = m.core_v1.ContainerImage(names=["i:latest"], sizeBytes=900 << 20)
    has = make_node("n2")
    assert has.status is not None
    has.status.images = [big]
    pod = make_pod("p", containers=[m.Container(name="c", image="i")])
    nodes = Cluster(make_node("n1"), has, pod)
    nodes.turn()
    assert nodes.where() == {"p": "n2"}
    assert images.scores(["i:latest"], [{}, {"i:latest": 2000 << 20}], [0, 1]) == [0, 100]


# ----- which events matter


def test_events() -> None:
    assert list(volume_keys(None, claim())) == [KEY]
    assert list(volume_keys(claim(), claim())) == []
    assert list(volume_keys(claim(bound=False), claim())) == [KEY]
    one = m.Namespace(metadata=m.ObjectMeta(name="x"))
    other = m.Namespace(metadata=m.ObjectMeta(name="x", labels={"a": "b"}))
    assert list(namespace_keys(None, one)) == []
    assert list(namespace_keys(one, one)) == []
    assert list(namespace_keys(one, other)) == [KEY]
    assert list(no_keys(one, other)) == []
