"""Subresources: binding, scale, log, exec, resize, finalize."""

from __future__ import annotations

from typing import Any

from tests.conformance.rows import (
    ABSENT,
    IN,
    JSON_PATCH,
    PODS,
    REPLICASETS,
    TABLE,
    Is,
    Row,
    Step,
    container,
    get,
    like,
    patch,
    pod,
    post,
    put,
    replica_set,
    row,
)

POD = post(PODS, pod("p"))
ON_NODE = post(PODS, pod("p", nodeName="n"))
TWO = post(
    PODS,
    pod(
        "two",
        nodeName="n",
        containers=[container("c"), container("d")],
        initContainers=[container("i")],
    ),
)
SET = post(REPLICASETS, replica_set("r", 2))
SCALE = f"{REPLICASETS}/r/scale"


def binding(name: str, node: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **more}, "target": {"kind": "Node", "name": node}}


APPLY = {"Content-Type": "application/apply-patch+yaml"}
ABSENT_REPLICAS = {"replicas": ABSENT}
REPLICAS: Any = {"f:spec": {"f:replicas": {}}}


def apply_scale(
    replicas: int | None, manager: str, status: int = 200, kind: str = "Scale", **more: Any
) -> Step:
    spec = {} if replicas is None else {"replicas": replicas}
    sent = {"apiVersion": "autoscaling/v1", "kind": kind, "metadata": {"name": "r"}, "spec": spec}
    return patch(f"{SCALE}?fieldManager={manager}", sent, status, APPLY, **more)


def tracked(manager: str, operation: str, part: str = "scale", fields: Any = REPLICAS) -> Is:
    """Entries of an object among which there is one for a subresource."""
    wanted = (manager, operation, part, fields)

    def there(entries: Any) -> bool:
        names = ("manager", "operation", "subresource", "fieldsV1")
        return wanted in [tuple(e.get(n) for n in names) for e in entries]

    return Is(f"entries with {wanted}", there)


def log(
    name: str, query: str, status: int, message: str, before: Any = ON_NODE, on: str = "p"
) -> Row:
    return row(f"log: {name}", before, get(f"{PODS}/{on}/log?{query}", status, message=message))


WHICH = "a container name must be specified for pod two, choose one of: [i c d]"
INVALID = 'PodLogOptions "p" is invalid: '
UPGRADE = "Upgrade request required"
BOUND = {"kind": "Status", "status": "Success", "code": 201}

