"""The nodes while pods are being placed, and what is known about pods of each shape.

What one placement costs does not grow with what happened before: a pod of a known shape looks anew
only at nodes that have changed since the last of its shape; rules about neighbours and spread are
asked about every node, from counts that are kept (census.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kubatch.scheduler import claims, filters, neighbours, preemption, scores, spread
from kubatch.scheduler.census import Census
from kubatch.scheduler.facts import PodFacts, SchedulerFacts
from kubatch.scheduler.filters import Refusal, Room
from kubatch.scheduler.occupants import Occupant
from kubatch.scheduler.preemption import Candidate
from kubatch.scheduler.standing import Standing

NO_NODES = "no nodes available to schedule pods"
# What the plugins for device claims say, with or without claims.
_NO_DEVICES = "no new claims to deallocate"
TERMINATING = "not eligible due to a terminating pod on the nominated node."
PREEMPTIONS_MAX = 16  # in one turn; each looks at every node


@dataclass(frozen=True, slots=True)
class Refused:
    """A pod that fits no node now."""

    message: str
    # None: who was nominated stays so; "": nobody is; else the node on which victims have to go.
    nominate: str | None = None
    victims: tuple[Occupant, ...] = ()
    # Victims are on their way out already: there is nothing new to say.
    quiet: bool = False


class Turn:
    """Places pods, the most important first."""

    def __init__(self, facts: SchedulerFacts) -> None:
        self._facts = facts
        self._nodes = facts.nodes
        self.rooms = [Room(node) for node in facts.nodes]
        self._index = {node.name: i for i, node in enumerate(facts.nodes)}
        self._census = Census([node.occupants for node in facts.nodes], facts.namespaces)
        self._changed: list[int] = []  # nodes in the order in which their room changed
        self._standing: dict[bytes, Standing] = {}
        # Room only shrinks within a turn, so what failed once fails again.
        self._failed: dict[bytes, Refused] = {}
        # Pods for which others were asked to go: room is kept for them from those after them.
        self._to_come = [pod for pod in facts.waiting if pod.nominated in self._index]
        self._to_come.reverse()
        self._kept: dict[str, tuple[int, Occupant]] = {}
        self._preemptions = 0
        self.effort = 0  # nodes looked at for the sake of rules about other pods
        self.loosened = False  # room that was kept is free again: others should be looked at
        self.last_message = ""

    def place(self, pod: PodFacts) -> Room | Refused | None:
        """The room for a pod, taken; or why there is none. None: no time for it in this turn."""
        self._keep_room(pod)
        known = self._failed.get(pod.shape)
        if known is not None and pod.uid not in self._kept:
            return known
        kept = self._kept.pop(pod.uid, None)
        if kept is not None:
            self._change(kept[0], kept[1], -1)
        index, refusals = self._find(pod)
        if index is not None:
            self.loosened = self.loosened or (kept is not None and kept[0] != index)
            self.effort += len(self.rooms) if pod.terms.spread or pod.terms.about_pods else 0
            self._change(index, pod.occupant, 1)
            self._census.add(index, pod.occupant)
            return self.rooms[index]
        refused = self._refuse(pod, refusals)
        if refused is not None and refused.nominate is not None:
            kept = (self._index.get(refused.nominate, -1), pod.occupant)
        if kept is not None and kept[0] >= 0:
            self._keep(*kept)
        if refused is None:
            return None
        self.last_message = refused.message
        if not (refused.victims or refused.quiet or kept or pod.terms.near):
            self._failed[pod.shape] = refused
        return refused

    # ----- room for those to come

    def _keep_room(self, pod: PodFacts) -> None:
        """For nominated pods that are at least as important (AddNominatedPods)."""
        while self._to_come and self._to_come[-1].rank[0] <= pod.rank[0]:
            other = self._to_come.pop()
            self._keep(self._index[other.nominated], other.occupant)

    def _keep(self, index: int, pod: Occupant) -> None:
        self._kept[pod.uid] = (index, pod)
        self._change(index, pod, 1)

    def _change(self, index: int, pod: Occupant, sign: int) -> None:
        room = self.rooms[index]
        if sign > 0:
            room.hold(pod)
        else:
            room.release(pod)
        self._changed.append(index)

    # ----- finding a node

    def _find(self, pod: PodFacts) -> tuple[int | None, Sequence[Refusal | None]]:
        """The best node, or what each of them says."""
        standing = self._standing.get(pod.shape)
        if standing is None:
            standing = Standing(pod, self.rooms, self._facts.claims, len(self._changed))
            self._standing[pod.shape] = standing
        else:
            standing.catch_up(pod, self.rooms, self._changed)
        refusals = self._with_neighbours(pod, standing.refusals)
        nominated = self._index.get(pod.nominated)
        if nominated is not None and refusals[nominated] is None:
            return nominated, refusals  # schedule_one.go: evaluateNominatedNode
        if refusals is standing.refusals:
            return standing.best(), refusals
        feasible = [i for i, no in enumerate(refusals) if no is None]
        if len(feasible) < 2:
            return (feasible[0] if feasible else None), refusals
        spreads = spread.scores(pod, self._nodes, self._census, feasible)
        means = self._census.means
        near = neighbours.scores(pod, self._nodes, self._census, means, feasible)
        more = [
            scores.SPREAD_WEIGHT * even + scores.NEIGHBOURS_WEIGHT * wish
            for even, wish in zip(spreads, near, strict=True)
        ]
        return standing.best_of(feasible, more), refusals

    def _with_neighbours(
        self, pod: PodFacts, refusals: Sequence[Refusal | None]
    ) -> Sequence[Refusal | None]:
        """The refusals, with those of rules that look at pods on other nodes, too."""
        lone = claims.lone(pod.occupant, self._facts.claims)
        if lone and self._is_used(pod.occupant.namespace, lone):
            taken = Refusal((claims.ONE_POD_ONLY,), for_good=False)
            return [no or taken for no in refusals]
        if not (pod.terms.spread or pod.terms.about_pods or self._census.voices):
            return refusals
        even = spread.Evenness(pod, self._nodes, self._census)
        near = neighbours.Neighbourhood(pod, self._nodes, self._census, self._census.means)
        return [
            no or _refusal(even.refusal(i)) or _refusal(near.refusal(i))
            for i, no in enumerate(refusals)
        ]

    def _is_used(self, namespace: str, names: frozenset[str]) -> bool:
        return any(
            other.namespace == namespace and not names.isdisjoint(other.claims)
            for index in range(len(self.rooms))
            for other in self._census.on(index)
        )

    # ----- when there is none

    def _refuse(self, pod: PodFacts, refusals: Sequence[Refusal | None]) -> Refused | None:
        said = [no for no in refusals if no is not None]
        if not said:
            return Refused(NO_NODES)
        whole = claims.hindrance(pod.occupant, self._facts.claims)
        why = f"0/{len(said)} nodes are available: {whole}." if whole else _available(said)
        if pod.spec.preemptionPolicy == "Never":
            return Refused(f"{why} {_NO_DEVICES}, preemption: {preemption.NEVER}")
        if self._waits_for_victims(pod, refusals):
            return Refused(f"{why} {_NO_DEVICES}, preemption: {TERMINATING}", quiet=True)
        if self._preemptions == PREEMPTIONS_MAX:
            return None
        found, answers = self._dry_runs(pod, refusals)
        if not found:
            helpless = _listed(len(said), Counter(answers))
            message = f"{why} {_NO_DEVICES}, preemption: {helpless}"
            return Refused(message, "" if pod.nominated else None)
        self._preemptions += 1
        best = preemption.pick(found)
        return Refused(why, self._nodes[best.index].name, best.victims)

    def _waits_for_victims(self, pod: PodFacts, refusals: Sequence[Refusal | None]) -> bool:
        """default_preemption.go: PodEligibleToPreemptOthers."""
        index = self._index.get(pod.nominated)
        if index is None or (refusals[index] or _GOOD).for_good:
            return False
        priority = pod.occupant.priority
        return any(o.preempted and o.priority < priority for o in self._census.on(index))

    def _dry_runs(
        self, pod: PodFacts, refusals: Sequence[Refusal | None]
    ) -> tuple[list[Candidate], list[str]]:
        """Nodes on which others could go for a pod, and what all the rest say of that."""
        found: list[Candidate] = []
        answers: list[str] = []
        for index, no in enumerate(refusals):
            if no is None or no.for_good:
                answers.append(preemption.NOT_HELPFUL)
                continue
            result = self._dry_run(pod, index)
            if isinstance(result, Candidate):
                found.append(result)
            else:
                answers.extend(result)
        return found, answers

    def _dry_run(self, pod: PodFacts, index: int) -> Candidate | tuple[str, ...]:
        lone = claims.lone(pod.occupant, self._facts.claims)

        def fits(room: Room, kept: Sequence[Occupant]) -> Refusal | None:
            refusal = filters.refusal(pod, room)
            if refusal is not None:
                return refusal
            mine = [*kept]
            if lone and any(not lone.isdisjoint(other.claims) for other in mine):
                return Refusal((claims.ONE_POD_ONLY,), for_good=False)
            if not (pod.terms.spread or pod.terms.about_pods or self._census.voices):
                return None
            others = self._census.without(index, mine)
            even = spread.Evenness(pod, self._nodes, others)
            near = neighbours.Neighbourhood(pod, self._nodes, others, self._census.means)
            return _refusal(even.refusal(index)) or _refusal(near.refusal(index))

        return preemption.dry_run(
            pod.occupant.priority,
            index,
            self.rooms[index],
            self._census.on(index),
            self._facts.budgets,
            fits,
        )


_GOOD = Refusal((), for_good=True)


def _refusal(told: tuple[str, bool] | None) -> Refusal | None:
    return None if told is None else Refusal((told[0],), for_good=told[1])


def _available(said: Sequence[Refusal]) -> str:
    return _listed(len(said), Counter(reason for no in said for reason in no.reasons))


def _listed(total: int, reasons: Counter[str]) -> str:
    """framework/types.go: FitError.Error."""
    listed = sorted(f"{count} {reason}" for reason, count in reasons.items())
    return f"0/{total} nodes are available: {', '.join(listed)}."
