"""What clients send: unknown and duplicate fields, zeros, types, in Kubernetes' words."""

from __future__ import annotations

import base64
import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import codec
from kubatch.api.codec import WrongType, from_dict, from_wire, parse_json
from kubatch.api.quantity import FORMAT_ERROR, SUFFIX_ERROR
from kubatch.api.resource import (
    CONFIGMAPS,
    CRONJOBS,
    EVENTS,
    EVENTS_V1,
    JOBS,
    LEASES,
    PODS,
    RESOURCES,
    SECRETS,
    Resource,
)


def wire(resource: Resource[Any], value: dict[str, Any]) -> dict[str, Any]:
    """A client's object as the server would show it, without kind and apiVersion."""
    before = copy.deepcopy(value)
    obj, errors = from_dict(resource, value)
    assert errors == []
    assert value == before
    shown = codec.to_dict(resource, obj)
    assert (shown.pop("kind"), shown.pop("apiVersion")) == (resource.kind, resource.api_version)
    return shown


def strict(resource: Resource[Any], text: str) -> list[str]:
    return from_wire(resource, parse_json(text.encode()))[1]


def wrong(resource: Resource[Any], value: dict[str, Any]) -> WrongType:
    with pytest.raises(WrongType) as raised:
        from_dict(resource, value)
    return raised.value


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [], **spec}}


def container(**members: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "c", **members}])


# ----- strict errors


def test_strict_errors_come_in_the_order_of_the_document() -> None:
    text = """{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"x","foo":1},
        "spec":{"backofLimit":1,"backoffLimit":1,"backoffLimit":2,
        "template":{"spec":{"containers":[{"name":"c","imag":"x"}]}}}}"""
    assert strict(JOBS, text) == [
        'unknown field "metadata.foo"',
        'unknown field "spec.backofLimit"',
        'duplicate field "spec.backoffLimit"',
        'unknown field "spec.template.spec.containers[0].imag"',
    ]


def test_without_duplicates_the_errors_are_the_same() -> None:
    value = {"metadata": {"name": "x", "foo": 1}, "spec": {"template": {"spec": {"x": []}}}}
    expected = ['unknown field "metadata.foo"', 'unknown field "spec.template.spec.x"']
    assert from_dict(JOBS, value)[1] == expected
    assert strict(JOBS, json.dumps(value)) == expected


def test_each_error_is_told_once() -> None:
    text = '{"metadata":{"foo":1,"foo":2,"name":"a","name":"b","name":"c"}}'
    assert strict(CONFIGMAPS, text) == [
        'unknown field "metadata.foo"',
        'duplicate field "metadata.name"',
    ]


def test_duplicates_in_maps_and_in_what_is_overwritten() -> None:
    text = '{"data":{"a":"1","a":"2"},"metadata":{"foo":1},"metadata":{"name":"x"}}'
    body = parse_json(text.encode())
    obj, errors = from_wire(CONFIGMAPS, body)
    assert errors == [
        'duplicate field "data.a"',
        'unknown field "metadata.foo"',
        'duplicate field "metadata"',
    ]
    assert obj.data == {"a": "2"}
    assert obj.metadata is not None
    assert obj.metadata.name == "x"


def test_earlier_findings_come_first() -> None:
    body = codec.Unmarshalled({"foo": 1}, ['line 5: key "data" already set in map'])
    assert from_wire(CONFIGMAPS, body)[1] == [
        'line 5: key "data" already set in map',
        'unknown field "foo"',
    ]


def test_names_are_case_sensitive() -> None:
    assert from_dict(CONFIGMAPS, {"Data": {}})[1] == ['unknown field "Data"']


def test_the_list_of_errors_ends() -> None:
    assert len(from_dict(CONFIGMAPS, {f"x{i}": 1 for i in range(200)})[1]) == 100


def test_what_has_no_type_is_not_looked_into() -> None:
    entry = {"manager": "m", "fieldsV1": {"f:metadata": {"f:labels": {}}}}
    assert wire(CONFIGMAPS, {"metadata": {"name": "x", "managedFields": [entry]}}) == {
        "metadata": {"name": "x", "managedFields": [entry]}
    }


# ----- zeros


