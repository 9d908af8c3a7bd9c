"""What may change in a Job that exists.

Follows pkg/apis/batch/validation/validation.go: ValidateJobSpecUpdate, and
pkg/registry/batch/job/strategy.go: validationOptionsForJob.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Affinity, Container, Job, JobSpec, PodSpec
from kubatch.registry.kinds.job.defaults import CONTROLLER_UID, JOB_NAME
from kubatch.registry.kinds.job.policies import shown_failure_policy, shown_success_policy
from kubatch.registry.kinds.job.validation import validate_job
from kubatch.registry.kinds.rules import immutable, pointer, shown_selector
from kubatch.registry.metadata import IMMUTABLE


def validate_job_update(new: Job, old: Job) -> list[Cause]:
    """Everything wrong with a change. `old` alone says whether the template may change."""
    out = validate_job(new, prefixed_labels=_has_prefixed_labels(old))
    if new.spec is None or old.spec is None:
        return out
    spec, was = new.spec, old.spec
    _completions(spec, was, out)
    immutable(spec.selector, was.selector, "spec.selector", out, shown_selector(spec.selector))
    _template(spec, was, template_mutable(old), out)
    immutable(spec.completionMode, was.completionMode, "spec.completionMode", out)
    policy = spec.podFailurePolicy
    shown = shown_failure_policy(policy)
    immutable(policy, was.podFailurePolicy, "spec.podFailurePolicy", out, shown)
    per_index = spec.backoffLimitPerIndex
    immutable(per_index, was.backoffLimitPerIndex, "spec.backoffLimitPerIndex", out)
    immutable(spec.managedBy, was.managedBy, "spec.managedBy", out)
    shown = shown_success_policy(spec.successPolicy)
    immutable(spec.successPolicy, was.successPolicy, "spec.successPolicy", out, shown)
    return out


def _has_prefixed_labels(job: Job) -> bool:
    meta = job.spec.template.metadata if job.spec is not None else None
    labels = (meta.labels if meta is not None else None) or {}
    return JOB_NAME in labels and CONTROLLER_UID in labels


def _completions(spec: JobSpec, was: JobSpec, out: list[Cause]) -> None:
    """Fixed, but an Indexed Job may grow or shrink together with its parallelism."""
    path = "spec.completions"
    if spec.completionMode != "Indexed":
        immutable(spec.completions, was.completions, path, out)
    elif spec.completions not in (None, was.completions, spec.parallelism):
        why = "can only be modified in tandem with spec.parallelism"
        out.append(fields.invalid(path, pointer(spec.completions), why))


def template_mutable(old: Job) -> bool:
    """Whether parts of the template may change: the Job is suspended, and none of its pods live.

    Gates MutableSchedulingDirectivesForSuspendedJobs and MutablePodResourcesForSuspendedJobs.
    """
    if old.spec is None or not old.spec.suspend:
        return False
    status = old.status
    if status is None:
        return True
    suspended = any(c.type == "Suspended" and c.status == "True" for c in status.conditions or ())
    return (status.startTime is None or suspended) and not status.active


def _template(spec: JobSpec, was: JobSpec, mutable: bool, out: list[Cause]) -> None:
    new, old = spec.template, was.template
    if new == old:
        return
    if not mutable:
        out.append(fields.invalid("spec.template", msgspec.to_builtins(new), IMMUTABLE))
        return
    # The template's metadata is not compared at all here.
    if new.spec is None or old.spec is None:
        immutable(new.spec, old.spec, "spec.template.spec", out)
        return
    allowed = replace(
        old.spec,
        affinity=_with_node_affinity(old.spec, new.spec),
        nodeSelector=new.spec.nodeSelector,
        tolerations=new.spec.tolerations,
        schedulingGates=new.spec.schedulingGates,
        containers=_with_resources(old.spec.containers, new.spec.containers),
        initContainers=_with_resources(old.spec.initContainers, new.spec.initContainers),
    )
    if new.spec != allowed:
        shown = msgspec.to_builtins(new.spec)
        out.append(fields.invalid("spec.template.spec", shown, IMMUTABLE))


def _with_node_affinity(old: PodSpec, new: PodSpec) -> Affinity | None:
    """The old affinity, with the new one's part about nodes."""
    wanted = new.affinity.nodeAffinity if new.affinity is not None else None
    if old.affinity is None:
        return None if new.affinity is None else Affinity(nodeAffinity=wanted)
    merged = replace(old.affinity, nodeAffinity=wanted)
    return None if new.affinity is None and merged == Affinity() else merged


def _with_resources(
    old: Sequence[Container] | None, new: Sequence[Container] | None
) -> list[Container] | None:
    """The old containers, with the new ones' resources where names and places agree."""
    if old is None or new is None or len(old) != len(new):
        return None if old is None else list(old)
    return [
        replace(o, resources=n.resources) if o.name == n.name else o
        for o, n in zip(old, new, strict=True)
    ]
