"""How many pods a Job should have now: which to create, which to delete, when to wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from kubatch.api import models as m
from kubatch.controllers.job import backoff, indexes, names, pods
from kubatch.controllers.job.facts import JobFacts, PodFacts
from kubatch.controllers.job.finish import Finish
from kubatch.controllers.job.tally import Tally


@dataclass(frozen=True, slots=True)
class Plan:
    """A change to a Job's pods: deletions or creations, never both in one turn."""

    deletions: tuple[PodFacts, ...] = ()
    # Deleted pods that count nowhere lose the finalizer first: suspended and surplus ones.
    untrack: bool = False
    creations: tuple[m.Pod, ...] = ()
    wake_at: datetime | None = None
    managed: bool = False  # whether the rules below ran at all
    because: str = ""


def stop(tally: Tally, finish: Finish) -> Plan:
    """A Job that ends deletes all its active pods; their finalizers stay until they are counted."""
    count = len(tally.active)
    because = f"{finish.reason}: {finish.message}"
    if count:
        because += f"; deletes {count_of(count, 'pod')}"
    return Plan(deletions=tally.active, because=because)


def manage(facts: JobFacts, tally: Tally, now: datetime) -> Plan:
    """Bring the number of pods to what it should be (job_controller.go: manageJob)."""
    if facts.deleting:
        return Plan(because="is being deleted: gives up its pods")
    if facts.spec.suspended:
        return _suspend(tally)
    active = len(tally.active)
    want = wanted_active(facts, tally)
    victims = pods.surplus(facts, tally.active, max(0, active - want))
    if victims:
        victims = victims[: names.MAX_PODS_PER_TURN]
        because = (
            f"deletes {count_of(len(victims), 'pod')} too many: {active} active, {want} wanted"
        )
        return Plan(tuple(victims), untrack=True, managed=True, because=because)
    terminating = tally.terminating if facts.spec.only_replace_failed else 0
    missing = want - active - terminating
    if missing > 0:
        return _create(facts, tally, missing, now)
    return Plan(managed=True, because=_progress(facts, tally, active))


def wanted_active(facts: JobFacts, tally: Tally) -> int:
    """How many pods should be active.

    A work queue stops growing with its first success. Other Jobs never run more pods than
    completions are left.
    """
    if facts.spec.completions is None:
        return len(tally.active) if tally.succeeded > 0 else facts.spec.parallelism
    return max(0, min(facts.spec.completions - tally.succeeded, facts.spec.parallelism))


def _suspend(tally: Tally) -> Plan:
    count = len(tally.active)
    because = f"is suspended: deletes {count_of(count, 'pod')}" if count else "is suspended"
    return Plan(tally.active, untrack=True, managed=True, because=because)


def _create(facts: JobFacts, tally: Tally, missing: int, now: datetime) -> Plan:
    active = len(tally.active)
    if not facts.spec.per_index:
        until = tally.backoff.until()
        if until is not None and until > now:
            failures = count_of(tally.backoff.failures, "failure")
            because = f"back-off: creates a replacement at {_clock(until)} after {failures}"
            return Plan(wake_at=until, managed=True, because=because)
    room = min(missing, names.MAX_PODS_PER_TURN)
    waits: datetime | None = None
    if facts.spec.indexed:
        chosen, waits = _ready_indexes(facts, tally, room, now)
        created = [pods.new_indexed_pod(facts, at, tally.kept.get(at)) for at in chosen]
    else:
        # The same object for all: it is only read, and each gets its name when it is stored.
        created = [pods.new_pod(facts)] * room
    if not created:
        if waits is None:
            return Plan(managed=True, because=_progress(facts, tally, active))
        because = f"back-off: creates the next index's replacement at {_clock(waits)}"
        return Plan(wake_at=waits, managed=True, because=because)
    because = (
        f"creates {count_of(len(created), 'pod')}; {_progress(facts, tally, active + len(created))}"
    )
    wake_at = now if missing > room else waits
    return Plan(creations=tuple(created), wake_at=wake_at, managed=True, because=because)


def _ready_indexes(
    facts: JobFacts, tally: Tally, room: int, now: datetime
) -> tuple[list[int], datetime | None]:
    """Which indexes get a pod now, and when the first of those that wait may have one.

    The lowest ones are looked at, and those in back-off keep their place
    (getPodCreationInfoForIndependentIndexes).
    """
    chosen: list[int] = []
    waits: datetime | None = None
    for index, _ in zip(_pending_indexes(facts, tally), range(room), strict=False):
        failed = tally.kept.get(index)
        until = None if failed is None else backoff.until_for_index(failed.pod)
        if until is None or until <= now:
            chosen.append(index)
        else:
            waits = until if waits is None else min(waits, until)
    return chosen, waits


def _pending_indexes(facts: JobFacts, tally: Tally) -> Iterator[int]:
    """Indexes that need a pod, lowest first (firstPendingIndexes)."""
    held = {
        pod.index
        for pod in facts.pods
        if pod.active or (pod.terminating and facts.spec.only_replace_failed)
    }
    failed = tally.failed_indexes or indexes.NONE
    for index in tally.completed.missing(below=facts.spec.completions or 0):
        if index not in held and index not in failed:
            yield index


# ----- sentences


def _progress(facts: JobFacts, tally: Tally, active: int) -> str:
    spec = facts.spec
    if spec.completions is None:
        done = f"{tally.succeeded} succeeded"
    else:
        done = f"{tally.succeeded} of {spec.completions} completions"
    parts = [f"{active} of {spec.parallelism} pods run", done]
    if tally.terminating:
        parts.append(f"{tally.terminating} terminating")
    if active:
        parts.append("waits for pods to finish")
    return "; ".join(parts)


def count_of(count: int, noun: str) -> str:
    """`1 pod`, `2 pods`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S")
