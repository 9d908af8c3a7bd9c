"""What nodes and pods use, as metrics.k8s.io/v1beta1 shows it (k8s.io/metrics)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

GROUP, VERSION = "metrics.k8s.io", "v1beta1"


@dataclass(frozen=True, slots=True)
class Use:
    """What something uses."""

    cpu_cores: float  # on average over the window
    memory_bytes: int  # its working set


@dataclass(frozen=True, slots=True)
class NodeUse:
    """What a node uses."""

    name: str
    labels: Mapping[str, str]
    at: datetime
    window_seconds: float
    use: Use


@dataclass(frozen=True, slots=True)
class PodUse:
    """What a pod's running containers use."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    at: datetime
    window_seconds: float
    containers: Sequence[tuple[str, Use]]


def node_wire(node: NodeUse) -> dict[str, Any]:
    """A NodeMetrics."""
    return {
        "kind": "NodeMetrics",
        "apiVersion": f"{GROUP}/{VERSION}",
        "metadata": _metadata(node.name, "", node.labels, node.at),
        **_when(node.at, node.window_seconds),
        "usage": _usage(node.use),
    }


def pod_wire(pod: PodUse) -> dict[str, Any]:
    """A PodMetrics."""
    return {
        "kind": "PodMetrics",
        "apiVersion": f"{GROUP}/{VERSION}",
        "metadata": _metadata(pod.name, pod.namespace, pod.labels, pod.at),
        **_when(pod.at, pod.window_seconds),
        "containers": [{"name": name, "usage": _usage(use)} for name, use in pod.containers],
    }


def _metadata(name: str, namespace: str, labels: Mapping[str, str], at: datetime) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": name}
    if namespace:
        shown["namespace"] = namespace
    shown["creationTimestamp"] = _time(at)
    if labels:
        shown["labels"] = dict(labels)
    return shown


def _when(at: datetime, window_seconds: float) -> dict[str, str]:
    return {"timestamp": _time(at), "window": f"{window_seconds:.3f}s"}


def _usage(use: Use) -> dict[str, str]:
    return {"cpu": f"{round(use.cpu_cores * 1e9)}n", "memory": f"{use.memory_bytes // 1024}Ki"}


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
