"""What pods of one shape are told by each node, kept while other pods are placed."""

from __future__ import annotations

from collections.abc import Sequence

from kubatch.scheduler import affinity, claims, filters, images, scores
from kubatch.scheduler.claims import Claims
from kubatch.scheduler.facts import PodFacts
from kubatch.scheduler.filters import Refusal, Room

_OUT = -1  # no score is below 0


class Standing:
    """Refusals and scores of all nodes; those about neighbours and spread are others' business."""

    def __init__(self, pod: PodFacts, rooms: Sequence[Room], known: Claims, cursor: int) -> None:
        self._nodes = [room.node for room in rooms]
        self._cursor = cursor
        self._wanted = pod.images
        self._hindered = bool(claims.hindrance(pod.occupant, known))
        # Those whose answer no other pod changes, before and after the filters about what is left.
        self._static = [filters.static_refusal(pod, room.node) for room in rooms]
        self._volumes = [self._reach(pod, room, known) for room in rooms]
        self._taints = [scores.intolerable(pod, room.node) for room in rooms]
        self._wishes = [
            affinity.preference(pod.spec, room.node.name, room.node.labels) for room in rooms
        ]
        self.refusals = [self._ask(pod, room, i) for i, room in enumerate(rooms)]
        self._emptiness = [scores.emptiness(pod, room) for room in rooms]
        self._total: list[int] = []
        self._fixed: list[int] = []
        self._weigh()

    def _reach(self, pod: PodFacts, room: Room, known: Claims) -> Refusal | None:
        if not pod.occupant.claims:
            return None
        if self._hindered:
            return Refusal(("",))
        why = claims.refusal(pod.occupant, known, room.node.name, room.node.labels)
        return Refusal((why,)) if why else None

    def _ask(self, pod: PodFacts, room: Room, index: int) -> Refusal | None:
        if self._hindered:
            return self._volumes[index]
        return self._static[index] or filters.refusal(pod, room) or self._volumes[index]

    def catch_up(self, pod: PodFacts, rooms: Sequence[Room], changed: Sequence[int]) -> None:
        """Look anew at the nodes that have changed since the last time."""
        news = set(changed[self._cursor :])
        self._cursor = len(changed)
        other = False
        for index in news:
            room, before = rooms[index], self.refusals[index]
            after = self.refusals[index] = self._ask(pod, room, index)
            self._emptiness[index] = scores.emptiness(pod, room)
            other = other or (before is None) is not (after is None)
            if after is None and self._total:
                self._total[index] = self._fixed[index] + self._emptiness[index]
        if other:
            self._weigh()

    def _weigh(self) -> None:
        """Score anew: what counts relatively is relative to the nodes that would do."""
        feasible = [i for i, no in enumerate(self.refusals) if no is None]
        self._fixed = [0] * len(self.refusals)
        self._total = [_OUT] * len(self.refusals)
        worst = max((self._taints[i] for i in feasible), default=0)
        most = max((self._wishes[i] for i in feasible), default=0)
        local = images.scores(self._wanted, [node.images for node in self._nodes], feasible)
        for i, image in zip(feasible, local, strict=True):
            clean = scores.MAX - scores.MAX * self._taints[i] // worst if worst else scores.MAX
            wish = scores.MAX * self._wishes[i] // most if most else 0
            self._fixed[i] = scores.TAINT_WEIGHT * clean + scores.AFFINITY_WEIGHT * wish + image
            self._total[i] = self._fixed[i] + self._emptiness[i]

    def best(self) -> int | None:
        """The node with the highest score; of equals the first by name, so runs can be repeated."""
        top = max(self._total, default=_OUT)
        return None if top == _OUT else self._total.index(top)

    def best_of(self, feasible: Sequence[int], more: Sequence[int]) -> int:
        """The same among some of the nodes, with these added."""
        best = max(range(len(feasible)), key=lambda at: (self._total[feasible[at]] + more[at], -at))
        return feasible[best]
