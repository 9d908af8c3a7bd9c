"""Whether a node is still heard of (node_lifecycle_controller.go: tryUpdateNodeHealth).

A changed heartbeat or a renewed lease counts, and when it was seen here: clocks of different
machines are never compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.conditions import replaced
from kubatch.controllers.nodes.facts import NodeFacts
from kubatch.world import whole_seconds

GRACE = timedelta(seconds=50)  # --node-monitor-grace-period
STARTUP_GRACE = timedelta(seconds=60)  # --node-startup-grace-period: nodes that never reported
# Whoever wakes up so much later than planned did not listen, and may not complain of silence.
OVERSLEPT = timedelta(seconds=10)
_JUDGED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_STOPPED = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
_NEVER = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")


@dataclass(frozen=True, slots=True)
class Health:
    """When a node was last heard of, and whether that is too long ago."""

    heard: datetime
    silent: bool
    silent_at: datetime


def judge(facts: NodeFacts, now: datetime) -> Health:
    """How it stands now."""
    heard = _heard(facts, now)
    silent_at = heard + (GRACE if facts.ready else STARTUP_GRACE)
    return Health(heard, now > silent_at, silent_at)


def _heard(facts: NodeFacts, now: datetime) -> datetime:
    memory = facts.memory
    if memory is None:
        created = facts.node.metadata.creationTimestamp if facts.node.metadata else None
        return now if facts.ready or created is None else min(created, now)
    renewed = facts.renewed is not None and (
        memory.renewed is None or memory.renewed < facts.renewed
    )
    if renewed or facts.heartbeat != memory.heartbeat or now > memory.wake_at + OVERSLEPT:
        return now
    return min(memory.heard, now)


def unknown(facts: NodeFacts, now: datetime) -> tuple[m.NodeCondition, ...]:
    """The conditions of a node nobody hears of: the same value when they say so already."""
    moment = whole_seconds(now)
    conditions = facts.conditions
    for kind in _JUDGED:
        old = next((c for c in conditions if c.type == kind), None)
        if old is not None and old.status == "Unknown":
            continue
        reason, message = _NEVER if old is None else _STOPPED
        base = old or m.NodeCondition(
            type=kind, status="", lastHeartbeatTime=_created(facts) or moment
        )
        new = replace(
            base, status="Unknown", reason=reason, message=message, lastTransitionTime=moment
        )
        conditions = tuple(replaced(conditions, new))
    return conditions


def _created(facts: NodeFacts) -> datetime | None:
    return facts.node.metadata.creationTimestamp if facts.node.metadata else None
