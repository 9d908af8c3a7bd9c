"""The writes of one turn of a ReplicaSet, in order (pkg/controller/replicaset/replica_set.go).

Pods change hands first, then too many or too few are put right, then the status counts those that
were there before; what was created or deleted shows in the turn that its events cause.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.owners import owner_reference
from kubatch.api.resource import PODS, REPLICASETS
from kubatch.controllers.replicaset import victims
from kubatch.controllers.replicaset.facts import Adoption, PodFacts, ReplicaSetFacts
from kubatch.reconcile.decision import (
    Create,
    Decision,
    Delete,
    Note,
    Patch,
    PutStatus,
    Stage,
    stage,
)
from kubatch.world import whole_seconds

PODS_PER_TURN_MAX = 500  # BurstReplicas
_FAILURE = "ReplicaFailure"
_CREATED = Note("Normal", "SuccessfulCreate", "Created pod: {name}")
_NOT_CREATED = Note("Warning", "FailedCreate", "Error creating: {error}")
_DELETED = Note("Normal", "SuccessfulDelete", "Deleted pod: {name}")
_NOT_DELETED = Note("Warning", "FailedDelete", "Error deleting: {error}")


def decide(facts: ReplicaSetFacts | Adoption, now: datetime) -> Decision:
    """One sync of one ReplicaSet, or the adoption of pods that wait for an owner."""
    if isinstance(facts, Adoption):
        patches = (_adopt(replicaset, pod) for replicaset, pod in facts.pairs)
        count = len(facts.pairs)
        return Decision(f"adopts {count} pod{'' if count == 1 else 's'}", (stage(*patches),))
    stages: list[Stage] = []
    hands = [_adopt(facts.replicaset, pod) for pod in facts.adopt]
    hands += [_release(facts, pod) for pod in facts.release]
    if hands:
        stages.append(stage(*hands))
    because, change = _change(facts, now)
    if change is not None:
        stages.append(change)
    stages += _status(facts, now)
    return Decision(
        because,
        tuple(stages),
        _wake_at(facts, now),
        facts.replicaset,
        facts={"pods": len(facts.pods), "wanted": facts.replicas},
    )


# ----- pods


def _adopt(replicaset: m.ReplicaSet, pod: PodFacts) -> Patch:
    owner = msgspec.to_builtins(owner_reference(replicaset, REPLICASETS))
    return _patch(pod, {"ownerReferences": [owner]})


def _release(facts: ReplicaSetFacts, pod: PodFacts) -> Patch:
    return _patch(pod, {"ownerReferences": [{"$patch": "delete", "uid": facts.uid}]})


def _patch(pod: PodFacts, metadata: dict[str, Any]) -> Patch:
    """The uid makes it fail rather than meet a new pod of an old name."""
    namespace = pod.pod.metadata.namespace if pod.pod.metadata else None
    body = {"metadata": {"uid": pod.uid, **metadata}}
    return Patch(PODS, namespace, pod.name, body, type="strategic")


def _change(facts: ReplicaSetFacts, now: datetime) -> tuple[str, Stage | None]:
    """Create or delete what the number of pods is away from the one asked for."""
    difference = len(facts.pods) - facts.replicas
    if facts.deleting:
        return "is being deleted: leaves its pods to the collector", None
    if difference == 0:
        return f"has the {facts.replicas} pods it asks for", None
    count = min(abs(difference), PODS_PER_TURN_MAX)
    because = f"has {len(facts.pods)} of {facts.replicas} pods"
    if difference < 0:
        writes = tuple(
            Create(
                PODS, _new_pod(facts), done=_CREATED, failed=_NOT_CREATED,
                ignore_causes=("NamespaceTerminating",),
            )
            for _ in range(count)
        )  # fmt: skip
        failed = "FailedCreate"
        change = Stage(
            writes, slow_start=True, after_error=lambda e: _failure(facts, failed, e, now)
        )
        return f"{because}: creates {count}", change
    chosen = victims.choose(facts.pods, count, now)
    deletions = tuple(
        Delete(PODS, facts.namespace, p.name, p.uid, done=_DELETED, failed=_NOT_DELETED)
        for p in chosen
    )
    change = Stage(deletions, after_error=lambda e: _failure(facts, "FailedDelete", e, now))
    return f"{because}: deletes {count}", change


def _new_pod(facts: ReplicaSetFacts) -> m.Pod:
    """controller_utils.go: GetPodFromTemplate."""
    meta = facts.template.metadata or m.ObjectMeta()
    return m.Pod(
        apiVersion=PODS.api_version,
        kind=PODS.kind,
        metadata=m.ObjectMeta(
            generateName=f"{facts.name}-",
            namespace=facts.namespace,
            labels=dict(meta.labels or {}) or None,
            annotations=dict(meta.annotations or {}) or None,
            finalizers=list(meta.finalizers or ()) or None,
            ownerReferences=[owner_reference(facts.replicaset, REPLICASETS)],
        ),
        spec=facts.template.spec,
    )


# ----- status


def _failure(facts: ReplicaSetFacts, reason: str, error: str, now: datetime) -> tuple[Stage, ...]:
    condition = m.ReplicaSetCondition(
        type=_FAILURE,
        status="True",
        lastTransitionTime=whole_seconds(now),
        reason=reason,
        message=error,
    )
    old = facts.status.conditions or []
    # One that is there already stays as it is, whatever the new error says (calculateStatus).
    conditions = old if any(c.type == _FAILURE for c in old) else [*old, condition]
    return tuple(_put(facts, conditions, now))


def _status(facts: ReplicaSetFacts, now: datetime) -> list[Stage]:
    kept = [c for c in facts.status.conditions or () if c.type != _FAILURE]
    return _put(facts, kept, now)


def _put(
    facts: ReplicaSetFacts, conditions: list[m.ReplicaSetCondition], now: datetime
) -> list[Stage]:
    wanted = (facts.template.metadata or m.ObjectMeta()).labels or {}
    meta = facts.replicaset.metadata
    after = replace(
        facts.status,
        replicas=len(facts.pods),
        fullyLabeledReplicas=sum(wanted.items() <= p.labels.items() for p in facts.pods) or None,
        readyReplicas=sum(pod.ready for pod in facts.pods) or None,
        availableReplicas=sum(_is_available(facts, pod, now) for pod in facts.pods) or None,
        terminatingReplicas=facts.terminating,
        observedGeneration=meta.generation if meta is not None else None,
        conditions=list(conditions) or None,
    )
    if after == facts.status:
        return []
    return [stage(PutStatus(REPLICASETS, replace(facts.replicaset, status=after)))]


def _available_at(facts: ReplicaSetFacts, pod: PodFacts) -> datetime | None:
    """When a ready pod counts as available, if that is known (podutil.IsPodAvailable)."""
    return pod.ready_since + facts.min_ready if pod.ready and pod.ready_since else None


def _is_available(facts: ReplicaSetFacts, pod: PodFacts, now: datetime) -> bool:
    if not facts.min_ready:
        return pod.ready
    at = _available_at(facts, pod)
    return at is not None and at <= now


def _wake_at(facts: ReplicaSetFacts, now: datetime) -> datetime | None:
    if not facts.min_ready:
        return None
    moments = (_available_at(facts, pod) for pod in facts.pods)
    return min((at for at in moments if at is not None and at > now), default=None)
