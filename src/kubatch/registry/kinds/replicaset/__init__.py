"""ReplicaSets (pkg/registry/apps/replicaset; pkg/apis/apps/validation: ValidateReplicaSet)."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from msgspec.structs import replace

from kubatch.api import fields, selectors
from kubatch.api.errors import Cause
from kubatch.api.models import PodTemplateSpec, ReplicaSet, ReplicaSetSpec, ReplicaSetStatus
from kubatch.api.resource import REPLICASETS
from kubatch.registry.age import age
from kubatch.registry.kinds.job import template_warnings
from kubatch.registry.kinds.job.columns import TEMPLATE_COLUMNS, template_cells
from kubatch.registry.kinds.podspec.defaults import default_pod_spec
from kubatch.registry.kinds.podspec.validation import validate_template
from kubatch.registry.kinds.rules import (
    format_selector,
    immutable,
    non_negative,
    selector_causes,
    selects,
    shown_selector,
)
from kubatch.registry.strategy import Column, Row, Strategy

__all__ = ["ReplicaSetStrategy"]

_COUNTS = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")


class ReplicaSetStrategy(Strategy[ReplicaSet]):
    resource = REPLICASETS
    tracks_generation: ClassVar[bool] = True
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Desired", type="integer", description="The number of desired pods."),
        Column("Current", type="integer", description="The number of pods there are."),
        Column("Ready", type="integer", description="The number of pods that are ready."),
        Column("Age", description="Time since the replica set was created."),
        *TEMPLATE_COLUMNS,
    )

    def default(self, obj: ReplicaSet) -> None:
        spec = obj.spec
        if spec is None:
            return
        if spec.replicas is None:
            spec.replicas = 1
        if spec.template is not None and spec.template.spec is not None:
            default_pod_spec(spec.template.spec)

    def prepare_create(self, obj: ReplicaSet) -> None:
        obj.status = ReplicaSetStatus(replicas=0)

    def validate_create(self, obj: ReplicaSet) -> list[Cause]:
        if obj.spec is None:
            return [fields.required("spec.selector")]
        return _validate(obj.spec)

    def prepare_update(self, new: ReplicaSet, old: ReplicaSet) -> None:
        new.status = old.status

    def validate_update(self, new: ReplicaSet, old: ReplicaSet) -> list[Cause]:
        out = self.validate_create(new)
        if new.spec is not None and old.spec is not None:
            now, was = new.spec.selector, old.spec.selector
            immutable(now, was, "spec.selector", out, shown_selector(now))
        return out

    def prepare_status_update(self, new: ReplicaSet, old: ReplicaSet) -> None:
        new.spec = old.spec

    def validate_status_update(self, new: ReplicaSet, old: ReplicaSet) -> list[Cause]:
        return _validate_status(new.status or ReplicaSetStatus(replicas=0))

    def prepare_part(self, part: str, new: ReplicaSet, old: ReplicaSet) -> None:
        """`scale` is the number alone; an apply that lets go of it leaves none."""
        assert new.spec is not None
        assert old.spec is not None
        new.spec = replace(old.spec, replicas=new.spec.replicas or 0)
        new.status = old.status

    def warnings_create(self, obj: ReplicaSet) -> list[str]:
        template = obj.spec.template if obj.spec is not None else None
        return template_warnings(template, "spec.template") if template is not None else []

    def warnings_update(self, new: ReplicaSet, old: ReplicaSet) -> list[str]:
        return self.warnings_create(new) if new.spec != old.spec else []

    def row(self, obj: ReplicaSet, now: datetime) -> Row:
        assert obj.metadata is not None
        spec, status = obj.spec, obj.status or ReplicaSetStatus(replicas=0)
        assert spec is not None
        names, images = template_cells(spec.template or PodTemplateSpec())
        return Row(
            (
                obj.metadata.name,
                spec.replicas or 0,
                status.replicas or 0,
                status.readyReplicas or 0,
                age(obj.metadata.creationTimestamp, now),
                names,
                images,
                format_selector(spec.selector),
            )
        )


def _validate(spec: ReplicaSetSpec) -> list[Cause]:
    """ValidateReplicaSetSpec."""
    out: list[Cause] = []
    non_negative(spec.replicas, "spec.replicas", out)
    non_negative(spec.minReadySeconds, "spec.minReadySeconds", out)
    selector = spec.selector
    if not selector.matchLabels and not selector.matchExpressions:
        # One that was never sent, or sent empty: once read, they look the same.
        out.append(fields.required("spec.selector"))
    out += selector_causes(selector, "spec.selector")
    try:
        selectors.from_selector(selector)
    except ValueError:
        why = "invalid label selector"
        out.append(fields.invalid("spec.selector", shown_selector(selector), why))
        return out
    _template(spec, out)
    return out


def _template(spec: ReplicaSetSpec, out: list[Cause]) -> None:
    """ValidatePodTemplateSpecForReplicaSet."""
    path, template = "spec.template", spec.template
    if template is None:
        out.append(fields.required(path))
        return
    labels = (template.metadata.labels if template.metadata is not None else None) or {}
    says = spec.selector.matchLabels or spec.selector.matchExpressions
    if says and not selects(spec.selector, labels):
        why = "`selector` does not match template `labels`"
        out.append(fields.invalid(f"{path}.metadata.labels", labels or None, why))
    validate_template(template, path, out)
    if template.spec is None:
        return
    policy = template.spec.restartPolicy
    if policy != "Always":
        where = f"{path}.spec.restartPolicy"
        out.append(fields.not_supported(where, policy or "", ["Always"]))
    if template.spec.activeDeadlineSeconds is not None:
        why = "activeDeadlineSeconds in ReplicaSet is not Supported"
        out.append(fields.forbidden(f"{path}.spec.activeDeadlineSeconds", why))


def _validate_status(status: ReplicaSetStatus) -> list[Cause]:
    """ValidateReplicaSetStatus."""
    out: list[Cause] = []
    for name in ("replicas", *_COUNTS, "terminatingReplicas", "observedGeneration"):
        non_negative(getattr(status, name), f"status.{name}", out)
    for name in _COUNTS:
        count = getattr(status, name) or 0
        if count > (status.replicas or 0):
            why = "cannot be greater than status.replicas"
            out.append(fields.invalid(f"status.{name}", count, why))
    if (status.availableReplicas or 0) > (status.readyReplicas or 0):
        why = "cannot be greater than readyReplicas"
        out.append(fields.invalid("status.availableReplicas", status.availableReplicas, why))
    return out
