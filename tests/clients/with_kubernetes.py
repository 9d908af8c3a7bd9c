"""The official Python client: typed, watching, dynamic."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

from typing import Any

from kubernetes import client, config, dynamic, watch

NAMESPACE = "official"


def job(name: str) -> Any:
    container = client.V1Container(name="c", image="busybox", command=["echo", "hello"])
    spec = client.V1PodSpec(containers=[container], restart_policy="Never")
    template = client.V1PodTemplateSpec(spec=spec)
    return client.V1Job(
        metadata=client.V1ObjectMeta(name=name), spec=client.V1JobSpec(template=template)
    )


def watched(batch: Any, core: Any) -> None:
    """A Job seen through a watch until it is complete, its log, its end."""
    batch.create_namespaced_job(NAMESPACE, job("one"))
    stream = watch.Watch()
    for event in stream.stream(batch.list_namespaced_job, NAMESPACE, timeout_seconds=30):
        if event["object"].status.succeeded:
            stream.stop()
    pods = core.list_namespaced_pod(NAMESPACE, label_selector="job-name=one").items
    assert core.read_namespaced_pod_log(pods[0].metadata.name, NAMESPACE) == "hello\n"
    batch.delete_namespaced_job("one", NAMESPACE, propagation_policy="Background")
    try:
        batch.read_namespaced_job("nope", NAMESPACE)
    except client.ApiException as error:
        assert (error.status, error.reason) == (404, "Not Found")  # noqa: PT017


def patched(core: Any) -> None:
    """The three patches that the client chooses by the body's shape or is told of."""
    core.create_namespaced_config_map(
        NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="m"), data={"a": "1"})
    )
    core.patch_namespaced_config_map("m", NAMESPACE, {"data": {"b": "2"}})
    operations = [{"op": "remove", "path": "/data/a"}]
    assert core.patch_namespaced_config_map("m", NAMESPACE, operations).data == {"b": "2"}
    found = core.list_namespaced_config_map(NAMESPACE, field_selector="metadata.name=m", limit=1)
    assert [m.metadata.name for m in found.items] == ["m"]


def by_discovery() -> None:
    """The dynamic client finds CronJobs by itself, and applies on the server."""
    found = dynamic.DynamicClient(client.ApiClient())
    cron_jobs = found.resources.get(api_version="batch/v1", kind="CronJob")
    template = client.ApiClient().sanitize_for_serialization(job("x"))["spec"]
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": template}}
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": spec}
    made = cron_jobs.server_side_apply(body, namespace=NAMESPACE, field_manager="me")
    assert made.spec.concurrencyPolicy == "Allow"
    for event in cron_jobs.watch(namespace=NAMESPACE, timeout=5):
        assert (event["type"], event["object"].metadata.name) == ("ADDED", "c")
        break
    cron_jobs.delete(name="c", namespace=NAMESPACE)


def main() -> None:
    config.load_kube_config()
    core = client.CoreV1Api()
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    patched(core)
    watched(client.BatchV1Api(), core)
    by_discovery()
    print("all is well")


main()