@pytest.mark.parametrize(
    ("resource", "sent", "shown"),
    [
        # omitempty drops what is empty
        (
            CONFIGMAPS,
            {"metadata": {"name": "x", "namespace": "", "labels": {}, "generation": 0}, "data": {}},
            {"metadata": {"name": "x"}},
        ),
        (CONFIGMAPS, {"data": None, "metadata": None}, {"metadata": {}}),
        (CONFIGMAPS, {}, {"metadata": {}}),
        (CONFIGMAPS, {"data": {"a": None, "b": ""}}, {"metadata": {}, "data": {"a": "", "b": ""}}),
        # a pointer's zero is kept
        (
            PODS,
            pod(terminationGracePeriodSeconds=0, hostNetwork=False, hostUsers=False),
            {
                "metadata": {"name": "p"},
                "spec": {"containers": [], "terminationGracePeriodSeconds": 0, "hostUsers": False},
                "status": {},
            },
        ),
        # members without omitempty are shown, structs among them
        (PODS, {}, {"metadata": {}, "spec": {"containers": []}, "status": {}}),
        (
            JOBS,
            {"spec": {"parallelism": 0}},
            {
                "metadata": {},
                "spec": {"parallelism": 0, "template": {"spec": {"containers": []}}},
                "status": {},
            },
        ),
        (
            CRONJOBS,
            {},
            {
                "metadata": {},
                "spec": {
                    "schedule": "",
                    "jobTemplate": {"spec": {"template": {"spec": {"containers": []}}}},
                },
                "status": {},
            },
        ),
        (
            PODS,
            {"status": {"containerStatuses": [{"name": "c", "ready": False, "state": None}]}},
            {
                "metadata": {},
                "spec": {"containers": []},
                "status": {
                    "containerStatuses": [
                        {
                            "name": "c",
                            "state": {},
                            "lastState": {},
                            "ready": False,
                            "restartCount": 0,
                            "image": "",
                            "imageID": "",
                        }
                    ]
                },
            },
        ),
        (
            JOBS,
            {"status": {"active": 0, "ready": 0, "succeeded": 1}},
            {
                "metadata": {},
                "spec": {"template": {"spec": {"containers": []}}},
                "status": {"ready": 0, "succeeded": 1},
            },
        ),
        # null in a list of values
        (
            PODS,
            container(command=["a", None], env=[None]),
            {
                "metadata": {"name": "p"},
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "command": ["a", ""],
                            "env": [{"name": ""}],
                            "resources": {},
                        }
                    ]
                },
                "status": {},
            },
        ),
    ],
)
def test_zeros(resource: Resource[Any], sent: dict[str, Any], shown: dict[str, Any]) -> None:
    assert wire(resource, sent) == shown


@pytest.mark.parametrize("resource", RESOURCES, ids=repr)
def test_the_empty_object_of_every_kind_is_read(resource: Resource[Any]) -> None:
    shown = wire(resource, {})
    assert wire(resource, shown) == shown


def test_times_of_events_are_null_until_they_are_set() -> None:
    assert wire(EVENTS_V1, {"series": {"count": 2}}) == {
        "metadata": {},
        "eventTime": None,
        "series": {"count": 2, "lastObservedTime": None},
        "regarding": {},
        "deprecatedSource": {},
        "deprecatedFirstTimestamp": None,
        "deprecatedLastTimestamp": None,
    }
    moment = "2026-11-22T03:30:45.000000Z"
    series = {"count": 2, "lastObservedTime": moment}
    shown = wire(EVENTS_V1, {"eventTime": moment, "series": series})
    assert (shown["eventTime"], shown["series"]) == (moment, series)
    assert wire(EVENTS, {})["eventTime"] is None


