"""What the ReplicaSet rules look at: one ReplicaSet, its living pods, and those it could adopt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubatch.api import models as m
from kubatch.api import selectors
from kubatch.api.conditions import find
from kubatch.api.owners import controller_of
from kubatch.api.resource import PODS, REPLICASETS
from kubatch.reconcile.controller import Index, Key, View

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_NO_META = m.ObjectMeta()
_NO_SPEC = m.PodSpec(containers=[])
_NO_STATUS = m.PodStatus()


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod in the words of the rules."""

    pod: m.Pod
    name: str
    uid: str
    labels: dict[str, str]
    node: str
    phase: str
    ready: bool
    ready_since: datetime | None
    created: datetime | None
    restarts: int
    cost: int  # the annotation: cheap ones are deleted first


@dataclass(frozen=True, slots=True)
class ReplicaSetFacts:
    """Everything a decision about one ReplicaSet depends on, but for the time."""

    replicaset: m.ReplicaSet
    namespace: str
    name: str
    uid: str
    deleting: bool
    replicas: int
    min_ready: timedelta
    template: m.PodTemplateSpec
    status: m.ReplicaSetStatus
    pods: tuple[PodFacts, ...]  # active ones that match, those to adopt included
    terminating: int
    adopt: tuple[PodFacts, ...] = ()
    release: tuple[PodFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Adoption:
    """Pods without a controller that a ReplicaSet of their namespace should take."""

    pairs: tuple[tuple[m.ReplicaSet, PodFacts], ...]


def replicaset_of(pod: m.Pod) -> m.OwnerReference | None:
    """The reference to the ReplicaSet that controls a pod."""
    owner = controller_of(pod.metadata)
    if owner is not None and owner.kind == "ReplicaSet" and owner.apiVersion.startswith("apps/"):
        return owner
    return None


def is_finished(pod: m.Pod) -> bool:
    """Whether a pod has ended; it is replaced then."""
    return pod.status is not None and pod.status.phase in ("Succeeded", "Failed")


def is_active(pod: m.Pod) -> bool:
    """Neither ended nor asked to (controller_utils.go: IsPodActive)."""
    return not is_finished(pod) and (pod.metadata or _NO_META).deletionTimestamp is None


def _by_replicaset(pod: m.Pod) -> Iterable[str]:
    owner = replicaset_of(pod)
    return () if owner is None or is_finished(pod) else (owner.uid,)


def _unowned(pod: m.Pod) -> Iterable[str]:
    meta = pod.metadata or _NO_META
    if controller_of(meta) is None and meta.labels and is_active(pod):
        yield meta.namespace or ""


def _namespace(replicaset: m.ReplicaSet) -> Iterable[str]:
    yield (replicaset.metadata or _NO_META).namespace or ""


# Its pods that have not ended, terminating ones included.
PODS_BY_REPLICASET = Index("pods-by-replicaset", PODS, _by_replicaset)
# Active pods with labels and without a controller, by namespace.
UNOWNED_PODS = Index("unowned-active-pods", PODS, _unowned)
BY_NAMESPACE = Index("replicasets-by-namespace", REPLICASETS, _namespace)


def read(view: View, key: Key, _remembered: object = None) -> ReplicaSetFacts | Adoption | None:
    """The facts under a key; None when there is nothing to decide."""
    if not key.name:
        return _read_adoption(view, key.namespace)
    replicaset = view.get(REPLICASETS, key.namespace, key.name)
    if replicaset is None or replicaset.metadata is None or replicaset.spec is None:
        return None
    meta, spec = replicaset.metadata, replicaset.spec
    found = view.indexed(PODS_BY_REPLICASET, meta.uid or "")
    active = [pod for pod in found if is_active(pod)]
    selector = selectors.from_selector(spec.selector)
    own = [read_pod(pod) for pod in active if selector.matches(_labels(pod))]
    foreign = [read_pod(pod) for pod in active if not selector.matches(_labels(pod))]
    adopt = [read_pod(pod) for pod in _adoptable(view, replicaset)]
    deleting = meta.deletionTimestamp is not None
    return ReplicaSetFacts(
        replicaset,
        key.namespace,
        key.name,
        meta.uid or "",
        deleting,
        1 if spec.replicas is None else spec.replicas,
        timedelta(seconds=spec.minReadySeconds or 0),
        spec.template or m.PodTemplateSpec(),
        replicaset.status or m.ReplicaSetStatus(replicas=0),
        tuple(sorted([*own, *adopt], key=lambda pod: pod.name)),
        len(found) - len(active),
        tuple(adopt),
        () if deleting else tuple(foreign),
    )


def _read_adoption(view: View, namespace: str) -> Adoption | None:
    taken: set[str] = set()
    pairs: list[tuple[m.ReplicaSet, PodFacts]] = []
    for replicaset in view.indexed(BY_NAMESPACE, namespace):
        for pod in _adoptable(view, replicaset):
            facts = read_pod(pod)
            if facts.uid not in taken:
                taken.add(facts.uid)
                pairs.append((replicaset, facts))
    return Adoption(tuple(pairs)) if pairs else None


def _adoptable(view: View, replicaset: m.ReplicaSet) -> list[m.Pod]:
    """Pods without a controller that match; one that is being deleted adopts nothing."""
    meta, spec = replicaset.metadata or _NO_META, replicaset.spec
    candidates = view.indexed(UNOWNED_PODS, meta.namespace or "")
    if not candidates or meta.deletionTimestamp is not None or spec is None:
        return []
    selector = selectors.from_selector(spec.selector)
    return [pod for pod in candidates if selector.matches(_labels(pod))]


def _labels(pod: m.Pod) -> dict[str, str]:
    return (pod.metadata or _NO_META).labels or {}


def read_pod(pod: m.Pod) -> PodFacts:
    """The facts about a pod."""
    meta, spec, status = pod.metadata or _NO_META, pod.spec or _NO_SPEC, pod.status or _NO_STATUS
    ready = find(status.conditions, "Ready")
    is_ready = ready is not None and ready.status == "True"
    counts = [one.restartCount or 0 for one in status.containerStatuses or ()]
    return PodFacts(
        pod,
        meta.name or "",
        meta.uid or "",
        meta.labels or {},
        spec.nodeName or "",
        status.phase or "Pending",
        is_ready,
        ready.lastTransitionTime if is_ready and ready is not None else None,
        meta.creationTimestamp,
        max(counts, default=0),
        _cost((meta.annotations or {}).get(DELETION_COST, "")),
    )


def _cost(text: str) -> int:
    """An int32 as validation lets it pass; anything else counts as 0."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
        return 0
    cost = int(text)
    return cost if -(2**31) <= cost < 2**31 else 0
