"""Which nodes a pod must have: nodeSelector and required node affinity.

component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go: terms are alternatives, the
requirements of a term all hold, and a term without any matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
    return terms is None or in_terms(terms, node, labels)


def in_terms(terms: Iterable[m.NodeSelectorTerm], node: str, labels: Mapping[str, str]) -> bool:
    """Whether a node is one that any of the terms means."""
    return any(meets_term(term, node, labels) for term in terms)


def meets_term(term: m.NodeSelectorTerm, node: str, labels: Mapping[str, str]) -> bool:
    """Whether a node is what a term means."""
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