def test_quantities_and_ports_show_their_zero() -> None:
    shown = wire(
        PODS,
        container(
            livenessProbe={"httpGet": {}},
            env=[{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
        ),
    )["spec"]["containers"][0]
    assert shown["livenessProbe"] == {"httpGet": {"port": 0}}
    assert shown["env"][0]["valueFrom"]["resourceFieldRef"] == {
        "resource": "limits.cpu",
        "divisor": "0",
    }


# ----- values


def test_quantities_are_made_canonical() -> None:
    spec = wire(PODS, container(resources={"requests": {"cpu": 1, "memory": "1024Mi", "x": None}}))[
        "spec"
    ]
    assert spec["containers"][0]["resources"] == {
        "requests": {"cpu": "1", "memory": "1Gi", "x": "0"}
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, FORMAT_ERROR),
        ([], FORMAT_ERROR),
        ("x", FORMAT_ERROR),
        ("1i", SUFFIX_ERROR),
    ],
)
def test_wrong_quantities(value: Any, text: str) -> None:
    assert str(wrong(PODS, container(resources={"limits": {"cpu": value}}))) == text


def test_times_lose_their_fraction_and_zone() -> None:
    meta = {"name": "x", "creationTimestamp": "2026-11-22T05:30:45.9+02:00"}
    shown = wire(CONFIGMAPS, {"metadata": meta})
    assert shown["metadata"]["creationTimestamp"] == "2026-11-22T03:30:45Z"


def test_micro_times_keep_six_decimals() -> None:
    spec = {"renewTime": "2026-11-22T03:30:45Z", "acquireTime": "2026-11-22T03:30:45.1234567Z"}
    assert wire(LEASES, {"metadata": {}, "spec": spec})["spec"] == {
        "acquireTime": "2026-11-22T03:30:45.123456Z",
        "renewTime": "2026-11-22T03:30:45.000000Z",
    }


def test_int_or_string() -> None:
    probes = [{"httpGet": {"port": p}} for p in ("http", 80)]
    for probe in probes:
        shown = wire(PODS, container(livenessProbe=probe))["spec"]["containers"][0]
        assert shown["livenessProbe"] == probe


def test_int_or_string_has_no_empty_value() -> None:
    shown = wire(PODS, container(livenessProbe={"tcpSocket": {"port": 0}}))["spec"]
    assert shown["containers"][0]["livenessProbe"] == {"tcpSocket": {"port": 0}}


