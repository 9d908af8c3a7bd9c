"""Tables: columns and cells of each kind."""

from __future__ import annotations

from typing import Any

from tests.conformance.rows import (
    ACCOUNTS,
    CRONJOBS,
    EVENTS,
    IN,
    JOBS,
    LEASES,
    MAPS,
    PODS,
    RBAC,
    REPLICASETS,
    SECRETS,
    SERVICES,
    TABLE,
    Row,
    config_map,
    container,
    cron_job,
    delete,
    get,
    job,
    like,
    patch,
    pod,
    post,
    replica_set,
    row,
)

AGE = like(r"\d+s")


def cells(name: str, path: str, sent: Any, *expected: Any, status: Any = None) -> Row:
    """The one row of a kind's table, after a change of the object's status."""
    steps = [post(path, sent)]
    if status is not None:
        steps.append(patch(f"{path}/{sent['metadata']['name']}/status", {"status": status}))
    table = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "rows": [{"cells": list(expected)}]}
    return row(name, *steps, get(path, send=TABLE, body=table))


def columns(path: str, *names: str) -> Row:
    kind = path.rpartition("/")[2]
    wide = [{"name": n.lstrip("*"), "priority": int(n.startswith("*"))} for n in names]
    return row(f"columns of {kind}", get(path, send=TABLE, body={"columnDefinitions": wide}))


def pod_status(name: str, status: Any, ready: str, shown: str, restarts: Any = "0") -> Row:
    return cells(
        f"a pod that is {name}",
        PODS,
        pod("p", nodeName="n"),
        "p",
        ready,
        shown,
        restarts,
        AGE,
        "<none>",
        "n",
        "<none>",
        "<none>",
        status=status,
    )


def state(**what: Any) -> dict[str, Any]:
    return {
        "containerStatuses": [
            {
                "name": "c",
                "image": "i",
                "imageID": "",
                "ready": "running" in what,
                "restartCount": 0,
                "state": what,
            }
        ]
    }


START, END = "2026-01-01T00:00:00Z", "2026-01-01T00:01:40Z"
DONE = {
    "startTime": START,
    "completionTime": END,
    "succeeded": 1,
    "conditions": [{"type": t, "status": "True"} for t in ("SuccessCriteriaMet", "Complete")],
}
FAILED = {
    "startTime": START,
    "failed": 1,
    "conditions": [{"type": t, "status": "True"} for t in ("FailureTarget", "Failed")],
}
CHOSEN = like("batch.kubernetes.io/controller-uid=.*")
BUSY = ("c", "busybox:1")

