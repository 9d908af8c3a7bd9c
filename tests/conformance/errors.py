"""Status bodies: which code, reason, message and details each mistake gets."""

from __future__ import annotations

from tests.conformance.rows import (
    ABSENT,
    IN,
    JOBS,
    LEASES,
    MAPS,
    PODS,
    Step,
    config_map,
    delete,
    get,
    job,
    like,
    patch,
    post,
    put,
    row,
)

NOT_ALLOWED = "the server does not allow this method on the requested resource"
CM = post(MAPS, config_map("cm", a="1"))
PATHS = {"configmaps": "/api/v1/configmaps", "jobs": "/apis/batch/v1/jobs", "pods": "/api/v1/pods"}


def method(name: str, step: Step) -> object:
    return row(f"method: {name}", step)


def refused(method_: str, path: str) -> Step:
    return Step(
        method=method_,
        path=path,
        sent={},
        status=405,
        message=NOT_ALLOWED,
        reason="MethodNotAllowed",
        details={},
    )


ROWS = [
    row("no such job", get(f"{JOBS}/nope", 404, message='jobs.batch "nope" not found', reason="NotFound", details={"name": "nope", "group": "batch", "kind": "jobs"})),
    row("no such pod", get(f"{PODS}/nope", 404, message='pods "nope" not found', details={"name": "nope", "kind": "pods", "group": ABSENT})),
    row("delete no such map", delete(f"{MAPS}/nope", 404, message='configmaps "nope" not found')),
    row("patch no such map", patch(f"{MAPS}/nope", {}, 404, message='configmaps "nope" not found')),
    row("update no such map", put(f"{MAPS}/nope", config_map("nope"), 404, message='configmaps "nope" not found')),
    row("update no such lease makes it", put(f"{LEASES}/x", {"metadata": {"name": "x"}, "spec": {}}, 201, body={"kind": "Lease"})),
    row("no such namespace", get("/api/v1/namespaces/nope-{ns}", 404, message='namespaces "nope-{ns}" not found', details={"name": "nope-{ns}", "kind": "namespaces"})),
    row("create in no such namespace", post("/api/v1/namespaces/nons/configmaps", config_map("x"), 404, message='namespaces "nons" not found', details={"name": "nons", "kind": "namespaces"})),
    row("list in no such namespace", get("/api/v1/namespaces/nons/configmaps", body={"kind": "ConfigMapList", "items": []})),
    method("PUT of a collection", refused("PUT", MAPS)),
    method("PATCH of a collection", Step(method="PATCH", path=MAPS, sent={}, send={"Content-Type": "application/merge-patch+json"}, status=405, message=NOT_ALLOWED)),
    method("POST of an object", refused("POST", f"{MAPS}/cm")),
    method("DELETE of all namespaces", refused("DELETE", "/api/v1/namespaces")),
    *(method(f"POST of {kind} without a namespace", refused("POST", path)) for kind, path in PATHS.items()),
    *(method(f"GET of {kind}", refused("GET", f"/apis/authorization.k8s.io/v1/{kind}")) for kind in ("subjectaccessreviews", "selfsubjectaccessreviews")),
    method("GET of bindings", refused("GET", f"{IN}/bindings")),
    method("DELETE of a status", Step(method="DELETE", path=f"{JOBS}/x/status", status=405, message=NOT_ALLOWED)),
    row("exists", CM, post(MAPS, config_map("cm"), 409, message='configmaps "cm" already exists', reason="AlreadyExists", details={"name": "cm", "kind": "configmaps"})),
    row("exists, in a group", post(JOBS, job("x")), post(JOBS, job("x"), 409, message='jobs.batch "x" already exists', details={"group": "batch"})),
    row("a revision on create", post(MAPS, {"metadata": {"name": "x", "resourceVersion": "1"}}, 500, message="resourceVersion should not be set on objects to be created", reason=ABSENT)),
    row("a stale revision", CM, put(f"{MAPS}/cm", {"metadata": {"name": "cm", "resourceVersion": "1"}}, 409, reason="Conflict", message='Operation cannot be fulfilled on configmaps "cm": the object has been modified; please apply your changes to the latest version and try again', details={"name": "cm", "kind": "configmaps"})),
    row("a stale revision of a Job", post(JOBS, job("x")), put(f"{JOBS}/x", {**job("x"), "metadata": {"name": "x", "resourceVersion": "1"}}, 409, message=like('Operation cannot be fulfilled on jobs.batch "x": the object has been modified.*'))),
    row("another uid", CM, put(f"{MAPS}/cm", {"metadata": {"name": "cm", "uid": "aaa"}}, 409, message=like(".*Precondition failed: UID in precondition: aaa, UID in object meta: .*"))),
    row("name unlike the URL's", CM, put(f"{MAPS}/cm", config_map("other"), 400, message="the name of the object (other) does not match the name on the URL (cm)", reason="BadRequest")),
    row("no name in an update", CM, put(f"{MAPS}/cm", {"metadata": {}}, 400, message="the name of the object (cm based on URL) was undeterminable: name must be provided")),
    row("namespace unlike the URL's", post(MAPS, {"metadata": {"name": "x", "namespace": "default"}}, 400, message="the namespace of the provided object does not match the namespace sent on the request")),
    row("namespace unlike the URL's in an update", CM, put(f"{MAPS}/cm", {"metadata": {"name": "cm", "namespace": "default"}}, 400, message="the namespace of the object (default) does not match the namespace on the request ({ns})")),
    row("no name", post(MAPS, {}, 422, message='ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required', reason="Invalid", details={"kind": "ConfigMap", "causes": [{"reason": "FieldValueRequired", "message": "Required value: name or generateName is required", "field": "metadata.name"}]})),
    row("a bad name", post(MAPS, config_map("Bad_Name"), 422, message="ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')", details={"name": "Bad_Name"})),
    row("a name too long", post(MAPS, config_map("x" * 254), 422, message=like(".*must be no more than 253 characters.*"))),
    row("two mistakes", post(JOBS, job("x", backoffLimit=-1, parallelism=-1), 422, message='Job.batch "x" is invalid: [spec.parallelism: Invalid value: -1: must be greater than or equal to 0, spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0]', details={"name": "x", "group": "batch", "kind": "Job", "causes": [{"field": "spec.parallelism", "reason": "FieldValueInvalid"}, {"field": "spec.backoffLimit"}]})),
    row("a bad label", post(MAPS, config_map("x", {"a b": "c"}), 422, message=like('ConfigMap "x" is invalid: metadata.labels: Invalid value: "a b": name part must consist of .*'))),
    row("a bad label's value", post(MAPS, config_map("x", {"a": "b c"}), 422, message=like('ConfigMap "x" is invalid: metadata.labels: Invalid value: "b c": a valid label must be .*'))),
    row("bogus dry run of a create", post(f"{MAPS}?dryRun=true", config_map("x"), 422, message='CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["true"]: supported values: "All"')),
    row("bogus dry run of an update", CM, put(f"{MAPS}/cm?dryRun=x", config_map("cm"), 422, message=like('UpdateOptions.meta.k8s.io "" is invalid: dryRun: .*'))),
    row("bogus dry run of a patch", CM, patch(f"{MAPS}/cm?dryRun=x", {}, 422, message=like('PatchOptions.meta.k8s.io "" is invalid: dryRun: .*'))),
    row("bogus dry run of a delete", CM, delete(f"{MAPS}/cm?dryRun=x", 422, message=like('DeleteOptions.meta.k8s.io "" is invalid: dryRun: .*')), get(f"{MAPS}/cm")),
    row("a field manager too long", post(f"{MAPS}?fieldManager={'m' * 129}", config_map("x"), 422, message='CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes')),
    row("force without apply", CM, patch(f"{MAPS}/cm?force=true", {}, 422, message='PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch')),
]  # fmt: skip
