"""The simulation is worth its time: rules broken on purpose are found within a few seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubatch.client.cache import Cache
from kubatch.controllers import job as job_controller
from kubatch.controllers.job import accounting, finish, manage
from kubatch.controllers.job.decide import decide as real_decide
from kubatch.reconcile.apply import Applied
from kubatch.reconcile.decision import Decision, RemoveFinalizer, Stage
from kubatch.reconcile.loop import Runner
from kubatch.sim.run import run_seed

SEEDS_MAX = 200

Plant = Callable[[pytest.MonkeyPatch], None]


def counts_before_finalizers_go(patch: pytest.MonkeyPatch) -> None:
    """The first status says what only the second may say: a crash between them counts twice."""
    real = accounting.account

    def account(*args: Any) -> Any:
        found = real(*args)
        return replace(found, before=found.after)

    patch.setattr(accounting, "account", account)


def forgets_failures(patch: pytest.MonkeyPatch) -> None:
    """A failed pod loses its finalizer without being noted."""
    patch.setattr(accounting._Walk, "_failed", lambda *_: None)


def takes_finalizers_off_first(patch: pytest.MonkeyPatch) -> None:
    """Before the status notes the pods: a crash in between loses their ends."""

    def first(stage: Stage) -> bool:
        return not any(isinstance(write, RemoveFinalizer) for write in stage.writes)

    def decide(*args: Any) -> Decision:
        decision = real_decide(*args)
        return replace(decision, stages=tuple(sorted(decision.stages, key=first)))

    patch.setattr(job_controller, "decide", decide)


def wants_one_pod_more(patch: pytest.MonkeyPatch) -> None:
    """Parallelism is taken for one more than it is."""
    real = manage.wanted_active
    patch.setattr(manage, "wanted_active", lambda *args: real(*args) + 1)


def gives_up_one_failure_early(patch: pytest.MonkeyPatch) -> None:
    """The limit itself already ends the Job."""

    def early(facts: Any, tally: Any, now: Any) -> Any:
        lowered = replace(facts, spec=replace(facts.spec, backoff_limit=-1))
        return real(lowered if tally.failed else facts, tally, now)

    real = finish._backoff_limit
    rules = tuple(early if rule is real else rule for rule in finish.CRITERIA)
    patch.setattr(finish, "CRITERIA", rules)


def does_not_wait_for_its_own_writes(patch: pytest.MonkeyPatch) -> None:
    """A Job is decided again from a cache that is behind."""
    patch.setattr(Runner, "_has_seen_own_writes", lambda *_: True)


def believes_every_error(patch: pytest.MonkeyPatch) -> None:
    """An error is taken to mean that nothing was written."""

    async def settle(self: Applied, *_: Any) -> None:
        self.doubts.clear()

    patch.setattr(Applied, "settle", settle)


def misses_deletions_when_it_lists_again(patch: pytest.MonkeyPatch) -> None:
    """A cache keeps what went while nobody watched."""
    real = Cache._change
    listing: list[bool] = []

    def replace_all(self: Cache[Any], items: Any) -> None:
        listing.append(True)
        try:
            replaced(self, items)
        finally:
            listing.pop()

    def change(self: Cache[Any], key: Any, after: Any) -> None:
        if after is not None or not listing:
            real(self, key, after)

    replaced = Cache._replace_all
    patch.setattr(Cache, "_replace_all", replace_all)
    patch.setattr(Cache, "_change", change)


PLANTS: tuple[Plant, ...] = (
    counts_before_finalizers_go,
    forgets_failures,
    takes_finalizers_off_first,
    wants_one_pod_more,
    gives_up_one_failure_early,
    does_not_wait_for_its_own_writes,
    believes_every_error,
    misses_deletions_when_it_lists_again,
)


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    for seed in range(SEEDS_MAX):
        if run_seed(seed, tmp_path).complaints:
            return
    pytest.fail(f"{SEEDS_MAX} seeds found nothing")
