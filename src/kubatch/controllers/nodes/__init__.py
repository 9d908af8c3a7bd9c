"""Rules about nodes: the taints that say in the spec what the conditions say in the status."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubatch.api.resource import NODES
from kubatch.controllers.nodes.decide import decide
from kubatch.controllers.nodes.facts import NodeFacts, read
from kubatch.reconcile.controller import Controller, Key


def _keys(before: Any, after: Any) -> Iterable[Key]:
    if after is not None:
        yield Key("", after.metadata.name)


def controller() -> Controller[NodeFacts]:
    """The record for the engine."""
    return Controller(
        name="node-controller", watches={NODES: _keys}, read=read, decide=decide, workers=1
    )
