"""Which pods go where.

One stage binds all pods that fit, another says of the rest why they do not. The stages do not
depend on each other: a crash between them leaves pods that the next turn looks at again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kubatch.api import models as m
from kubatch.api.conditions import find
from kubatch.api.resource import PODS
from kubatch.reconcile.decision import Bind, Decision, Emit, Note, Patch, Stage, stage
from kubatch.scheduler import filters, scores
from kubatch.scheduler.facts import PodFacts, SchedulerFacts
from kubatch.scheduler.filters import Refusal, Room
from kubatch.world import whole_seconds

MAX_BINDS = 500
NOTE_MAX = 1024  # events.k8s.io allows no longer note (schedule_one.go: truncateMessage)
NO_NODES = "no nodes available to schedule pods"


def decide(facts: SchedulerFacts, now: datetime) -> Decision:
    """Bind what fits, the most important and then the oldest first.

    A pod that does not fit is told so once; it is looked at again when a node changes or a pod
    gives up its room, and nothing is written while the answer stays the same.
    """
    turn = _Turn(facts)
    binds: list[Bind] = []
    hopeless: list[tuple[PodFacts, str]] = []
    cut = False
    for pod in facts.waiting:
        if len(binds) == MAX_BINDS:
            cut = True
            break
        answer = turn.place(pod)
        if isinstance(answer, Room):
            binds.append(_bind(pod, answer.node.name))
        else:
            hopeless.append((pod, answer))
    news = [(pod, message) for pod, message in hopeless if not _says(pod.pod, message)]
    stages = [stage(*binds)] if binds else []
    return Decision(
        because=_because(len(binds), len(hopeless), turn.last_message),
        stages=(*stages, *_tell(news, now)),
        wake_at=now if cut else None,
        remember=facts,
        facts={"bound": len(binds), "unschedulable": len(hopeless)},
    )


class _Turn:
    """The nodes while pods are being placed, and what is known about pods of each shape."""

    def __init__(self, facts: SchedulerFacts) -> None:
        self.rooms = [Room(node) for node in facts.nodes]
        self.last_message = ""
        self._static: dict[bytes, list[Refusal | None]] = {}
        # Room only shrinks within a turn, so what failed once fails again.
        self._failed: dict[bytes, str] = {}

    def place(self, pod: PodFacts) -> Room | str:
        """The room for a pod, taken; or why there is none."""
        known = self._failed.get(pod.shape)
        if known is not None:
            return known
        static = self._static.get(pod.shape)
        if static is None:
            static = [filters.static_refusal(pod, room.node) for room in self.rooms]
            self._static[pod.shape] = static
        refusals = [
            refusal or filters.refusal(pod, room)
            for room, refusal in zip(self.rooms, static, strict=True)
        ]
        free = [room for room, no in zip(self.rooms, refusals, strict=True) if no is None]
        if free:
            room = scores.best(pod, free)
            room.take(pod)
            return room
        message = unschedulable_message(pod, [no for no in refusals if no is not None])
        self._failed[pod.shape] = self.last_message = message
        return message


# ----- words


def unschedulable_message(pod: PodFacts, refusals: Sequence[Refusal]) -> str:
    """Why no node takes a pod, and why preemption would not help (framework: FitError.Error).

    The middle part is what the plugins for device claims say, with or without claims.
    """
    if not refusals:
        return NO_NODES
    total = len(refusals)
    reasons = Counter(reason for refusal in refusals for reason in refusal.reasons)
    if pod.spec.preemptionPolicy == "Never":
        preemption = "not eligible due to preemptionPolicy=Never."
    else:
        preemption = _available(total, Counter(_preemption(refusal) for refusal in refusals))
    return f"{_available(total, reasons)} no new claims to deallocate, preemption: {preemption}"


def _available(total: int, reasons: Counter[str]) -> str:
    listed = sorted(f"{count} {reason}" for reason, count in reasons.items())
    return f"0/{total} nodes are available: {', '.join(listed)}."


def _preemption(refusal: Refusal) -> str:
    if refusal.for_good:
        return "Preemption is not helpful for scheduling"
    return "No preemption victims found for incoming pod"


def _because(bound: int, hopeless: int, last_message: str) -> str:
    parts: list[str] = []
    if bound:
        parts.append(f"binds {bound} pod{'' if bound == 1 else 's'}")
    if hopeless:
        pods = "1 pod fits" if hopeless == 1 else f"{hopeless} pods fit"
        parts.append(f"{pods} no node: {last_message}")
    return "; ".join(parts) or "no pod waits"


# ----- writes


def _bind(pod: PodFacts, node: str) -> Bind:
    message = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
    note = Note("Normal", "Scheduled", message, about=pod.pod)
    return Bind(pod.namespace, pod.name, pod.uid, node, done=note)


def _says(pod: m.Pod, message: str) -> bool:
    condition = _pod_scheduled(pod)
    return (
        condition is not None
        and (condition.status, condition.reason) == ("False", "Unschedulable")
        and condition.message == message
    )


def _pod_scheduled(pod: m.Pod) -> m.PodCondition | None:
    return find(pod.status.conditions if pod.status else None, "PodScheduled")


def _tell(news: Sequence[tuple[PodFacts, str]], now: datetime) -> list[Stage]:
    if not news:
        return []
    patches = (_patch(pod, message, now) for pod, message in news)
    notes = (
        Emit(Note("Warning", "FailedScheduling", _truncated(message), about=pod.pod))
        for pod, message in news
    )
    return [stage(*patches), stage(*notes)]


def _patch(pod: PodFacts, message: str, now: datetime) -> Patch:
    condition: dict[str, Any] = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
    }
    generation = pod.pod.metadata.generation if pod.pod.metadata else None
    if generation:
        condition["observedGeneration"] = generation
    before = _pod_scheduled(pod.pod)
    if before is None or before.status != "False":
        condition["lastTransitionTime"] = whole_seconds(now).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Patch(
        PODS,
        pod.namespace,
        pod.name,
        {"status": {"conditions": [condition]}},
        type="strategic",
        subresource="status",
    )


def _truncated(message: str) -> str:
    ending = " ..."
    return message if len(message) <= NOTE_MAX else message[: NOTE_MAX - len(ending)] + ending
