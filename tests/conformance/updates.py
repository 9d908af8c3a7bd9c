"""PUT: revisions, generations, what an update drops, what it refuses."""

from __future__ import annotations

from tests.conformance.rows import (
    ABSENT,
    ANY,
    JOBS,
    MAPS,
    PODS,
    SECRETS,
    SERVICES,
    Is,
    config_map,
    delete,
    get,
    job,
    like,
    patch,
    pod,
    post,
    put,
    row,
)

CM = post(MAPS, config_map("cm", a="1"))
JOB = post(JOBS, job("x"))
FORBIDDEN_POD = 'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

ROWS = [
    row("without a revision", CM, put(f"{MAPS}/cm", config_map("cm", b="2"), 200, body={"data": {"b": "2", "a": ABSENT}})),
    row("with the present revision", CM, put(f"{MAPS}/cm", {"metadata": {"name": "cm", "resourceVersion": "<<0.metadata.resourceVersion>>"}}, 200)),
    row("uid and creation stay", CM, put(f"{MAPS}/cm", config_map("cm", b="2"), 200, body={"metadata": {"uid": "<<0.metadata.uid>>", "creationTimestamp": "<<0.metadata.creationTimestamp>>"}})),
    row("nothing changed", CM, put(f"{MAPS}/cm", config_map("cm", a="1"), 200, body={"metadata": {"resourceVersion": "<<0.metadata.resourceVersion>>"}})),
    row("nothing changed, as read", CM, put(f"{MAPS}/cm", b"{}", 400), get(f"{MAPS}/cm", body={"metadata": {"resourceVersion": "<<0.metadata.resourceVersion>>"}})),
    row("a dry run", CM, put(f"{MAPS}/cm?dryRun=All", config_map("cm", b="2"), 200, body={"data": {"b": "2"}}), get(f"{MAPS}/cm", body={"data": {"a": "1", "b": ABSENT}})),
    row("a spec's change is a generation", JOB, patch(f"{JOBS}/x", {"spec": {"parallelism": 2}}, 200, body={"metadata": {"generation": 2}})),
    row("a label's change is none", JOB, patch(f"{JOBS}/x", {"metadata": {"labels": {"a": "b"}}}, 200, body={"metadata": {"generation": 1, "labels": {"a": "b"}}})),
    row("the main path drops status", JOB, patch(f"{JOBS}/x", {"status": {"active": 5}}, 200, body={"status": {"active": ABSENT}, "metadata": {"resourceVersion": "<<0.metadata.resourceVersion>>"}})),
    row("the status path drops spec", JOB, patch(f"{JOBS}/x/status", {"spec": {"parallelism": 5}, "status": {"active": 1}}, 200, body={"spec": {"parallelism": 1}, "status": {"active": 1}, "metadata": {"generation": 1}})),
    row("the status path keeps annotations", JOB, patch(f"{JOBS}/x/status", {"metadata": {"annotations": {"a": "b"}}}, 200, body={"metadata": {"annotations": {"a": "b"}}})),
    row("a status update", JOB, put(f"{JOBS}/x/status", {"metadata": {"name": "x"}, "spec": job("x")["spec"], "status": {"active": 2}}, 200, body={"status": {"active": 2}, "spec": {"backoffLimit": 6}})),
    row("a status read is the whole", JOB, get(f"{JOBS}/x/status", body={"kind": "Job", "spec": {"parallelism": 1}})),
    row("status of no such Job", put(f"{JOBS}/nope/status", job("nope"), 404, message='jobs.batch "nope" not found')),
    row("a finalizer lets go", post(MAPS, {"metadata": {"name": "f", "finalizers": ["x.io/f"]}}), delete(f"{MAPS}/f", body={"metadata": {"deletionTimestamp": ANY, "deletionGracePeriodSeconds": 0}}), patch(f"{MAPS}/f", {"metadata": {"finalizers": None}}, 200, body={"kind": "ConfigMap"}), get(f"{MAPS}/f", 404)),
    row("an immutable map", post(MAPS, {**config_map("x", a="b"), "immutable": True}), patch(f"{MAPS}/x", {"data": {"a": "c"}}, 422, message='ConfigMap "x" is invalid: data: Forbidden: field is immutable when `immutable` is set')),
    row("immutable for good", post(MAPS, {**config_map("x", a="b"), "immutable": True}), patch(f"{MAPS}/x", {"immutable": False}, 422, message='ConfigMap "x" is invalid: immutable: Forbidden: field is immutable when `immutable` is set')),
    row("a Secret's type", post(SECRETS, {"metadata": {"name": "s"}}), patch(f"{SECRETS}/s", {"type": "other"}, 422, message='Secret "s" is invalid: type: Invalid value: "other": field is immutable')),
    row("a pod's spec", post(PODS, pod("p")), patch(f"{PODS}/p", {"spec": {"hostname": "h"}}, 422, message=Is("says what may change", lambda m: m.startswith(FORBIDDEN_POD)))),
    row("a pod's image", post(PODS, pod("p")), patch(f"{PODS}/p", [{"op": "replace", "path": "/spec/containers/0/image", "value": "other:2"}], 200, {"Content-Type": "application/json-patch+json"}, body={"spec": {"containers": [{"image": "other:2"}]}, "metadata": {"generation": 2}})),
    row("a pod's deadline", post(PODS, pod("p")), patch(f"{PODS}/p", {"spec": {"activeDeadlineSeconds": 5}}, 200)),
    row("a Service keeps its address", post(SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}), put(f"{SERVICES}/s", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 81}]}}, 200, body={"spec": {"clusterIP": "<<0.spec.clusterIP>>"}})),
    row("a Service's address", post(SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}), patch(f"{SERVICES}/s", {"spec": {"clusterIP": "10.96.77.77", "clusterIPs": ["10.96.77.77"]}}, 422, message=like('Service "s" is invalid: spec.clusterIPs\\[0\\]: Invalid value: .*may not change once set'))),
    row("managed fields are kept", CM, put(f"{MAPS}/cm", config_map("cm", a="1"), 200, body={"metadata": {"managedFields": ANY}})),
    row("managed fields are reset", CM, put(f"{MAPS}/cm", {**config_map("cm", a="1"), "metadata": {"name": "cm", "managedFields": [{}]}}, 200, body={"metadata": {"managedFields": ABSENT}})),
    row("a namespace's update", get("/api/v1/namespaces/{ns}"), put("/api/v1/namespaces/{ns}", {"metadata": {"name": "{ns}", "labels": {"a": "b"}}}, 200, body={"metadata": {"labels": {"a": "b", "kubernetes.io/metadata.name": "{ns}"}}})),
]  # fmt: skip
