"""From a node's conditions to its NoSchedule taints.

Rules: pkg/controller/nodelifecycle/node_lifecycle_controller.go: doNoScheduleTaintingPass. One
write per turn, and it holds the node's resourceVersion: a taint somebody adds meanwhile stays.
"""

from __future__ import annotations

from datetime import datetime

from kubatch.api import codec
from kubatch.api.models import Taint
from kubatch.api.resource import NODES
from kubatch.controllers.nodes.facts import NodeFacts
from kubatch.reconcile.decision import Decision, Patch, stage

NO_SCHEDULE = "NoSchedule"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
# condition type, status, taint (nodeConditionToTaintKeyStatusMap)
TAINTS = (
    ("Ready", "False", "node.kubernetes.io/not-ready"),
    ("Ready", "Unknown", "node.kubernetes.io/unreachable"),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
)
MANAGED = frozenset({UNSCHEDULABLE, *(key for _, _, key in TAINTS)})


def decide(facts: NodeFacts, now: datetime) -> Decision:
    """Make the taints say what the conditions say."""
    wanted = _wanted(facts)
    if wanted is None:
        return Decision(because="the node has not reported yet", subject=facts.node)
    present = {t.key for t in facts.taints if t.effect == NO_SCHEDULE and t.key in MANAGED}
    if present == set(wanted):
        return Decision(because="taints and conditions agree", subject=facts.node)
    kept = [t for t in facts.taints if t.effect != NO_SCHEDULE or t.key not in MANAGED]
    taints = [*kept, *(Taint(key=key, effect=NO_SCHEDULE) for key in wanted)]
    patch = {
        "metadata": {"resourceVersion": facts.resource_version},
        "spec": {"taints": [codec.to_plain(t) for t in taints] or None},
    }
    return Decision(
        because=f"the conditions ask for the taints {', '.join(wanted) or 'none'}",
        stages=(stage(Patch(NODES, None, facts.name, patch)),),
        subject=facts.node,
    )


def _wanted(facts: NodeFacts) -> list[str] | None:
    """The keys of the taints asked for; None while the node's agent has not said anything."""
    if "Ready" not in facts.conditions:
        return None
    keys = [key for type, status, key in TAINTS if facts.conditions.get(type) == status]
    return [*keys, UNSCHEDULABLE] if facts.unschedulable else keys
