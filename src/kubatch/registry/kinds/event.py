"""Events of both API groups: one object, shown in two forms.

The store keeps core/v1 Events; `to_core` and `from_core` are pkg/apis/events/v1/conversion.go.
Rules: pkg/registry/core/event/strategy.go, pkg/apis/core/validation/events.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import (
    Event,
    EventSeries,
    EventSource,
    EventsV1Event,
    EventsV1EventSeries,
    ObjectReference,
)
from kubatch.api.resource import EVENTS, EVENTS_V1
from kubatch.registry.age import age
from kubatch.registry.kinds.rules import immutable
from kubatch.registry.metadata import (
    byte_length,
    dns_subdomain_errors,
    qualified_name_errors,
)
from kubatch.registry.strategy import Column, Row, Strategy

TEXT_BYTES_MAX = 128  # of action, reason and reportingInstance
NOTE_BYTES_MAX = 1024


def to_core(event: EventsV1Event) -> Event:
    """The core/v1 form. Shares the parts that both forms have in common."""
    series = event.series
    return Event(
        involvedObject=event.regarding or ObjectReference(),
        metadata=event.metadata,  # type: ignore[arg-type]  # both Optional on the wire
        action=event.action,
        count=event.deprecatedCount,
        eventTime=event.eventTime,
        firstTimestamp=event.deprecatedFirstTimestamp,
        lastTimestamp=event.deprecatedLastTimestamp,
        message=event.note,
        reason=event.reason,
        related=event.related,
        reportingComponent=event.reportingController or "",
        reportingInstance=event.reportingInstance or "",
        series=None
        if series is None
        else EventSeries(count=series.count, lastObservedTime=series.lastObservedTime),
        source=event.deprecatedSource or EventSource(),
        type=event.type,
    )


def from_core(event: Event) -> EventsV1Event:
    """The events.k8s.io/v1 form. Shares the parts that both forms have in common."""
    series = event.series
    return EventsV1Event(
        # Go writes a time that was never set as null here, and so does the encoder.
        eventTime=event.eventTime,  # type: ignore[arg-type]
        metadata=event.metadata,
        action=event.action,
        deprecatedCount=event.count,
        deprecatedFirstTimestamp=event.firstTimestamp,
        deprecatedLastTimestamp=event.lastTimestamp,
        deprecatedSource=event.source or EventSource(),
        note=event.message,
        reason=event.reason,
        regarding=event.involvedObject,
        related=event.related,
        reportingController=event.reportingComponent or None,
        reportingInstance=event.reportingInstance or None,
        series=series
        and EventsV1EventSeries(
            count=series.count or 0,
            lastObservedTime=series.lastObservedTime,  # type: ignore[arg-type]
        ),
        type=event.type,
    )


# ----- tables

_COLUMNS = (
    Column("Last Seen", description="Time the most recent occurrence was recorded."),
    Column("Type", description="Type of this event (Normal, Warning)."),
    Column("Reason", description="Why this happened, for machines."),
    Column("Object", description="The object this event is about."),
    Column("Subobject", priority=1, description="The part of the object this event is about."),
    Column("Source", priority=1, description="The component reporting this event."),
    Column("Message", description="A human-readable description of what happened."),
    Column("First Seen", priority=1, description="Time this was first recorded."),
    Column("Count", type="integer", priority=1, description="How often this has occurred."),
    Column("Name", priority=1, format="name", description="Name of the event."),
)


def _seen(event: Event, now: datetime) -> tuple[str, str, int]:
    first = event.firstTimestamp or event.eventTime
    last = event.lastTimestamp or first
    count = event.count or 1
    if event.series is not None:
        last, count = event.series.lastObservedTime, event.series.count or 0
    return age(first, now), age(last, now), count


def _row(event: Event, now: datetime) -> Row:
    """printers.go: printEvent."""
    first, last, count = _seen(event, now)
    about = event.involvedObject
    kind = (about.kind or "").lower()
    source = event.source or EventSource()
    reporter = [
        source.component or event.reportingComponent or "",
        source.host or event.reportingInstance or "",
    ]
    return Row(
        (
            last,
            event.type or "",
            event.reason or "",
            f"{kind}/{about.name}" if about.name else kind,
            about.fieldPath or "",
            ", ".join(part for part in reporter if part),
            (event.message or "").strip(),
            first,
            count,
            event.metadata.name,
        )
    )


# ----- fields

_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _involved(name: str) -> Callable[[Event], str]:
    return lambda event: getattr(event.involvedObject, name) or ""


def _regarding(name: str) -> Callable[[EventsV1Event], str]:
    return lambda event: getattr(event.regarding, name, None) or ""


def _source(event: Event) -> str:
    component = event.source.component if event.source is not None else None
    return component or event.reportingComponent or ""


# ----- validation


def path_segment_errors(name: str) -> list[str]:
    """Names that would break a URL; core Events have no other rule (ValidatePathSegmentName)."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in name]


