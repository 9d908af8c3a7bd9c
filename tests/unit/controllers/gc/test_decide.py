from __future__ import annotations

from typing import Any

import pytest

from kubatch.api.models import OwnerReference
from kubatch.api.resource import CONFIGMAPS, JOBS, NODES, PODS, by_kind
from kubatch.controllers.gc import graph
from kubatch.controllers.gc.decide import decide
from kubatch.controllers.gc.facts import DEPENDENTS_PER_TURN_MAX, read
from kubatch.reconcile.decision import (
    Absent,
    Decision,
    Delete,
    Emit,
    Patch,
    RemoveFinalizer,
    Stage,
    stage,
)
from tests.unit.controllers.gc.objects import NOW, config, job, node, pod, ref, space
from tests.unit.controllers.static_view import StaticView

GONE = job()
WAITING = job(deleting=True, finalizers=["foregroundDeletion"])
ORPHANING = job(deleting=True, finalizers=["orphan"])
SOLID = config("solid")
OWNER_ABSENT = Absent(JOBS, "default", "owner", "uid-owner")


def turn(owner: Any, *objects: Any, namespace: str | None = None) -> Decision | None:
    """One turn about an owner, which exists only when it is among the objects."""
    resource = by_kind(owner.apiVersion, owner.kind)
    assert resource is not None
    meta = owner.metadata
    where = graph.Owner(resource, namespace or meta.namespace, meta.name, meta.uid)
    found = read(StaticView(*objects), graph.key_of(where))
    return decide(found, NOW) if found is not None else None


def stages(owner: Any, *objects: Any) -> tuple[Stage, ...]:
    decision = turn(owner, *objects)
    assert decision is not None
    return decision.stages


def deletion(name: str, propagation: str = "Background") -> Delete:
    return Delete(PODS, "default", name, f"uid-{name}", propagation=propagation)


def references_patch(name: str, *references: dict[str, Any]) -> Patch:
    patch = {"metadata": {"uid": f"uid-{name}", "ownerReferences": list(references)}}
    return Patch(PODS, "default", name, patch, type="strategic")


def disowning(name: str, *uids: str) -> Patch:
    return references_patch(name, *({"$patch": "delete", "uid": uid} for uid in uids))


# ----- nothing to do


@pytest.mark.parametrize(
    "objects",
    [
        (GONE, pod("a", ref(GONE))),
        (job(deleting=True), pod("a", ref(GONE))),  # deleted in background, held by nothing of ours
        (job(deleting=True, finalizers=["x/y"]), pod("a", ref(GONE))),
        (),
        (pod("a"),),
    ],
)
def test_an_owner_that_is_there_or_was_nobodys_needs_no_turn(objects: tuple[Any, ...]) -> None:
    assert turn(GONE, *objects) is None


def test_dependents_being_deleted_are_left_alone() -> None:
    assert stages(GONE, pod("a", ref(GONE), deleting=True)) == ()


# ----- background


def test_dependents_of_an_owner_that_is_gone_are_deleted() -> None:
    assert stages(GONE, pod("a", ref(GONE)), pod("b", ref(GONE)), pod("c")) == (
        stage(OWNER_ABSENT),
        stage(deletion("a"), deletion("b")),
    )


def test_a_namesake_of_the_owner_is_not_the_owner() -> None:
    namesake = job(uid="another")
    assert stages(GONE, namesake, pod("a", ref(GONE)))[1] == stage(deletion("a"))


@pytest.mark.parametrize(
    ("finalizers", "propagation"),
    [
        ([], "Background"),
        (["x/y"], "Background"),
        (["orphan"], "Orphan"),
        (["foregroundDeletion"], "Foreground"),
    ],
)
def test_finalizers_of_a_dependent_choose_how_it_is_deleted(
    finalizers: list[str], propagation: str
) -> None:
    assert stages(GONE, pod("a", ref(GONE), finalizers=finalizers))[1] == stage(
        deletion("a", propagation)
    )


def test_a_dependent_with_a_solid_owner_only_loses_the_others() -> None:
    gone = config("gone")
    shared = pod("a", ref(GONE), ref(SOLID), ref(gone))
    assert stages(GONE, SOLID, shared) == (
        stage(OWNER_ABSENT, Absent(CONFIGMAPS, "default", "gone", "uid-gone")),
        stage(disowning("a", "uid-owner", "uid-gone")),
    )


def test_an_owner_of_an_unknown_kind_is_solid() -> None:
    stranger = OwnerReference(apiVersion="apps/v1", kind="StatefulSet", name="x", uid="u")
    assert stages(GONE, pod("a", ref(GONE), stranger))[1] == stage(disowning("a", "uid-owner"))


def test_an_owner_named_twice_is_named_once_in_the_patch() -> None:
    twice = pod("a", ref(GONE), ref(GONE, True), ref(SOLID))
    assert stages(GONE, SOLID, twice)[1] == stage(disowning("a", "uid-owner"))


def test_a_cluster_scoped_owner() -> None:
    gone = node("n")
    assert stages(gone, pod("a", ref(gone))) == (
        stage(Absent(NODES, None, "n", "uid-n")),
        stage(deletion("a")),
    )


