"""What the rules look at: a node and its pods, one pod, or the pods that are finished."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubatch.api import models as m
from kubatch.api.conditions import is_true
from kubatch.api.resource import NODES, PODS
from kubatch.reconcile.controller import Index, Key, View

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
FINISHED = Key("", "finished")
_NO_META = m.ObjectMeta()


@dataclass(frozen=True, slots=True)
class NodeGone:
    """A node that is not there, and pods that are on it all the same."""

    node: str
    pods: tuple[m.Pod, ...]
    since: datetime | None  # when this was first seen; None: now


@dataclass(frozen=True, slots=True)
class NodeDown:
    """Pods that terminate on a node which somebody has declared out of service."""

    node: str
    pods: tuple[m.Pod, ...]


@dataclass(frozen=True, slots=True)
class Unscheduled:
    """A pod that is asked to go and that no node ever had."""

    pod: m.Pod


@dataclass(frozen=True, slots=True)
class Finished:
    """The pods that are over, of every namespace."""

    pods: Sequence[m.Pod]


PodGcFacts = NodeGone | NodeDown | Unscheduled | Finished


def is_finished(pod: m.Pod) -> bool:
    """Whether a pod has reached phase Succeeded or Failed."""
    return pod.status is not None and pod.status.phase in ("Succeeded", "Failed")


def node_of(pod: m.Pod) -> str:
    """The node a pod was given; "" when it has none."""
    return (pod.spec.nodeName if pod.spec else None) or ""


def _by_node(pod: m.Pod) -> Iterable[str]:
    node = node_of(pod)
    return (node,) if node else ()


def _finished(pod: m.Pod) -> Iterable[str]:
    return ("",) if is_finished(pod) else ()


# Finished ones included: they are collected with their node.
PODS_BY_NODE = Index("all-pods-by-node", PODS, _by_node)
FINISHED_PODS = Index("finished-pods", PODS, _finished)


def node_key(name: str) -> Key:
    """The key of a node."""
    return Key("", f"node/{name}")


def pod_key(meta: m.ObjectMeta) -> Key:
    """The key of a pod without a node."""
    return Key(meta.namespace or "", f"pod/{meta.name}")


def read(view: View, key: Key, remembered: Any) -> PodGcFacts | None:
    """The facts under a key; None when nothing is wrong there."""
    if key == FINISHED:
        return Finished(view.indexed(FINISHED_PODS, ""))
    kind, _, name = key.name.partition("/")
    if kind == "pod":
        pod = view.get(PODS, key.namespace, name)
        return Unscheduled(pod) if pod is not None and not node_of(pod) and _going(pod) else None
    node = view.get(NODES, None, name)
    if node is None:
        pods = tuple(pod for pod in view.indexed(PODS_BY_NODE, name) if _is_left(pod))
        since = remembered if isinstance(remembered, datetime) else None
        return NodeGone(name, pods, since) if pods else None
    if not _is_down(node):
        return None
    going = tuple(p for p in view.indexed(PODS_BY_NODE, name) if _going(p) and _is_left(p))
    return NodeDown(name, going) if going else None


def _going(pod: m.Pod) -> bool:
    return (pod.metadata or _NO_META).deletionTimestamp is not None


def _is_left(pod: m.Pod) -> bool:
    """Whether there is something to do: a pod may be gone but for somebody's finalizer."""
    grace = (pod.metadata or _NO_META).deletionGracePeriodSeconds
    return not (_going(pod) and not grace and is_finished(pod))


def _is_down(node: m.Node) -> bool:
    """gc_controller.go: gcTerminating: not ready, and tainted by somebody who knows."""
    taints = (node.spec.taints if node.spec else None) or ()
    conditions = node.status.conditions if node.status else None
    return any(t.key == OUT_OF_SERVICE for t in taints) and not is_true(conditions, "Ready")
