"""The stored form, the wire form, and the way between them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from kubatch.api import codec
from kubatch.api.models import (
    ConfigMap,
    Event,
    EventSeries,
    Job,
    JobSpec,
    JobStatus,
    Lease,
    LeaseSpec,
    ObjectMeta,
    ObjectReference,
    PodSpec,
    PodTemplateSpec,
)
from kubatch.api.resource import CONFIGMAPS, EVENTS, EVENTS_V1, JOBS, LEASES, RESOURCES, Resource

MOMENT = datetime(2026, 11, 22, 3, 30, 45, tzinfo=UTC)


def job() -> Job:
    template = PodTemplateSpec(spec=PodSpec(containers=[]))
    return Job(
        metadata=ObjectMeta(name="x", creationTimestamp=MOMENT, resourceVersion="7"),
        spec=JobSpec(template=template, parallelism=0),
        status=JobStatus(ready=0),
    )


def test_stored_form_has_no_identity_of_its_version() -> None:
    before = codec.copy(job())
    obj = job()
    assert codec.encode(obj) == (
        b'{"metadata":{"creationTimestamp":"2026-11-22T03:30:45Z","name":"x"},"spec":{"template":'
        b'{"spec":{"containers":[]}},"parallelism":0},"status":{"ready":0}}'
    )
    assert obj == before


def test_decode_tells_the_revision() -> None:
    obj = codec.decode(JOBS, codec.encode(job()), 41)
    assert obj.metadata is not None
    assert obj.metadata.resourceVersion == "41"
    assert (obj.kind, obj.apiVersion) == ("Job", "batch/v1")
    obj.metadata.resourceVersion = "7"
    assert obj == job()


def test_wire_splices_the_revision_into_the_stored_form() -> None:
    data = codec.encode(job())
    text = codec.wire(JOBS, data, 41)
    assert list(json.loads(text)) == ["kind", "apiVersion", "metadata", "spec", "status"]
    assert json.loads(text)["metadata"] == {
        "resourceVersion": "41",
        "creationTimestamp": "2026-11-22T03:30:45Z",
        "name": "x",
    }
    item = json.loads(codec.wire_item(data, 41))
    assert item == {k: v for k, v in json.loads(text).items() if k not in ("kind", "apiVersion")}


def test_to_wire_with_and_without_a_revision() -> None:
    obj = job()
    assert codec.to_wire(JOBS, obj) == codec.wire(JOBS, codec.encode(obj), 7)
    fresh = msgspec.structs.replace(obj, metadata=ObjectMeta(name="x"))
    assert codec.to_dict(JOBS, fresh)["metadata"] == {"name": "x"}


def test_an_object_with_nothing_but_a_name() -> None:
    obj = ConfigMap(metadata=ObjectMeta(name="x"))
    assert codec.encode(obj) == b'{"metadata":{"name":"x"}}'
    assert codec.to_wire(CONFIGMAPS, obj) == (
        b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"}}'
    )


@pytest.mark.parametrize(
    ("resource", "obj", "path", "shown"),
    [
        (
            LEASES,
            Lease(metadata=ObjectMeta(name="x"), spec=LeaseSpec(renewTime=MOMENT)),
            ("spec", "renewTime"),
            "2026-11-22T03:30:45.000000Z",
        ),
        (
            LEASES,
            Lease(
                metadata=ObjectMeta(name="x"),
                spec=LeaseSpec(acquireTime=MOMENT.replace(microsecond=120)),
            ),
            ("spec", "acquireTime"),
            "2026-11-22T03:30:45.000120Z",
        ),
        (
            EVENTS,
            Event(
                metadata=ObjectMeta(name="x"),
                involvedObject=ObjectReference(),
                eventTime=MOMENT,
                lastTimestamp=MOMENT,
                series=EventSeries(lastObservedTime=MOMENT, count=2),
            ),
            ("series", "lastObservedTime"),
            "2026-11-22T03:30:45.000000Z",
        ),
    ],
)
def test_micro_times_show_six_decimals(
    resource: Resource[Any], obj: Any, path: tuple[str, str], shown: str
) -> None:
    before = codec.copy(obj)
    wire = codec.to_dict(resource, obj)
    assert wire[path[0]][path[1]] == shown
    assert wire.get("lastTimestamp") in (None, "2026-11-22T03:30:45Z")
    assert obj == before
    assert codec.decode(resource, codec.encode(obj), 1).metadata is not None


def test_a_lease_without_times() -> None:
    obj = Lease(metadata=ObjectMeta(name="x"))
    assert codec.encode(obj) == b'{"metadata":{"name":"x"}}'


@pytest.mark.parametrize("resource", RESOURCES, ids=repr)
def test_round_trip(resource: Resource[Any]) -> None:
    obj, _ = codec.from_dict(resource, {"metadata": {"name": "x", "labels": {"a": "b"}}})
    data = codec.encode(obj)
    again = codec.decode(resource, data, 3)
    assert codec.encode(again) == data
    back, errors = codec.from_dict(resource, codec.to_dict(resource, again))
    assert errors == []
    assert back == again


def test_copy_is_deep() -> None:
    obj = job()
    copied = codec.copy(obj)
    assert copied == obj
    assert copied.metadata is not None
    copied.metadata.name = "y"
    assert obj.metadata is not None
    assert obj.metadata.name == "x"


def test_an_event_without_times_is_copied() -> None:
    event, _ = codec.from_dict(EVENTS_V1, {"metadata": {"name": "x"}, "series": {"count": 1}})
    copied = codec.copy(event)
    assert copied == event
    assert copied is not event


@pytest.mark.parametrize("resource", RESOURCES, ids=repr)
def test_an_answer_is_read_as_it_was_sent(resource: Resource[Any]) -> None:
    obj, _ = codec.from_dict(resource, {"metadata": {"name": "x", "resourceVersion": "7"}})
    answer = codec.from_answer(resource.model, codec.to_wire(resource, obj))
    assert answer == obj


def test_parts_of_objects_as_plain_values() -> None:
    plain = codec.to_plain(ObjectMeta(name="x", creationTimestamp=MOMENT))
    assert plain == {"name": "x", "creationTimestamp": "2026-11-22T03:30:45Z"}
