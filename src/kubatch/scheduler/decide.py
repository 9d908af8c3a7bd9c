"""Which pods go where.

One stage binds all pods that fit, others say of the rest why they do not. These do not depend on
each other: a crash between them leaves pods that the next turn looks at again. A pod for which
others have to go is nominated to their node first, and then they are asked to go: with the
nomination alone the next turn asks them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from kubatch.api import models as m
from kubatch.api.conditions import find
from kubatch.api.resource import PODS
from kubatch.reconcile.decision import Bind, Decision, Delete, Emit, Note, Patch, Stage, stage
from kubatch.scheduler.facts import PodFacts, SchedulerFacts
from kubatch.scheduler.filters import Room
from kubatch.scheduler.occupants import Occupant
from kubatch.scheduler.turn import Refused, Turn
from kubatch.world import whole_seconds

MAX_BINDS = 500
EFFORT_MAX = 5_000  # nodes asked about the neighbours of pods bound in one turn
NOTE_MAX = 1024  # events.k8s.io allows no longer note (schedule_one.go: truncateMessage)
# Pods that fit nowhere are looked at again after this long, whatever happens
# (scheduling_queue.go: DefaultPodMaxInUnschedulablePodsDuration).
UNSCHEDULABLE_MAX = timedelta(minutes=5)
_PREEMPTED = "default-scheduler: preempting to accommodate a higher priority pod"


def decide(facts: SchedulerFacts, now: datetime) -> Decision:
    """Bind what fits, the most important and then the oldest first.

    A pod that does not fit is told so once; it is looked at again when a node changes or a pod
    gives up its room, and nothing is written while the answer stays the same.
    """
    turn = Turn(facts)
    binds: list[Bind] = []
    hopeless: list[tuple[PodFacts, Refused]] = []
    cut = False
    for pod in facts.waiting:
        if len(binds) == MAX_BINDS or turn.effort > EFFORT_MAX:
            cut = True
            break
        answer = turn.place(pod)
        if isinstance(answer, Room):
            binds.append(_bind(pod, answer.node.name))
        elif answer is None:
            cut = True
        else:
            hopeless.append((pod, answer))
    news = [(pod, refused) for pod, refused in hopeless if not _is_known(pod, refused)]
    preempting = [(pod, refused) for pod, refused in hopeless if refused.victims]
    stages = [stage(*binds)] if binds else []
    # A pod that wants another near may have come before it in this turn.
    again = cut or turn.loosened or (bool(binds) and any(pod.terms.near for pod, _ in hopeless))
    later = now + UNSCHEDULABLE_MAX if hopeless else None
    return Decision(
        because=_because(len(binds), len(hopeless), turn.last_message, len(preempting)),
        stages=(*stages, *_tell(news, now), *_preempt(preempting, facts, now)),
        wake_at=now if again else later,
        remember=facts,
        facts={"bound": len(binds), "unschedulable": len(hopeless)},
    )


# ----- words


def _because(bound: int, hopeless: int, last_message: str, preempting: int) -> str:
    parts: list[str] = []
    if bound:
        parts.append(f"binds {bound} pod{'' if bound == 1 else 's'}")
    if hopeless:
        pods = "1 pod fits" if hopeless == 1 else f"{hopeless} pods fit"
        parts.append(f"{pods} no node: {last_message}")
    if preempting:
        parts.append(f"asks others to go for {preempting}")
    return "; ".join(parts) or "no pod waits"


# ----- writes


def _bind(pod: PodFacts, node: str) -> Bind:
    message = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
    note = Note("Normal", "Scheduled", message, about=pod.pod)
    return Bind(pod.namespace, pod.name, pod.uid, node, done=note)


def _is_known(pod: PodFacts, refused: Refused) -> bool:
    """Whether the pod's status says all this."""
    condition = _pod_scheduled(pod.pod)
    told = condition is not None and (condition.status, condition.reason) == (
        "False",
        "Unschedulable",
    )
    if refused.quiet and told:
        return True
    nominated = refused.nominate in (None, pod.nominated)
    return told and nominated and condition is not None and condition.message == refused.message


