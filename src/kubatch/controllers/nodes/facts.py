"""What the rules about one node look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubatch.api.models import Node, Taint
from kubatch.api.resource import NODES
from kubatch.reconcile.controller import Key, View


@dataclass(frozen=True)
class NodeFacts:
    """One node: what it reports, and how it is tainted."""

    node: Node
    name: str
    resource_version: str
    conditions: Mapping[str, str]  # type to status
    unschedulable: bool
    taints: tuple[Taint, ...]


def read(view: View, key: Key, remembered: Any) -> NodeFacts | None:
    """The facts about a node; None when it is gone."""
    node = view.get(NODES, None, key.name)
    if node is None or node.metadata is None:
        return None
    status, spec = node.status, node.spec
    return NodeFacts(
        node=node,
        name=key.name,
        resource_version=node.metadata.resourceVersion or "",
        conditions={c.type: c.status for c in (status.conditions if status else None) or ()},
        unschedulable=bool(spec and spec.unschedulable),
        taints=tuple((spec.taints if spec else None) or ()),
    )
