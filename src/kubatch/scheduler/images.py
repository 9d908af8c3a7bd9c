"""Nodes that have a pod's images already are a little better (plugins/imagelocality)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubatch.api import models as m

MAX = 100
_MB = 1024 * 1024
_LEAST = 23 * _MB  # minThreshold
_MOST_PER_CONTAINER = 1000 * _MB  # maxContainerThreshold


def normalized(name: str) -> str:
    """An image's name with a tag (normalizedImageName)."""
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"


def of_node(node: m.Node) -> dict[str, int]:
    """The sizes of the images that a node has, by each of their names."""
    images = (node.status.images if node.status else None) or ()
    return {name: image.sizeBytes or 0 for image in images for name in image.names or ()}


def of_pod(spec: m.PodSpec) -> tuple[str, ...]:
    """The images of a pod, one for each container."""
    containers = (*(spec.initContainers or ()), *spec.containers)
    return tuple(normalized(one.image) for one in containers if one.image)


def scores(
    wanted: Sequence[str], nodes: Sequence[Mapping[str, int]], feasible: Sequence[int]
) -> list[int]:
    """0 to 100 for each feasible node; an image that many nodes have counts for more."""
    if not any(nodes):
        return [0] * len(feasible)
    shares = {
        name: sum(name in images for images in nodes) / len(nodes) for name in dict.fromkeys(wanted)
    }
    most = _MOST_PER_CONTAINER * max(1, len(wanted))
    out = []
    for i in feasible:
        total = sum(int(nodes[i].get(name, 0) * shares[name]) for name in wanted)
        out.append(MAX * (min(max(total, _LEAST), most) - _LEAST) // (most - _LEAST))
    return out
