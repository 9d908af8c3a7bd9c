"""The pods of a Job: what a new one looks like, and which go first when there are too many."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from kubatch.api import models as m
from kubatch.api.conditions import find
from kubatch.api.owners import owner_reference
from kubatch.api.resource import JOBS
from kubatch.controllers.job import backoff, failure_policy, names
from kubatch.controllers.job.facts import JobFacts, PodFacts

# ----- new pods


def new_pod(facts: JobFacts) -> m.Pod:
    """A pod from the Job's template, for a Job without indexes.

    Labels, annotations, finalizers and spec are the template's; its name, namespace and owners are
    not (controller_utils.go: GetPodFromTemplate). Parts are shared with the template, not copied.
    """
    template = _template(facts)
    return m.Pod(
        metadata=_metadata(facts, template.metadata or m.ObjectMeta(), f"{facts.name}-"),
        spec=template.spec,
    )


def new_indexed_pod(facts: JobFacts, index: int, replaced: PodFacts | None) -> m.Pod:
    """The pod of one index, which replaces a failed one that has the failure counts."""
    template = _template(facts)
    metadata = _metadata(
        facts, template.metadata or m.ObjectMeta(), generate_name_with_index(facts.name, index)
    )
    annotations = {**(metadata.annotations or {}), names.COMPLETION_INDEX: str(index)}
    if facts.spec.per_index:
        annotations.update(_failure_counts(facts, replaced))
    metadata.annotations = annotations
    metadata.labels = {**(metadata.labels or {}), names.COMPLETION_INDEX: str(index)}
    spec = template.spec or m.PodSpec(containers=[])
    return m.Pod(
        metadata=metadata,
        spec=replace(
            spec,
            hostname=f"{facts.name}-{index}",
            containers=[_with_index(one) for one in spec.containers],
            initContainers=[_with_index(one) for one in spec.initContainers]
            if spec.initContainers
            else spec.initContainers,
        ),
    )


def generate_name_with_index(job_name: str, index: int) -> str:
    """`JOB-IDX-`; a long Job name is cut so that the index stays (podGenerateNameWithIndex)."""
    ending = f"-{index}-"
    return job_name[: names.MAX_GENERATED_NAME - len(ending)] + ending


def _template(facts: JobFacts) -> m.PodTemplateSpec:
    return facts.job.spec.template if facts.job.spec else m.PodTemplateSpec()


def _metadata(facts: JobFacts, template: m.ObjectMeta, generate_name: str) -> m.ObjectMeta:
    finalizers = list(template.finalizers or ())
    if names.TRACKING_FINALIZER not in finalizers:
        finalizers.append(names.TRACKING_FINALIZER)
    return m.ObjectMeta(
        namespace=facts.namespace,
        generateName=generate_name,
        labels=template.labels,
        annotations=template.annotations,
        finalizers=finalizers,
        ownerReferences=[owner_reference(facts.job, JOBS)],
    )


def _with_index(container: m.Container) -> m.Container:
    """The container with JOB_COMPLETION_INDEX, unless the template sets it itself."""
    env = container.env or []
    if any(one.name == names.COMPLETION_INDEX_ENV for one in env):
        return container
    path = f"metadata.labels['{names.COMPLETION_INDEX}']"
    source = m.EnvVarSource(fieldRef=m.ObjectFieldSelector(fieldPath=path))
    return replace(
        container, env=[*env, m.EnvVar(name=names.COMPLETION_INDEX_ENV, valueFrom=source)]
    )


def _failure_counts(facts: JobFacts, replaced: PodFacts | None) -> dict[str, str]:
    """The index's failures so far, as annotations (getNewIndexFailureCounts)."""
    failures = ignored = 0
    if replaced is not None:
        counts = failure_policy.judge(facts.spec.failure_rules, replaced.pod).counts
        failures = backoff.index_failures(replaced.pod) + counts
        ignored = backoff.index_ignored_failures(replaced.pod) + (not counts)
    annotations = {names.INDEX_FAILURES: str(failures)}
    if ignored:
        annotations[names.INDEX_IGNORED_FAILURES] = str(ignored)
    return annotations


# ----- surplus pods


def surplus(facts: JobFacts, active: Sequence[PodFacts], at_least: int) -> list[PodFacts]:
    """Active pods to delete: this many at least, and every pod no index needs.

    activePodsForRemoval: pods with a bad index and all but the best of each index go whatever
    the number; then the lowest in rank.
    """
    victims: list[PodFacts] = []
    left = list(active)
    if facts.spec.indexed:
        victims, left = _without_an_index_of_their_own(facts, active)
    if len(victims) < at_least:
        left.sort(key=deletion_rank)
        victims += left[: at_least - len(victims)]
    return victims


def _without_an_index_of_their_own(
    facts: JobFacts, active: Sequence[PodFacts]
) -> tuple[list[PodFacts], list[PodFacts]]:
    victims: list[PodFacts] = []
    by_index: dict[int, list[PodFacts]] = {}
    for pod in active:
        if pod.index is not None and facts.spec.valid_index(pod.index):
            by_index.setdefault(pod.index, []).append(pod)
        else:
            victims.append(pod)
    left: list[PodFacts] = []
    for index in sorted(by_index):
        ranked = sorted(by_index[index], key=deletion_rank)
        victims += ranked[:-1]
        left.append(ranked[-1])
    return victims, left


_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


def deletion_rank(pod: PodFacts) -> tuple[Any, ...]:
    """Sorts the pod whose loss costs least to the front (controller_utils.go: ActivePods).

    Unassigned, then by phase, not ready, ready for a short time, restarted often, young. The name
    decides what is left, so that the order is always the same.
    """
    obj = pod.pod
    restarts, sidecar_restarts = _restarts(obj)
    return (
        bool(obj.spec and obj.spec.nodeName),
        _PHASE_RANK.get(pod.phase, 0),
        pod.ready,
        _youngest_first(_ready_since(obj) if pod.ready else None),
        -restarts,
        -sidecar_restarts,
        _youngest_first(obj.metadata.creationTimestamp if obj.metadata else None),
        pod.name,
    )


def _youngest_first(moment: datetime | None) -> float:
    return float("-inf") if moment is None else -moment.timestamp()


def _ready_since(pod: m.Pod) -> datetime | None:
    condition = find(pod.status.conditions if pod.status else None, "Ready")
    return condition.lastTransitionTime if condition else None


def _restarts(pod: m.Pod) -> tuple[int, int]:
    """The most restarts of a container, and of a sidecar (maxContainerRestarts)."""
    if pod.status is None or pod.spec is None:
        return 0, 0
    regular = [one.restartCount for one in pod.status.containerStatuses or ()]
    sidecars = backoff.sidecar_names(pod.spec)
    beside = [
        one.restartCount for one in pod.status.initContainerStatuses or () if one.name in sidecars
    ]
    return max(regular, default=0), max(beside, default=0)