def test_a_cluster_scoped_dependent_of_a_namespaced_owner_is_ignored() -> None:
    assert turn(GONE, space("s", ref(GONE))) is None


def test_an_owner_in_another_namespace_is_reported_and_counts_as_absent() -> None:
    owner = config("n", namespace="default", uid="u")
    stray = pod("a", ref(owner), namespace="q")
    kept = pod("b", ref(owner), namespace="default")
    decision = turn(owner, owner, stray, kept, namespace="q")
    assert decision is not None
    checks, deletes, notes = decision.stages
    assert checks == stage(Absent(CONFIGMAPS, "q", "n", "u"))
    assert deletes == stage(Delete(PODS, "q", "a", "uid-a"))
    [emit] = notes.writes
    assert isinstance(emit, Emit)
    assert emit.note.about is stray
    assert (emit.note.type, emit.note.reason) == ("Warning", "OwnerRefInvalidNamespace")
    assert emit.note.message == (
        'ownerRef [v1/ConfigMap, namespace: q, name: n, uid: u] does not exist in namespace "q"'
    )


def test_many_dependents_go_in_several_turns() -> None:
    many = [pod(f"p{number}", ref(GONE)) for number in range(DEPENDENTS_PER_TURN_MAX + 1)]
    decision = turn(GONE, *many)
    assert decision is not None
    assert [len(s.writes) for s in decision.stages] == [1, DEPENDENTS_PER_TURN_MAX]
    assert decision.wake_at == NOW
    last = turn(GONE, pod("p0", ref(GONE), deleting=True), many[-1])
    assert last is not None
    assert (last.stages[1], last.wake_at) == (stage(deletion("p500")), None)


# ----- foreground


def test_a_waiting_owner_has_its_dependents_deleted_first() -> None:
    objects = (WAITING, pod("a", ref(WAITING, True)), pod("b", ref(WAITING)))
    assert stages(WAITING, *objects) == (stage(deletion("a"), deletion("b")),)


def test_a_waiting_owner_waits_for_blocking_dependents() -> None:
    stuck = pod("a", ref(WAITING, True), deleting=True, finalizers=["x/y"])
    assert stages(WAITING, WAITING, stuck) == ()


@pytest.mark.parametrize(
    "dependents",
    [
        (),
        (pod("a", ref(WAITING)),),
        (pod("a", ref(WAITING, False), deleting=True, finalizers=["x/y"]),),
    ],
)
def test_a_waiting_owner_goes_once_nothing_blocks_it(dependents: tuple[Any, ...]) -> None:
    assert stages(WAITING, WAITING, *dependents) == (
        stage(RemoveFinalizer(JOBS, "default", "owner", "foregroundDeletion")),
    )


def test_a_dependent_with_dependents_waits_for_them_in_turn() -> None:
    child = pod("a", ref(WAITING, True))
    grandchild = pod("b", ref(child, True))
    assert stages(WAITING, WAITING, child, grandchild) == (stage(deletion("a", "Foreground")),)


def test_a_dependent_with_another_solid_owner_survives_a_foreground_deletion() -> None:
    shared = pod("a", ref(WAITING, True), ref(SOLID))
    assert stages(WAITING, WAITING, SOLID, shared) == (stage(disowning("a", "uid-owner")),)


def test_a_circle_of_blocking_owners_is_broken() -> None:
    """One pod of three is deleted in foreground, and the last of them still points at it."""
    one = pod("one", ref(pod("three"), True), deleting=True, finalizers=["foregroundDeletion"])
    two = pod("two", ref(one, True), deleting=True, finalizers=["foregroundDeletion"])
    three = pod("three", ref(two, True))
    assert stages(two, one, two, three) == (
        stage(references_patch("three", {"uid": "uid-two", "blockOwnerDeletion": False})),
        stage(deletion("three", "Foreground")),
    )


# ----- orphan


def test_an_orphaning_owner_lets_go_of_every_dependent_before_it_goes() -> None:
    a, b = pod("a", ref(ORPHANING, True)), pod("b", ref(ORPHANING), deleting=True)
    assert stages(ORPHANING, ORPHANING, a, b) == (
        stage(disowning("a", "uid-owner"), disowning("b", "uid-owner")),
    )
    assert stages(ORPHANING, ORPHANING, pod("a"), pod("b")) == (
        stage(RemoveFinalizer(JOBS, "default", "owner", "orphan")),
    )


def test_an_orphaning_owner_is_solid_to_others() -> None:
    shared = pod("a", ref(GONE), ref(config("x", deleting=True, finalizers=["orphan"])))
    other = config("x", deleting=True, finalizers=["orphan"])
    assert stages(GONE, other, shared)[1] == stage(disowning("a", "uid-owner"))


def test_a_decision_says_why() -> None:
    decision = turn(WAITING, WAITING, pod("a", ref(WAITING, True)))
    assert decision is not None
    assert decision.because == "waits for its dependents to go: 1 dependent to collect"
    assert decision.subject is WAITING
