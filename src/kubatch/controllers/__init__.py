"""Rules about objects, answered after they are stored. Pure, the whole folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubatch.controllers import gc, job, namespace, nodes, serviceaccount
from kubatch.controllers.job import orphans
from kubatch.reconcile.controller import Controller


def all_controllers() -> Iterator[Controller[Any]]:
    """Every controller of this folder; adding one is a line here."""
    yield gc.controller()
    yield job.controller()
    yield orphans.controller()
    yield namespace.controller()
    yield nodes.controller()
    yield serviceaccount.controller()