ROWS = [
    row("binding", POD, post(f"{PODS}/p/binding", binding("p", "n1"), 201, body=BOUND), get(f"{PODS}/p", body={"spec": {"nodeName": "n1"}, "status": {"conditions": [{"type": "PodScheduled", "status": "True"}]}})),
    row("binding by the collection", POD, post(f"{IN}/bindings", binding("p", "n1"), 201, body=BOUND)),
    row("binding twice", POD, post(f"{PODS}/p/binding", binding("p", "n1")), post(f"{PODS}/p/binding", binding("p", "n2"), 409, reason="Conflict", message='Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"')),
    row("binding to nothing", POD, post(f"{PODS}/p/binding", {"metadata": {"name": "p"}, "target": {}}, 500, message="target.name: Required value")),
    row("binding of nothing", post(f"{PODS}/nope/binding", binding("nope", "n"), 404, message='pods "nope" not found')),
    row("binding of another uid", POD, post(f"{PODS}/p/binding", binding("p", "n", uid="zz"), 409, reason="Conflict")),
    row("scale", SET, get(SCALE, body={"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "r", "uid": "<<0.metadata.uid>>"}, "spec": {"replicas": 2}, "status": {"replicas": 0, "selector": "app=r"}})),
    row("scale patched", SET, patch(SCALE, {"spec": {"replicas": 3}}, 200, body={"kind": "Scale", "spec": {"replicas": 3}}), get(f"{REPLICASETS}/r", body={"spec": {"replicas": 3}, "metadata": {"generation": 2}})),
    row("scale put", SET, put(SCALE, {"metadata": {"name": "r", "namespace": "{ns}"}, "spec": {"replicas": 4}}, 200, body={"spec": {"replicas": 4}})),
    row("scale to less than nothing", SET, patch(SCALE, {"spec": {"replicas": -1}}, 422, message='Scale.autoscaling "r" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0')),
    row("scale of nothing", get(f"{REPLICASETS}/nope/scale", 404, message='replicasets.apps "nope" not found')),
    row("a stale scale", SET, put(SCALE, {"metadata": {"name": "r", "namespace": "{ns}", "resourceVersion": "1"}, "spec": {"replicas": 4}}, 409, message=like('Operation cannot be fulfilled on replicasets.apps "r": .*'))),
    row("scale by operations", SET, patch(SCALE, [{"op": "replace", "path": "/spec/replicas", "value": 5}], 200, JSON_PATCH, body={"spec": {"replicas": 5}})),
    row("scale applied", SET, apply_scale(5, "me", 409, message='Apply failed with 1 conflict: conflict with "Python" using apps/v1: .spec.replicas', reason="Conflict"), apply_scale(5, "me&force=true", body={"kind": "Scale", "spec": {"replicas": 5}}), get(f"{REPLICASETS}/r", body={"spec": {"replicas": 5}, "metadata": {"generation": 2, "managedFields": tracked("me", "Apply")}})),
    row("scale applied to what is there", SET, apply_scale(2, "me", body={"spec": {"replicas": 2}}), get(f"{REPLICASETS}/r", body={"metadata": {"generation": 1}})),
    row("scale let go", SET, apply_scale(3, "me&force=true"), apply_scale(None, "me", body={"spec": ABSENT_REPLICAS}), get(f"{REPLICASETS}/r", body={"spec": {"replicas": 0}})),
    row("scale applied to less than nothing", SET, apply_scale(-1, "me", 422, message='Scale.autoscaling "r" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0')),
    row("scale applied as another kind", SET, apply_scale(1, "me", 400, kind="Job", message="invalid object type: autoscaling/v1, Kind=Job")),
    row("scale applied to nothing", apply_scale(1, "me", 404, message='replicasets.apps "r" not found')),
    row("scale is tracked", SET, patch(f"{SCALE}?fieldManager=me", {"spec": {"replicas": 3}}, 200), get(f"{REPLICASETS}/r", body={"metadata": {"managedFields": tracked("me", "Update")}})),
    row("status is tracked", SET, patch(f"{REPLICASETS}/r/status?fieldManager=me", {"status": {"replicas": 3}}, 200, body={"metadata": {"managedFields": tracked("me", "Update", "status", {"f:status": {"f:replicas": {}}})}})),
    row("log: unscheduled", POD, get(f"{PODS}/p/log", 204, text="")),
    row("log: of nothing", get(f"{PODS}/nope/log", 404, message='pods "nope" not found')),
    row("log: text", ON_NODE, get(f"{PODS}/p/log", text="one\ntwo\n", headers={"Content-Type": "text/plain"})),
    row("log: whatever is accepted", ON_NODE, get(f"{PODS}/p/log", send={"Accept": "application/json, */*"}, text="one\ntwo\n")),
    row("log: not as HTML", ON_NODE, get(f"{PODS}/p/log", 406, send={"Accept": "text/html"}, reason="NotAcceptable")),
    log("which container", "", 400, WHICH, TWO, "two"),
    log("a wrong container", "container=zz", 400, "container zz is not valid for pod p"),
    log("a negative tail", "tailLines=-1", 422, INVALID + "tailLines: Invalid value: -1: must be greater than or equal to 0"),
    log("no bytes", "limitBytes=0", 422, INVALID + "limitBytes: Invalid value: 0: must be greater than 0"),
    log("no seconds", "sinceSeconds=0", 422, INVALID + "sinceSeconds: Invalid value: 0: must be greater than 0"),
    log("two beginnings", "sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", 422, INVALID + "[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"),
    log("a stream", "stream=All", 422, INVALID + "stream: Forbidden: may not be specified"),
    log("a tail of letters", "tailLines=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
    row("exec: no upgrade", ON_NODE, patch(f"{PODS}/p/status", {"status": {"phase": "Running"}}), get(f"{PODS}/p/exec?command=x&stdout=1", 400, message=UPGRADE, reason="BadRequest")),
    row("exec: of nothing", get(f"{PODS}/nope/exec?command=x&stdout=1", 404, message='pods "nope" not found')),
    row("exec: a wrong container", ON_NODE, get(f"{PODS}/p/exec?command=x&stdout=1&container=zz", 400, message="container zz is not valid for pod p")),
    row("attach: no upgrade", ON_NODE, patch(f"{PODS}/p/status", {"status": {"phase": "Running"}}), post(f"{PODS}/p/attach?stdout=1", b"", 400, message=UPGRADE)),
    row("portforward: no upgrade", ON_NODE, patch(f"{PODS}/p/status", {"status": {"phase": "Running"}}), post(f"{PODS}/p/portforward", b"", 400, message=UPGRADE)),
    row("a resize changes nothing else", POD, patch(f"{PODS}/p/resize", {"spec": {"hostname": "h"}}, 200, body={"spec": {"hostname": ABSENT}})),
    row("a pod's extra container", POD, patch(f"{PODS}/p/ephemeralcontainers", {"spec": {"ephemeralContainers": [{"name": "debug", "image": "i"}]}}, 200, body={"spec": {"ephemeralContainers": [{"name": "debug", "imagePullPolicy": "Always"}]}})),
    row("extra containers stay", POD, patch(f"{PODS}/p/ephemeralcontainers", {"spec": {"ephemeralContainers": [{"name": "debug", "image": "i"}]}}), patch(f"{PODS}/p/ephemeralcontainers", {"spec": {"ephemeralContainers": None}}, 422, reason="Invalid")),
    row("a namespace's finalizers", get("/api/v1/namespaces/{ns}"), put("/api/v1/namespaces/{ns}/finalize", {"metadata": {"name": "{ns}"}, "spec": {"finalizers": ["x.io/f"]}}, 200, body={"spec": {"finalizers": ["x.io/f"]}})),
    row("a namespace's status", patch("/api/v1/namespaces/{ns}/status", {"metadata": {"annotations": {"a": "b"}}}, 200, body={"status": {"phase": "Active"}})),
    row("a scale is no table of sets", SET, get(SCALE, send=TABLE, body={"kind": "Table", "rows": [{"cells": ["r", 2, 0, like(r"\d+s")]}], "items": ABSENT})),
]  # fmt: skip
