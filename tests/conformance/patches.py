"""PATCH: JSON patches, merge patches, strategic merge patches."""

from __future__ import annotations

from typing import Any

from tests.conformance.rows import (
    ABSENT,
    JOBS,
    JSON_PATCH,
    MAPS,
    PODS,
    STRATEGIC,
    Row,
    Step,
    config_map,
    container,
    get,
    job,
    like,
    patch,
    pod,
    post,
    row,
)

CM = post(MAPS, config_map("cm", a="1"))
REJECTED = "the server rejected our request due to an error in our request"
TWO = {"containers": [container("a"), container("b")], "volumes": [{"name": "v", "emptyDir": {}}]}
DECODING = (
    "error decoding patch: json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp"
)


def operations(name: str, ops: Any, status: int = 200, **more: Any) -> Row:
    return row(f"json: {name}", CM, patch(f"{MAPS}/cm", ops, status, JSON_PATCH, **more))


def merged(name: str, sent: Any, status: int = 200, **more: Any) -> Row:
    return row(f"merge: {name}", CM, patch(f"{MAPS}/cm", sent, status, **more))


def strategic(name: str, spec: Any, status: int = 200, **more: Any) -> Row:
    """A dry run of a change to a pod's spec that need not be allowed, on a suspended Job."""
    steps: list[Step] = [post(JOBS, job("x", TWO, suspend=True))]
    path = f"{JOBS}/x?dryRun=All"
    sent = {"spec": {"template": {"spec": spec}}}
    return row(f"strategic: {name}", *steps, patch(path, sent, status, STRATEGIC, **more))


def on_map(name: str, before: Any, sent: Any, status: int = 200, **more: Any) -> Row:
    return row(
        f"strategic: {name}",
        post(MAPS, before),
        patch(f"{MAPS}/cm", sent, status, STRATEGIC, **more),
    )


def refs(*uids: str) -> list[dict[str, str]]:
    return [{"apiVersion": "v1", "kind": "Pod", "name": u, "uid": u} for u in uids]


FINALIZED = {"metadata": {"name": "cm", "finalizers": ["x.io/a", "x.io/b"]}, "data": {"a": "1"}}
OWNED = {"metadata": {"name": "cm", "ownerReferences": refs("u1", "u2")}}
DEEP = b"[" * 30_000 + b"]" * 30_000
UNCHANGED = {"metadata": {"resourceVersion": "<<0.metadata.resourceVersion>>"}}

