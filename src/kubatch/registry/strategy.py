"""The Strategy each kind fills in: what may be stored, and how it shows in a table.

The base class is the behaviour of a kind without rules of its own. Its hooks are those of
apiserver/pkg/registry/rest (create.go, update.go, delete.go), in the order the registry calls
them: default, prepare, validate. Hooks are pure functions of their arguments: `default_` and
`prepare_` hooks change the private copy they are given, `validate_` hooks change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, TypeVar

from kubatch.api.errors import Cause
from kubatch.api.resource import Resource
from kubatch.registry.metadata import dns_subdomain_errors

T = TypeVar("T")

Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a server-side table (metav1.TableColumnDefinition)."""

    name: str
    type: str = "string"
    format: str = ""  # the first column has "name"
    description: str = ""
    priority: int = 0  # 1: shown with -o wide only


@dataclass(frozen=True, slots=True)
class Row:
    """One object's cells, in the order of the columns."""

    cells: Sequence[Any]
    conditions: Sequence[Mapping[str, Any]] = ()  # metav1.TableRowCondition


@dataclass
class RequestContext:
    """Who asks, and what they should hear beside the answer."""

    user: str = ""
    groups: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)  # Warning headers, in order
    manager: str = ""  # who comes to own what is written, in managedFields
    tracks_created: bool = False  # whether what this caller creates gets managedFields
    # Asked before a PUT or PATCH creates what was not there; may raise ApiError 403.
    may_create: Callable[[], None] = lambda: None
    # Looks at what is to be stored beside what is (None: nothing), and may raise ApiError 403.
    guard: Callable[[Resource[Any], Any, Any], None] | None = None


class Strategy(Generic[T]):
    """One kind's rules. Subclasses set `resource` and override what differs."""

    resource: Resource[T]

    # metadata.generation is kept: 1 at creation, +1 with each change of spec
    tracks_generation: ClassVar[bool] = False
    # PUT without a resourceVersion overwrites whatever is there
    allows_unconditional_update: ClassVar[bool] = True
    # PUT to an absent name creates (leases, events)
    allows_create_on_update: ClassVar[bool] = False
    # DELETE waits for somebody to finish the job: pods
    default_propagation: ClassVar[Propagation] = "Background"
    # False: nothing is ever owned by this kind, so a propagation policy means nothing
    # (rest.GarbageCollectionDeleteStrategy: Unsupported)
    owns_others: ClassVar[bool] = True

    # ----- names

    def validate_name(self, name: str) -> list[str]:
        """Why a name is not acceptable, in sentences; DNS-1123 subdomain unless overridden."""
        return dns_subdomain_errors(name)

    # ----- writes

    def default(self, obj: T) -> None:
        """Fill in defaults; runs on create and on every update, before prepare."""

    def prepare_create(self, obj: T) -> None:
        """Set what only the server may set; metadata.name and uid are there already."""

    def validate_create(self, obj: T) -> list[Cause]:
        """Everything wrong with a new object; metadata is checked elsewhere."""
        return []

    def prepare_update(self, new: T, old: T) -> None:
        """Undo what this verb may not change: status through the main resource, say."""

    def validate_update(self, new: T, old: T) -> list[Cause]:
        """Everything wrong with the change."""
        return []

    def prepare_status_update(self, new: T, old: T) -> None:
        """Undo what /status may not change: the spec. Sharing `old`'s parts is fine."""

    def validate_status_update(self, new: T, old: T) -> list[Cause]:
        return []

    def prepare_part(self, part: str, new: T, old: T) -> None:
        """As prepare_status_update, for another subresource that is a part of the object."""

    def validate_part(self, part: str, new: T, old: T) -> list[Cause]:
        return []

    def spec_changed(self, new: T, old: T) -> bool:
        """Whether generation grows; asked only of kinds that track it."""
        return bool(getattr(new, "spec", None) != getattr(old, "spec", None))

    def warnings_create(self, obj: T) -> list[str]:
        """Texts for Warning headers."""
        return []

    def warnings_update(self, new: T, old: T) -> list[str]:
        return []

    # ----- deletion

    def grace_period(self, obj: T, requested: int | None) -> int:
        """Seconds an object lives on after DELETE; 0 removes it at once (only pods differ)."""
        return 0

    def warnings_delete(self, propagation_given: bool) -> list[str]:
        return []

    # ----- reads

    # What a field selector may name besides metadata.name and metadata.namespace.
    fields: Mapping[str, Callable[[T], str]] = {}

    def unknown_field_message(self, label: str) -> str:
        """The 400 for a field selector that names something else."""
        if not self.fields:
            names = '"metadata.name", "metadata.namespace"'
            if not self.resource.namespaced:
                names = '"metadata.name"'
            return f'"{label}" is not a known field selector: only {names}'
        return f"field label not supported: {label}"

    columns: Sequence[Column] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column(
            "Created At",
            type="date",
            description="CreationTimestamp is a timestamp representing the server time when this "
            "object was created.",
        ),
    )

    def row(self, obj: T, now: datetime) -> Row:
        """The object as a table row."""
        meta: Any = getattr(obj, "metadata")  # noqa: B009 - T has no bound that mypy could see
        created = meta.creationTimestamp
        return Row((meta.name, created.strftime("%Y-%m-%dT%H:%M:%SZ") if created else "<unknown>"))
