"""From what a client sends to a Struct: Go's rules for unknown, absent, zero and mistyped fields.

One walk over the JSON values does it all. It keeps the members that Go's types have, drops the
zeros that Go would omit, adds those that Go would show, and collects what strict validation has to
say in the order of the document (sigs.k8s.io/json: UnmarshalStrict). Type errors read as Go's
decoder words them. Paths are put together only when there is something to say.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import msgspec

from kubatch.api import quantity, schema
from kubatch.api.json_text import Pairs, Unmarshalled, go_kind
from kubatch.api.models import EventsV1Event
from kubatch.api.resource import Resource
from kubatch.api.times import parse_time

T = TypeVar("T")

# sigs.k8s.io/json stops listing strict errors there.
STRICT_ERRORS_MAX = 100


class WrongType(ValueError):
    """A JSON value of another type than the field has; the text is Go's.

    `converter` is how the same says itself after a strategic merge patch, whose result does not go
    through JSON (apimachinery/pkg/runtime/converter.go: fromUnstructured).
    """

    def __init__(self, text: str, converter: str = "") -> None:
        super().__init__(text)
        self.converter = converter or text


# ----- the walk


# Where in the document a value is, a linked list from the inside out: what it is within, then the
# field, map's key or list's index, then the Go struct whose field that is (None for keys, indexes).
Place: TypeAlias = "tuple[Place | None, str | int, str | None]"


def _strict_path(place: Place | None) -> str:
    """`spec.template.spec.containers[0].image`."""
    text = ""
    while place is not None:
        place, step, _ = place
        text = (f"[{step}]" if isinstance(step, int) else f".{step}") + text
    return text.removeprefix(".")


def _go_path(place: Place) -> str:
    """`Container.spec.template.spec.containers.image`: the innermost struct, then all fields."""
    names: list[str] = []
    innermost = ""
    at: Place | None = place
    while at is not None:
        at, step, struct = at
        if struct is not None:
            names.append(str(step))
            innermost = innermost or struct
    return ".".join((innermost, *reversed(names)))


class _Walk:
    """What a walk knows and learns about the document."""

    def __init__(self, duplicates: Mapping[int, Pairs]) -> None:
        self.duplicates = duplicates
        self._errors: dict[str, None] = {}

    @property
    def errors(self) -> list[str]:
        return list(self._errors)

    def complain(self, what: str, within: Place | None, name: str) -> None:
        """Note an unknown or duplicate field."""
        if len(self._errors) < STRICT_ERRORS_MAX:
            path = _strict_path((within, name, None))
            self._errors[f'{what} field "{path}"'] = None


Convert = Callable[[Any, _Walk, Place], Any]


class _Member(NamedTuple):
    exact: type | None  # values of this very type need no conversion
    drops_zero: bool
    convert: Convert


class _Plan(NamedTuple):
    """How to read one message."""

    struct: str
    members: dict[str, _Member]
    always: tuple[tuple[str, Any], ...]


_SMALL_MIN = -(2**31)
_SMALL_MAX = 2**31 - 1
_EXACT: dict[str, type] = {"string": str, "bool": bool, "int32": int, "int64": int, "int": int}
# Go's omitempty does nothing on structs, which times, quantities and int-or-strings are.
_OMITTED_WHEN_EMPTY = {"string", "bytes", "bool", "integer", "list", "map"}


@cache
def _plan(group: str, version: str, kind: str) -> _Plan:
    return _plan_of(schema.root(group, version, kind))


def _plan_of(message: schema.Message) -> _Plan:
    members = {
        known.name: _Member(
            _EXACT.get(known.type.go_name if known.type.form == "integer" else known.type.form),
            known.omit_empty and not known.pointer and known.type.form in _OMITTED_WHEN_EMPTY,
            _converter(known.type),
        )
        for known in message.fields.values()
    }
    return _Plan(message.name, members, tuple(zeros(message).items()))


# Members that the models require although Go omits them when they are empty. Validation refuses
# them as it should once the object is read.
_MODELS_REQUIRE: dict[str, dict[str, Any]] = {
    "ContainerRestartRule": {"action": ""},
    "ContainerRestartRuleOnExitCodes": {"operator": ""},
    "ImageVolumeStatus": {"imageRef": ""},
    "NodeAllocatableResourceClaimStatus": {"resources": {}},
    # Only the Go types leave these out; validation asks for them (of a time: any but the first).
    "Condition": {"lastTransitionTime": "0001-01-01T00:00:00Z"},
    "ReplicaSetSpec": {"selector": {}},
    "ScaleIOPersistentVolumeSource": {"secretRef": {}},
    "PodCertificateProjection": {"keyType": "", "signerName": ""},
    "ScaleIOVolumeSource": {"secretRef": {"name": ""}},
    "TokenReviewSpec": {"token": ""},
}


def zeros(message: schema.Message) -> dict[str, Any]:
    """The members Go shows although nobody set them."""
    found = _MODELS_REQUIRE.get(message.name, {}) | {f.name: _zero(f.type) for f in message.always}
    for known in message.fields.values():
        # A list without omitempty (containers, rules) is null in Go; the models want a list.
        if known.type.form == "list" and not known.omit_empty:
            found[known.name] = []
    return found


def _zero(kind: schema.Type) -> Any:
    if kind.message is None:
        return schema.ZEROS[kind.form]
    return zeros(schema.message(*kind.message))


def from_dict(resource: Resource[T], value: dict[str, Any]) -> tuple[T, list[str]]:
    """A client's JSON object as a Struct, and its unknown fields as strict errors.

    Raises WrongType.
    """
    return from_wire(resource, Unmarshalled(value))


def from_wire(resource: Resource[T], body: Unmarshalled) -> tuple[T, list[str]]:
    """A client's body as a Struct, and what strict validation says: unknown and duplicate fields.

    The errors are in the order of the document. Raises WrongType.
    """
    if not isinstance(body.value, dict):
        # A JSON patch may have put something else in the place of the whole object.
        raise WrongType(
            f"json: cannot unmarshal {go_kind(body.value)} into Go value of type "
            f"{resource.version}.{resource.kind}"
        )
    walk = _Walk(body.duplicates)
    # Duplicates in JSON are found again below, each in its place among the unknown fields.
    earlier = [] if body.duplicates else body.strict_errors
    plan = _plan(resource.group, resource.version, resource.kind)
    plain = _read(plan, body.value, walk, None)
    metadata = plain.setdefault("metadata", {})
    sent = body.value.get("metadata")
    if isinstance(sent, dict) and sent.get("managedFields") == []:
        # Go tells an empty list from none, and here it matters: it ends the tracking of an object.
        metadata["managedFields"] = []
    try:
        return to_struct(resource.model, plain), [*earlier, *walk.errors]
    except msgspec.ValidationError as error:
        raise WrongType(str(error)) from None


# The model of events.k8s.io wants the times that Go shows as null until they are set.
_NO_TIME = datetime.min.replace(tzinfo=UTC)


def to_struct(model: type[T], plain: dict[str, Any]) -> T:
    """Plain values as a Struct; may change them. Raises msgspec.ValidationError."""
    if model is not EventsV1Event:
        return msgspec.convert(plain, model)
    plain["eventTime"] = plain.get("eventTime") or _NO_TIME
    if series := plain.get("series"):
        series["lastObservedTime"] = series.get("lastObservedTime") or _NO_TIME
    event: Any = msgspec.convert(plain, model)
    if event.eventTime == _NO_TIME:
        event.eventTime = None
    if event.series is not None and event.series.lastObservedTime == _NO_TIME:
        event.series.lastObservedTime = None
    return cast(T, event)


def _read(plan: _Plan, value: dict[str, Any], walk: _Walk, place: Place | None) -> dict[str, Any]:
    """The members Go would keep, with the zeros Go would show, and no others."""
    out: dict[str, Any] = {}
    known_members = plan.members
    items: Iterable[tuple[str, Any]] = value.items()
    seen: set[str] | None = None
    if walk.duplicates and id(value) in walk.duplicates:
        items, seen = walk.duplicates[id(value)], set()
    for name, member in items:
        known = known_members.get(name)
        if known is None:
            walk.complain("unknown", place, name)
            continue
        if seen is not None:
            if name in seen:
                walk.complain("duplicate", place, name)
            seen.add(name)
        if member is None:
            continue
        exact, drops_zero, convert = known
        # Most values by far are strings, and small numbers of any integer type.
        found = type(member)
        if found is not exact or (found is int and not _SMALL_MIN <= member <= _SMALL_MAX):
            member = convert(member, walk, (place, name, plan.struct))
        if drops_zero and not member:
            out.pop(name, None)
        else:
            out[name] = member
    for name, zero in plan.always:
        if name not in out:
            out[name] = zero
    return out


@cache
def _converter(kind: schema.Type) -> Convert:
    if kind.message is not None:
        return _message_converter(kind)
    if kind.form == "list":
        return _list_converter(kind)
    if kind.form == "map":
        return _map_converter(kind)
    return _SCALARS[kind.form](kind)


def _message_converter(kind: schema.Type) -> Convert:
    group_version, name = kind.message or ("", "")
    plan: _Plan | None = None  # made at first use, since messages may contain themselves

    def convert(value: Any, walk: _Walk, place: Place) -> dict[str, Any]:
        nonlocal plan
        if not isinstance(value, dict):
            raise _wrong_type(value, kind, place, "cannot restore struct from: {kind}")
        if plan is None:
            plan = _plan_of(schema.message(group_version, name))
        return _read(plan, value, walk, place)

    return convert


def _list_converter(kind: schema.Type) -> Convert:
    element = kind.element
    assert element is not None, "lists have an element type"
    inner = _converter(element)
    null = _null(element)
    exact = str if element.form == "string" else None

    def convert(value: Any, walk: _Walk, place: Place) -> list[Any]:
        if not isinstance(value, list):
            raise _wrong_type(value, kind, place, "cannot restore slice from {kind}")
        return [
            v if type(v) is exact else (null if v is None else inner(v, walk, (place, i, None)))
            for i, v in enumerate(value)
        ]

    return convert


def _map_converter(kind: schema.Type) -> Convert:
    element = kind.element
    assert element is not None, "maps have an element type"
    inner = _converter(element)
    null = _null(element)
    exact = str if element.form == "string" else None

    def convert(value: Any, walk: _Walk, place: Place) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong_type(value, kind, place, "cannot restore map from {kind}")
        out: dict[str, Any] = {}
        for key, v in walk.duplicates.get(id(value)) or value.items():
            if key in out:
                walk.complain("duplicate", place, key)
            if type(v) is exact:
                out[key] = v
            else:
                out[key] = null if v is None else inner(v, walk, (place, key, None))
        return out

    return convert


def _null(kind: schema.Type) -> Any:
    """What null becomes inside a list or map."""
    if kind.form == "quantity":
        return "0"
    if kind.form == "bytes":
        return ""
    return _zero(kind) if kind.message or kind.form in schema.ZEROS else None


# ----- values


_GO_KINDS = {bool: "bool", int: "int64", float: "float64", str: "string", list: "slice"}
_GO_TYPES = {**_GO_KINDS, list: "[]interface {}", dict: "map[string]interface {}"}


def _wrong_type(
    value: Any, kind: schema.Type, place: Place, converter: str = "cannot convert {type} to {to}"
) -> WrongType:
    found = go_kind(value)
    if found == "number" and kind.form == "integer":
        found = f"number {value}"
    text = f"json: cannot unmarshal {found} into Go struct field {_go_path(place)} of type "
    return WrongType(
        text + kind.go_name,
        converter.format(
            kind=_GO_KINDS.get(type(value), "map"), type=_GO_TYPES[type(value)], to=kind.go_name
        ),
    )


def _mistyped(kind: schema.Type) -> Convert:
    """For types whose every value is right as it is, so that only others come here."""

    def convert(value: Any, walk: _Walk, place: Place) -> Any:
        raise _wrong_type(value, kind, place)

    return convert


_RANGES = {
    "int32": (-(2**31), 2**31),
    "int64": (-(2**63), 2**63),
    "int": (-(2**63), 2**63),
    "uint32": (0, 2**32),
    "uint64": (0, 2**64),
}


def _integer(kind: schema.Type) -> Convert:
    low, high = _RANGES[kind.go_name]

    def convert(value: Any, walk: _Walk, place: Place) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < high:
            raise _wrong_type(value, kind, place)
        return value

    return convert


# The types below decode themselves in Go (UnmarshalJSON), and their errors carry no path.


def _quantity(kind: schema.Type) -> Convert:
    def convert(value: Any, walk: _Walk, place: Place) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise WrongType(quantity.FORMAT_ERROR)
        try:
            return quantity.canonical(value)
        except ValueError as error:
            raise WrongType(str(error)) from None

    return convert


def _int_or_string(kind: schema.Type) -> Convert:
    def convert(value: Any, walk: _Walk, place: Place) -> int | str:
        if isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31:
            found = go_kind(value)
            found = f"number {value}" if found == "number" else found
            raise WrongType(f"json: cannot unmarshal {found} into Go value of type int32")
        return value

    return convert


def _time(kind: schema.Type) -> Convert:
    whole = kind.form == "time"

    def convert(value: Any, walk: _Walk, place: Place) -> datetime:
        if not isinstance(value, str):
            raise WrongType(f"json: cannot unmarshal {go_kind(value)} into Go value of type string")
        try:
            moment = parse_time(value, micro=not whole).astimezone(UTC)
        except ValueError as error:
            raise WrongType(str(error)) from None
        return moment.replace(microsecond=0) if whole else moment

    return convert


def _bytes(kind: schema.Type) -> Convert:
    def convert(value: Any, walk: _Walk, place: Place) -> str:
        if not isinstance(value, str):
            raise _wrong_type(value, kind, place, "cannot restore slice from {kind}")
        # Go skips line breaks inside base64, and writes none.
        text = value.replace("\r", "").replace("\n", "")
        try:
            binascii.a2b_base64(text, strict_mode=True)
        except (binascii.Error, ValueError):
            raise WrongType(f"illegal base64 data at input byte {_base64_error(text)}") from None
        return text

    return convert


_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)


def _base64_error(text: str) -> int:
    """Where Go's decoder gives up: the first wrong character, or the start of a cut-off group."""
    match = _BASE64.match(text)
    assert match is not None, "the pattern matches the empty text"
    rest = text[match.end() :]
    wrong = re.search(r"[^A-Za-z0-9+/]", rest)
    return match.end() + (wrong.start() if wrong else 0)


def _raw(kind: schema.Type) -> Convert:
    return lambda value, walk, place: value


_SCALARS: dict[str, Callable[[schema.Type], Convert]] = {
    "string": _mistyped,
    "bytes": _bytes,
    "bool": _mistyped,
    "integer": _integer,
    "quantity": _quantity,
    "int-or-string": _int_or_string,
    "time": _time,
    "microtime": _time,
    "raw": _raw,
}
