"""Creates: what the server fills in, what it ignores, what it refuses."""

from __future__ import annotations

from typing import Any

from tests.conformance.rows import (
    ABSENT,
    ACCOUNTS,
    ANY,
    CRONJOBS,
    EVENTS,
    IN,
    JOBS,
    LEASES,
    MAPS,
    NUMBER,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICES,
    config_map,
    container,
    cron_job,
    get,
    job,
    like,
    pod,
    post,
    replica_set,
    row,
)

UID = like("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MOMENT = like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
GENERATED = "[bcdfghjklmnpqrstvwxz2456789]{5}"
SERVICE = {"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], **spec}}


def pod_refused(name: str, spec: dict[str, Any], message: str) -> object:
    return row(
        f"pod: {name}",
        post(
            PODS, pod("p", **spec), 422, message=f'Pod "p" is invalid: {message}', reason="Invalid"
        ),
    )


def cron_refused(name: str, spec: dict[str, Any], message: str) -> object:
    return row(
        f"cron job: {name}",
        post(
            CRONJOBS, cron_job("c", **spec), 422, message=f'CronJob.batch "c" is invalid: {message}'
        ),
    )


ROWS = [
    row("what the server fills in", post(MAPS, config_map("x", a="b"), 201, body={"metadata": {"name": "x", "namespace": "{ns}", "uid": UID, "resourceVersion": NUMBER, "creationTimestamp": MOMENT, "generation": ABSENT, "managedFields": ANY}})),
    row("what the server ignores", post(MAPS, {"metadata": {"name": "x", "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7, "deletionTimestamp": "2001-01-01T00:00:00Z", "selfLink": "/x"}}, 201, body={"metadata": {"uid": UID, "creationTimestamp": like("202.*"), "deletionTimestamp": ABSENT, "generation": ABSENT, "selfLink": ABSENT}})),
    row("a generated name", post(MAPS, {"metadata": {"generateName": "x-"}}, 201, body={"metadata": {"name": like(f"x-{GENERATED}"), "generateName": "x-"}})),
    row("a generated name is cut", post(MAPS, {"metadata": {"generateName": "y" * 70}}, 201, body={"metadata": {"name": like(f"y{{58}}{GENERATED}")}})),
    row("a dry run", post(f"{MAPS}?dryRun=All", config_map("x"), 201, body={"metadata": {"uid": UID, "resourceVersion": ABSENT}}), get(f"{MAPS}/x", 404)),
    row("a dry run generates a name", post(f"{MAPS}?dryRun=All", {"metadata": {"generateName": "x-"}}, 201, body={"metadata": {"name": like(f"x-{GENERATED}")}})),
    row("a dry run of what exists", post(MAPS, config_map("x")), post(f"{MAPS}?dryRun=All", config_map("x"), 409)),
    row("the manager is the agent", post(MAPS, config_map("x", a="b"), 201, send={"User-Agent": "tool/1.2 (x)"}, body={"metadata": {"managedFields": [{"manager": "tool", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {".": {}, "f:a": {}}}, "time": MOMENT}]}})),
    row("the manager as named", post(f"{MAPS}?fieldManager=me", config_map("x", a="b"), 201, body={"metadata": {"managedFields": [{"manager": "me"}]}})),
    row("a namespace", post("/api/v1/namespaces", {"metadata": {"name": "{ns}-x"}}, 201, body={"metadata": {"labels": {"kubernetes.io/metadata.name": "{ns}-x"}, "generation": ABSENT}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})),
    row("a namespace's name is a label", post("/api/v1/namespaces", {"metadata": {"name": "a.b"}}, 422, message=like('Namespace "a.b" is invalid: metadata.name: Invalid value: "a.b": .*'))),
    row("a Job's defaults", post(JOBS, job("x"), 201, body={"metadata": {"generation": 1, "labels": {"controller-uid": ANY, "job-name": "x", "batch.kubernetes.io/job-name": "x"}}, "spec": {"parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False, "manualSelector": False, "podReplacementPolicy": "TerminatingOrFailed"}, "status": {"active": ABSENT}})),
    row("a Job's selector", post(JOBS, job("x"), 201), get(f"{JOBS}/x", body={"spec": {"selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "<<0.metadata.uid>>"}}, "template": {"metadata": {"labels": {"controller-uid": "<<0.metadata.uid>>", "batch.kubernetes.io/controller-uid": "<<0.metadata.uid>>", "job-name": "x"}}}}})),
    row("a work queue has no completions", post(JOBS, job("x", parallelism=3), 201, body={"spec": {"parallelism": 3, "completions": ABSENT}})),
    row("zero is no default", post(JOBS, job("x", parallelism=0, completions=0, backoffLimit=0), 201, body={"spec": {"parallelism": 0, "completions": 0, "backoffLimit": 0}})),
    row("a Job's status is erased", post(JOBS, {**job("x"), "status": {"active": 3}}, 201, body={"status": {"active": ABSENT}})),
    row("a dotted Job's warning", post(JOBS, job("a.b"), 201, warnings=["metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]"])),
    row("a CronJob's defaults", post(CRONJOBS, cron_job("c"), 201, body={"metadata": {"generation": 1}, "spec": {"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1, "jobTemplate": {"spec": {"selector": ABSENT, "template": {"spec": {"terminationGracePeriodSeconds": 30}}}}}, "status": {}})),
    row("a pod's defaults", post(PODS, pod("p"), 201, body={"metadata": {"generation": 1}, "spec": {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "serviceAccountName": "default", "serviceAccount": "default", "securityContext": {}, "schedulerName": "default-scheduler", "enableServiceLinks": True, "priority": 0, "preemptionPolicy": "PreemptLowerPriority", "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}, {"key": "node.kubernetes.io/unreachable"}], "containers": [{"resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent"}]}, "status": {"phase": "Pending", "qosClass": "BestEffort"}})),
    row("an image without a tag is pulled", post(PODS, pod("p", containers=[{"name": "c", "image": "busybox"}]), 201, body={"spec": {"containers": [{"imagePullPolicy": "Always"}]}})),
    row("a port's protocol", post(PODS, pod("p", containers=[container(ports=[{"containerPort": 80}])]), 201, body={"spec": {"containers": [{"ports": [{"containerPort": 80, "protocol": "TCP"}]}]}})),
    row("requests are limits", post(PODS, pod("p", containers=[container(resources={"limits": {"cpu": 1}})]), 201, body={"spec": {"containers": [{"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}}]}, "status": {"qosClass": "Burstable"}})),
    row("no such service account", post(PODS, pod("p", serviceAccountName="nope"), 403, message='pods "p" is forbidden: error looking up service account {ns}/nope: serviceaccount "nope" not found', reason="Forbidden")),
    row("a Service's defaults", post(SERVICES, SERVICE, 201, body={"spec": {"type": "ClusterIP", "clusterIP": like(r"\d+\.\d+\.\d+\.\d+"), "clusterIPs": ANY, "sessionAffinity": "None", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}]}, "status": {"loadBalancer": {}}})),
    row("a headless Service", post(SERVICES, service(clusterIP="None"), 201, body={"spec": {"clusterIP": "None", "clusterIPs": ["None"]}})),
    row("a Service without ports", post(SERVICES, service(ports=[]), 422, message='Service "s" is invalid: spec.ports: Required value')),
    row("a ReplicaSet's defaults", post(REPLICASETS, {**replica_set("r"), "spec": {k: v for k, v in replica_set("r")["spec"].items() if k != "replicas"}}, 201, body={"spec": {"replicas": 1}, "metadata": {"generation": 1}, "status": {"replicas": 0}})),
    row("a ReplicaSet whose selector misses", post(REPLICASETS, {**replica_set("r"), "spec": {**replica_set("r")["spec"], "selector": {"matchLabels": {"app": "other"}}}}, 422, message=like('ReplicaSet.apps "r" is invalid: spec.template.metadata.labels: Invalid value: {"app":"r"}: `selector` does not match template `labels`'))),
    row("a Secret's type", post(SECRETS, {"metadata": {"name": "s"}, "stringData": {"k": "v"}}, 201, body={"type": "Opaque", "data": {"k": "dg=="}, "stringData": ABSENT})),
    row("a Secret of broken base64", post(SECRETS, {"metadata": {"name": "s"}, "data": {"k": "!"}}, 400, message=like(".*illegal base64 data at input byte 0"))),
    row("a service account", post(ACCOUNTS, {"metadata": {"name": "s"}}, 201, body={"kind": "ServiceAccount"})),
    row("a lease's bad holder", post(LEASES, {"metadata": {"name": "x"}, "spec": {"leaseDurationSeconds": 0}}, 422, message='Lease.coordination.k8s.io "x" is invalid: spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0')),
    row("an event of another namespace", post(EVENTS, {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}}, 422, message=like('Event "e" is invalid: involvedObject.namespace: Invalid value: .*does not match event.namespace'))),
    row("an event under both groups", post(EVENTS, {"metadata": {"name": "e"}, "involvedObject": {"namespace": "{ns}", "kind": "Pod", "name": "p"}, "reason": "R", "message": "M", "type": "Normal", "count": 2, "source": {"component": "me"}}, 201), get("/apis/events.k8s.io/v1/namespaces/{ns}/events/e", body={"apiVersion": "events.k8s.io/v1", "regarding": {"kind": "Pod"}, "note": "M", "deprecatedCount": 2, "deprecatedSource": {"component": "me"}, "reason": "R"})),
    row("an immutable ConfigMap", post(MAPS, {**config_map("x", a="b"), "immutable": True}, 201, body={"immutable": True})),
    row("a bad key of data", post(MAPS, {"metadata": {"name": "x"}, "data": {"a b": "c"}}, 422, message=like('ConfigMap "x" is invalid: data\\[a b\\]: Invalid value: "a b": a valid config key must consist of .*'))),
    row("a finalizer without a slash", post(MAPS, {"metadata": {"name": "x", "finalizers": ["bad"]}}, 422, message=like('ConfigMap "x" is invalid: metadata.finalizers\\[0\\]: Invalid value: "bad": name is neither a standard finalizer name nor is it fully qualified'))),
    row("an owner without a uid", post(MAPS, {"metadata": {"name": "x", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""}]}}, 422, message=like(".*metadata.ownerReferences.*uid.*"))),
    pod_refused("no containers", {"containers": []}, "spec.containers: Required value"),
    pod_refused("two of one name", {"containers": [container("a"), container("a")]}, 'spec.containers[1].name: Duplicate value: "a"'),
    pod_refused("a bad policy", {"restartPolicy": "Sometimes"}, 'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'),
    pod_refused("a mount without a volume", {"containers": [container(volumeMounts=[{"name": "v", "mountPath": "/v"}])]}, 'spec.containers[0].volumeMounts[0].name: Not found: "v"'),
    pod_refused("two sources of a volume", {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]}, "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"),
    pod_refused("a port out of range", {"containers": [container(ports=[{"containerPort": 70000}])]}, "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"),
    pod_refused("no image", {"containers": [{"name": "c"}]}, "spec.containers[0].image: Required value"),
    pod_refused("more asked than allowed", {"containers": [container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})]}, 'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'),
    cron_refused("no schedule", {"schedule": ""}, "spec.schedule: Required value"),
    cron_refused("a bad schedule", {"schedule": "* * *"}, 'spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]'),
    cron_refused("a zone in the schedule", {"schedule": "TZ=UTC * * * * *"}, 'spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead'),
    cron_refused("a bad policy", {"concurrencyPolicy": "X"}, 'spec.concurrencyPolicy: Unsupported value: "X": supported values: "Allow", "Forbid", "Replace"'),
    cron_refused("an unknown zone", {"timeZone": "Mars/Base"}, 'spec.timeZone: Invalid value: "Mars/Base": unknown time zone Mars/Base'),
    cron_refused("a negative deadline", {"startingDeadlineSeconds": -1}, "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0"),
    row("a CronJob's name is short", post(CRONJOBS, cron_job("c" * 53), 422, message=like(".*must be no more than 52 characters"))),
    row("a quota", post(f"{IN}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "0"}}}), post(MAPS, config_map("x"), 403, message='configmaps "x" is forbidden: exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=0, limited: count/configmaps=0', reason="Forbidden")),
]  # fmt: skip
