"""Which taints a node should have (doNoScheduleTaintingPass, processTaintBaseEviction).

NoSchedule follows the conditions at once. NoExecute, which drives pods away, also looks at the
other nodes: while none of them is ready there is nowhere to go, and it is our own connection that
is probably broken (handleDisruption: fullDisruption). All nodes count as one zone.
"""

from __future__ import annotations

from datetime import datetime

from kubatch.api.conditions import find
from kubatch.api.models import Taint
from kubatch.api.taints import NO_EXECUTE, NO_SCHEDULE
from kubatch.controllers.nodes.facts import Fleet, NodeFacts
from kubatch.world import whole_seconds

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
# condition type, status, taint (nodeConditionToTaintKeyStatusMap)
TAINTS = (
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
)
MANAGED = frozenset(
    {
        (UNSCHEDULABLE, NO_SCHEDULE),
        *((key, NO_SCHEDULE) for _, _, key in TAINTS),
        (NOT_READY, NO_EXECUTE),
        (UNREACHABLE, NO_EXECUTE),
    }
)
# More nodes than this many, and this share of them, not ready: an outage, not a dead node
# (--unhealthy-zone-threshold).
OUTAGE_NODES = 2
OUTAGE_PERCENT = 55


def wanted(facts: NodeFacts, now: datetime) -> list[Taint]:
    """All taints of the node; one that is there already stays as it is."""
    asked = _asked(facts)
    kept = [t for t in facts.taints if (t.key, t.effect) not in MANAGED or _id(t) in asked]
    present = {_id(t) for t in kept}
    moment = whole_seconds(now)
    new = [
        Taint(key=key, effect=effect, timeAdded=moment)
        for key, effect in asked
        if (key, effect) not in present
    ]
    return [*kept, *new]


def _asked(facts: NodeFacts) -> list[tuple[str, str]]:
    asked = [(key, NO_SCHEDULE) for type, status, key in TAINTS if _status(facts, type) == status]
    if facts.unschedulable:
        asked.append((UNSCHEDULABLE, NO_SCHEDULE))
    key = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(facts.ready)
    if key is not None and (drives_away(facts.fleet) or _has_driven_away(facts)):
        asked.append((key, NO_EXECUTE))
    return asked


def _has_driven_away(facts: NodeFacts) -> bool:
    """In an outage no taint is added, and none taken back; with no node ready, all are."""
    tainted = any(_id(t) in MANAGED and t.effect == NO_EXECUTE for t in facts.taints)
    return tainted and facts.fleet.not_ready < facts.fleet.nodes


def drives_away(fleet: Fleet) -> bool:
    """Whether pods should leave nodes that are not ready (ComputeZoneState)."""
    if fleet.not_ready >= fleet.nodes:
        return False
    return fleet.not_ready <= OUTAGE_NODES or 100 * fleet.not_ready < OUTAGE_PERCENT * fleet.nodes


def _status(facts: NodeFacts, type: str) -> str | None:
    condition = find(facts.conditions, type)
    return condition.status if condition is not None else None


def _id(taint: Taint) -> tuple[str, str]:
    return (taint.key, taint.effect)
