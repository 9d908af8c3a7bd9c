"""Which nodes a pod would rather have, and which it names; what it must have is api/node_affinity.

component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go
"""

from __future__ import annotations

from collections.abc import Mapping

from kubatch.api import models as m
from kubatch.api.node_affinity import in_terms, matches, meets_term, required_terms

__all__ = ("in_terms", "matches", "named_nodes", "preference", "required_terms")


def preference(spec: m.PodSpec, node: str, labels: Mapping[str, str]) -> int:
    """The sum of the weights of the preferred terms that a node matches."""
    affinity = spec.affinity.nodeAffinity if spec.affinity else None
    terms = affinity.preferredDuringSchedulingIgnoredDuringExecution if affinity else None
    return sum(term.weight for term in terms or () if meets_term(term.preference, node, labels))


def named_nodes(spec: m.PodSpec) -> frozenset[str] | None:
    """The only nodes that required affinity can match, when every term names its nodes.

    The plugin tells the scheduler so before it looks at any node (node_affinity.go: PreFilter).
    """
    terms = required_terms(spec)
    if not terms:
        return None
    names: set[str] = set()
    for term in terms:
        chosen: frozenset[str] | None = None
        for field in term.matchFields or ():
            if field.key == "metadata.name" and field.operator == "In":
                values = frozenset(field.values or ())
                chosen = values if chosen is None else chosen & values
        if chosen is None:
            return None
        names |= chosen
    return frozenset(names)
