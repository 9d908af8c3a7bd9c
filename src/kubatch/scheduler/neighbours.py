"""Pods that want others near or far (plugins/interpodaffinity)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from kubatch.scheduler.census import Counts, Group
from kubatch.scheduler.facts import NodeFacts, PodFacts
from kubatch.scheduler.occupants import Occupant
from kubatch.scheduler.terms import Near

NOT_NEAR = "node(s) didn't match pod affinity rules"
NOT_FAR = "node(s) didn't match pod anti-affinity rules"
UNWANTED = "node(s) didn't satisfy existing pods anti-affinity rules"
MAX = 100
# What a required term of a pod that is there weighs for one it wants near (hardPodAffinityWeight).
REQUIRED_WEIGHT = 1

Places = Mapping[tuple[str, Near], Mapping[int, int]]


class People(Counts, Protocol):
    """The pods on all nodes, and what they say."""

    @property
    def voices(self) -> Places:
        """Each term that pods on nodes have, and on which nodes these are."""
        ...


class Means(Protocol):
    """Whether a pod is one of a group."""

    def __call__(self, group: Group, pod: Occupant) -> bool: ...


class Neighbourhood:
    """What one pod's terms, and those of pods there, say of every node (filtering.go)."""

    def __init__(
        self, pod: PodFacts, nodes: Sequence[NodeFacts], people: People, means: Means
    ) -> None:
        self._pod = pod
        self._nodes = nodes
        terms = pod.terms
        # Only a pod that all terms mean counts, and then for each of them.
        group = tuple(term.whom for term in terms.near)
        together = people.of(group) if group else ()
        self._near = [(t.topology, _sums(t.topology, nodes, together)) for t in terms.near]
        self._alone = not any(sums for _, sums in self._near) and terms.wants_itself
        self._far = [
            (t.topology, _sums(t.topology, nodes, people.of((t.whom,)))) for t in terms.far
        ]
        self._unwanted: list[tuple[str, frozenset[str]]] = []
        for (kind, term), places in people.voices.items():
            if kind == "far" and means((term.whom,), pod.occupant):
                values = (nodes[i].labels.get(term.topology) for i in places)
                taken = frozenset(value for value in values if value is not None)
                self._unwanted.append((term.topology, taken))

    def refusal(self, index: int) -> tuple[str, bool] | None:
        """Why a node will not do, and whether that is for good."""
        labels = self._nodes[index].labels
        missing = any(key not in labels for key, _ in self._near)
        met = all(labels.get(key, "") in sums for key, sums in self._near)
        if missing or not (met or self._alone):
            return NOT_NEAR, True
        if any(key in labels and labels[key] in sums for key, sums in self._far):
            return NOT_FAR, False
        if any(labels.get(key) in taken for key, taken in self._unwanted):
            return UNWANTED, False
        return None


def _sums(topology: str, nodes: Sequence[NodeFacts], counts: Sequence[int]) -> dict[str, int]:
    """The values of a label that have pods, and how many."""
    out: dict[str, int] = {}
    for node, count in zip(nodes, counts, strict=False):
        value = node.labels.get(topology)
        if count and value is not None:
            out[value] = out.get(value, 0) + count
    return out


def scores(
    pod: PodFacts,
    nodes: Sequence[NodeFacts],
    people: People,
    means: Means,
    feasible: Sequence[int],
) -> list[int]:
    """How much each feasible node is wished for, 0 to 100 (scoring.go)."""
    wishes: list[tuple[str, dict[str, int]]] = []
    for terms, sign in ((pod.terms.rather_near, 1), (pod.terms.rather_far, -1)):
        for term in terms:
            sums = _sums(term.topology, nodes, people.of((term.whom,)))
            wishes.append((term.topology, _times(sums, sign * term.weight)))
    for (kind, term), places in people.voices.items():
        weight = {
            "near": REQUIRED_WEIGHT, "rather near": term.weight, "rather far": -term.weight
        }.get(kind)  # fmt: skip
        if weight and means((term.whom,), pod.occupant):
            counts = [places.get(i, 0) for i in range(len(nodes))]
            wishes.append((term.topology, _times(_sums(term.topology, nodes, counts), weight)))
    if not wishes:
        return [0] * len(feasible)
    raw = [sum(s.get(nodes[i].labels.get(key, ""), 0) for key, s in wishes) for i in feasible]
    least, most = min(raw, default=0), max(raw, default=0)
    return [MAX * (one - least) // (most - least) if most > least else 0 for one in raw]


def _times(sums: Mapping[str, int], weight: int) -> dict[str, int]:
    return {value: count * weight for value, count in sums.items()}
