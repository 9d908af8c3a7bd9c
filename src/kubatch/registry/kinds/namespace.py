"""Namespaces (pkg/registry/core/namespace/strategy.go)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Namespace, NamespaceSpec, NamespaceStatus
from kubatch.api.resource import NAMESPACES
from kubatch.registry.age import age
from kubatch.registry.metadata import dns_label_errors, qualified_name_errors
from kubatch.registry.strategy import Column, Row, Strategy

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"
# pkg/apis/core/helper: standardFinalizers
_STANDARD_FINALIZERS = {FINALIZER, "orphan", "foregroundDeletion"}


def _phase(space: Namespace) -> str:
    return (space.status.phase if space.status is not None else None) or ""


class NamespaceStrategy(Strategy[Namespace]):
    resource = NAMESPACES
    fields: Mapping[str, Callable[[Namespace], str]] = {"status.phase": _phase}
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Status", description="The status of the namespace"),
        Column("Age", description="Time since the namespace was created."),
    )

    def validate_name(self, name: str) -> list[str]:
        return dns_label_errors(name)

    def default(self, obj: Namespace) -> None:
        """The name is a label too, so that selectors can use it (SetDefaults_Namespace)."""
        if obj.metadata is not None and obj.metadata.name:
            obj.metadata.labels = {**(obj.metadata.labels or {}), NAME_LABEL: obj.metadata.name}

    def prepare_create(self, obj: Namespace) -> None:
        obj.status = NamespaceStatus(phase="Active")
        spec = obj.spec or NamespaceSpec()
        finalizers = spec.finalizers or []
        if FINALIZER not in finalizers:
            spec.finalizers = [*finalizers, FINALIZER]
        obj.spec = spec

    def validate_create(self, obj: Namespace) -> list[Cause]:
        names = (obj.spec.finalizers if obj.spec is not None else None) or ()
        return finalizer_causes(names)

    def prepare_update(self, new: Namespace, old: Namespace) -> None:
        new.spec, new.status = old.spec, old.status

    def prepare_status_update(self, new: Namespace, old: Namespace) -> None:
        new.spec = old.spec

    def validate_status_update(self, new: Namespace, old: Namespace) -> list[Cause]:
        deleted = old.metadata is not None and old.metadata.deletionTimestamp is not None
        wanted = "Terminating" if deleted else "Active"
        if _phase(new) == wanted:
            return []
        state = "not empty" if deleted else "empty"
        why = f"may only be '{wanted}' if `deletionTimestamp` is {state}"
        return [fields.invalid("status.Phase", _phase(new), why)]

    def row(self, obj: Namespace, now: datetime) -> Row:
        assert obj.metadata is not None
        return Row((obj.metadata.name, _phase(obj), age(obj.metadata.creationTimestamp, now)))


def finalizer_causes(names: Sequence[str], path: str = "spec.finalizers") -> list[Cause]:
    """Everything wrong with a namespace's own finalizers (validateFinalizerName)."""
    out: list[Cause] = []
    for name in names:
        out += [fields.invalid(path, name, why) for why in qualified_name_errors(name)]
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            out.append(fields.invalid(path, name, why))
    return out