ROWS = [
    columns(JOBS, "Name", "Status", "Completions", "Duration", "Age", "*Containers", "*Images", "*Selector"),
    columns(CRONJOBS, "Name", "Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age", "*Containers", "*Images", "*Selector"),
    columns(PODS, "Name", "Ready", "Status", "Restarts", "Age", "*IP", "*Node", "*Nominated Node", "*Readiness Gates"),
    columns("/api/v1/nodes", "Name", "Status", "Roles", "Age", "Version", "*Internal-IP", "*External-IP", "*OS-Image", "*Kernel-Version", "*Container-Runtime"),
    columns(EVENTS, "Last Seen", "Type", "Reason", "Object", "*Subobject", "*Source", "Message", "*First Seen", "*Count", "*Name"),
    columns(SERVICES, "Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "*Selector"),
    columns(REPLICASETS, "Name", "Desired", "Current", "Ready", "Age", "*Containers", "*Images", "*Selector"),
    columns(MAPS, "Name", "Data", "Age"),
    columns(SECRETS, "Name", "Type", "Data", "Age"),
    columns(ACCOUNTS, "Name", "Age"),
    columns(LEASES, "Name", "Holder", "Age"),
    columns(f"{RBAC}/rolebindings", "Name", "Role", "Age", "*Users", "*Groups", "*ServiceAccounts"),
    columns(f"{IN}/resourcequotas", "Name", "Request", "Limit", "Age"),
    columns("/apis/scheduling.k8s.io/v1/priorityclasses", "Name", "Value", "Global-Default", "Age", "PreemptionPolicy"),
    columns("/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets", "Name", "Min Available", "Max Unavailable", "Allowed Disruptions", "Age"),
    columns(f"{IN}/persistentvolumeclaims", "Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", "Age", "*VolumeMode"),
    cells("a new Job", JOBS, job("x"), "x", "Running", "0/1", "", AGE, *BUSY, CHOSEN),
    cells("a work queue", JOBS, job("x", parallelism=3), "x", "Running", "0/1 of 3", "", AGE, *BUSY, CHOSEN),
    cells("a work queue of one", JOBS, job("x", parallelism=1), "x", "Running", "0/1", "", AGE, *BUSY, CHOSEN),
    cells("a suspended Job", JOBS, job("x", suspend=True), "x", "Suspended", "0/1", "", AGE, *BUSY, CHOSEN, status={"conditions": [{"type": "Suspended", "status": "True"}]}),
    cells("a complete Job", JOBS, job("x"), "x", "Complete", "1/1", "100s", AGE, *BUSY, CHOSEN, status=DONE),
    cells("a failed Job", JOBS, job("x"), "x", "Failed", "0/1", like(".+"), AGE, *BUSY, CHOSEN, status=FAILED),
    cells("a failing Job", JOBS, job("x"), "x", "FailureTarget", "0/1", "", AGE, *BUSY, CHOSEN, status={"conditions": [{"type": "FailureTarget", "status": "True"}]}),
    cells("a new CronJob", CRONJOBS, cron_job("c"), "c", "*/5 * * * *", "<none>", "False", 0, "<none>", AGE, *BUSY, "<none>"),
    cells("a CronJob with a zone, suspended", CRONJOBS, cron_job("c", timeZone="Etc/UTC", suspend=True), "c", "*/5 * * * *", "Etc/UTC", "True", 0, "<none>", AGE, *BUSY, "<none>"),
    pod_status("pending", None, "0/1", "Pending"),
    pod_status("running", {"phase": "Running", **state(running={"startedAt": START})}, "1/1", "Running"),
    pod_status("waiting", state(waiting={"reason": "ImagePullBackOff"}), "0/1", "ImagePullBackOff"),
    pod_status("done", {"phase": "Succeeded", **state(terminated={"exitCode": 0, "reason": "Completed"})}, "0/1", "Completed"),
    pod_status("in error", {"phase": "Failed", **state(terminated={"exitCode": 1, "reason": "Error"})}, "0/1", "Error"),
    pod_status("ended by a signal", {"phase": "Failed", **state(terminated={"exitCode": 0, "signal": 9})}, "0/1", "Signal:9"),
    pod_status("ended without a reason", {"phase": "Failed", **state(terminated={"exitCode": 3})}, "0/1", "ExitCode:3"),
    pod_status("evicted", {"phase": "Failed", "reason": "Evicted"}, "0/1", "Evicted"),
    row("the row of a finished pod", post(PODS, pod("p")), patch(f"{PODS}/p/status", {"status": {"phase": "Succeeded"}}), get(PODS, send=TABLE, body={"rows": [{"conditions": [{"type": "Completed", "status": "True", "reason": "Succeeded", "message": "The pod has completed successfully."}]}]})),
    row("the row of a failed pod", post(PODS, pod("p")), patch(f"{PODS}/p/status", {"status": {"phase": "Failed"}}), get(f"{PODS}/p", send=TABLE, body={"rows": [{"conditions": [{"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}]}]})),
    cells("an initializing pod", PODS, pod("p", initContainers=[container("i")]), "p", "0/1", "Init:0/1", "0", AGE, "<none>", "<none>", "<none>", "<none>", status={"initContainerStatuses": [{"name": "i", "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}]}),
    cells("a ConfigMap", MAPS, config_map("m", a="1", b="2"), "m", 2, AGE),
    cells("a Secret", SECRETS, {"metadata": {"name": "s"}, "stringData": {"a": "b"}}, "s", "Opaque", 1, AGE),
    cells("a Service", SERVICES, {"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "ports": [{"name": "x", "port": 80}, {"name": "y", "port": 81}]}}, "s", "ClusterIP", like(r"[\d.]+"), "<none>", "80/TCP,81/TCP", AGE, "a=b"),
    cells("a ReplicaSet", REPLICASETS, replica_set("r", 2), "r", 2, 0, 0, AGE, *BUSY, "app=r"),
    cells("a lease", LEASES, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}, "l", "me", AGE),
    cells("a role", f"{RBAC}/roles", {"metadata": {"name": "r"}, "rules": []}, "r", like(r"\d{4}-.*Z")),
    cells("a role binding", f"{RBAC}/rolebindings", {"metadata": {"name": "b"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x"}, "subjects": [{"kind": "User", "name": "bob", "apiGroup": "rbac.authorization.k8s.io"}, {"kind": "ServiceAccount", "name": "s", "namespace": "d"}]}, "b", "Role/x", AGE, "bob", "", "d/s"),
    cells("an event", EVENTS, {"metadata": {"name": "e"}, "involvedObject": {"namespace": "{ns}", "kind": "Pod", "name": "p"}, "reason": "R", "message": " M ", "type": "Normal", "source": {"component": "me", "host": "h"}}, "<unknown>", "Normal", "R", "pod/p", "", "me, h", "M", "<unknown>", 1, "e"),
    row("a namespace", get("/api/v1/namespaces/{ns}", send=TABLE, body={"columnDefinitions": [{"name": "Name", "format": "name", "type": "string"}, {"name": "Status"}, {"name": "Age"}], "rows": [{"cells": ["{ns}", "Active", AGE]}]})),
    row("one object's table", post(MAPS, config_map("m")), get(f"{MAPS}/m", send=TABLE, body={"kind": "Table", "metadata": {"resourceVersion": "<<0.metadata.resourceVersion>>"}, "rows": [{"cells": ["m", 0, AGE], "object": {"kind": "PartialObjectMetadata", "metadata": {"name": "m"}}}]})),
    row("an older table", get(MAPS, send={"Accept": "application/json;as=Table;v=v1beta1;g=meta.k8s.io"}, body={"kind": "Table", "apiVersion": "meta.k8s.io/v1beta1"})),
    row("an empty table", get(MAPS, send=TABLE, body={"kind": "Table", "rows": []})),
    row("rows with objects", post(MAPS, config_map("m", a="1")), get(f"{MAPS}?includeObject=Object", send=TABLE, body={"rows": [{"object": {"kind": "ConfigMap", "data": {"a": "1"}}}]})),
    row("rows without objects", post(MAPS, config_map("m", a="1")), get(f"{MAPS}?includeObject=None", send=TABLE, body={"rows": [{"object": None}]})),
    row("rows with bogus objects", get(f"{MAPS}?includeObject=Bogus", 400, send=TABLE, message="Unable to convert to Table as requested: includeObject: Invalid value: \"Bogus\": must be 'Metadata', 'Object', 'None', or empty")),
    row("no table of nothing", get(f"{JOBS}/nope", 404, send=TABLE, message='jobs.batch "nope" not found')),
    row("the table of what was created", post(MAPS, config_map("m"), 201, send=TABLE, body={"kind": "Table", "rows": [{"cells": ["m", 0, AGE]}]})),
    row("a status is shown as its object", post(JOBS, job("x")), get(f"{JOBS}/x/status", send=TABLE, body={"kind": "Table", "rows": [{"cells": ["x", "Running", "0/1", "", AGE, *BUSY, CHOSEN]}]})),
    row("a dying Job", post(JOBS, {**job("x"), "metadata": {"name": "x", "finalizers": ["x.io/f"]}}), delete(f"{JOBS}/x?propagationPolicy=Background"), get(JOBS, send=TABLE, body={"rows": [{"cells": ["x", "Terminating", "0/1", "", AGE, *BUSY, CHOSEN]}]})),
]  # fmt: skip
