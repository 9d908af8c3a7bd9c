"""Nodes in few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kubatch.api import models as m
from kubatch.controllers.nodes.decide import decide
from kubatch.controllers.nodes.facts import read
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Decision, Emit, Patch, PutStatus
from tests.unit.controllers.static_view import StaticView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PREFIX = "node.kubernetes.io/"


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def node(
    name: str = "n",
    conditions: Mapping[str, str] | None = None,
    taints: Sequence[str] = (),
    *,
    unschedulable: bool = False,
    uid: str = "uid",
) -> m.Node:
    """Taints are written key:Effect, without their prefix when they are Kubernetes' own."""
    made = []
    for text in taints:
        key, _, effect = text.partition(":")
        made.append(
            m.Taint(key=key if "/" in key or key == "mine" else PREFIX + key, effect=effect)
        )
    return m.Node(
        metadata=m.ObjectMeta(name=name, resourceVersion="5", uid=uid, creationTimestamp=NOW),
        spec=m.NodeSpec(taints=made or None, unschedulable=unschedulable or None),
        status=m.NodeStatus(
            conditions=[
                m.NodeCondition(type=t, status=s, lastHeartbeatTime=NOW)
                for t, s in (conditions or {}).items()
            ]
        ),
    )


def lease(renewed: datetime, name: str = "n") -> m.Lease:
    meta = m.ObjectMeta(name=name, namespace="kube-node-lease")
    return m.Lease(metadata=meta, spec=m.LeaseSpec(renewTime=renewed))


def ready_pod(name: str, where: str = "n") -> m.Pod:
    return m.Pod(
        metadata=m.ObjectMeta(name=name, namespace="default", uid=f"uid-{name}"),
        spec=m.PodSpec(containers=[], nodeName=where),
        status=m.PodStatus(
            phase="Running", conditions=[m.PodCondition(type="Ready", status="True")]
        ),
    )


def look(now: datetime, *objects: Any, remembered: Any = None) -> Decision:
    facts = read(StaticView(*objects), Key("", "n"), remembered)
    assert facts is not None
    return decide(facts, now)


def shown(decision: Decision) -> list[str]:
    """What a decision does, one line each."""
    return [_line(write) for stage in decision.stages for write in stage.writes]


def _line(write: Any) -> str:
    match write:
        case Emit():
            about = f" {write.note.about.metadata.name}" if write.note.about else ""
            return f"{write.note.type} {write.note.reason}{about}"
        case PutStatus():
            states = [f"{c.type}={c.status}" for c in write.obj.status.conditions]
            return f"status {' '.join(states)}"
        case Patch() if "spec" in write.patch:
            assert write.patch["metadata"] == {"resourceVersion": "5"}
            taints = write.patch["spec"]["taints"] or []
            listed = [f"{t['key'].removeprefix(PREFIX)}:{t['effect']}" for t in taints]
            return f"taints {' '.join(listed)}".strip()
        case Patch():
            [condition] = write.patch["status"]["conditions"]
            return f"{write.name} {condition['type']}={condition['status']}"
        case _:
            raise AssertionError(write)
