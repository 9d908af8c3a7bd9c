"""What a pod says of its neighbours: how it is to be spread, and which pods it wants near or far.

pkg/scheduler/framework/types.go: AffinityTerm; plugins/podtopologyspread/common.go. Selectors are
made ready once; `matchLabelKeys` become part of them, as the API server has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kubatch.api import models as m
from kubatch.api.selectors import LabelRequirements, from_selector

_NO_META = m.ObjectMeta()


@dataclass(frozen=True, slots=True)
class Whom:
    """The pods that a rule means."""

    selector: LabelRequirements
    namespaces: frozenset[str]
    namespace_selector: LabelRequirements | None = None


@dataclass(frozen=True, slots=True)
class Near:
    """Pods to be near to, or away from: on nodes with the same value of a label."""

    topology: str
    whom: Whom
    weight: int = 0  # 0: required


@dataclass(frozen=True, slots=True)
class Spread:
    """Pods are to be spread over the values of a node's label."""

    topology: str
    whom: Whom
    max_skew: int
    min_domains: int
    hard: bool
    honors_affinity: bool
    honors_taints: bool
    counts_itself: bool  # the pod is one of those that are counted


@dataclass(frozen=True, slots=True)
class Terms:
    """All that a pod says."""

    near: tuple[Near, ...] = ()
    far: tuple[Near, ...] = ()
    rather_near: tuple[Near, ...] = ()
    rather_far: tuple[Near, ...] = ()
    spread: tuple[Spread, ...] = ()
    # Whether the pod is itself one of those that it wants near: then it may be the first of them.
    wants_itself: bool = False

    @property
    def about_pods(self) -> bool:
        """Whether others may be measured by this pod: its affinity, not its spread."""
        return bool(self.near or self.far or self.rather_near or self.rather_far)


NO_TERMS = Terms()


def read_terms(pod: m.Pod) -> Terms:
    """The terms of a pod."""
    spec, meta = pod.spec, pod.metadata or _NO_META
    if spec is None or (spec.affinity is None and not spec.topologySpreadConstraints):
        return NO_TERMS
    affinity = spec.affinity or m.Affinity()
    near, far = affinity.podAffinity, affinity.podAntiAffinity
    wanted = _required(near, meta)
    spread = tuple(_spread(one, meta) for one in spec.topologySpreadConstraints or ())
    terms = Terms(
        wanted,
        _required(far, meta),
        _preferred(near, meta),
        _preferred(far, meta),
        spread,
        all(_is_meant(meta, term.whom) for term in wanted),
    )
    return NO_TERMS if terms == Terms(wants_itself=True) else terms


def _is_meant(meta: m.ObjectMeta, whom: Whom) -> bool:
    # A term that selects namespaces by their labels cannot be judged here: the pod counts as meant
    # when its own namespace is listed, or any namespace would do.
    space = meta.namespace or ""
    everywhere = whom.namespace_selector is not None and whom.namespace_selector.empty
    return (space in whom.namespaces or everywhere) and whom.selector.matches(meta.labels)


def _required(
    side: m.core_v1.PodAffinity | m.core_v1.PodAntiAffinity | None, meta: m.ObjectMeta
) -> tuple[Near, ...]:
    terms = side.requiredDuringSchedulingIgnoredDuringExecution if side else None
    return tuple(_near(term, meta) for term in terms or ())


def _preferred(
    side: m.core_v1.PodAffinity | m.core_v1.PodAntiAffinity | None, meta: m.ObjectMeta
) -> tuple[Near, ...]:
    terms = side.preferredDuringSchedulingIgnoredDuringExecution if side else None
    return tuple(_near(one.podAffinityTerm, meta, one.weight) for one in terms or ())


def _near(term: m.core_v1.PodAffinityTerm, meta: m.ObjectMeta, weight: int = 0) -> Near:
    """types.go: newAffinityTerm, getNamespacesFromPodAffinityTerm."""
    selector = _merged(
        term.labelSelector, meta.labels, term.matchLabelKeys or (), term.mismatchLabelKeys or ()
    )
    named = frozenset(term.namespaces or ())
    by_label = term.namespaceSelector
    if not named and by_label is None:
        named = frozenset((meta.namespace or "",))
    spaces = from_selector(by_label) if by_label is not None else None
    return Near(term.topologyKey, Whom(from_selector(selector), named, spaces), weight)


def _spread(one: m.core_v1.TopologySpreadConstraint, meta: m.ObjectMeta) -> Spread:
    """common.go: filterTopologySpreadConstraints."""
    selector = from_selector(_merged(one.labelSelector, meta.labels, one.matchLabelKeys or ()))
    whom = Whom(selector, frozenset((meta.namespace or "",)))
    return Spread(
        one.topologyKey,
        whom,
        one.maxSkew,
        one.minDomains or 1,
        one.whenUnsatisfiable == "DoNotSchedule",
        (one.nodeAffinityPolicy or "Honor") == "Honor",
        one.nodeTaintsPolicy == "Honor",
        selector.matches(meta.labels),
    )


def _merged(
    selector: m.LabelSelector | None,
    labels: Mapping[str, str] | None,
    same: Sequence[str],
    other: Sequence[str] = (),
) -> m.LabelSelector | None:
    """The selector with what the keys ask for; a key that the pod does not have asks nothing."""
    added = [*_expressions(labels, same, "In"), *_expressions(labels, other, "NotIn")]
    if selector is None or not added:
        return selector
    mine = [*(selector.matchExpressions or ()), *added]
    return m.LabelSelector(matchLabels=selector.matchLabels, matchExpressions=mine)


def _expressions(
    labels: Mapping[str, str] | None, keys: Sequence[str], operator: str
) -> Iterable[m.meta_v1.LabelSelectorRequirement]:
    for key in keys:
        if key in (labels or {}):
            value = (labels or {})[key]
            yield m.meta_v1.LabelSelectorRequirement(key=key, operator=operator, values=[value])
