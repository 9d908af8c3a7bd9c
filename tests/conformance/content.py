"""Forms of bodies and answers: media types, transformations, pretty printing, limits."""

from __future__ import annotations

from tests.conformance.rows import (
    ABSENT,
    ANY,
    IN,
    JOBS,
    JSON_PATCH,
    MAPS,
    PARTIAL,
    PARTIAL_LIST,
    SECRETS,
    TABLE,
    YAML_BODY,
    Is,
    Step,
    config_map,
    get,
    job,
    like,
    patch,
    post,
    put,
    row,
)

UNKNOWN_BODY = (
    "the body of the request was in an unknown format - accepted media types include: "
    "application/json, application/yaml, application/vnd.kubernetes.protobuf"
)
NOT_ACCEPTABLE = (
    "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
    "application/vnd.kubernetes.protobuf"
)
# A ConfigMap named proto with data k: v, in Kubernetes' protobuf envelope.
PROTOBUF = (
    b"k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x11"
    b"\x0a\x07\x0a\x05proto\x12\x06\x0a\x01k\x12\x01v\x1a\x00\x22\x00"
)
CM = post(MAPS, config_map("cm", a="1"))
JSON_FIELD = "json: cannot unmarshal {} into Go struct field {} of type {}"
AS_JOB = 'Job in version "v1" cannot be handled as a Job: '


def wrong_type(name: str, sent: object, what: str, where: str, wanted: str) -> object:
    message = AS_JOB + JSON_FIELD.format(what, where, wanted)
    return row(f"type: {name}", post(JOBS, sent, 400, message=message, reason="BadRequest"))


def head(method: str, path: str, status: int) -> Step:
    return Step(method=method, path=path, status=status)


FEW = Is("some, but not all", lambda said: 0 < len(said) < 300)