ROWS = [
    operations("add", [{"op": "add", "path": "/data/b", "value": "2"}], body={"data": {"a": "1", "b": "2"}}),
    operations("remove", [{"op": "remove", "path": "/data/a"}], body={"data": ABSENT}),
    operations("replace", [{"op": "replace", "path": "/data/a", "value": "3"}], body={"data": {"a": "3"}}),
    operations("replace what is not there", [{"op": "replace", "path": "/data/zz", "value": "3"}], body={"data": {"zz": "3"}}),
    operations("move", [{"op": "move", "from": "/data/a", "path": "/data/b"}], body={"data": {"a": ABSENT, "b": "1"}}),
    operations("copy", [{"op": "copy", "from": "/data/a", "path": "/data/b"}], body={"data": {"a": "1", "b": "1"}}),
    operations("a test that holds", [{"op": "test", "path": "/data/a", "value": "1"}], body=UNCHANGED),
    operations("a test that fails", [{"op": "test", "path": "/data/a", "value": "2"}], 422, message=REJECTED, reason="Invalid", details={}),
    operations("an unknown operation", [{"op": "zap", "path": "/data/a"}], 422, message=REJECTED),
    operations("a missing path", [{"op": "remove", "path": "/data/zz"}], 422, message=REJECTED),
    operations("nothing after a failure", [{"op": "replace", "path": "/data/a", "value": "9"}, {"op": "test", "path": "/data/a", "value": "2"}], 422, message=REJECTED),
    operations("a position of many digits", [{"op": "remove", "path": "/metadata/managedFields/" + "9" * 5000}], 422, message=REJECTED),
    operations("too deep", b'[{"op":"add","path":"/data","value":' + DEEP + b"}]", 400, reason="BadRequest"),
    operations("an object", {}, 400, message=DECODING.format("object"), reason="BadRequest"),
    operations("text", b'"x"', 400, message=DECODING.format("string")),
    operations("no JSON", b"[", 400, message=like("error decoding patch: .*")),
    operations("nothing", [], body=UNCHANGED),
    operations("escaped paths", [{"op": "add", "path": "/metadata/labels", "value": {}}, {"op": "add", "path": "/metadata/labels/a~1b", "value": "c"}], body={"metadata": {"labels": {"a/b": "c"}}}),
    operations("another name", [{"op": "replace", "path": "/metadata/name", "value": "other"}], 400, message="the name of the object (other) does not match the name on the URL (cm)"),
    operations("a stale revision", [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}, {"op": "replace", "path": "/data/a", "value": "3"}], 409, reason="Conflict"),
    operations("the type of a result", [{"op": "add", "path": "/data", "value": "x"}], 422, reason="Invalid", message=like(r" \"\" is invalid: patch: Invalid value: .*: json: cannot unmarshal string into Go struct field ConfigMap.data of type map\[string\]string")),
    merged("add", {"data": {"b": "2"}}, body={"data": {"a": "1", "b": "2"}}),
    merged("null deletes", {"data": {"a": None}}, body={"data": ABSENT}),
    merged("nothing", {}, body=UNCHANGED),
    merged("nothing new", {"data": {"a": "1"}}, body=UNCHANGED),
    merged("a list is replaced", {"metadata": {"finalizers": ["x.io/a"]}}, body={"metadata": {"finalizers": ["x.io/a"]}}),
    merged("the present revision", {"metadata": {"resourceVersion": "<<0.metadata.resourceVersion>>"}, "data": {"b": "2"}}, body={"data": {"b": "2"}}),
    merged("a stale revision", {"metadata": {"resourceVersion": "1"}, "data": {"b": "2"}}, 409, reason="Conflict", message=like('Operation cannot be fulfilled on configmaps "cm": the object has been modified.*')),
    merged("a list", [], 400, message=like("error decoding patch: .*")),
    merged("too deep", b'{"data":' + DEEP + b"}", 400, reason="BadRequest"),
    merged("no JSON", b"{", 400, message=like("error decoding patch: .*")),
    merged("an unknown field", {"zz": 1}, warnings=['unknown field "zz"'], body=UNCHANGED),
    row("json: unknown members, strictly", CM, patch(f"{MAPS}/cm?fieldValidation=Strict", b'[{"op":"add","foo":1,"op":"add","path":"/zz","value":[{"a":1,"a":2}]}]', 422, JSON_PATCH, message=like('.*: strict decoding error: json patch unknown field "\\[0\\].foo", json patch duplicate field "\\[0\\].op", json patch duplicate field "\\[0\\].value\\[0\\].a", unknown field "zz"'))),
    row("json: unknown members, with a warning", CM, patch(f"{MAPS}/cm?fieldValidation=Warn", [{"op": "add", "foo": 1, "path": "/zz", "value": 1}], 200, JSON_PATCH, warnings=['json patch unknown field "[0].foo"', 'unknown field "zz"'])),
    row("json: unknown members, ignored", CM, patch(f"{MAPS}/cm?fieldValidation=Ignore", [{"op": "add", "foo": 1, "path": "/zz", "value": 1}], 200, JSON_PATCH, warnings=[])),
    row("json: an operation that is none", CM, patch(f"{MAPS}/cm", ["x"], 400, JSON_PATCH, message="error decoding patch: json: cannot unmarshal string into Go value of type handlers.jsonPatchOp")),
    row("json: a path that is none", CM, patch(f"{MAPS}/cm", [{"op": "add", "path": 1}], 400, JSON_PATCH, message="error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.path of type string")),
    row("json: broken", CM, patch(f"{MAPS}/cm", b'[{"op":}]', 400, JSON_PATCH, message="error decoding patch: invalid character '}' looking for beginning of value")),
    row("merge: an unknown field, strictly", CM, patch(f"{MAPS}/cm?fieldValidation=Strict", {"zz": 1}, 422, message=like('.*strict decoding error: unknown field "zz"'))),
    row("merge: a dry run", CM, patch(f"{MAPS}/cm?dryRun=All", {"data": {"b": "2"}}, 200, body={"data": {"b": "2"}}), get(f"{MAPS}/cm", body={"data": {"b": ABSENT}})),
    merged("another uid", {"metadata": {"uid": "zz"}}, 409, reason="Conflict"),
    merged("what is invalid", {"metadata": {"labels": {"a b": "c"}}}, 422, message=like('ConfigMap "cm" is invalid: metadata.labels: .*')),
    row("merge: a pod's status", post(PODS, pod("p")), patch(f"{PODS}/p/status", {"status": {"phase": "Running"}}, 200, body={"status": {"phase": "Running"}})),
    on_map("maps merge", config_map("cm", a="1"), {"data": {"b": "2"}}, body={"data": {"a": "1", "b": "2"}}),
    on_map("null deletes", config_map("cm", a="1"), {"data": {"a": None}}, body={"data": ABSENT}),
    on_map("a map is replaced", config_map("cm", a="1"), {"data": {"$patch": "replace", "b": "2"}}, body={"data": {"a": ABSENT, "b": "2"}}),
    on_map("a map is cleared", config_map("cm", a="1"), {"data": {"$patch": "delete"}}, body={"data": ABSENT}),
    on_map("nothing", config_map("cm", a="1"), {}, body=UNCHANGED),
    on_map("finalizers: the new one is first", FINALIZED, {"metadata": {"finalizers": ["x.io/c"]}}, body={"metadata": {"finalizers": ["x.io/c", "x.io/a", "x.io/b"]}}),
    on_map("finalizers: one is dropped", FINALIZED, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x.io/a"]}}, body={"metadata": {"finalizers": ["x.io/b"]}}),
    on_map("finalizers: their order", FINALIZED, {"metadata": {"$setElementOrder/finalizers": ["x.io/b", "x.io/a"]}}, body={"metadata": {"finalizers": ["x.io/b", "x.io/a"]}}),
    on_map("owners go by uid", OWNED, {"metadata": {"ownerReferences": [{"uid": "u2", "$patch": "delete"}]}}, body={"metadata": {"ownerReferences": [{"uid": "u1"}]}}),
    on_map("an owner merges", OWNED, {"metadata": {"ownerReferences": [{"uid": "u1", "name": "new"}]}}, body={"metadata": {"ownerReferences": [{"uid": "u1", "name": "new", "kind": "Pod"}, {"uid": "u2"}]}}),
    on_map("all owners are replaced", OWNED, {"metadata": {"ownerReferences": [{"$patch": "replace"}]}}, body={"metadata": {"ownerReferences": ABSENT}}),
    on_map("no merge key", OWNED, {"metadata": {"ownerReferences": [{"name": "n"}]}}, 500, message="map: map[name:n] does not contain declared merge key: uid"),
    on_map("a list for a map", config_map("cm", a="1"), {"data": []}, 422, reason="Invalid"),
    on_map("another order than the list's", FINALIZED, {"metadata": {"$setElementOrder/finalizers": ["x.io/b"], "finalizers": ["x.io/c"]}}, 500, message=like("The order in patch list:\n.* doesn't match \\$setElementOrder list:\n.*")),
    on_map("a patch on a list of maps which is none", OWNED, {"metadata": {"ownerReferences": [{"uid": "u1", "$patch": "merge"}]}}, 500, message="merging lists cannot yet be specified in the patch"),
    strategic("a container merges by name", {"containers": [{"name": "b", "resources": {"limits": {"cpu": "1"}}}]}, body={"spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "b", "image": "busybox:1", "resources": {"limits": {"cpu": "1"}}}]}}}}),
    strategic("a node selector", {"nodeSelector": {"a": "b"}}, body={"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}}),
    strategic("tolerations are replaced", {"tolerations": [{"operator": "Exists"}]}, body={"spec": {"template": {"spec": {"tolerations": [{"operator": "Exists"}]}}}}),
    strategic("a volume of two types", {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}, 422, message=like(".*may not specify more than 1 volume type.*")),
    strategic("a container without its key", {"containers": [{"image": "nokey"}]}, 500, message="map: map[image:nokey] does not contain declared merge key: name"),
    row("strategic: the present revision's conflict", CM, patch(f"{MAPS}/cm", {"metadata": {"resourceVersion": "1"}}, 409, STRATEGIC, reason="Conflict")),
    row("strategic: pod conditions merge by type", post(PODS, pod("p")), patch(f"{PODS}/p/status", {"status": {"conditions": [{"type": "A", "status": "True"}]}}, 200, STRATEGIC), patch(f"{PODS}/p/status", {"status": {"conditions": [{"type": "A", "status": "False"}]}}, 200, STRATEGIC, body={"status": {"conditions": [{"type": "A", "status": "False"}]}})),
]  # fmt: skip
