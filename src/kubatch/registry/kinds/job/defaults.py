"""Defaults of a Job, and the selector and labels the server generates for it.

pkg/apis/batch/v1/defaults.go: SetDefaults_Job; pkg/registry/batch/job/strategy.go:
generateSelector.
"""

from __future__ import annotations

from kubatch.api.models import Job, LabelSelector, ObjectMeta
from kubatch.registry.kinds.podspec.defaults import default_pod_spec
from kubatch.registry.kinds.rules import INT32_MAX

JOB_NAME = "batch.kubernetes.io/job-name"
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
LEGACY_JOB_NAME = "job-name"
LEGACY_CONTROLLER_UID = "controller-uid"
BACKOFF_LIMIT = 6


def default_job(job: Job) -> None:
    """Fill in a Job's defaults, its template's included."""
    spec = job.spec
    if spec is None:
        return
    if spec.parallelism is None:
        if spec.completions is None:
            spec.completions = 1
        spec.parallelism = 1
    if spec.backoffLimit is None:
        # With a limit per index the global one is out of the way.
        spec.backoffLimit = BACKOFF_LIMIT if spec.backoffLimitPerIndex is None else INT32_MAX
    if spec.completionMode is None:
        spec.completionMode = "NonIndexed"
    if spec.suspend is None:
        spec.suspend = False
    if spec.manualSelector is None:
        spec.manualSelector = False
    if spec.podReplacementPolicy is None:
        policy = spec.podFailurePolicy
        spec.podReplacementPolicy = "TerminatingOrFailed" if policy is None else "Failed"
    for rule in spec.podFailurePolicy.rules if spec.podFailurePolicy is not None else ():
        for pattern in rule.onPodConditions or ():
            pattern.status = pattern.status or "True"
    if spec.template.spec is not None:
        default_pod_spec(spec.template.spec)
    _labels_from_template(job)


def _labels_from_template(job: Job) -> None:
    assert job.spec is not None
    template = job.spec.template.metadata
    if template is not None and template.labels:
        if job.metadata is None:
            job.metadata = ObjectMeta()
        if not job.metadata.labels:
            # The same dict on purpose: generate_selector tells by it that nobody set these.
            job.metadata.labels = template.labels


def generate_selector(job: Job) -> None:
    """Give a new Job the selector and template labels by which its pods are found.

    What the user set is kept; validation refuses it if it differs. A Job without labels of its
    own shows the template's, the generated ones included: Kubernetes gets there since its
    defaults run again on every read.
    """
    spec, meta = job.spec, job.metadata
    assert spec is not None
    assert meta is not None
    if spec.manualSelector:
        return
    template = spec.template.metadata
    if template is None:
        template = spec.template.metadata = ObjectMeta()
    had = template.labels or {}
    follows = not meta.labels or meta.labels is had
    uid, name = meta.uid or "", meta.name or ""
    generated = {
        CONTROLLER_UID: uid,
        JOB_NAME: name,
        LEGACY_CONTROLLER_UID: uid,
        LEGACY_JOB_NAME: name,
    }
    template.labels = {**generated, **had}
    if follows:
        meta.labels = dict(template.labels)
    selector = spec.selector
    if selector is None:
        selector = spec.selector = LabelSelector()
    selector.matchLabels = {CONTROLLER_UID: uid, **(selector.matchLabels or {})}
