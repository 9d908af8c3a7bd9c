"""How a namespace is emptied and let go.

The rules are pkg/controller/namespace/deletion/namespaced_resources_deleter.go: Delete,
deleteAllContent and finalizeNamespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from kubatch.api.models import ObjectMeta, Pod
from kubatch.api.resource import NAMESPACES, PODS, Resource
from kubatch.controllers.namespace.conditions import Contents, told
from kubatch.controllers.namespace.facts import BY_NAMESPACE, KUBERNETES, NamespaceFacts
from kubatch.reconcile.decision import Absent, Decision, Delete, Patch, PutStatus, Stage

# Objects deleted in one turn; the next turn goes on.
DELETES_PER_TURN_MAX = 500
# apimachinery/pkg/apis/meta/v1/types.go: what background propagation takes off.
PROPAGATION_FINALIZERS = frozenset({"orphan", "foregroundDeletion"})


def decide(facts: NamespaceFacts, now: datetime) -> Decision:
    """Pods first, then everything else, then the namespace.

    Nothing but pods is touched before every pod has ended, so that a pod keeps what it uses until
    then. One that has ended and is held by a finalizer is not waited for: the holder may be a Job
    that keeps it until there is a successor, which there will not be here. The namespace's own
    finalizer comes off last, and only when the API itself finds nothing: objects left behind could
    never be deleted again. Every write can be repeated.
    """
    pods = [(resource, objects) for resource, objects in facts.contents if resource is PODS]
    if any(not is_over(pod) for _, objects in pods for pod in objects):
        return _delete(facts, pods, "pod", now)
    if facts.contents:
        return _delete(facts, facts.contents, "object", now)
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


def is_over(pod: Pod) -> bool:
    """Whether a pod uses nothing any more, and its deletion is under way."""
    ended = pod.status is not None and pod.status.phase in ("Succeeded", "Failed")
    return ended and pod.metadata is not None and not _needs_deleting(pod.metadata)


def _delete(
    facts: NamespaceFacts,
    contents: Sequence[tuple[Resource[Any], Sequence[Any]]],
    noun: str,
    now: datetime,
) -> Decision:
    """Delete what is not being deleted yet; the end of the others wakes the key."""
    count = sum(len(objects) for _, objects in contents)
    wanting = (
        (resource, obj)
        for resource, objects in contents
        for obj in objects
        if _needs_deleting(obj.metadata)
    )
    turn = list(islice(wanting, DELETES_PER_TURN_MAX))
    more = next(wanting, None) is not None
    left = f"{count} {noun}{'' if count == 1 else 's'} left"
    # While pods are waited for, nothing is said of what is left: nothing else was touched yet.
    said = () if noun == "pod" else contents
    stages: list[Stage] = []
    if turn:
        deletions = tuple(_deletion(resource, obj.metadata) for resource, obj in turn)
        stages.append(Stage(deletions, after_error=lambda error: _tell(facts, said, now, error)))
    return Decision(
        f"{left}: deletes {len(turn)}" if turn else f"{left}: waits for their end",
        (*stages, *_tell(facts, said, now)),
        wake_at=now if more else None,
        subject=facts.space,
        facts={"objects": count, "deletes": len(turn)},
    )


def _tell(
    facts: NamespaceFacts, contents: Contents, now: datetime, error: str = ""
) -> tuple[Stage, ...]:
    """After the deletions, as Kubernetes does: a refused status keeps nothing from going."""
    space = told(facts.space, contents, now, error)
    return () if space is None else (Stage((PutStatus(NAMESPACES, space),)),)


def _needs_deleting(meta: ObjectMeta) -> bool:
    """Whether a DELETE would change something: also when another one left finalizers of its own."""
    if meta.deletionTimestamp is None:
        return True
    graceful = bool(meta.deletionGracePeriodSeconds)
    return not graceful and not PROPAGATION_FINALIZERS.isdisjoint(meta.finalizers or ())


def _deletion(resource: Resource[Any], meta: ObjectMeta) -> Delete:
    return Delete(resource, meta.namespace, meta.name or "", meta.uid or "")
