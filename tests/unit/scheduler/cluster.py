"""Pods and nodes for scheduler tests, and a view of them in plain lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from kubatch.api import codec
from kubatch.api import models as m
from kubatch.api.conditions import replaced
from kubatch.api.resource import (
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PODDISRUPTIONBUDGETS,
    PODS,
    Resource,
)
from kubatch.reconcile.controller import Index
from kubatch.reconcile.decision import Bind, Decision, Delete, Emit, Patch
from kubatch.scheduler import controller
from kubatch.scheduler.facts import KEY

T = TypeVar("T")
START = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)


def container(name: str = "main", restart: str | None = None, **requests: str) -> m.Container:
    named = {key.replace("_", "-"): value for key, value in requests.items()}
    return m.Container(
        name=name, restartPolicy=restart, resources=m.ResourceRequirements(requests=named)
    )


def make_pod(
    name: str,
    *,
    after: float = 0,
    phase: str = "Pending",
    deleting: bool = False,
    conditions: list[m.PodCondition] | None = None,
    labels: dict[str, str] | None = None,
    namespace: str = "ns",
    started: float | None = None,
    requests: dict[str, str] | None = None,
    **spec: Any,
) -> m.Pod:
    spec.setdefault("containers", [container(**(requests or {}))])
    return m.Pod(
        metadata=m.ObjectMeta(
            name=name,
            namespace=namespace,
            labels=labels,
            uid=f"uid-{name}",
            generation=1,
            creationTimestamp=START + timedelta(seconds=after),
            deletionTimestamp=START if deleting else None,
        ),
        spec=m.PodSpec(**spec),
        status=m.PodStatus(
            phase=phase,
            conditions=conditions,
            startTime=None if started is None else START + timedelta(seconds=started),
        ),
    )


def make_node(
    name: str = "n1",
    *,
    labels: dict[str, str] | None = None,
    taints: list[m.Taint] | None = None,
    unschedulable: bool | None = None,
    **allocatable: str,
) -> m.Node:
    offer = {"cpu": "4", "memory": "8Gi", "pods": "110", **allocatable}
    return m.Node(
        metadata=m.ObjectMeta(name=name, labels=labels),
        spec=m.NodeSpec(taints=taints, unschedulable=unschedulable),
        status=m.NodeStatus(allocatable=offer),
    )


class Cluster:
    """Lists of objects as a View, and the scheduler's decisions carried out on them."""

    def __init__(self, *objects: m.Pod | m.Node, now: datetime = START) -> None:
        self.now = now
        self.nodes = [obj for obj in objects if isinstance(obj, m.Node)]
        self.pods = {
            (obj.metadata.name or ""): obj
            for obj in objects
            if isinstance(obj, m.Pod) and obj.metadata
        }
        self.events: list[tuple[str, str, str]] = []
        self.remembered: Any = None
        self.budgets: list[m.PodDisruptionBudget] = []
        self.namespaces: list[m.Namespace] = []
        self.claims: dict[str, m.PersistentVolumeClaim] = {}
        self.volumes: dict[str, m.PersistentVolume] = {}

    def get(self, resource: Resource[T], namespace: str | None, name: str) -> T | None:
        found = self.claims if resource is PERSISTENTVOLUMECLAIMS else self.volumes
        return cast(T | None, found.get(name))

    def list(self, resource: Resource[T]) -> Sequence[T]:
        if resource is PODDISRUPTIONBUDGETS:
            return cast(Sequence[T], self.budgets)
        if resource is NAMESPACES:
            return cast(Sequence[T], self.namespaces)
        assert resource is NODES
        return cast(Sequence[T], self.nodes)

    def indexed(self, index: Index, key: str) -> Sequence[Any]:
        assert index.resource is PODS
        return [pod for _, pod in sorted(self.pods.items()) if key in set(index.keys(pod))]

    def turn(self) -> Decision | None:
        record = controller()
        facts = record.read(self, KEY, self.remembered)
        assert facts == record.read(self, KEY, None), "remembering changes nothing"
        if facts is None:
            self.remembered = None
            return None
        before = [codec.encode(obj) for obj in (*self.pods.values(), *self.nodes)]
        decision = record.decide(facts, self.now)
        self.remembered = decision.remember
        assert [codec.encode(obj) for obj in (*self.pods.values(), *self.nodes)] == before
        for stage in decision.stages:
            for write in stage.writes:
                self._carry_out(write)
        return decision

    def _carry_out(self, write: object) -> None:
        match write:
            case Bind(name=name, node=node, done=note):
                pod = self.pods[name]
                assert pod.spec is not None
                assert not pod.spec.nodeName
                self.pods[name] = replace(pod, spec=replace(pod.spec, nodeName=node))
                assert note is not None
                self.events.append((note.type, note.reason, note.message))
            case Patch(name=name, patch=patch, type="strategic", subresource="status"):
                pod = self.pods[name]
                self.pods[name] = replace(pod, status=_patched(pod.status, patch["status"]))
            case Delete(name=name, uid=uid, done=note):
                pod = self.pods[name]
                assert pod.metadata is not None
                assert pod.metadata.uid == uid
                going = replace(pod.metadata, deletionTimestamp=self.now)
                self.pods[name] = replace(pod, metadata=going)
                assert note is not None
                self.events.append((note.type, note.reason, note.message))
            case Emit(note=note):
                self.events.append((note.type, note.reason, note.message))
            case _:
                raise AssertionError(write)

    def end(self, name: str) -> None:
        """A pod is gone."""
        del self.pods[name]

    def where(self) -> dict[str, str | None]:
        return {name: pod.spec.nodeName for name, pod in self.pods.items() if pod.spec}

    def message(self, name: str) -> str | None:
        status = self.pods[name].status
        [condition] = (status.conditions if status else None) or []
        return condition.message

    def nominated(self, name: str) -> str | None:
        status = self.pods[name].status
        return status.nominatedNodeName if status else None


def _patched(status: m.PodStatus | None, patch: dict[str, Any]) -> m.PodStatus:
    status = status or m.PodStatus()
    for told in patch.get("conditions", ()):
        fresh = m.PodCondition(
            type=told["type"],
            status=told["status"],
            reason=told["reason"],
            message=told["message"],
        )
        status = replace(status, conditions=replaced(status.conditions, fresh))
    if "nominatedNodeName" in patch:
        status = replace(status, nominatedNodeName=patch["nominatedNodeName"])
    return status
