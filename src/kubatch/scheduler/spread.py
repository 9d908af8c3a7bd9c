"""Pods spread evenly over racks, zones or nodes (plugins/podtopologyspread)."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log

from kubatch.api import taints
from kubatch.scheduler import affinity
from kubatch.scheduler.census import Counts
from kubatch.scheduler.facts import NodeFacts, PodFacts
from kubatch.scheduler.terms import Spread

HOSTNAME = "kubernetes.io/hostname"
UNEVEN = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{UNEVEN} (missing required label)"
MAX = 100
_KEEPS_OUT = (taints.NO_SCHEDULE, taints.NO_EXECUTE)


class Evenness:
    """What the hard constraints of one pod say of every node (filtering.go)."""

    def __init__(self, pod: PodFacts, nodes: Sequence[NodeFacts], counts: Counts) -> None:
        self._nodes = nodes
        self._hard = [one for one in pod.terms.spread if one.hard]
        keys = [one.topology for one in self._hard]
        self._domains = [_domains(pod, one, keys, nodes, counts) for one in self._hard]
        self._least = [
            _least(one, domains) for one, domains in zip(self._hard, self._domains, strict=True)
        ]

    def refusal(self, index: int) -> tuple[str, bool] | None:
        """Why a node will not do, and whether that is for good."""
        labels = self._nodes[index].labels
        for one, domains, least in zip(self._hard, self._domains, self._least, strict=True):
            value = labels.get(one.topology)
            if value is None:
                return NO_LABEL, True
            if domains.get(value, 0) + one.counts_itself - least > one.max_skew:
                return UNEVEN, False
        return None


def _least(one: Spread, domains: dict[str, int]) -> float:
    """The emptiest domain; with too few domains one that is not there yet counts as empty."""
    if len(domains) < one.min_domains:
        return 0
    return min(domains.values(), default=inf)


def _domains(
    pod: PodFacts, one: Spread, keys: Sequence[str], nodes: Sequence[NodeFacts], counts: Counts
) -> dict[str, int]:
    """How many pods each value of the label has, on nodes that count (calPreFilterState)."""
    here = counts.of((one.whom,), staying=True)
    out: dict[str, int] = {}
    for node, count in zip(nodes, here, strict=True):
        if all(key in node.labels for key in keys) and _counts(pod, one, node):
            value = node.labels[one.topology]
            out[value] = out.get(value, 0) + count
    return out


def _counts(pod: PodFacts, one: Spread, node: NodeFacts) -> bool:
    """common.go: matchNodeInclusionPolicies."""
    if one.honors_affinity and not affinity.matches(pod.spec, node.name, node.labels):
        return False
    if one.honors_taints:
        return all(
            taint.effect not in _KEEPS_OUT
            or any(taints.tolerates(t, taint) for t in pod.spec.tolerations or ())
            for taint in node.taints
        )
    return True


def scores(
    pod: PodFacts, nodes: Sequence[NodeFacts], counts: Counts, feasible: Sequence[int]
) -> list[int]:
    """How well each feasible node keeps to the soft constraints, 0 to 100 (scoring.go)."""
    soft = [one for one in pod.terms.spread if not one.hard]
    if not soft:
        return [0] * len(feasible)
    keys = [one.topology for one in soft]
    held = [all(key in nodes[i].labels for key in keys) for i in feasible]
    raw = [0.0] * len(feasible)
    for one in soft:
        here = counts.of((one.whom,), staying=True)
        found = [nodes[i].labels[one.topology] for i, ok in zip(feasible, held, strict=True) if ok]
        by_host = one.topology == HOSTNAME
        weight = log((len(found) if by_host else len(set(found))) + 2)
        domains = {} if by_host else _domains(pod, one, keys, nodes, counts)
        for at, (i, ok) in enumerate(zip(feasible, held, strict=True)):
            if ok:
                count = here[i] if by_host else domains.get(nodes[i].labels[one.topology], 0)
                raw[at] += count * weight + (one.max_skew - 1)
    return _normalized([round(one) for one in raw], held)


def _normalized(raw: Sequence[int], held: Sequence[bool]) -> list[int]:
    """The emptiest gets most; a node without the labels gets nothing (NormalizeScore)."""
    valid = [score for score, ok in zip(raw, held, strict=True) if ok]
    most, least = max(valid, default=0), min(valid, default=0)
    if most == 0:
        return [MAX if ok else 0 for ok in held]
    return [
        MAX * (most + least - score) // most if ok else 0
        for score, ok in zip(raw, held, strict=True)
    ]
