"""The writes of one turn of a CronJob, in order.

Finished Jobs over the limits go first, so that a quota on Jobs never keeps a CronJob from making
room for itself. Then the status says what the Jobs there are mean. The new Job is last: its name is
that of its time, so it can be tried again and never made twice, and the turn that its appearance
causes puts it in the status (settle.py says how it is recognised).
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.resource import CRONJOBS, JOBS
from kubatch.controllers.cronjob import jobs
from kubatch.controllers.cronjob.facts import CronFacts, Memory
from kubatch.controllers.cronjob.plan import Plan, after_edit, plan
from kubatch.controllers.cronjob.settle import Settled, settle
from kubatch.reconcile.decision import (
    Absent,
    Create,
    Decision,
    Delete,
    Emit,
    Note,
    PutStatus,
    Stage,
    stage,
)

_DELETED = Note("Normal", "SuccessfulDelete", "Deleted job {name}")
_NOT_DELETED = Note("Warning", "FailedDelete", "Deleted job: {error}")


def decide(facts: CronFacts, now: datetime) -> Decision:
    """One sync of one CronJob."""
    if facts.edited:
        planned = after_edit(facts, now)
        stages = _say([note for _, note in planned.notices])
        return _decision(facts, planned, stages, frozenset())
    settled = settle(facts)
    planned = plan(facts, settled, now)
    standing = dict(planned.notices)
    standing.update({f"{note.reason} {note.message}": note for note in settled.unexpected})
    stages = _say([note for name, note in standing.items() if name not in facts.said])
    stages += _carry_out(facts, settled, planned)
    return _decision(facts, planned, stages, frozenset(standing))


def _decision(
    facts: CronFacts, planned: Plan, stages: list[Stage], said: frozenset[str]
) -> Decision:
    return Decision(
        planned.because,
        tuple(stages),
        planned.wake_at,
        facts.cronjob,
        Memory(facts.uid, facts.schedule, facts.time_zone, said),
        {"active": len(facts.active), "jobs": len(facts.jobs)},
    )


def _carry_out(facts: CronFacts, settled: Settled, planned: Plan) -> list[Stage]:
    stages: list[Stage] = []
    # That an active Job is gone is asked of the API first: its cache may be behind.
    doubtful = [ref for ref in settled.missing if ref.name and ref.uid]
    if doubtful:
        stages.append(
            stage(*(Absent(JOBS, facts.namespace, r.name or "", r.uid or "") for r in doubtful))
        )
    active = settled.active
    if planned.replace:
        stages.append(stage(*(_delete(facts, r.name or "", r.uid or "") for r in active)))
        active = ()
    before = facts.cronjob.status or m.CronJobStatus()
    after = replace(
        before,
        active=list(active) or None,
        lastScheduleTime=settled.last_schedule,
        lastSuccessfulTime=settled.last_successful,
    )
    if after != replace(before, active=before.active or None):
        stages.append(stage(PutStatus(CRONJOBS, replace(facts.cronjob, status=after))))
    rest = _say(settled.happened)
    if planned.start is not None:
        rest.append(stage(_create(facts.cronjob, planned.start)))
    if settled.surplus:
        # After the status: until that says when a Job was started, the Job alone is the proof of
        # it, and without both its time would have a second one. What cannot be deleted does not
        # keep the rest from happening.
        deletions = tuple(_delete(facts, job.name, job.uid) for job in settled.surplus)
        stages.append(Stage(deletions, otherwise=lambda _done: tuple(rest)))
    return [*stages, *rest]


def _create(cronjob: m.CronJob, slot: datetime) -> Create:
    return Create(
        JOBS,
        jobs.make(cronjob, slot),
        done=Note("Normal", "SuccessfulCreate", "Created job {name}"),
        failed=Note("Warning", "FailedCreate", "Error creating job: {error}"),
        # A namesake is either ours, and its appearance in the cache causes the next turn, or it is
        # somebody else's, and this time is lost. A namespace that goes takes the CronJob with it.
        ignore_causes=("AlreadyExists", "NamespaceTerminating"),
    )


def _delete(facts: CronFacts, name: str, uid: str) -> Delete:
    return Delete(JOBS, facts.namespace, name, uid, done=_DELETED, failed=_NOT_DELETED)


def _say(notes: list[Note] | tuple[Note, ...]) -> list[Stage]:
    return [stage(*(Emit(note) for note in notes))] if notes else []