ROWS = [
    row("no Content-Type is JSON", post(MAPS, b'{"metadata":{"name":"x"}}', 201, body={"kind": "ConfigMap", "apiVersion": "v1"})),
    row("JSON with a charset", post(MAPS, config_map("x"), 201, send={"Content-Type": "application/json; charset=utf-8"})),
    row("a body in YAML", post(MAPS, "metadata: {name: x}\ndata: {k: 'y'}\n", 201, send=YAML_BODY, body={"data": {"k": "y"}})),
    row(
        "YAML 1.1: an unquoted y is true",
        post(MAPS, "metadata: {name: x}\ndata: {k: y}\n", 400, send=YAML_BODY, message=like(".*cannot unmarshal bool into Go struct field ConfigMap.data of type string")),
    ),
    row("a body in protobuf", post(MAPS, PROTOBUF, 201, send={"Content-Type": "application/vnd.kubernetes.protobuf"}, body={"metadata": {"name": "proto"}, "data": {"k": "v"}})),
    row("broken protobuf", post(MAPS, b"k8s\x00\xff", 400, send={"Content-Type": "application/vnd.kubernetes.protobuf"}, reason="BadRequest")),
    row("a create of an unknown type", post(MAPS, b"x", 415, send={"Content-Type": "text/plain"}, message=UNKNOWN_BODY, reason="UnsupportedMediaType", details=None)),
    row("an update of an unknown type", CM, put(f"{MAPS}/cm", b"x", 415, send={"Content-Type": "application/cbor"}, message=UNKNOWN_BODY)),
    row("a patch of an unknown type", CM, patch(f"{MAPS}/cm", {}, 415, {"Content-Type": "application/json"}, message="415: Unsupported Media Type", details={})),
    row("answers in YAML", CM, get(f"{MAPS}/cm", send={"Accept": "application/yaml"}, headers={"Content-Type": "application/yaml"}, text=like("apiVersion: v1\ndata:\n  a: \"1\"\nkind: ConfigMap\nmetadata:.*"))),
    row("nothing acceptable", CM, get(f"{MAPS}/cm", 406, send={"Accept": "text/html"}, message=NOT_ACCEPTABLE, reason="NotAcceptable", details={})),
    row("an unknown transformation", CM, get(f"{MAPS}/cm", 406, send={"Accept": "application/json;as=Nosuch;v=v1;g=meta.k8s.io"}, message=like("only the following media types are accepted: .*"))),
    row("an unknown transformation with a way out", CM, get(f"{MAPS}/cm", send={"Accept": "application/json;as=Nosuch;v=v1;g=meta.k8s.io,application/json"}, body={"kind": "ConfigMap"})),
    row("protobuf or anything", CM, get(MAPS, send={"Accept": "application/vnd.kubernetes.protobuf, */*"}, headers={"Content-Type": "application/json"}, body={"kind": "ConfigMapList"})),
    row("protobuf or JSON", CM, get(f"{MAPS}/cm", send={"Accept": "application/vnd.kubernetes.protobuf,application/json"}, body={"kind": "ConfigMap"})),
    row("metadata of one", CM, get(f"{MAPS}/cm", send=PARTIAL, headers={"Content-Type": "application/json"}, body={"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "cm", "uid": ANY}, "data": ABSENT})),
    row("metadata of many", CM, get(MAPS, send=PARTIAL_LIST, body={"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "items": [{"kind": "PartialObjectMetadata", "metadata": {"name": "cm"}, "data": ABSENT}]})),
    row("metadata of what a create made", post(MAPS, config_map("x"), 201, send=PARTIAL, body={"kind": "PartialObjectMetadata"})),
    row("metadata of a missing object", get(f"{MAPS}/nope", 404, send=PARTIAL, message='configmaps "nope" not found')),
    row("a list's items have no kind", CM, get(MAPS, body={"kind": "ConfigMapList", "apiVersion": "v1", "items": [{"kind": ABSENT, "apiVersion": ABSENT, "data": {"a": "1"}}]})),
    row("pretty when asked", CM, get(f"{MAPS}/cm?pretty=1", text=like('{\n  "kind": "ConfigMap",\n.*}\n'))),
    row("pretty for curl", CM, get(f"{MAPS}/cm", send={"User-Agent": "curl/8.1"}, text=like('{\n  "kind".*'))),
    row("not pretty for curl when told", CM, get(f"{MAPS}/cm?pretty=false", send={"User-Agent": "curl/8.1"}, text=like('{"kind".*'))),
    row("compact with a newline", CM, get(f"{MAPS}/cm", text=like('{"kind":"ConfigMap","apiVersion":"v1","metadata":{.*}\n'))),
    row("never cached", CM, get(f"{MAPS}/cm", headers={"Cache-Control": "no-cache, private", "Audit-Id": ANY})),
    row("a body too large", post(MAPS, b'{"data":{"k":"' + b"x" * 3_145_728 + b'"}}', 413, message="Request entity too large: limit is 3145728", reason="RequestEntityTooLarge")),
    row("data too large", post(MAPS, config_map("x", k="x" * 1_048_577), 422, message='ConfigMap "x" is invalid: []: Too long: may not be more than 1048576 bytes')),
    row("HEAD of an object", CM, head("HEAD", f"{MAPS}/cm", 405)),
    row("OPTIONS of an object", CM, head("OPTIONS", f"{MAPS}/cm", 405)),
    row("no JSON", post(MAPS, b"{", 400, message="the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input ({)", reason="BadRequest")),
    row("half a surrogate pair", post(MAPS, rb'{"metadata":{"name":"half"},"data":{"k":"a\ud800"}}', 201, body={"data": {"k": "a\ufffd"}})),
    row("no UTF-8", post(MAPS, b'{"metadata":{"name":"raw"},"data":{"k":"a\xff\xfe"}}', 201, body={"data": {"k": "a\ufffd\ufffd"}})),
    row("NUL as an escape", post(MAPS, rb'{"metadata":{"name":"nul"},"data":{"k":"a\u0000"}}', 201, body={"data": {"k": "a\0"}})),
    row("NUL as it is", post(MAPS, b'{"data":{"k":"\0"}}', 400, message="the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character '\\x00' in string literal (" + '{"data":{"k":"\0"}}' + ")")),
    row("no UTF-8 in a patch", CM, patch(f"{MAPS}/cm", b'{"data":{"k":"\xff"}}', 200, body={"data": {"k": "\ufffd"}})),
    row("no UTF-8 in operations", CM, patch(f"{MAPS}/cm", b'[{"op":"add","path":"/data/k","value":"\xff"}]', 200, JSON_PATCH, body={"data": {"k": "\ufffd"}})),
    row("too deep", post(MAPS, b'{"data":' + b"[" * 30_000 + b"]" * 30_000 + b"}", 400, reason="BadRequest")),
    row("too deep in YAML", post(MAPS, b"data: " + b"[" * 3_000 + b"]" * 3_000, 400, send=YAML_BODY, reason="BadRequest")),
    row("YAML that refers to itself", post(MAPS, "data: &a {k: *a}", 400, send=YAML_BODY, reason="BadRequest")),
    row("YAML that grows", post(MAPS, "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{n}: &{n} [{','.join([f'*{m}'] * 9)}]\n" for m, n in zip("abcdefgh", "bcdefghi", strict=True)), 400, send=YAML_BODY)),
    row("a huge number", post(JOBS, b'{"spec":{"parallelism":' + b"9" * 5000 + b"}}", 400, reason="BadRequest")),
    row("a huge number in YAML", post(JOBS, b"spec: {parallelism: " + b"9" * 5000 + b"}", 400, send=YAML_BODY, reason="BadRequest")),
    row("an empty body", post(MAPS, b"", 400, reason="BadRequest")),
    row("a list for an object", post(MAPS, b"[]", 400, reason="BadRequest")),
    row("another kind", post(MAPS, {"kind": "Pod", "apiVersion": "v1"}, 400, message=like('Pod in version "v1" cannot be handled as a ConfigMap: .*'))),
    row("an unknown kind", post(MAPS, {"kind": "Nosuch", "apiVersion": "v1"}, 400, message=like('Nosuch in version "v1" cannot be handled as a ConfigMap: no kind "Nosuch" is registered for version "v1".*'))),
    row("another version", post(JOBS, {"kind": "Job", "apiVersion": "batch/v1beta1"}, 400, reason="BadRequest")),
    wrong_type("text for a number", job("x", backoffLimit="x"), "string", "JobSpec.spec.backoffLimit", "int32"),
    wrong_type("a fraction for a whole number", job("x", parallelism=1.5), "number 1.5", "JobSpec.spec.parallelism", "int32"),
    wrong_type("a number for a boolean", job("x", suspend=1), "number", "JobSpec.spec.suspend", "bool"),
    wrong_type("a number out of range", job("x", parallelism=2**31), "number 2147483648", "JobSpec.spec.parallelism", "int32"),
    row("dates of other zones", post(MAPS, {"metadata": {"name": "x", "creationTimestamp": "2026-11-22T03:30:45+02:00"}}, 201, body={"metadata": {"creationTimestamp": like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")}})),
    row("moments with six decimals", post("/apis/coordination.k8s.io/v1/namespaces/{ns}/leases", {"metadata": {"name": "x"}, "spec": {"renewTime": "2026-11-22T03:30:45.5Z"}}, 201, body={"spec": {"renewTime": "2026-11-22T03:30:45.500000Z"}})),
    row("strict: unknown and duplicate fields", post(f"{JOBS}?fieldValidation=Strict", b'{"metadata":{"name":"x","foo":1},"spec":{"backofLimit":1,"backoffLimit":1,"backoffLimit":2,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i","imag":"x"}]}}}}', 400, reason="BadRequest", message=AS_JOB + 'strict decoding error: unknown field "metadata.foo", unknown field "spec.backofLimit", duplicate field "spec.backoffLimit", unknown field "spec.template.spec.containers[0].imag"')),
    row("warn: unknown fields", post(MAPS, {"metadata": {"name": "x"}, "Data": {}, "zz": 1}, 201, warnings=['unknown field "Data"', 'unknown field "zz"'], body={"Data": ABSENT})),
    row("warn: the last duplicate wins", post(MAPS, b'{"metadata":{"name":"x"},"data":{"a":"1"},"data":{"a":"2"}}', 201, warnings=['duplicate field "data"'], body={"data": {"a": "2"}})),
    row("ignore: no word of unknown fields", post(f"{MAPS}?fieldValidation=Ignore", {"metadata": {"name": "x"}, "zz": 1}, 201, warnings=[])),
    row("bogus validation", post(f"{MAPS}?fieldValidation=Bogus", config_map("x"), 422, message='CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Bogus": supported values: "", "Ignore", "Strict", "Warn"', details={"group": "meta.k8s.io", "kind": "CreateOptions"})),
    row("warn: what no header holds is not said", post(MAPS, b'{"metadata":{"name":"x"},"a\\u0000b":1,"\\u00fc":1}', 201, warnings=['unknown field "\u00fc"'])),
    row("warn: no more than a header holds", post(MAPS, {"metadata": {"name": "x"}, **{f"unknown-{n}": 1 for n in range(500)}}, 201, warnings=FEW)),
    row("null in maps of bytes", post(SECRETS, {"metadata": {"name": "x"}, "data": {"a": None}}, 201, body={"data": {"a": ""}})),
    row("strict: YAML duplicates", post(f"{MAPS}?fieldValidation=Strict", "metadata: {name: x}\ndata:\n  a: b\ndata:\n  a: c\n", 400, send=YAML_BODY, message=like('.*line 4: key "data" already set in map.*'))),
    row("an endpoint's deprecation", get(f"{IN}/endpoints", warnings=["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"])),
    row("a table of a question", post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, 406, send={"Accept": TABLE["Accept"].partition(",")[0]}, reason="NotAcceptable")),
]  # fmt: skip
