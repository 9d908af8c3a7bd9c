"""When a finished Job is deleted.

The rules are pkg/controller/ttlafterfinished/ttlafterfinished_controller.go.
"""

from __future__ import annotations

from datetime import datetime

from kubatch.api.resource import JOBS
from kubatch.controllers.ttl.facts import TtlFacts
from kubatch.reconcile.decision import Decision, Delete, Unchanged, stage

LATE = "seconds_late"


def decide(facts: TtlFacts, now: datetime) -> Decision:
    """Delete the Job with its pods once its time is over.

    The API is asked first whether this is still the Job that was decided about: somebody may have
    given it more time. A finish that lies in the future, by a clock ahead of ours, only delays.
    """
    if facts.finished is None:
        return Decision("does not say when it finished: stays", subject=facts.job)
    expires = facts.finished + facts.time_to_live
    if now < expires:
        return Decision(f"is deleted at {expires}", wake_at=expires, subject=facts.job)
    delete = Delete(JOBS, facts.namespace, facts.name, facts.uid, propagation="Foreground")
    return Decision(
        f"its time was over at {expires}: deletes it",
        (
            stage(Unchanged(JOBS, facts.namespace, facts.name, facts.resource_version)),
            stage(delete),
        ),
        subject=facts.job,
        facts={LATE: (now - expires).total_seconds()},
    )
