"""How many pods of a kind are on each node: counted when a rule first asks, then kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from kubatch.scheduler.occupants import Occupant
from kubatch.scheduler.terms import Near, Whom

# All of these at once: a pod that several terms mean together.
Group = tuple[Whom, ...]
Labels = Mapping[str, str]


class Counts(Protocol):
    """What rules ask."""

    def of(self, group: Group, *, staying: bool = False) -> Sequence[int]:
        """How many pods of a group are on each node; `staying` leaves terminating ones out."""
        ...


class Census:
    """The pods on all nodes during one turn."""

    def __init__(
        self, nodes: Sequence[Sequence[Occupant]], namespaces: Mapping[str, Labels]
    ) -> None:
        self._nodes = [list(pods) for pods in nodes]
        self._namespaces = namespaces
        self._counts: dict[tuple[Group, bool], list[int]] = {}
        # What pods on nodes say of others, and where they are: (index of node, times).
        self.voices: dict[tuple[str, Near], dict[int, int]] = {}
        for index, pods in enumerate(nodes):
            for pod in pods:
                self._hear(index, pod, 1)

    def of(self, group: Group, *, staying: bool = False) -> list[int]:
        """As Counts."""
        key = (group, staying)
        counts = self._counts.get(key)
        if counts is None:
            counts = [self._count(pods, group, staying) for pods in self._nodes]
            self._counts[key] = counts
        return counts

    def on(self, index: int) -> Sequence[Occupant]:
        """The pods on a node."""
        return self._nodes[index]

    def add(self, index: int, pod: Occupant) -> None:
        """A pod came to a node."""
        self._nodes[index].append(pod)
        for (group, staying), counts in self._counts.items():
            counts[index] += self.means(group, pod, staying)
        self._hear(index, pod, 1)

    def _count(self, pods: Sequence[Occupant], group: Group, staying: bool) -> int:
        return sum(self.means(group, pod, staying) for pod in pods)

    def means(self, group: Group, pod: Occupant, staying: bool = False) -> bool:
        """Whether a pod is one of a group."""
        if staying and pod.going:
            return False
        return all(self._is_meant(whom, pod) for whom in group)

    def _is_meant(self, whom: Whom, pod: Occupant) -> bool:
        if pod.namespace not in whom.namespaces:
            by_label = whom.namespace_selector
            if by_label is None or not by_label.matches(self._namespaces.get(pod.namespace)):
                return False
        return whom.selector.matches(pod.labels)

    def _hear(self, index: int, pod: Occupant, times: int) -> None:
        if pod.terms.about_pods:
            for voice in voices_of(pod):
                heard = self.voices.setdefault(voice, {})
                heard[index] = heard.get(index, 0) + times

    def without(self, index: int, kept: Sequence[Occupant]) -> Instead:
        """The same pods, but for one node, on which there are these."""
        return Instead(self, index, kept)


class Instead:
    """A census in which one node has other pods."""

    def __init__(self, census: Census, index: int, pods: Sequence[Occupant]) -> None:
        self._census = census
        self._index = index
        self._pods = pods

    def of(self, group: Group, *, staying: bool = False) -> list[int]:
        """As Counts."""
        counts = list(self._census.of(group, staying=staying))
        counts[self._index] = sum(self._census.means(group, pod, staying) for pod in self._pods)
        return counts

    @property
    def voices(self) -> dict[tuple[str, Near], dict[int, int]]:
        """What pods say, those on the one node being these."""
        out = {
            voice: {i: n for i, n in heard.items() if i != self._index}
            for voice, heard in self._census.voices.items()
        }
        for pod in self._pods:
            for voice in voices_of(pod):
                heard = out.setdefault(voice, {})
                heard[self._index] = heard.get(self._index, 0) + 1
        return out


def voices_of(pod: Occupant) -> Sequence[tuple[str, Near]]:
    """Each term of a pod with its name."""
    terms = pod.terms
    return [
        *(("near", term) for term in terms.near),
        *(("far", term) for term in terms.far),
        *(("rather near", term) for term in terms.rather_near),
        *(("rather far", term) for term in terms.rather_far),
    ]
