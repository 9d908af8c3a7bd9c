"""The Go types of wire.json and the msgspec models know the same fields."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from kubatch.api import schema, unmarshal
from kubatch.api.resource import JOBS, PODS, RESOURCES, Resource

Pair = tuple[type[msgspec.Struct], tuple[str, str]]


def bare(hint: Any) -> Any:
    """A type hint without Optional."""
    inner = [a for a in typing.get_args(hint) if a not in (type(None), msgspec.UnsetType)]
    is_union = typing.get_origin(hint) is typing.Union
    return inner[0] if is_union else hint


def pairs(resource: Resource[Any]) -> Iterator[Pair]:
    """Each struct below a kind with the message that should be its twin."""
    group = schema.group_version(resource.group, resource.version)
    todo: list[Pair] = [(resource.model, (group, resource.kind))]
    seen: set[type] = set()
    while todo:
        struct, message = todo.pop()
        if struct in seen:
            continue
        seen.add(struct)
        yield struct, message
        hints = typing.get_type_hints(struct)
        fields = schema.message(*message).fields
        for field in msgspec.structs.fields(struct):
            hint = bare(hints[field.name])
            kind = fields[field.encode_name].type if field.encode_name in fields else None
            if typing.get_origin(hint) is list:
                hint, kind = typing.get_args(hint)[0], kind and kind.element
            if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
                assert kind is not None, f"{struct.__name__}.{field.name}"
                assert kind.message is not None, f"{struct.__name__}.{field.name}"
                todo.append((hint, kind.message))


@pytest.mark.parametrize("resource", RESOURCES, ids=repr)
def test_models_and_go_types_have_the_same_fields(resource: Resource[Any]) -> None:
    for struct, message in pairs(resource):
        ours = {f.encode_name for f in msgspec.structs.fields(struct)} - {"kind", "apiVersion"}
        theirs = set(schema.message(*message).fields) - {"kind", "apiVersion"}
        assert ours == theirs, struct.__name__


@pytest.mark.parametrize("resource", RESOURCES, ids=repr)
def test_what_models_require_is_there_after_reading(resource: Resource[Any]) -> None:
    # a missing member would be refused by the model, in words that Kubernetes does not use
    for struct, message in pairs(resource):
        if struct.__module__.endswith("events_v1"):
            continue  # test_unmarshal reads these
        read = unmarshal.zeros(schema.message(*message))
        required = {f.encode_name for f in msgspec.structs.fields(struct) if f.required}
        assert required <= set(read), struct.__name__


def test_fields_know_what_their_zero_does() -> None:
    spec = schema.message("batch/v1", "JobSpec").fields
    assert spec["backoffLimit"].pointer
    assert not spec["template"].pointer
    assert not spec["template"].omit_empty
    status = schema.message("core/v1", "ContainerStatus")
    shown = {f.name for f in status.always}
    assert shown == {"name", "state", "lastState", "ready", "restartCount", "image", "imageID"}


def test_inlined_members_are_flattened() -> None:
    volume = schema.message("core/v1", "Volume").fields
    assert "emptyDir" in volume
    assert "volumeSource" not in volume


@pytest.mark.parametrize(
    ("message", "field", "form", "go_name"),
    [
        (("batch/v1", "JobSpec"), "backoffLimit", "integer", "int32"),
        (("batch/v1", "JobSpec"), "template", "message", "v1.PodTemplateSpec"),
        (("batch/v1", "JobSpec"), "completionMode", "string", "v1.CompletionMode"),
        (("batch/v1", "JobStatus"), "startTime", "time", "v1.Time"),
        (("core/v1", "PodSpec"), "containers", "list", "[]v1.Container"),
        (("core/v1", "PodSpec"), "nodeSelector", "map", "map[string]string"),
        (("core/v1", "ResourceRequirements"), "limits", "map", "v1.ResourceList"),
        (("core/v1", "Secret"), "data", "map", "map[string][]uint8"),
        (("core/v1", "HTTPGetAction"), "port", "int-or-string", "intstr.IntOrString"),
        (("coordination/v1", "LeaseSpec"), "renewTime", "microtime", "v1.MicroTime"),
        (("meta/v1", "APIResource"), "verbs", "list", "v1.Verbs"),
        (("meta/v1", "ObjectMeta"), "uid", "string", "types.UID"),
        (("meta/v1", "ManagedFieldsEntry"), "fieldsV1", "raw", "v1.FieldsV1"),
    ],
)
def test_types(message: tuple[str, str], field: str, form: str, go_name: str) -> None:
    found = schema.message(*message).fields[field].type
    assert (found.form, found.go_name) == (form, go_name)


@pytest.mark.parametrize("resource", [JOBS, PODS], ids=repr)
def test_root_knows_kind_and_api_version(resource: Resource[Any]) -> None:
    root = schema.root(resource.group, resource.version, resource.kind)
    assert root.name == resource.kind
    assert {"kind", "apiVersion", "metadata", "spec", "status"} <= set(root.fields)


def test_no_such_message() -> None:
    with pytest.raises(KeyError):
        schema.message("batch/v1", "Nothing")


def test_named_slices_are_wrapped_in_protobuf() -> None:
    verbs = schema.message("meta/v1", "APIResource").fields
    assert verbs["verbs"].type.wrapped
    assert not verbs["shortNames"].type.wrapped


def test_messages_by_protobuf_number() -> None:
    assert schema.has("core/v1", "Pod")
    assert not schema.has("core/v1", "Nothing")
    rows = schema.numbered("core/v1", "Volume")
    assert (rows[1].name, rows[1].inlined) == ("name", False)
    assert rows[2].inlined