@given(st.binary(max_size=20))
def test_base64_is_kept(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert wire(SECRETS, {"data": {"a": text}})["data"] == {"a": text}


def test_line_breaks_in_base64_are_dropped() -> None:
    assert wire(SECRETS, {"data": {"a": "YWJj\r\nZGVm\n"}})["data"] == {"a": "YWJjZGVm"}


@pytest.mark.parametrize(
    ("text", "at"), [("YWJj!", 4), ("YWJjZ", 4), ("Y", 0), ("YW=j", 2), ("YWJjZA==Z", 8)]
)
def test_wrong_base64(text: str, at: int) -> None:
    assert str(wrong(SECRETS, {"data": {"a": text}})) == f"illegal base64 data at input byte {at}"


GO = "json: cannot unmarshal {} into Go struct field {} of type {}"


@pytest.mark.parametrize(
    ("resource", "value", "text", "converter"),
    [
        (
            JOBS,
            {"spec": {"backoffLimit": "x"}},
            GO.format("string", "JobSpec.spec.backoffLimit", "int32"),
            "cannot convert string to int32",
        ),
        (
            JOBS,
            {"spec": {"backoffLimit": 1.5}},
            GO.format("number 1.5", "JobSpec.spec.backoffLimit", "int32"),
            "cannot convert float64 to int32",
        ),
        (
            JOBS,
            {"spec": {"backoffLimit": 2**31}},
            GO.format("number 2147483648", "JobSpec.spec.backoffLimit", "int32"),
            "cannot convert int64 to int32",
        ),
        (
            JOBS,
            {"spec": {"activeDeadlineSeconds": True}},
            GO.format("bool", "JobSpec.spec.activeDeadlineSeconds", "int64"),
            "cannot convert bool to int64",
        ),
        (
            JOBS,
            {"spec": []},
            GO.format("array", "Job.spec", "v1.JobSpec"),
            "cannot restore struct from: slice",
        ),
        (
            JOBS,
            {"spec": {"suspend": "yes"}},
            GO.format("string", "JobSpec.spec.suspend", "bool"),
            "cannot convert string to bool",
        ),
        (
            JOBS,
            {"spec": {"template": {"spec": {"containers": {}}}}},
            GO.format("object", "PodSpec.spec.template.spec.containers", "[]v1.Container"),
            "cannot restore slice from map",
        ),
        (
            JOBS,
            {"spec": {"template": {"spec": {"containers": [{"command": ["a", 1]}]}}}},
            GO.format("number", "Container.spec.template.spec.containers.command", "string"),
            "cannot convert int64 to string",
        ),
        (
            JOBS,
            {"spec": {"template": {"spec": {"restartPolicy": 1}}}},
            GO.format("number", "PodSpec.spec.template.spec.restartPolicy", "v1.RestartPolicy"),
            "cannot convert int64 to v1.RestartPolicy",
        ),
        (
            JOBS,
            {"metadata": {"labels": {"a": 1}}},
            GO.format("number", "ObjectMeta.metadata.labels", "string"),
            "cannot convert int64 to string",
        ),
        (
            JOBS,
            {"metadata": {"labels": ["a"]}},
            GO.format("array", "ObjectMeta.metadata.labels", "map[string]string"),
            "cannot restore map from slice",
        ),
        (
            JOBS,
            {"metadata": "x"},
            GO.format("string", "Job.metadata", "v1.ObjectMeta"),
            "cannot restore struct from: string",
        ),
        (
            JOBS,
            {"kind": []},
            GO.format("array", "Job.kind", "string"),
            "cannot convert []interface {} to string",
        ),
        (
            SECRETS,
            {"data": {"a": 1}},
            GO.format("number", "Secret.data", "[]uint8"),
            "cannot restore slice from int64",
        ),
        (
            CONFIGMAPS,
            {"metadata": {"creationTimestamp": 1}},
            "json: cannot unmarshal number into Go value of type string",
            "json: cannot unmarshal number into Go value of type string",
        ),
        (
            EVENTS,
            {"eventTime": "soon"},
            'parsing time "soon" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "soon" as '
            '"2006"',
            'parsing time "soon" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "soon" as '
            '"2006"',
        ),
        (
            PODS,
            container(livenessProbe={"httpGet": {"port": 1.5}}),
            "json: cannot unmarshal number 1.5 into Go value of type int32",
            "json: cannot unmarshal number 1.5 into Go value of type int32",
        ),
        (
            PODS,
            container(livenessProbe={"httpGet": {"port": {}}}),
            "json: cannot unmarshal object into Go value of type int32",
            "json: cannot unmarshal object into Go value of type int32",
        ),
    ],
)
def test_type_errors_are_in_gos_words(
    resource: Resource[Any], value: dict[str, Any], text: str, converter: str
) -> None:
    error = wrong(resource, value)
    assert str(error) == text
    assert error.converter == converter


def test_numbers_beyond_small_ones_are_read() -> None:
    job, _ = from_dict(JOBS, {"spec": {"activeDeadlineSeconds": 2**40, "backoffLimit": -(2**31)}})
    assert job.spec is not None
    assert (job.spec.activeDeadlineSeconds, job.spec.backoffLimit) == (2**40, -(2**31))


def test_times_are_aware() -> None:
    obj, _ = from_dict(CONFIGMAPS, {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}})
    assert obj.metadata is not None
    assert obj.metadata.creationTimestamp == datetime(2026, 1, 1, tzinfo=UTC)


def test_what_is_no_object() -> None:
    unmarshalled = codec.Unmarshalled([])  # type: ignore[arg-type] # a patch may make one
    with pytest.raises(WrongType) as raised:
        from_wire(JOBS, unmarshalled)
    assert str(raised.value) == "json: cannot unmarshal array into Go value of type v1.Job"


def test_what_only_the_model_refuses() -> None:
    entry = {"manager": "m", "fieldsV1": "no object"}
    error = wrong(CONFIGMAPS, {"metadata": {"managedFields": [entry]}})
    assert "managedFields[0].fieldsV1" in str(error)


def test_an_empty_list_of_managed_fields_is_told_from_none() -> None:
    obj, _ = from_dict(CONFIGMAPS, {"metadata": {"name": "x", "managedFields": []}})
    assert obj.metadata is not None
    assert obj.metadata.managedFields == []
    obj, _ = from_dict(CONFIGMAPS, {"metadata": {"name": "x"}})
    assert obj.metadata is not None
    assert obj.metadata.managedFields is None
