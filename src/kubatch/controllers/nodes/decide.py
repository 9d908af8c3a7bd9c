"""What to do about a node, one kind of write per turn.

Rules: pkg/controller/nodelifecycle/node_lifecycle_controller.go. First the status says whether the
node is heard of; the next turn, which that write causes, makes taints and pods agree. The write of
taints holds the node's resourceVersion: a taint somebody adds meanwhile stays.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from kubatch.api import codec
from kubatch.api import models as m
from kubatch.api.resource import NODES, PODS
from kubatch.controllers.nodes import health, tainting
from kubatch.controllers.nodes.facts import Memory, NodeFacts
from kubatch.controllers.nodes.health import Health
from kubatch.reconcile.decision import Decision, Emit, Note, Patch, PutStatus, Stage, stage

# How often a node that is not ready is looked at: what happens to it depends on the others.
RECHECK = timedelta(seconds=10)


def decide(facts: NodeFacts, now: datetime) -> Decision:
    """One look at a node. A healthy one gets it when its lease is renewed."""
    if facts.gone:
        message = f"Node {facts.name} event: Removing Node {facts.name} from Controller"
        return Decision(
            "the node is gone",
            (stage(Emit(Note("Normal", "RemovingNode", message))),),
            subject=facts.node,
        )
    found = health.judge(facts, now)
    stages: list[Stage] = []
    if facts.memory is None:
        message = f"Node {facts.name} event: Registered Node {facts.name} in Controller"
        stages.append(stage(Emit(Note("Normal", "RegisteredNode", message))))
    conditions = health.unknown(facts, now) if found.silent else facts.conditions
    if conditions is not facts.conditions:
        stages += _lost(facts, conditions)
        because = f"not heard of since {found.heard:%Y-%m-%d %H:%M:%SZ}"
        return _decision(facts, found, because, stages, now)
    because, change = _taints(facts, now)
    stages += change
    stages += _mark(facts, now)
    return _decision(facts, found, because, stages, now)


def _decision(
    facts: NodeFacts, found: Health, because: str, stages: list[Stage], now: datetime
) -> Decision:
    unwell = facts.ready in ("False", "Unknown")
    wake_at = now + RECHECK if found.silent else found.silent_at + timedelta(milliseconds=1)
    if unwell:
        wake_at = min(wake_at, now + RECHECK)
    known = facts.memory.marked if facts.memory is not None else frozenset[str]()
    marked = known | {_uid(pod) for pod in facts.ready_pods} if unwell else frozenset[str]()
    return Decision(
        because,
        tuple(stages),
        wake_at,
        facts.node,
        Memory(facts.node, facts.heartbeat, facts.renewed, found.heard, wake_at, marked),
    )


def _lost(facts: NodeFacts, conditions: tuple[m.NodeCondition, ...]) -> list[Stage]:
    status = replace(facts.node.status or m.NodeStatus(), conditions=list(conditions))
    stages = [stage(PutStatus(NODES, replace(facts.node, status=status)))]
    if facts.ready == "True":
        message = f"Node {facts.name} status is now: NodeNotReady"
        stages.append(stage(Emit(Note("Normal", "NodeNotReady", message))))
    return stages


def _taints(facts: NodeFacts, now: datetime) -> tuple[str, list[Stage]]:
    if not facts.ready:
        return "the node has not reported yet", []
    taints = tainting.wanted(facts, now)
    if taints == list(facts.taints):
        return "taints and conditions agree", []
    assert facts.node.metadata is not None
    patch = {
        "metadata": {"resourceVersion": facts.node.metadata.resourceVersion},
        "spec": {"taints": [codec.to_plain(t) for t in taints] or None},
    }
    asked = ", ".join(f"{t.key}:{t.effect}" for t in taints) or "none"
    because = f"the conditions ask for the taints {asked}"
    return because, [stage(Patch(NODES, None, facts.name, patch))]


def _mark(facts: NodeFacts, now: datetime) -> list[Stage]:
    """Show the node's pods as not ready, once (controller_utils.go: MarkPodsNotReady).

    Their phase stays: a node that comes back finds them running.
    """
    known = facts.memory.marked if facts.memory is not None else frozenset[str]()
    pods = [pod for pod in facts.ready_pods if _uid(pod) not in known]
    if not pods:
        return []
    notes = (Note("Warning", "NodeNotReady", "Node is not ready", pod) for pod in pods)
    return [stage(*(_not_ready(pod, now) for pod in pods)), stage(*map(Emit, notes))]


def _not_ready(pod: m.Pod, now: datetime) -> Patch:
    assert pod.metadata is not None
    moment = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    condition = {"type": "Ready", "status": "False", "lastTransitionTime": moment}
    body = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
    return Patch(
        PODS,
        pod.metadata.namespace,
        pod.metadata.name or "",
        body,
        type="strategic",
        subresource="status",
    )


def _uid(pod: m.Pod) -> str:
    return (pod.metadata.uid if pod.metadata else None) or ""
