"""Accept, Content-Type, and what an answer looks like in the end."""

from __future__ import annotations

import pytest

from kubatch.api.errors import ApiError
from kubatch.server import negotiate
from kubatch.server.negotiate import Form

KUBECTL_TABLE = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,"
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form()),
        ("*/*", Form()),
        ("application/json", Form()),
        ("application/vnd.kubernetes.protobuf, */*", Form()),
        ("application/vnd.kubernetes.protobuf", Form()),
        ("application/yaml", Form("yaml")),
        ("application/json;q=0.5, application/yaml", Form("yaml")),
        (KUBECTL_TABLE, Form("json", "Table", "v1")),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Form("json", "Table", "v1beta1")),
        ("application/json;as=Unknown;v=v1;g=meta.k8s.io,application/json", Form()),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,"
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
            Form("json", "PartialObjectMetadata"),
        ),
        (
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Form("json", "PartialObjectMetadata"),
        ),
    ],
)
def test_the_form_of_an_answer(accept: str, form: Form) -> None:
    assert negotiate.form(accept) == form


@pytest.mark.parametrize(
    ("accept", "message"),
    [
        (
            "text/html",
            "406: Not Acceptable\n\nAvailable representations: application/json, "
            "application/yaml, application/vnd.kubernetes.protobuf",
        ),
        (
            "application/json;as=Bogus;g=meta.k8s.io;v=v1",
            "only the following media types are accepted: application/json, application/yaml, "
            "application/vnd.kubernetes.protobuf",
        ),
    ],
)
def test_nothing_acceptable(accept: str, message: str) -> None:
    with pytest.raises(ApiError) as raised:
        negotiate.form(accept)
    assert (raised.value.code, raised.value.message) == (406, message)


def test_the_form_of_a_body() -> None:
    assert negotiate.body_media("") == "json"
    assert negotiate.body_media("application/json; charset=utf-8") == "json"
    assert negotiate.body_media("application/yaml") == "yaml"
    assert negotiate.body_media("application/vnd.kubernetes.protobuf") == "protobuf"
    with pytest.raises(ApiError, match="the body of the request was in an unknown format"):
        negotiate.body_media("text/plain")


def test_the_type_of_a_patch() -> None:
    assert negotiate.patch_type("application/merge-patch+json") == "merge"
    with pytest.raises(ApiError) as raised:
        negotiate.patch_type("application/json")
    assert raised.value.to_status()["details"] == {}
    assert raised.value.message == "415: Unsupported Media Type"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [("", True), ("*/*", True), ("text/plain", True), ("text/html", False)],
)
def test_who_takes_a_log(accept: str, expected: bool) -> None:
    assert negotiate.accepts_text(accept) is expected


def test_pretty_for_people() -> None:
    assert negotiate.wants_pretty({}, "curl/8")
    assert not negotiate.wants_pretty({"pretty": ["false"]}, "curl/8")
    assert negotiate.wants_pretty({"pretty": ["1"]}, "kubectl")
    assert not negotiate.wants_pretty({}, "kubectl")


def test_finishing() -> None:
    body = b'{"b":1,"a":"x\\ny"}'
    assert negotiate.finish(body, Form(), False) == (body + b"\n", "application/json")
    assert negotiate.finish(body, Form(), True)[0] == b'{\n  "b": 1,\n  "a": "x\\ny"\n}\n'
    assert negotiate.finish(body, Form("yaml"), False) == (
        b"a: |-\n  x\n  y\nb: 1\n",
        "application/yaml",
    )
