"""metrics.k8s.io/v1beta1: what nodes and pods use, for `kubectl top` and autoscalers.

As with metrics-server these objects are only read, and made anew for whoever asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kubatch.api import errors, selectors
from kubatch.api import models as m
from kubatch.api.consumption import GROUP as GROUP
from kubatch.api.consumption import VERSION as VERSION
from kubatch.api.consumption import NodeUse, PodUse, node_wire, pod_wire
from kubatch.api.resource import Resource
from kubatch.server.replies import Reply, json_reply

if TYPE_CHECKING:
    from kubatch.server.replies import Call

_READ = ("get", "list")
# The models are never used: nothing of these is stored or decoded.
NODE_METRICS: Resource[Any] = Resource(
    GROUP, VERSION, "NodeMetrics", "nodes", m.Node, namespaced=False, verbs=_READ
)
POD_METRICS: Resource[Any] = Resource(GROUP, VERSION, "PodMetrics", "pods", m.Pod, verbs=_READ)
RESOURCES = (NODE_METRICS, POD_METRICS)


class Consumption(Protocol):
    """Who knows what is used."""

    def nodes(self) -> Sequence[NodeUse]:
        """Every node that is known."""
        ...

    def pods(self) -> Sequence[PodUse]:
        """Every pod that runs and was looked at."""
        ...


def answer(call: Call, consumption: Consumption | None) -> Reply:
    """A get or a list. Raises ApiError."""
    info = call.info
    found = next((r for r in RESOURCES if r.plural == info.resource), None)
    if found is None or info.subresource or (info.namespace is not None) > found.namespaced:
        raise errors.no_such_resource()
    if info.verb not in _READ or info.method != "GET":
        raise errors.method_not_allowed()
    items = _nodes(consumption) if found is NODE_METRICS else _pods(consumption, info.namespace)
    if info.name:
        for _, item in items:
            if item["metadata"]["name"] == info.name:
                return json_reply(item)
        raise errors.not_found(GROUP, found.plural, info.name)
    texts = info.query.get("labelSelector")
    wanted = selectors.parse_labels(texts[0]) if texts else None
    chosen = [item for labels, item in items if wanted is None or wanted.matches(labels)]
    return json_reply(
        {
            "kind": f"{found.kind}List",
            "apiVersion": f"{GROUP}/{VERSION}",
            "metadata": {},
            "items": chosen,
        }
    )


_Item = tuple[dict[str, str], dict[str, Any]]


def _nodes(consumption: Consumption | None) -> list[_Item]:
    if consumption is None:
        return []
    return [(dict(n.labels), node_wire(n)) for n in consumption.nodes()]


def _pods(consumption: Consumption | None, namespace: str | None) -> list[_Item]:
    if consumption is None:
        return []
    pods = sorted(consumption.pods(), key=lambda p: (p.namespace, p.name))
    return [(dict(p.labels), pod_wire(p)) for p in pods if namespace in (None, p.namespace)]
