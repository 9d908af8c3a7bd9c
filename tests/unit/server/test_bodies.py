"""Bodies: what they say and what is said about them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api.codec import Malformed
from kubatch.api.errors import ApiError
from kubatch.api.resource import CONFIGMAPS, JOBS, Resource
from kubatch.api.yaml_text import parse_yaml, to_yaml
from kubatch.registry.values import DeleteRequest
from kubatch.server import bodies
from kubatch.server.gojson import go_json_error

JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "j"},
    "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
}


def refused(resource: Resource[Any], data: bytes, validation: str = "Warn") -> str:
    with pytest.raises(ApiError) as raised:
        bodies.decode_object(resource, data, "json", validation, [])
    assert raised.value.code == 400
    return raised.value.message


def test_a_body_that_does_not_say_what_it_is() -> None:
    bare = {k: v for k, v in JOB.items() if k not in ("apiVersion", "kind")}
    obj = bodies.decode_object(JOBS, json.dumps(bare).encode(), "json", "Strict", [])
    assert obj.metadata is not None
    assert obj.metadata.name == "j"
    assert (obj.kind, obj.apiVersion) == ("Job", "batch/v1")


def test_broken_json() -> None:
    message = refused(CONFIGMAPS, b"{not json")
    assert message == (
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get "
        "version/kind; json parse error: invalid character 'n' looking for beginning of object key "
        "string ({not json)"
    )


def test_another_kind() -> None:
    assert refused(CONFIGMAPS, b'{"apiVersion":"v1","kind":"Pod"}') == (
        'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to '
        "(core.ConfigMap): unknown conversion"
    )
    assert refused(JOBS, b'{"apiVersion":"v1","kind":"Nonsense"}') == (
        'Nonsense in version "v1" cannot be handled as a Job: no kind "Nonsense" is registered for '
        'version "v1" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
    )


def test_a_string_for_a_number() -> None:
    body = b'{"apiVersion":"batch/v1","kind":"Job","spec":{"backoffLimit":"x"}}'
    assert refused(JOBS, body) == (
        'Job in version "v1" cannot be handled as a Job: json: cannot unmarshal string into Go '
        "struct field JobSpec.spec.backoffLimit of type int32"
    )


UNKNOWN = (
    b'{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j","foo":1},"spec":{"backofLimit":1,'
    b'"backoffLimit":1,"backoffLimit":2,"template":{"spec":{"containers":'
    b'[{"name":"c","image":"i","imag":"x"}]}}}}'
)
FINDINGS = [
    'unknown field "metadata.foo"',
    'unknown field "spec.backofLimit"',
    'duplicate field "spec.backoffLimit"',
    'unknown field "spec.template.spec.containers[0].imag"',
]


def test_strict_refuses_in_document_order() -> None:
    assert refused(JOBS, UNKNOWN, "Strict") == (
        'Job in version "v1" cannot be handled as a Job: strict decoding error: '
        + ", ".join(FINDINGS)
    )


@pytest.mark.parametrize(("validation", "expected"), [("Warn", FINDINGS), ("Ignore", [])])
def test_otherwise_the_rest_is_taken(validation: str, expected: list[str]) -> None:
    warnings: list[str] = []
    obj = bodies.decode_object(JOBS, UNKNOWN, "json", validation, warnings)
    assert warnings == expected
    assert obj.spec is not None
    assert obj.spec.backoffLimit == 2


def test_protobuf() -> None:
    # k8s\0, then Unknown{1: TypeMeta{1: v1, 2: ConfigMap}, 2: ConfigMap{1: ObjectMeta{1: x}}}
    body = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x05\x0a\x03\x0a\x01x"
    obj = bodies.decode_object(CONFIGMAPS, body, "protobuf", "Strict", [])
    assert obj.metadata is not None
    assert obj.metadata.name == "x"
    with pytest.raises(ApiError) as raised:
        bodies.decode_object(CONFIGMAPS, b"nonsense", "protobuf", "Warn", [])
    assert raised.value.code == 400


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "unexpected end of JSON input"),
        (b'{"a":1', "unexpected end of JSON input"),
        (b'{"a', "unexpected end of JSON input"),
        (b"nonsense", "invalid character 'o' in literal null (expecting 'u')"),
        (b"truly", "invalid character 'l' in literal true (expecting 'e')"),
        (b"fal", "unexpected end of JSON input"),
        (b'{"a":"\x00"}', r"invalid character '\x00' in string literal"),
        (b'{"a":"\n"}', r"invalid character '\n' in string literal"),
        (b'{"a":"\\x"}', "invalid character 'x' in string escape code"),
        (b'{"a":"\\u12g4"}', r"invalid character 'g' in \u hexadecimal character escape"),
        (b'{"a":"\\', "unexpected end of JSON input"),
        (b'{"a":-}', "invalid character '}' in numeric literal"),
        (b'{"a":1.}', "invalid character '}' after decimal point in numeric literal"),
        (b'{"a":1e+}', "invalid character '}' in exponent of numeric literal"),
        (b'{"a":01}', "invalid character '1' after object key:value pair"),
        (b"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value"),
        (b"\x85", r"invalid character '\u0085' looking for beginning of value"),
        (b"{'a':1}", r"invalid character '\'' looking for beginning of object key string"),
        (b'{"a":1}\x00', r"invalid character '\x00' after top-level value"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b'{"a":1e999}', "json: cannot unmarshal number into Go value of type float64"),
        (b'{"a":' * 2000 + b"1" + b"}" * 2000, "exceeded max depth"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"{} x", "invalid character 'x' after top-level value"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a":NaN}', "invalid character 'N' looking for beginning of value"),
        (b"[" * 200_000, "exceeded max depth"),
        (b'["]",{"a":[]} 2]', "invalid character '2' after array element"),
        (
            b"[1]",
            "json: cannot unmarshal array into Go value of type struct { APIVersion string "
            '"json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
        ),
    ],
)
def test_go_words_for_broken_json(data: bytes, expected: str) -> None:
    assert go_json_error(data) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: y", True),
        ("a: off", False),
        ("a: On", True),
        ("a: 2026-01-02", "2026-01-02"),
        ("a: 12:30:00", "12:30:00"),
        ("a: 0644", 420),
        ("a: 0x1f", 31),
        ("a: 1_000", 1000),
        ("a: 1.5", 1.5),
        ("a: 1e3", 1000),
        ("a: -7", -7),
        ("a: ~", None),
        ("a:", None),
        ("a: '1'", "1"),
        ("a: 1.2.3", "1.2.3"),
        ("a: 500m", "500m"),
        ("a: nope", "nope"),
        ("a: 08", 8),
        ("a: '*/5 * * * *'", "*/5 * * * *"),
        ("x: &x {k: v}\na: {<<: *x, l: w}", {"k": "v", "l": "w"}),
        ("a: {1: b, true: c}", {"1": "b", "true": "c"}),
    ],
)
def test_yaml_values(text: str, expected: Any) -> None:
    found = parse_yaml(text.encode()).value["a"]
    assert (found, type(found)) == (expected, type(expected))


WORDS = st.text(st.characters(categories=["L", "N", "P", "Zs"]) | st.sampled_from("\n\t"))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@given(st.dictionaries(WORDS, JSON_VALUES, max_size=4))
def test_json_is_yaml(value: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert parse_yaml(text.encode()).value == value


@pytest.mark.slow
@given(st.dictionaries(st.text(alphabet="abyn01.:-_e ~", min_size=1), st.text("abyn01.:-_e ~")))
def test_yaml_written_by_the_server_reads_back(value: dict[str, Any]) -> None:
    assert parse_yaml(to_yaml(value)).value == value


def test_yaml_duplicates() -> None:
    body = parse_yaml(b"kind: ConfigMap\ndata:\n  a: b\nx: 1\ndata: {}\n")
    assert body.value["data"] == {}
    assert body.strict_errors == ['line 5: key "data" already set in map']
    assert bodies.strict_text(body.strict_errors) == (
        'strict decoding error: yaml: unmarshal errors:\n  line 5: key "data" already set in map'
    )


@pytest.mark.slow
def test_yaml_bombs_do_not_explode() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(Malformed, match="excessive aliasing"):
        parse_yaml("\n".join(lines).encode())


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: !!python/object:os.system x\n---\nb: 1"])
def test_yaml_that_is_no_object(text: str) -> None:
    with pytest.raises(Malformed):
        parse_yaml(text.encode())


def test_a_patch() -> None:
    assert bodies.decode_patch(b'[{"op":"test"}]', "json") == ([{"op": "test"}], [])
    assert bodies.decode_patch(b'{"a":null}', "merge") == ({"a": None}, [])
    with pytest.raises(ApiError) as raised:
        bodies.decode_patch(b"{}", "json")
    assert raised.value.message == (
        "error decoding patch: json: cannot unmarshal object into Go value of type "
        "[]handlers.jsonPatchOp"
    )


def test_findings_in_a_patch() -> None:
    warnings: list[str] = []
    bodies.patch_reporter({}, [], "Warn", warnings)(["unknown field"])
    assert warnings == ["unknown field"]
    with pytest.raises(ApiError) as raised:
        bodies.patch_reporter({"a": 1}, [], "Strict", [])(['unknown field "spec.foo"'])
    assert raised.value.code == 422
    assert raised.value.message == (
        ' "" is invalid: patch: Invalid value: "{\\"a\\":1}": strict decoding error: unknown field '
        '"spec.foo"'
    )


def test_delete_options_come_from_the_body_or_the_query() -> None:
    query = {"gracePeriodSeconds": ["3"], "dryRun": ["All"]}
    assert bodies.delete_request(b"", "json", query) == DeleteRequest(3, dry_run=True)
    body = b'{"propagationPolicy":"Background","preconditions":{"uid":"u"},"unknown":1}'
    assert bodies.delete_request(body, "json", query) == DeleteRequest(None, "Background", uid="u")
    assert bodies.delete_request(b'{"orphanDependents":true}', "json", {}) == DeleteRequest(
        None, "Orphan"
    )


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (
            b'{"propagationPolicy":"Background","orphanDependents":true}',
            422,
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: '
            '"Background": orphanDependents and deletionPropagation cannot be both set',
        ),
        (
            b'{"propagationPolicy":"Foo"}',
            422,
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Foo": '
            'supported values: "Foreground", "Background", "Orphan", "nil"',
        ),
        (
            b'{"kind":"Pod","apiVersion":"v1"}',
            400,
            'Pod in version "v1" cannot be handled as a DeleteOptions: converting (v1.Pod) to '
            "(v1.DeleteOptions): unknown conversion",
        ),
    ],
)
def test_delete_options_are_refused(body: bytes, code: int, message: str) -> None:
    with pytest.raises(ApiError) as raised:
        bodies.delete_request(body, "json", {})
    assert (raised.value.code, raised.value.message) == (code, message)
