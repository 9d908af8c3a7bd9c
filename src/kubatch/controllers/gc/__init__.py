"""The garbage collector: what becomes of objects whose owner is deleted.

graph.py says who owns whom, facts.py reads, decide.py decides.
"""

from __future__ import annotations

from kubatch.controllers.gc import graph
from kubatch.controllers.gc.decide import decide
from kubatch.controllers.gc.facts import OwnerFacts, read
from kubatch.reconcile.controller import Controller


def controller() -> Controller[OwnerFacts]:
    """The record for the engine."""
    return Controller(
        name="garbage-collector-controller",
        watches=graph.KEYS,
        read=read,
        decide=decide,
        indexes=(*graph.BY_UID.values(), *graph.BY_OWNER.values()),
        workers=20,  # kube-controller-manager's --concurrent-gc-syncs
    )
