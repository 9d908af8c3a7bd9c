"""How a namespace is emptied and let go.

The rules are pkg/controller/namespace/deletion/namespaced_resources_deleter.go: Delete,
deleteAllContent and finalizeNamespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kubatch.api.resource import NAMESPACES, PODS
from kubatch.controllers.namespace.facts import BY_NAMESPACE, KUBERNETES, Item, NamespaceFacts
from kubatch.reconcile.decision import Absent, Decision, Delete, Patch, Stage

# Objects deleted in one turn; the next turn goes on.
DELETES_PER_TURN_MAX = 500
# apimachinery/pkg/apis/meta/v1/types.go: what background propagation takes off.
PROPAGATION_FINALIZERS = frozenset({"orphan", "foregroundDeletion"})


def decide(facts: NamespaceFacts, now: datetime) -> Decision:
    """Pods first, then everything else, then the namespace.

    Nothing but pods is touched while a pod is left, so that a pod keeps what it uses until its
    end. The namespace's own finalizer comes off last, and only when the API itself finds nothing:
    objects left behind could never be deleted again. Every write can be repeated.
    """
    pods = [item for item in facts.items if item.resource is PODS]
    if pods:
        return _delete(facts, pods, "pod", now)
    if facts.items:
        return _delete(facts, facts.items, "object", now)
    kept = [f for f in facts.finalizers if f != KUBERNETES]
    patch = {"spec": {"finalizers": kept or None}}
    return Decision(
        "is empty: goes",
        (
            Stage(tuple(Absent(resource, facts.name) for resource in BY_NAMESPACE)),
            Stage((Patch(NAMESPACES, None, facts.name, patch, subresource="finalize"),)),
        ),
        subject=facts.space,
    )


def _delete(facts: NamespaceFacts, items: Sequence[Item], noun: str, now: datetime) -> Decision:
    """Delete what is not being deleted yet; the end of the others wakes the key."""
    open_items = [item for item in items if _needs_deleting(item)]
    turn = open_items[:DELETES_PER_TURN_MAX]
    left = f"{len(items)} {noun}{'' if len(items) == 1 else 's'} left"
    return Decision(
        f"{left}: deletes {len(turn)}" if turn else f"{left}: waits for their end",
        (Stage(tuple(map(_deletion, turn))),) if turn else (),
        wake_at=now if len(open_items) > len(turn) else None,
        subject=facts.space,
        facts={"items": len(items), "deletes": len(turn)},
    )


def _needs_deleting(item: Item) -> bool:
    """Whether a DELETE would change something: also when another one left finalizers of its own."""
    meta = item.metadata
    if meta.deletionTimestamp is None:
        return True
    graceful = bool(meta.deletionGracePeriodSeconds)
    return not graceful and not PROPAGATION_FINALIZERS.isdisjoint(meta.finalizers or ())


def _deletion(item: Item) -> Delete:
    meta = item.metadata
    return Delete(item.resource, meta.namespace, meta.name or "", meta.uid or "")
