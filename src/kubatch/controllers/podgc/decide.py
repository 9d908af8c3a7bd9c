"""Which pods are removed without asking anybody on a node.

A pod that has not ended is marked as failed first, so that whoever counts it counts a failure; then
it is deleted without grace. Both can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from kubatch.api import models as m
from kubatch.api.resource import NODES, PODS
from kubatch.controllers.podgc.facts import (
    NodeDown,
    NodeGone,
    PodGcFacts,
    Unscheduled,
    is_finished,
)
from kubatch.reconcile.decision import Absent, Decision, Delete, Patch, Stage

# kube-controller-manager's --terminated-pod-gc-threshold
FINISHED_PODS_MAX = 12_500
PERIOD = timedelta(seconds=20)  # gcCheckPeriod
# A node may have been deleted by mistake, and its agent registers it again (quarantineTime).
QUARANTINE = timedelta(seconds=40)
PODS_PER_TURN_MAX = 500
_LOST = ("DeletionByPodGC", "PodGC: node no longer exists")


def decide(facts: PodGcFacts, now: datetime, *, finished_max: int = FINISHED_PODS_MAX) -> Decision:
    """What to remove. With 0 or less any number of finished pods may stay."""
    match facts:
        case NodeGone():
            return _orphans(facts, now)
        case NodeDown():
            because = f"{_count(facts.pods)} on {facts.node}, which is out of service"
            return Decision(f"removes {because}", _remove(facts.pods, now))
        case Unscheduled():
            because = "is asked to go and never had a node: removes it"
            return Decision(because, _remove([facts.pod], now), subject=facts.pod)
        case _:
            return _finished(facts.pods, finished_max, now)


def _orphans(facts: NodeGone, now: datetime) -> Decision:
    since = facts.since or now
    if now < since + QUARANTINE:
        because = f"{facts.node} is gone: its pods are left alone for a while"
        return Decision(because, wake_at=since + QUARANTINE, remember=since)
    turn = facts.pods[:PODS_PER_TURN_MAX]
    return Decision(
        f"{facts.node} is gone: removes {_count(turn)}",
        (Stage((Absent(NODES, None, facts.node),)), *_remove(turn, now, _LOST)),
        wake_at=now if len(facts.pods) > len(turn) else None,
        remember=since,
    )


def _finished(pods: Sequence[m.Pod], most: int, now: datetime) -> Decision:
    """The surplus, evicted ones first, then the oldest (byEvictionAndCreationTimestamp)."""
    surplus = len(pods) - most
    if most <= 0 or surplus <= 0:
        return Decision(f"{_count(pods)} finished, which is not too many", wake_at=now + PERIOD)
    # Those with a finalizer stay until it is taken off; once is enough.
    first = [pod for pod in sorted(pods, key=_rank)[:surplus] if _undeleted(pod)]
    turn = first[:PODS_PER_TURN_MAX]
    return Decision(
        f"{_count(pods)} finished, {surplus} too many: removes {len(turn)}",
        _remove(turn, now),
        wake_at=now if len(first) > len(turn) else now + PERIOD,
    )


def _undeleted(pod: m.Pod) -> bool:
    return pod.metadata is not None and pod.metadata.deletionTimestamp is None


def _rank(pod: m.Pod) -> tuple[bool, float, str]:
    meta = pod.metadata or m.ObjectMeta()
    evicted = pod.status is not None and pod.status.reason == "Evicted"
    created = meta.creationTimestamp
    return (not evicted, created.timestamp() if created else 0.0, meta.name or "")


def _remove(
    pods: Iterable[m.Pod], now: datetime, why: tuple[str, str] | None = None
) -> tuple[Stage, ...]:
    metas = [(pod, pod.metadata or m.ObjectMeta()) for pod in pods]
    failures = tuple(
        Patch(
            PODS, meta.namespace, meta.name or "", _failed(meta, now, why),
            type="strategic", subresource="status",
        )
        for pod, meta in metas
        if not is_finished(pod)
    )  # fmt: skip
    deletions = tuple(
        Delete(
            PODS, meta.namespace, meta.name or "", meta.uid or "",
            grace_period_seconds=0, propagation=None,
        )
        for _, meta in metas
    )  # fmt: skip
    return tuple(Stage(writes) for writes in (failures, deletions) if writes)


def _failed(meta: m.ObjectMeta, now: datetime, why: tuple[str, str] | None) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": "Failed"}
    if why is not None:
        reason, message = why
        condition: dict[str, Any] = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        }
        if meta.generation:
            condition["observedGeneration"] = meta.generation
        status["conditions"] = [condition]
    return {"metadata": {"uid": meta.uid}, "status": status}


def _count(pods: Sequence[m.Pod]) -> str:
    return f"{len(pods)} pod{'' if len(pods) == 1 else 's'}"
