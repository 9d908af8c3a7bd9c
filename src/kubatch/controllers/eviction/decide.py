"""Which pods have to go, and when (pkg/controller/tainteviction/taint_eviction.go).

A pod is told why before it is deleted: its DisruptionTarget condition lets a Job see that the
failure was not the pod's own.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from kubatch.api import models as m
from kubatch.api.resource import PODS
from kubatch.api.taints import tolerates
from kubatch.controllers.eviction.facts import EvictionFacts
from kubatch.reconcile.decision import Decision, Delete, Emit, Note, Patch, stage

_REASON = "DeletionByTaintManager"
_MESSAGE = "Taint manager: deleting due to NoExecute taint"


def decide(facts: EvictionFacts, now: datetime) -> Decision:
    """Evict whose time has come; the timer of the others starts when they are first seen."""
    timers: dict[str, datetime] = {}
    evicted: list[m.Pod] = []
    spared: list[m.Pod] = []
    for pod in facts.pods:
        uid = _meta(pod).uid or ""
        stay = patience(pod, facts.taints)
        if stay is None:
            if uid in facts.timers:
                spared.append(pod)
            continue
        # A timer that runs is not set anew (processPodOnNode), but no patience at all ends it.
        due = facts.timers.get(uid, now + stay) if stay else now
        if due <= now:
            evicted.append(pod)
        else:
            timers[uid] = due
    stages = [
        stage(*(Emit(_note("Cancelling deletion of", pod)) for pod in spared)),
        stage(*(Emit(_note("Marking for deletion", pod)) for pod in evicted)),
        stage(*(_condition(pod, now) for pod in evicted)),
        stage(*(_delete(pod) for pod in evicted)),
    ]
    return Decision(
        f"{len(evicted)} pods have to go, {len(timers)} later, {len(spared)} may stay",
        tuple(one for one in stages if one.writes),
        min(timers.values(), default=None),
        remember=timers or None,
    )


def patience(pod: m.Pod, taints: tuple[m.Taint, ...]) -> timedelta | None:
    """How long a pod bears a node's taints; None: for ever (getMinTolerationTime)."""
    tolerations = (pod.spec.tolerations if pod.spec else None) or ()
    used: list[m.Toleration] = []
    for taint in taints:
        found = next((t for t in tolerations if tolerates(t, taint)), None)
        if found is None:
            return timedelta()
        used.append(found)
    limits = [t.tolerationSeconds for t in used if t.tolerationSeconds is not None]
    # More than a century is for ever, and too much for arithmetic.
    longest = min(limits, default=None)
    if longest is None or longest > 36_500 * 86_400:
        return None
    return timedelta(seconds=max(0, longest))


def _meta(pod: m.Pod) -> m.ObjectMeta:
    return pod.metadata or m.ObjectMeta()


def _note(what: str, pod: m.Pod) -> Note:
    meta = _meta(pod)
    message = f"{what} Pod {meta.namespace}/{meta.name}"
    return Note("Normal", "TaintManagerEviction", message, pod)


def _condition(pod: m.Pod, now: datetime) -> Patch:
    meta = _meta(pod)
    condition: dict[str, Any] = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": _REASON,
        "message": _MESSAGE,
        "lastTransitionTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
    }
    if meta.generation:
        condition["observedGeneration"] = meta.generation
    body = {"metadata": {"uid": meta.uid}, "status": {"conditions": [condition]}}
    return Patch(
        PODS, meta.namespace, meta.name or "", body, type="strategic", subresource="status"
    )


def _delete(pod: m.Pod) -> Delete:
    meta = _meta(pod)
    return Delete(PODS, meta.namespace, meta.name or "", meta.uid or "", propagation=None)
