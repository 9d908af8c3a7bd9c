from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api.models import OwnerReference, PodStatus
from kubatch.api.resource import CONFIGMAPS, EVENTS, EVENTS_V1, JOBS, NODES, PODS, by_kind
from kubatch.controllers.gc import controller, graph
from kubatch.reconcile.controller import Key
from tests.unit.controllers.gc.objects import config, job, meta, node, pod, ref, space

OWNER = job()
OWNER_KEY = Key("default", "jobs/uid-owner/owner")
OTHER = config("other")
OTHER_KEY = Key("default", "configmaps/uid-other/other")
POD_KEY = Key("default", "pods/uid-pod/pod")


def keys(before: Any, after: Any) -> set[Key]:
    obj = after if before is None else before
    resource = by_kind(obj.apiVersion, obj.kind)
    assert resource is not None
    return set(graph.KEYS[resource](before, after))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, pod(), set()),
        (None, pod("pod", ref(OWNER)), {OWNER_KEY}),
        (None, pod("pod", ref(OWNER), ref(OTHER)), {OWNER_KEY, OTHER_KEY}),
        (pod("pod", ref(OWNER)), None, {OWNER_KEY, POD_KEY}),
        (pod(), None, {POD_KEY}),
        (pod("pod", ref(OWNER)), pod("pod", ref(OWNER)), set()),
        (pod("pod", ref(OWNER)), pod("pod"), {OWNER_KEY}),
        (pod("pod", ref(OWNER)), pod("pod", ref(OTHER)), {OWNER_KEY, OTHER_KEY}),
        (pod("pod", ref(OWNER)), pod("pod", ref(OWNER), ref(OTHER)), {OTHER_KEY}),
        (pod("pod", ref(OWNER, True)), pod("pod", ref(OWNER, False)), {OWNER_KEY}),
        (pod("pod", ref(OWNER)), pod("pod", ref(OWNER), deleting=True), set()),
        (job(), job(deleting=True), set()),
        (job(), job(deleting=True, finalizers=["orphan"]), {OWNER_KEY}),
        (job(), job(deleting=True, finalizers=["foregroundDeletion"]), {OWNER_KEY}),
        (None, job(deleting=True, finalizers=["foregroundDeletion"]), {OWNER_KEY}),
        (job(), job(finalizers=["orphan"]), set()),
        (job(finalizers=["orphan"]), job(deleting=True, finalizers=["orphan"]), {OWNER_KEY}),
        (
            job(deleting=True, finalizers=["orphan"]),
            job(deleting=True, finalizers=["orphan"]),
            set(),
        ),
        (
            job(deleting=True, finalizers=["x/y"]),
            job(deleting=True, finalizers=["x/y", "foregroundDeletion"]),
            {OWNER_KEY},
        ),
        (None, pod("pod", ref(node("n"))), {Key("", "nodes/uid-n/n")}),
        (None, space("s", ref(OWNER)), set()),  # a namespaced owner of a cluster-scoped object
    ],
)
def test_a_change_concerns_these_owners(before: Any, after: Any, expected: set[Key]) -> None:
    assert keys(before, after) == expected


def test_a_change_of_status_concerns_nobody() -> None:
    before = pod("pod", ref(OWNER, True))
    assert keys(before, replace(before, status=PodStatus(phase="Running"))) == set()


def test_an_owner_of_an_older_version_is_the_same_owner() -> None:
    old = OwnerReference(apiVersion="batch/v1beta1", kind="CronJob", name="x", uid="u")
    new = OwnerReference(apiVersion="batch/v1", kind="CronJob", name="x", uid="u")
    owner = graph.owner_of(old, "default")
    assert owner is not None
    assert owner == graph.owner_of(new, "default")
    assert graph.key_of(owner) == Key("default", "cronjobs/u/x")


@pytest.mark.parametrize("kind", ["StatefulSet", "Event"])
def test_owners_of_kinds_that_are_not_collected_make_no_key(kind: str) -> None:
    version = "apps/v1" if kind == "StatefulSet" else "v1"
    stranger = OwnerReference(apiVersion=version, kind=kind, name="x", uid="u")
    assert keys(None, pod("pod", stranger)) == set()


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        (OWNER_KEY, graph.Owner(JOBS, "default", "owner", "uid-owner")),
        (OTHER_KEY, graph.Owner(CONFIGMAPS, "default", "other", "uid-other")),
        (Key("", "nodes/uid-n/n"), graph.Owner(NODES, None, "n", "uid-n")),
    ],
)
def test_keys_and_owners_are_the_same(key: Key, owner: graph.Owner) -> None:
    assert graph.owner_at(key) == owner
    assert graph.key_of(owner) == key


def test_a_name_that_is_none_makes_a_harmless_key() -> None:
    odd = graph.Owner(PODS, "default", "a/b", "u/v")
    assert graph.owner_at(graph.key_of(odd)).resource is PODS


def test_events_are_not_collected() -> None:
    record = controller()
    assert not {EVENTS, EVENTS_V1} & set(record.watches)
    assert record.name == "garbage-collector-controller"


def test_finalizers_mean_nothing_before_the_deletion() -> None:
    assert not graph.is_waiting(meta("a", finalizers=["foregroundDeletion"]))
    assert not graph.is_orphaning(meta("a", finalizers=["orphan"]))
