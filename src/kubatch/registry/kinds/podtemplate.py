"""PodTemplates (pkg/registry/core/podtemplate; ValidatePodTemplate)."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import PodTemplate
from kubatch.api.resource import PODTEMPLATES
from kubatch.registry.kinds.job.columns import template_cells
from kubatch.registry.kinds.pod.warnings import spec_warnings
from kubatch.registry.kinds.podspec.defaults import default_pod_spec
from kubatch.registry.kinds.podspec.validation import validate_template
from kubatch.registry.kinds.rules import format_labels
from kubatch.registry.strategy import Column, Row, Strategy


class PodTemplateStrategy(Strategy[PodTemplate]):
    resource = PODTEMPLATES
    tracks_generation: ClassVar[bool] = True
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Containers", description="Names of each container in the template."),
        Column("Images", description="Images referenced by each container in the template."),
        Column("Pod Labels", description="The labels for the pod template."),
    )

    def default(self, obj: PodTemplate) -> None:
        if obj.template is not None and obj.template.spec is not None:
            default_pod_spec(obj.template.spec)

    def spec_changed(self, new: PodTemplate, old: PodTemplate) -> bool:
        return new.template != old.template

    def validate_create(self, obj: PodTemplate) -> list[Cause]:
        out: list[Cause] = []
        if obj.template is None:
            return [fields.required("template.spec.containers")]
        validate_template(obj.template, "template", out)
        return out

    def validate_update(self, new: PodTemplate, old: PodTemplate) -> list[Cause]:
        return self.validate_create(new)

    def warnings_create(self, obj: PodTemplate) -> list[str]:
        if obj.template is None or obj.template.spec is None:
            return []
        return spec_warnings(obj.template.spec, "template.spec")

    def warnings_update(self, new: PodTemplate, old: PodTemplate) -> list[str]:
        return self.warnings_create(new) if self.spec_changed(new, old) else []

    def row(self, obj: PodTemplate, now: datetime) -> Row:
        assert obj.metadata is not None
        names, images = template_cells(obj.template) if obj.template is not None else ("", "")
        meta = obj.template.metadata if obj.template is not None else None
        labels = format_labels(meta.labels if meta is not None else None)
        return Row((obj.metadata.name, names, images, labels))
