"""DELETE: options, preconditions, propagation, grace, collections, namespaces."""

from __future__ import annotations

from typing import Any

from tests.conformance.rows import (
    ABSENT,
    ACCOUNTS,
    ANY,
    IN,
    JOBS,
    MAPS,
    PODS,
    Step,
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
HELD = post(MAPS, {"metadata": {"name": "f", "finalizers": ["x.io/f"]}})
ORPHANS = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning"
BOUND = post(PODS, pod("p", nodeName="n"))
GONE = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": ABSENT}


def options(path: str, sent: Any, status: int = 200, **more: Any) -> Step:
    return Step(method="DELETE", path=path, sent=sent, status=status, **more)


def finalizers(*names: str) -> dict[str, Any]:
    return {"kind": "Job", "metadata": {"finalizers": list(names), "deletionTimestamp": ANY}}


ROWS = [
    row("gone at once", CM, delete(f"{MAPS}/cm", body={**GONE, "details": {"name": "cm", "kind": "configmaps", "uid": "<<0.metadata.uid>>", "group": ABSENT}}), get(f"{MAPS}/cm", 404)),
    row("a group is named", JOB, options(f"{JOBS}/x", {"propagationPolicy": "Background"}, body={**GONE, "details": {"name": "x", "group": "batch", "kind": "jobs"}}, warnings=[])),
    row("held by a finalizer", HELD, delete(f"{MAPS}/f", body={"kind": "ConfigMap", "metadata": {"deletionTimestamp": ANY, "deletionGracePeriodSeconds": 0}}), get(f"{MAPS}/f")),
    row("a second delete changes nothing", HELD, delete(f"{MAPS}/f"), delete(f"{MAPS}/f", body={"metadata": {"resourceVersion": "<<1.metadata.resourceVersion>>"}})),
    row("no new finalizers", HELD, delete(f"{MAPS}/f"), patch(f"{MAPS}/f", {"metadata": {"finalizers": ["x.io/f", "x.io/new"]}}, 422, message='ConfigMap "f" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"x.io/new"}')),
    row("the last finalizer lets go", HELD, delete(f"{MAPS}/f"), put(f"{MAPS}/f", config_map("f"), 200, body={"kind": "ConfigMap"}), get(f"{MAPS}/f", 404)),
    row("a deletion is a generation", post(JOBS, {**job("x"), "metadata": {"name": "x", "finalizers": ["x.io/f"]}}), options(f"{JOBS}/x", {"propagationPolicy": "Background"}, body={"metadata": {"generation": 2}})),
    row("a Job's pods are orphaned", JOB, delete(f"{JOBS}/x", body=finalizers("orphan"), warnings=[ORPHANS])),
    row("a warning before a 404", delete(f"{JOBS}/nope", 404, warnings=[ORPHANS])),
    row("foreground in the body", JOB, options(f"{JOBS}/x", {"propagationPolicy": "Foreground"}, body=finalizers("foregroundDeletion"), warnings=[])),
    row("foreground in the query", JOB, delete(f"{JOBS}/x?propagationPolicy=Foreground", body=finalizers("foregroundDeletion"))),
    row("orphan as asked", JOB, options(f"{JOBS}/x", {"propagationPolicy": "Orphan"}, body=finalizers("orphan"), warnings=[])),
    row("orphanDependents", JOB, options(f"{JOBS}/x", {"orphanDependents": True}, body=finalizers("orphan"), warnings=[])),
    row("the body wins over the query", CM, options(f"{MAPS}/cm?dryRun=All", {}, body=GONE), get(f"{MAPS}/cm", 404)),
    row("a dry run in the query", CM, delete(f"{MAPS}/cm?dryRun=All", body=GONE), get(f"{MAPS}/cm")),
    row("a dry run in the body", CM, options(f"{MAPS}/cm", {"dryRun": ["All"]}), get(f"{MAPS}/cm")),
    row("unknown options", CM, options(f"{MAPS}/cm", {"zz": 1}, body=GONE)),
    row("options of another kind", CM, options(f"{MAPS}/cm", {"kind": "Pod", "apiVersion": "v1"}, 400, reason="BadRequest"), get(f"{MAPS}/cm")),
    row("both ways to say what becomes of dependents", CM, options(f"{MAPS}/cm", {"propagationPolicy": "Background", "orphanDependents": True}, 422, message='DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Background": orphanDependents and deletionPropagation cannot be both set')),
    row("a bogus policy", CM, options(f"{MAPS}/cm", {"propagationPolicy": "Foo"}, 422, message='DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Foo": supported values: "Foreground", "Background", "Orphan", "nil"')),
    row("another uid", CM, options(f"{MAPS}/cm", {"preconditions": {"uid": "abc"}}, 409, reason="Conflict", message='Operation cannot be fulfilled on ConfigMap "cm": the UID in the precondition (abc) does not match the UID in record (<<0.metadata.uid>>). The object might have been deleted and then recreated', details={"kind": "ConfigMap"}), get(f"{MAPS}/cm")),
    row("another revision", CM, options(f"{MAPS}/cm", {"preconditions": {"resourceVersion": "1"}}, 409, message='Operation cannot be fulfilled on ConfigMap "cm": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (<<0.metadata.resourceVersion>>). The object might have been modified')),
    row("the right preconditions", CM, options(f"{MAPS}/cm", {"preconditions": {"uid": "<<0.metadata.uid>>", "resourceVersion": "<<0.metadata.resourceVersion>>"}}, body=GONE)),
    row("a pod without a node", post(PODS, pod("p")), delete(f"{PODS}/p", body={"kind": "Pod"}), get(f"{PODS}/p", 404)),
    row("a pod has its grace", BOUND, delete(f"{PODS}/p", body={"kind": "Pod", "metadata": {"deletionTimestamp": ANY, "deletionGracePeriodSeconds": 30}}), get(f"{PODS}/p")),
    row("a pod's grace as asked", BOUND, options(f"{PODS}/p", {"gracePeriodSeconds": 1}, body={"metadata": {"deletionGracePeriodSeconds": 1}})),
    row("a pod's grace in the query", BOUND, delete(f"{PODS}/p?gracePeriodSeconds=7", body={"metadata": {"deletionGracePeriodSeconds": 7}})),
    row("grace only shrinks", BOUND, options(f"{PODS}/p", {"gracePeriodSeconds": 5}), options(f"{PODS}/p", {"gracePeriodSeconds": 9}, body={"metadata": {"deletionGracePeriodSeconds": 5}}), options(f"{PODS}/p", {"gracePeriodSeconds": 2}, body={"metadata": {"deletionGracePeriodSeconds": 2}})),
    row("negative grace is one", BOUND, options(f"{PODS}/p", {"gracePeriodSeconds": -1}, body={"metadata": {"deletionGracePeriodSeconds": 1}})),
    row("no grace", BOUND, options(f"{PODS}/p", {"gracePeriodSeconds": 0}, body={"kind": "Pod"}), get(f"{PODS}/p", 404)),
    row("a pod that ended has no grace", BOUND, patch(f"{PODS}/p/status", {"status": {"phase": "Succeeded"}}), delete(f"{PODS}/p"), get(f"{PODS}/p", 404)),
    row("a service account is answered", post(ACCOUNTS, {"metadata": {"name": "s"}}), delete(f"{ACCOUNTS}/s", body={"kind": "ServiceAccount"})),
    row("a collection", CM, post(MAPS, config_map("b")), delete(MAPS, body={"kind": "ConfigMapList", "items": [{"metadata": {"name": "b"}}, {"metadata": {"name": "cm"}}]}), get(MAPS, body={"items": []})),
    row("a collection by label", post(MAPS, config_map("a", {"x": "1"})), post(MAPS, config_map("b", {"x": "2"})), delete(f"{MAPS}?labelSelector=x%3D1", body={"items": [{"metadata": {"name": "a"}}]}), get(MAPS, body={"items": [{"metadata": {"name": "b"}}]})),
    row("a collection by field", CM, post(MAPS, config_map("b")), delete(f"{MAPS}?fieldSelector=metadata.name%3Db"), get(MAPS, body={"items": [{"metadata": {"name": "cm"}}]})),
    row("a collection of Jobs warns", JOB, delete(JOBS, warnings=[ORPHANS])),
    row("a collection's dry run", CM, delete(f"{MAPS}?dryRun=All"), get(f"{MAPS}/cm")),
    row("a namespace is terminating", delete("/api/v1/namespaces/{ns}", body={"kind": "Namespace", "status": {"phase": "Terminating"}, "metadata": {"deletionTimestamp": ANY}})),
    row("create in a dying namespace", delete("/api/v1/namespaces/{ns}"), post(MAPS, config_map("x"), 403, reason="Forbidden", message='configmaps "x" is forbidden: unable to create new content in namespace {ns} because it is being terminated', details={"name": "x", "kind": "configmaps", "causes": [{"reason": "NamespaceTerminating", "message": "namespace {ns} is being terminated", "field": "metadata.namespace"}]})),
    row("a namespace is finalized", delete("/api/v1/namespaces/{ns}"), put("/api/v1/namespaces/{ns}/finalize", {"metadata": {"name": "{ns}"}, "spec": {"finalizers": []}}, 200), get("/api/v1/namespaces/{ns}", 404)),
    *(row(f"namespace {name} stays", delete(f"/api/v1/namespaces/{name}", 403, message=f'namespaces "{name}" is forbidden: this namespace may not be deleted')) for name in ("default", "kube-system", "kube-public")),
    row("a table of what goes", HELD, delete(f"{MAPS}/f", send={"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}, body={"kind": "PartialObjectMetadata"})),
    row("eviction", post(PODS, pod("p")), post(f"{PODS}/p/eviction", {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "p"}}, 201, body={"kind": "Status", "status": "Success", "code": 201}), get(f"{PODS}/p", 404)),
    row("eviction of another pod", post(PODS, pod("p")), post(f"{PODS}/p/eviction", {"metadata": {"name": "q"}}, 400, message="name in URL does not match name in Eviction object")),
    row("eviction of nothing", post(f"{PODS}/nope/eviction", {"metadata": {"name": "nope"}}, 404, message='pods "nope" not found')),
    row("a lease in another's way", delete(f"{IN}/secrets/nope", 404, message=like('secrets "nope" not found'))),
]  # fmt: skip
