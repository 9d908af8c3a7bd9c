"""Where a pod may go, read from the objects in the slowest way, to compare with the scheduler."""

from __future__ import annotations

from collections.abc import Sequence

from kubatch.api import models as m
from kubatch.api.selectors import from_selector

Placed = Sequence[tuple[m.Pod, str]]


def labels(obj: m.Pod | m.Node) -> dict[str, str]:
    assert obj.metadata is not None
    return obj.metadata.labels or {}


def name(obj: m.Pod | m.Node) -> str:
    assert obj.metadata is not None
    return obj.metadata.name or ""


def selects(selector: m.LabelSelector | None, pod: m.Pod) -> bool:
    return from_selector(selector).matches(labels(pod))


def wanted(node: m.Node, pod: m.Pod) -> bool:
    assert pod.spec is not None
    chosen = pod.spec.nodeSelector or {}
    return all(labels(node).get(key) == value for key, value in chosen.items())


def domain(nodes: Sequence[m.Node], placed: Placed, key: str, value: str) -> list[m.Pod]:
    inside = {name(n) for n in nodes if labels(n).get(key) == value}
    return [pod for pod, where in placed if where in inside]


def may_go(pod: m.Pod, node: m.Node, nodes: Sequence[m.Node], placed: Placed) -> bool:
    assert node.status is not None
    assert node.status.allocatable is not None
    here = sum(where == name(node) for _, where in placed)
    if not wanted(node, pod) or here + 1 > int(node.status.allocatable["pods"]):
        return False
    return is_even(pod, node, nodes, placed) and has_neighbours(pod, node, nodes, placed)


def is_even(pod: m.Pod, node: m.Node, nodes: Sequence[m.Node], placed: Placed) -> bool:
    assert pod.spec is not None
    constraints = pod.spec.topologySpreadConstraints or []
    for one in constraints:
        key = one.topologyKey
        if key not in labels(node):
            return False
        counting = [
            n
            for n in nodes
            if wanted(n, pod) and all(c.topologyKey in labels(n) for c in constraints)
        ]
        counts = {
            value: sum(selects(one.labelSelector, p) for p in domain(counting, placed, key, value))
            for value in {labels(n)[key] for n in counting}
        }
        least = min(counts.values()) if len(counts) >= (one.minDomains or 1) else 0
        mine = int(selects(one.labelSelector, pod))
        if counts.get(labels(node)[key], 0) + mine - least > one.maxSkew:
            return False
    return True


def has_neighbours(pod: m.Pod, node: m.Node, nodes: Sequence[m.Node], placed: Placed) -> bool:
    return (
        all_near(pod, node, nodes, placed)
        and none_near(pod, node, nodes, placed)
        and not any(
            hates(there, pod, node, at)
            for there, where in placed
            for at in nodes
            if name(at) == where
        )
    )


def required(pod: m.Pod, kind: str) -> Sequence[m.core_v1.PodAffinityTerm]:
    affinity = pod.spec.affinity if pod.spec else None
    side = getattr(affinity, kind, None)
    return (side.requiredDuringSchedulingIgnoredDuringExecution if side else None) or ()


def all_near(pod: m.Pod, node: m.Node, nodes: Sequence[m.Node], placed: Placed) -> bool:
    terms = required(pod, "podAffinity")
    if any(term.topologyKey not in labels(node) for term in terms):
        return False
    meant = [(p, w) for p, w in placed if all(selects(t.labelSelector, p) for t in terms)]
    if all(domain(nodes, meant, t.topologyKey, labels(node)[t.topologyKey]) for t in terms):
        return True
    anywhere = any(
        t.topologyKey in labels(n) for t in terms for n in nodes for _, w in meant if w == name(n)
    )
    return not anywhere and all(selects(t.labelSelector, pod) for t in terms)


def none_near(pod: m.Pod, node: m.Node, nodes: Sequence[m.Node], placed: Placed) -> bool:
    for term in required(pod, "podAntiAffinity"):
        value = labels(node).get(term.topologyKey)
        if value is not None:
            near = domain(nodes, placed, term.topologyKey, value)
            if any(selects(term.labelSelector, other) for other in near):
                return False
    return True


def hates(there: m.Pod, pod: m.Pod, node: m.Node, at: m.Node) -> bool:
    """Whether a pod at another node keeps this one from a node."""
    for term in required(there, "podAntiAffinity"):
        value = labels(at).get(term.topologyKey)
        same = value is not None and labels(node).get(term.topologyKey) == value
        if same and selects(term.labelSelector, pod):
            return True
    return False
