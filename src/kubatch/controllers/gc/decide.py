"""What the garbage collector does about one owner that is gone or going.

The rules are pkg/controller/garbagecollector/garbagecollector.go: attemptToDeleteItem,
processDeletingDependentsItem and attemptToOrphanWorker.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubatch.controllers.gc import graph
from kubatch.controllers.gc.facts import Dependent, Fate, Link, OwnerFacts, Standing
from kubatch.reconcile.decision import (
    Absent,
    Decision,
    Delete,
    Emit,
    Note,
    Patch,
    RemoveFinalizer,
    Stage,
    Write,
)


def decide(facts: OwnerFacts, now: datetime) -> Decision:
    """Let go of dependents, delete them, or let the owner go.

    A finalizer comes off only in a turn that finds nothing left to do, never in the one that does
    it: a key rests until its writes are seen, so whatever was there before them is seen too. Every
    write can be repeated, and a crash between any two leaves the owner, or what it left, to be
    found again.
    """
    if facts.fate is Fate.ORPHANING:
        stages, because = _orphan(facts)
    elif facts.fate is Fate.WAITING and not facts.blocked:
        stages = (_release(facts, graph.FOREGROUND),)
        because = "no dependent blocks its deletion: goes"
    else:
        stages = _collect(facts.dependents)
        is_what = "is gone" if facts.fate is Fate.GONE else "waits for its dependents to go"
        because = f"{is_what}: {_count(facts.dependents)} to collect"
    return Decision(
        because,
        stages,
        wake_at=now if facts.more and stages else None,
        subject=facts.obj,
        facts={"dependents": len(facts.dependents)},
    )


def _count(dependents: Iterable[Dependent]) -> str:
    number = sum(1 for _ in dependents)
    return "1 dependent" if number == 1 else f"{number} dependents"


def _release(facts: OwnerFacts, finalizer: str) -> Stage:
    owner = facts.owner
    return Stage((RemoveFinalizer(owner.resource, owner.namespace, owner.name, finalizer),))


def _orphan(facts: OwnerFacts) -> tuple[tuple[Stage, ...], str]:
    """Take the owner off its dependents, then the finalizer off the owner (orphanDependents)."""
    if not facts.dependents:
        return (_release(facts, graph.ORPHAN),), "has no dependents left: goes"
    patches = tuple(_disown(d, [facts.owner.uid]) for d in facts.dependents)
    return (Stage(patches),), f"is deleted alone: lets go of {_count(facts.dependents)}"


def _collect(dependents: Iterable[Dependent]) -> tuple[Stage, ...]:
    """What becomes of dependents whose owners are not all solid.

    Before anything else the API confirms that the owners held to be absent are: the caches of
    different resources do not move together, and a new pod may be seen before its new Job is.
    """
    checks: dict[Absent, None] = {}
    patches: list[Write] = []
    deletes: list[Write] = []
    notes: list[Write] = []
    for dependent in dependents:
        dangling = dependent.having(Standing.DANGLING)
        waiting = dependent.having(Standing.WAITING)
        for link in dangling:
            checks[_absence(link)] = None
        notes += [_invalid_namespace(dependent, link) for link in dangling if link.elsewhere]
        if dependent.having(Standing.SOLID):
            patches.append(_disown(dependent, [k.reference.uid for k in dangling + waiting]))
            continue
        if waiting and dependent.circular:
            patches.append(_unblock(dependent))
        deletes.append(_delete(dependent, bool(waiting)))
    stages = (tuple(checks), tuple(patches), tuple(deletes), tuple(notes))
    return tuple(Stage(writes) for writes in stages if writes)


def _absence(link: Link) -> Absent:
    assert link.owner is not None  # only what can be resolved can be missed
    owner = link.owner
    return Absent(owner.resource, owner.namespace, owner.name, owner.uid)


def _delete(dependent: Dependent, waiting: bool) -> Delete:
    meta = dependent.metadata
    finalizers = meta.finalizers or ()
    if waiting and dependent.has_dependents:
        propagation = "Foreground"
    elif graph.ORPHAN in finalizers:
        propagation = "Orphan"
    elif graph.FOREGROUND in finalizers:
        propagation = "Foreground"
    else:
        propagation = "Background"
    return Delete(
        dependent.resource,
        meta.namespace,
        meta.name or "",
        meta.uid or "",
        propagation=propagation,
    )


def _patch(dependent: Dependent, references: list[dict[str, Any]]) -> Patch:
    """A strategic patch of owner references; its uid keeps it off a namesake (patch.go)."""
    meta = dependent.metadata
    patch = {"metadata": {"uid": meta.uid, "ownerReferences": references}}
    return Patch(dependent.resource, meta.namespace, meta.name or "", patch, type="strategic")


def _disown(dependent: Dependent, uids: list[str]) -> Patch:
    distinct = dict.fromkeys(uids)
    return _patch(dependent, [{"$patch": "delete", "uid": uid} for uid in distinct])


def _unblock(dependent: Dependent) -> Patch:
    """Break a circle of owners that wait for each other (unblockOwnerReferences...Patch)."""
    blocking = [k.reference for k in dependent.links if k.reference.blockOwnerDeletion]
    return _patch(dependent, [{"uid": r.uid, "blockOwnerDeletion": False} for r in blocking])


def _invalid_namespace(dependent: Dependent, link: Link) -> Emit:
    """graph_builder.go: reportInvalidNamespaceOwnerRef."""
    ref, namespace = link.reference, dependent.metadata.namespace
    message = (
        f"ownerRef [{ref.apiVersion}/{ref.kind}, namespace: {namespace}, name: {ref.name}, "
        f'uid: {ref.uid}] does not exist in namespace "{namespace}"'
    )
    return Emit(Note("Warning", "OwnerRefInvalidNamespace", message, about=dependent.obj))