def _pod_scheduled(pod: m.Pod) -> m.PodCondition | None:
    return find(pod.status.conditions if pod.status else None, "PodScheduled")


def _tell(news: Sequence[tuple[PodFacts, Refused]], now: datetime) -> list[Stage]:
    if not news:
        return []
    patches = (_patch(pod, refused, now) for pod, refused in news)
    notes = (
        Emit(Note("Warning", "FailedScheduling", _truncated(refused.message), about=pod.pod))
        for pod, refused in news
    )
    return [stage(*patches), stage(*notes)]


def _patch(pod: PodFacts, refused: Refused, now: datetime) -> Patch:
    condition = _condition(pod.pod, "PodScheduled", "False", "Unschedulable", refused.message, now)
    status: dict[str, Any] = {"conditions": [condition]}
    if refused.nominate is not None:
        status["nominatedNodeName"] = refused.nominate or None
    return _status(pod.occupant, status)


def _condition(
    pod: m.Pod, type: str, status: str, reason: str, message: str, now: datetime
) -> dict[str, Any]:
    condition: dict[str, Any] = {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
    }
    generation = pod.metadata.generation if pod.metadata else None
    if generation:
        condition["observedGeneration"] = generation
    before = find(pod.status.conditions if pod.status else None, type)
    if before is None or before.status != status:
        condition["lastTransitionTime"] = whole_seconds(now).strftime("%Y-%m-%dT%H:%M:%SZ")
    return condition


def _status(pod: Occupant, status: dict[str, Any]) -> Patch:
    return Patch(
        PODS,
        pod.namespace,
        pod.name,
        {"status": status},
        type="strategic",
        subresource="status",
    )


def _preempt(
    preempting: Sequence[tuple[PodFacts, Refused]], facts: SchedulerFacts, now: datetime
) -> list[Stage]:
    """Ask the victims to go (preemption.go: prepareCandidate), each for one pod only."""
    asked: dict[str, tuple[PodFacts, str, Occupant]] = {}
    for pod, refused in preempting:
        for victim in refused.victims:
            if not victim.going:
                asked.setdefault(victim.uid, (pod, refused.nominate or "", victim))
    stages: list[Stage] = []
    if outdone := list(_outdone(preempting, facts)):
        stages.append(stage(*outdone))
    if asked:
        stages.append(stage(*(_marked(victim, now) for _, _, victim in asked.values())))
        stages.append(stage(*(_eviction(*one) for one in asked.values())))
    return stages


def _outdone(
    preempting: Sequence[tuple[PodFacts, Refused]], facts: SchedulerFacts
) -> Iterable[Patch]:
    """Less important pods lose their nomination to the node (getLowerPriorityNominatedPods)."""
    least: dict[str, int] = {}
    for pod, refused in preempting:
        if refused.nominate:
            least[refused.nominate] = max(
                pod.occupant.priority, least.get(refused.nominate, pod.occupant.priority)
            )
    busy = {pod.uid for pod, _ in preempting}
    for other in facts.waiting:
        bound = least.get(other.nominated)
        if bound is not None and other.occupant.priority < bound and other.uid not in busy:
            yield _status(other.occupant, {"nominatedNodeName": None})


def _marked(victim: Occupant, now: datetime) -> Patch:
    target = _condition(
        victim.pod, "DisruptionTarget", "True", "PreemptionByScheduler", _PREEMPTED, now
    )
    patch = _status(victim, {"conditions": [target]})
    patch.patch["metadata"] = {"uid": victim.uid}
    return patch


def _eviction(pod: PodFacts, node: str, victim: Occupant) -> Delete:
    message = f"Preempted by pod {pod.uid} on node {node}"
    return Delete(
        PODS,
        victim.namespace,
        victim.name,
        victim.uid,
        propagation=None,
        done=Note("Normal", "Preempted", message, about=victim.pod),
    )


def _truncated(message: str) -> str:
    ending = " ..."
    return message if len(message) <= NOTE_MAX else message[: NOTE_MAX - len(ending)] + ending
