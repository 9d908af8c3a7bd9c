"""Finished Jobs that are to be deleted after a while: spec.ttlSecondsAfterFinished."""

from __future__ import annotations

from collections.abc import Iterable

from kubatch.api import models as m
from kubatch.api.resource import JOBS
from kubatch.controllers.ttl.decide import decide
from kubatch.controllers.ttl.facts import TtlFacts, needs_cleanup, read
from kubatch.controllers.ttl.metrics import MEASURES
from kubatch.reconcile.controller import Controller, Key


def controller() -> Controller[TtlFacts]:
    """The record for the engine."""
    return Controller(
        name="ttl-after-finished-controller",
        watches={JOBS: _job_keys},
        read=read,
        decide=decide,
        about=JOBS,
        queue="ttl_jobs_to_delete",
        measures=MEASURES,
    )


def _job_keys(_old: m.Job | None, new: m.Job | None) -> Iterable[Key]:
    if new is not None and needs_cleanup(new) and new.metadata is not None:
        yield Key(new.metadata.namespace or "", new.metadata.name or "")
