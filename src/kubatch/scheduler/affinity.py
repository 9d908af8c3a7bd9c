"""Which nodes a pod wants: nodeSelector and node affinity.

component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go: terms are alternatives, the
requirements of a term all hold, and a term without any matches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubatch.api import models as m


def required_terms(spec: m.PodSpec) -> list[m.NodeSelectorTerm] | None:
    """The terms of which a node must match one; None when any node will do."""
    affinity = spec.affinity.nodeAffinity if spec.affinity else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity else None
    return None if required is None else required.nodeSelectorTerms


def matches(spec: m.PodSpec, node: str, labels: Mapping[str, str]) -> bool:
    """Whether a node is one that the pod's selector and required affinity ask for."""
    for label, value in (spec.nodeSelector or {}).items():
        if labels.get(label) != value:
            return False
    terms = required_terms(spec)
    return terms is None or any(_term(term, node, labels) for term in terms)


def preference(spec: m.PodSpec, node: str, labels: Mapping[str, str]) -> int:
    """The sum of the weights of the preferred terms that a node matches."""
    affinity = spec.affinity.nodeAffinity if spec.affinity else None
    terms = affinity.preferredDuringSchedulingIgnoredDuringExecution if affinity else None
    return sum(term.weight for term in terms or () if _term(term.preference, node, labels))


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


def _term(term: m.NodeSelectorTerm, node: str, labels: Mapping[str, str]) -> bool:
    if not term.matchExpressions and not term.matchFields:
        return False
    fields = {"metadata.name": node}
    return all(_meets(labels, wanted) for wanted in term.matchExpressions or ()) and all(
        _meets(fields, wanted) for wanted in term.matchFields or ()
    )


def _meets(labels: Mapping[str, str], wanted: m.NodeSelectorRequirement) -> bool:
    value = labels.get(wanted.key)
    values = wanted.values or []
    match wanted.operator:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" if value is not None and len(values) == 1:
            return _compare(value, values[0], greater=wanted.operator == "Gt")
    return False


def _compare(value: str, bound: str, *, greater: bool) -> bool:
    try:
        number, limit = int(value), int(bound)
    except ValueError:
        return False
    return number > limit if greater else number < limit
