"""Which objects a list or watch is about: namespace, labels and fields together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kubatch.api import errors, selectors
from kubatch.registry.strategy import Strategy
from kubatch.registry.values import ListRequest

T = TypeVar("T")


@dataclass(frozen=True)
class Selection(Generic[T]):
    """The parsed selectors of one request over one kind."""

    strategy: Strategy[T]
    labels: selectors.LabelRequirements
    fields: selectors.FieldSelector

    @property
    def everything(self) -> bool:
        """Whether every object matches."""
        return self.labels.empty and not self.fields.requirements

    def matches(self, obj: Any) -> bool:
        """Whether one object is selected."""
        meta = obj.metadata
        if not self.labels.empty and not self.labels.matches(meta.labels):
            return False
        return all(
            (self._field(obj, r.path) == r.value) is not r.negated for r in self.fields.requirements
        )

    def _field(self, obj: Any, path: str) -> str:
        if path == "metadata.name":
            return str(obj.metadata.name)
        if path == "metadata.namespace":
            return obj.metadata.namespace or ""
        return self.strategy.fields[path](obj)

    def only_name(self) -> str | None:
        """The one name that can match, if the selector names one: such a list costs a lookup."""
        for requirement in self.fields.requirements:
            if requirement.path == "metadata.name" and not requirement.negated:
                return requirement.value
        return None


def parse(strategy: Strategy[T], request: ListRequest) -> Selection[T]:
    """The selection a request asks for. Raises ApiError 400 for selectors that do not parse."""
    try:
        labels = selectors.parse_labels(request.label_selector)
        fields = selectors.parse_fields(request.field_selector)
    except ValueError as error:
        raise errors.bad_request(str(error)) from None
    for requirement in fields.requirements:
        known = requirement.path == "metadata.name" or requirement.path in strategy.fields
        if requirement.path == "metadata.namespace":
            known = strategy.resource.namespaced
        if not known:
            raise errors.bad_request(strategy.unknown_field_message(requirement.path))
    return Selection(strategy, labels, fields)