def _legacy(event: Event) -> list[Cause]:
    """legacyValidateEvent: what both groups demand, in the words of the core group."""
    out: list[Cause] = []
    space, about = event.metadata.namespace or "", event.involvedObject.namespace or ""
    if event.eventTime is None:
        agrees = about == space if about else space in ("", "default")
    else:
        agrees = bool(about) or space in ("default", "kube-system")
    if not agrees:
        why = "does not match event.namespace"
        out.append(fields.invalid("involvedObject.namespace", about, why))
    if event.eventTime is not None:
        _modern(event, out)
    errors = dns_subdomain_errors(space)
    out += [fields.invalid("namespace", space, why) for why in errors]
    return out


def _modern(event: Event, out: list[Cause]) -> None:
    controller = event.reportingComponent or ""
    if not controller:
        out.append(fields.required("reportingController"))
    errors = qualified_name_errors(controller)
    out += [fields.invalid("reportingController", controller, why) for why in errors]
    why = f"can have at most {TEXT_BYTES_MAX} characters"
    for name in ("reportingInstance", "action", "reason"):
        text = getattr(event, name) or ""
        if not text:
            out.append(fields.required(name))
        if byte_length(text) > TEXT_BYTES_MAX:
            out.append(fields.invalid(name, "", why))
    if byte_length(event.message or "") > NOTE_BYTES_MAX:
        why = f"can have at most {NOTE_BYTES_MAX} characters"
        out.append(fields.invalid("message", "", why))


def _strict(event: Event) -> list[Cause]:
    """What events.k8s.io/v1 demands of a new event besides."""
    out = _series(event)
    if event.eventTime is None:
        out.append(fields.required("eventTime"))
    if event.type not in ("Normal", "Warning"):
        out.append(fields.invalid("type", "", f"has invalid value: {event.type or ''}"))
    source = event.source
    for name, value in (
        ("firstTimestamp", event.firstTimestamp),
        ("lastTimestamp", event.lastTimestamp),
        ("count", event.count),
        ("source", source and (source.component or source.host)),
    ):
        if value:
            out.append(fields.invalid(name, "", "needs to be unset"))
    return out


def _series(event: Event) -> list[Cause]:
    out: list[Cause] = []
    series = event.series
    if series is not None:
        if (series.count or 0) < 2:
            out.append(fields.invalid("series.count", "", "should be at least 2"))
        if series.lastObservedTime is None:
            out.append(fields.required("series.lastObservedTime"))
    return out


class EventStrategy(Strategy[Event]):
    """core/v1: old clients, few rules."""

    resource = EVENTS
    owns_others: ClassVar[bool] = False
    allows_create_on_update: ClassVar[bool] = True
    columns: tuple[Column, ...] = _COLUMNS
    fields: Mapping[str, Callable[[Event], str]] = {
        **{f"involvedObject.{name}": _involved(name) for name in _REFERENCE},
        "reason": lambda event: event.reason or "",
        "reportingComponent": lambda event: event.reportingComponent or "",
        "source": _source,
        "type": lambda event: event.type or "",
    }

    def validate_name(self, name: str) -> list[str]:
        return path_segment_errors(name)

    def validate_create(self, obj: Event) -> list[Cause]:
        return _legacy(obj)

    def validate_update(self, new: Event, old: Event) -> list[Cause]:
        return _legacy(new)

    def row(self, obj: Event, now: datetime) -> Row:
        return _row(obj, now)


class EventsV1Strategy(Strategy[EventsV1Event]):
    """events.k8s.io/v1: strict on create, and only the series may change."""

    resource = EVENTS_V1
    owns_others: ClassVar[bool] = False
    allows_create_on_update: ClassVar[bool] = True
    columns: tuple[Column, ...] = _COLUMNS
    fields: Mapping[str, Callable[[EventsV1Event], str]] = {
        **{f"regarding.{name}": _regarding(name) for name in _REFERENCE},
        "reason": lambda event: event.reason or "",
        "reportingController": lambda event: event.reportingController or "",
        "type": lambda event: event.type or "",
    }

    def validate_create(self, obj: EventsV1Event) -> list[Cause]:
        event = to_core(obj)
        return _legacy(event) + _strict(event)

    def validate_update(self, new: EventsV1Event, old: EventsV1Event) -> list[Cause]:
        event, was = to_core(new), to_core(old)
        out = _legacy(event)
        if event.series != was.series:
            out += _series(event)
        for name in (
            "involvedObject",
            "reason",
            "message",
            "source",
            "firstTimestamp",
            "lastTimestamp",
            "count",
            "type",
            "eventTime",
            "action",
            "related",
            "reportingInstance",
        ):
            immutable(getattr(event, name), getattr(was, name), name, out)
        controller = event.reportingComponent
        immutable(controller, was.reportingComponent, "reportingController", out)
        return out

    def row(self, obj: EventsV1Event, now: datetime) -> Row:
        return _row(to_core(obj), now)
